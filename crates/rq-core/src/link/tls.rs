//! How a connection is secured: the library's TLS, with what a URL says of certificates.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionAddr, RedisError, RedisResult, TlsCertificates};

use crate::redis_url::{Host, TlsOptions};

/// The most bytes of one file of certificates or keys.
const PEM_BYTES_MAX: u64 = 4 << 20;

/// The address of `host`, with all that a secured connection needs.
pub(super) fn addr(host: &Host, tls: &TlsOptions) -> RedisResult<ConnectionAddr> {
    choose_cryptography();
    let bare = ConnectionAddr::TcpTls {
        host: host.name.clone(),
        port: host.port,
        insecure: !tls.verifies,
        tls_params: None,
    };
    let certificates = TlsCertificates { client_tls: own_certificate(tls)?, root_cert: authorities(tls)? };
    let client = Client::build_with_tls(bare, certificates)?;
    let mut addr = client.get_connection_info().addr().clone();
    addr.set_danger_accept_invalid_hostnames(!tls.checks_hostname);
    Ok(addr)
}

/// Chooses, unless the program has, where several are linked and rustls would not know which.
fn choose_cryptography() {
    if rustls::crypto::CryptoProvider::get_default().is_none() {
        // Another thread may have been faster.
        let _ = rustls::crypto::ring::default_provider().install_default();
    }
}

/// The authorities to trust, in place of the system's.
fn authorities(tls: &TlsOptions) -> RedisResult<Option<Vec<u8>>> {
    let mut pem = Vec::new();
    if let Some(path) = &tls.ca_file {
        pem.extend(read(path, "ssl_ca_certs")?);
    }
    if let Some(directory) = &tls.ca_directory {
        let mut files: Vec<_> = std::fs::read_dir(directory)
            .and_then(|entries| entries.map(|entry| Ok(entry?.path())).collect())
            .map_err(|error| unreadable(directory, "ssl_ca_path", &error))?;
        files.sort();
        for file in files.iter().filter(|file| file.is_file()) {
            pem.extend(read(file, "ssl_ca_path")?);
        }
    }
    pem.extend(tls.ca_text.iter().flat_map(|text| text.bytes()));
    Ok(Some(pem).filter(|pem| !pem.is_empty()))
}

/// What we show to a server that asks who we are.
fn own_certificate(tls: &TlsOptions) -> RedisResult<Option<ClientTlsConfig>> {
    let Some(certificate) = &tls.certificate else { return Ok(None) };
    let client_cert = read(certificate, "ssl_certfile")?;
    let client_key = match &tls.key {
        Some(key) => read(key, "ssl_keyfile")?,
        None => client_cert.clone(),
    };
    Ok(Some(ClientTlsConfig { client_cert, client_key }))
}

fn read(path: &Path, parameter: &str) -> RedisResult<Vec<u8>> {
    let length = std::fs::metadata(path).map_err(|error| unreadable(path, parameter, &error))?.len();
    if length > PEM_BYTES_MAX {
        return Err(unreadable(path, parameter, &std::io::Error::from(std::io::ErrorKind::FileTooLarge)));
    }
    let mut pem = std::fs::read(path).map_err(|error| unreadable(path, parameter, &error))?;
    // Files are put one behind the other, and the last line of one may have no end.
    pem.push(b'\n');
    Ok(pem)
}

fn unreadable(path: &Path, parameter: &str, error: &std::io::Error) -> RedisError {
    std::io::Error::new(error.kind(), format!("{parameter} {}: {error}", path.display())).into()
}
