//! [`Authority`]: who vouches for servers and clients of secured connections.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair};

/// Who vouches for servers and clients of secured connections.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// One of this name.
    pub fn new(name: &str) -> Self {
        let mut params = named(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("a key can be made");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority vouches for itself"))
    }

    /// Its certificate, for those who trust it.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// Writes a certificate and its key, `<path>.pem` and `<path>.key`.
    pub fn certify(&self, params: CertificateParams, path: &Path) -> (PathBuf, PathBuf) {
        let key = KeyPair::generate().expect("a key can be made");
        let certificate = params.signed_by(&key, &self.0).expect("an authority vouches for others");
        let (pem, key_path) = (path.with_extension("pem"), path.with_extension("key"));
        std::fs::write(&pem, certificate.pem()).expect("a folder for tests takes files");
        std::fs::write(&key_path, key.serialize_pem()).expect("a folder for tests takes files");
        (pem, key_path)
    }
}

/// What is to be certified: that somebody has this name.
pub fn named(name: &str) -> CertificateParams {
    let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name of a host");
    // Without a name of their own, all would be taken for the authority's own.
    params.distinguished_name.push(DnType::CommonName, name);
    params
}
