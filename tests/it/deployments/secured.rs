//! TLS: with whom it is agreed to, and with whom refused.

use std::net::{Ipv4Addr, TcpListener};

use rcgen::CertificateParams;
use rq_core::Call;
use rq_tests::{Authority, Folder, PrivateRedis, Scratch, named};

use crate::rq_test::{Books, RqTest};

/// A server that takes secured connections alone from clients that it knows, and an authority that knows both.
struct Secured {
    _redis: PrivateRedis,
    port: u16,
    folder: Folder,
}

impl Secured {
    /// The server's certificate is for `name`.
    fn start(name: &str, options: &[&str]) -> Self {
        Self::with_certificate(named(name), options)
    }

    fn with_certificate(certificate: CertificateParams, options: &[&str]) -> Self {
        let folder = Folder::new("tls");
        let authority = Authority::new("ca.example");
        std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
        authority.certify(certificate, &folder.path().join("server"));
        authority.certify(named("client"), &folder.path().join("client"));
        std::fs::write(folder.path().join("other-ca.pem"), Authority::new("other.example").pem()).unwrap();
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap();
        let path = |name: &str| folder.path().join(name).display().to_string();
        let (port, certificate, key, ca) =
            (free.port().to_string(), path("server.pem"), path("server.key"), path("ca.pem"));
        let tls = ["--tls-port", &port, "--tls-cert-file", &certificate, "--tls-key-file", &key];
        let redis = PrivateRedis::start(&[&tls[..], &["--tls-ca-cert-file", &ca], options].concat());
        Self { _redis: redis, port: free.port(), folder }
    }

    fn path(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn url(&self, parameters: &str) -> String {
        format!("rediss://localhost:{}?{parameters}", self.port)
    }

    fn as_client(&self) -> String {
        let (ca, certificate, key) = (self.path("ca.pem"), self.path("client.pem"), self.path("client.key"));
        format!("ssl_ca_certs={ca}&ssl_certfile={certificate}&ssl_keyfile={key}")
    }
}

#[test]
fn jobs_run_over_a_secured_connection() {
    let server = Secured::start("localhost", &[]);
    for executor in ["thread", "fork", "green"] {
        let scratch = Scratch::on(&server.url(&server.as_client()));
        let job = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
        let more = scratch.queue("default").enqueue(Call::<()>::to("test.spread").arg(2)).unwrap();
        RqTest::new(&scratch).drain(&["-w", executor]);
        assert_eq!(job.result().unwrap(), Some(5), "{executor}");
        assert_eq!(more.status().unwrap(), Some(rq_core::Status::Finished), "{executor}: jobs connect, too");
    }
}

#[test]
fn who_is_not_trusted_is_refused() {
    let server = Secured::start("another.example", &[]);
    let scratch = Scratch::new();
    let (client, other) = (server.as_client(), server.path("other-ca.pem"));
    let own = client.split_once('&').unwrap().1;
    let ca = client.split_once('&').unwrap().0;
    for (parameters, expected) in [
        // The certificate is for another name.
        (client.clone(), Err("for another host")),
        (format!("{client}&ssl_check_hostname=no"), Ok(())),
        (format!("{own}&ssl_cert_reqs=none"), Ok(())),
        // By an authority that is not trusted: that of the system, and another one.
        (format!("{own}&ssl_check_hostname=no"), Err("ssl_ca_certs")),
        (format!("{own}&ssl_ca_certs={other}&ssl_check_hostname=no"), Err("ssl_ca_certs")),
        // The server asks who we are.
        (format!("{ca}&ssl_check_hostname=no"), Err("ssl_certfile")),
        (format!("{own}&ssl_ca_certs=/no/such/file"), Err("ssl_ca_certs /no/such/file: No such file")),
    ] {
        let (code, _, errors) = RqTest::new(&scratch).outcome(&["info", "--url", &server.url(&parameters)]);
        match expected {
            Ok(()) => assert_eq!(code, Some(0), "{parameters}: {errors}"),
            Err(part) => assert!(code == Some(1) && errors.contains(part), "{parameters}: {code:?} {errors}"),
        }
    }
}

#[test]
fn a_certificate_that_is_too_old_is_refused() {
    let mut certificate = named("localhost");
    certificate.not_after = rcgen::date_time_ymd(2001, 1, 1);
    let server = Secured::with_certificate(certificate, &["--tls-auth-clients", "no"]);
    let url = server.url(&format!("ssl_ca_certs={}", server.path("ca.pem")));
    let (code, _, errors) = RqTest::new(&Scratch::new()).outcome(&["info", "--url", &url]);
    assert!(code == Some(1) && errors.contains("certificate is too old"), "{code:?} {errors}");
}

#[test]
fn the_environment_secures_too() {
    let server = Secured::start("localhost", &["--requirepass", "secret", "--tls-auth-clients", "no"]);
    let scratch = Scratch::new();
    let mut command = RqTest::new(&scratch).command(&["info"]);
    command.env_remove("RQ_REDIS_URL").env("REDIS_PORT", server.port.to_string()).env("REDIS_SSL", "true");
    command.env("REDIS_SSL_CA_CERTS", server.path("ca.pem")).env("REDIS_PASSWORD", "secret");
    let info = rq_tests::Child::spawn(&mut command).succeed(crate::rq_test::LIMIT);
    assert!(info.contains("0 queues"), "{info}");
}
