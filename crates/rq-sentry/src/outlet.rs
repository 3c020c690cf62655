//! [`Outlet`]: Sentry's client, over the HTTP and TLS of webhooks.

use std::borrow::Cow;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nix::unistd::gethostname;
use rq_core::Shown;
use sentry::protocol::Event;
use sentry::transports::UreqHttpTransportOptions;
use sentry::types::{Dsn, Scheme};
use sentry::{Client, ClientOptions, Transport, TransportFactory, TransportOptions};
use ureq::Agent;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use crate::handler::host;
use crate::options::{SentryError, SentryOptions};
use crate::watched::Watched;

/// The most events that wait to be sent. Those that come then are dropped; Sentry is told how many.
const WAITING_MAX: NonZeroUsize = NonZeroUsize::new(100).unwrap();
/// How long one request may take, all in all.
const REQUEST_LONGEST: Duration = Duration::from_secs(5);
/// Sentry's own default, as its SDK for Python has it.
const ENVIRONMENT_DEFAULT: &str = "production";

/// Sentry's client, with a thread of its own that sends.
pub(crate) struct Outlet {
    client: Client,
    debug: bool,
}

impl Outlet {
    /// Starts the thread. Nothing is connected before the first event.
    pub(crate) fn open(dsn: &Dsn, options: &SentryOptions, authorities: &Authorities) -> Outlet {
        let certificates = match dsn.scheme() {
            Scheme::Http => Vec::new(),
            Scheme::Https => authorities.certificates(),
        };
        let agent = agent(Watched::new(host(dsn), options.debug), certificates);
        let environment = options.environment.clone().or_else(|| variable("SENTRY_ENVIRONMENT"));
        let mut client = ClientOptions::new()
            .environment(environment.map_or(Cow::Borrowed(ENVIRONMENT_DEFAULT), Cow::Owned))
            .maybe_release(options.release.clone().or_else(|| variable("SENTRY_RELEASE")));
        client.dsn = Some(dsn.clone());
        client.server_name = gethostname().ok().map(|name| name.to_string_lossy().into_owned().into());
        client.transport = Some(Arc::new(Sending(agent)));
        client.transport_channel_capacity = Some(WAITING_MAX);
        Outlet { client: Client::with_options(client), debug: options.debug }
    }

    /// Has an event sent, and waits for nothing. `job_id` is for the log.
    pub(crate) fn send(&self, event: Event<'static>, job_id: &str) {
        let id = self.client.capture_event(event, None);
        if self.debug {
            tracing::info!("Sentry: job {} is event {}", Shown::name(job_id), id.simple());
        }
    }

    /// Waits until all is sent. Whether it was in time; where as much waits as may, that takes a request longer.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        self.client.flush(Some(limit))
    }
}

/// Makes what sends: the client's own, with our agent.
struct Sending(Agent);

impl TransportFactory for Sending {
    fn create_transport_with_options(&self, options: TransportOptions) -> Arc<dyn Transport> {
        Arc::new(UreqHttpTransportOptions::from(options).with_agent(self.0.clone()).build())
    }
}

/// Proxies are those of the environment, which ureq reads.
fn agent(watched: Watched, certificates: Vec<Certificate<'static>>) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(certificates))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    Agent::config_builder()
        .tls_config(tls)
        .timeout_global(Some(REQUEST_LONGEST))
        .middleware(watched)
        .build()
        .new_agent()
}

/// Who vouches for Sentry.
pub(crate) enum Authorities {
    /// Those of the system, which are read when they are needed.
    OfSystem,
    /// Those of a file.
    OfFile(Vec<Certificate<'static>>),
}

impl Authorities {
    /// Those of a file, one at least.
    pub(crate) fn of_file(path: &Path) -> Result<Authorities, SentryError> {
        let read = rustls_native_certs::load_certs_from_paths(Some(path), None);
        if read.certs.is_empty() {
            let reason = read.errors.first().map_or("it has none".to_owned(), ToString::to_string);
            return Err(SentryError::CaCerts { path: path.to_owned(), reason });
        }
        Ok(Authorities::OfFile(owned(&read)))
    }

    fn certificates(&self) -> Vec<Certificate<'static>> {
        match self {
            Authorities::OfFile(certificates) => certificates.clone(),
            Authorities::OfSystem => {
                let read = rustls_native_certs::load_native_certs();
                for error in &read.errors {
                    tracing::warn!("Sentry: some authorities cannot be read: {}", Shown::line(error));
                }
                owned(&read)
            }
        }
    }
}

fn owned(read: &rustls_native_certs::CertificateResult) -> Vec<Certificate<'static>> {
    read.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
}

/// A variable of the environment. An empty one counts as none, for those who cannot unset one.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}
