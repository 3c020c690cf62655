//! [`Sender`]: sends letters, the webhooks of jobs that have ended.
//!
//! It decides nothing of what is kept and for how long: `pause_after` says when a letter is sent again, and
//! [`SendError::is_final`] whether at all.

mod addresses;
mod error;
mod options;
mod resolver;
mod schedule;
mod signature;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rq_core::{Letter, Timestamp, WEBHOOK_TIMEOUT_S_MAX};
use ureq::http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use ureq::http::{HeaderMap, Method, Request};
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::unversioned::transport::DefaultConnector;
use ureq::{Agent, AsSendBody};

pub use addresses::{WebhookAllow, WebhookAllowError};
pub use error::SendError;
pub use options::{WebhookOptions, WebhookSecret};
pub use schedule::WEBHOOK_ATTEMPTS_MAX;
pub(crate) use schedule::pause_after;

use resolver::CheckedResolver;

/// The most redirects that one attempt follows, each to an address that is checked as the first one.
const REDIRECTS_MAX: u32 = 3;
/// The most bytes of what a receiver answers before its body, which is not read.
const ANSWER_BYTES_MAX: usize = 16 << 10;
/// Room for one header line of a request and for what is read at once.
const BUFFER_BYTES: usize = 32 << 10;
/// Who sends, where the producer does not say.
const USER_AGENT: &str = concat!("rq/", env!("CARGO_PKG_VERSION"));

/// The job that has ended.
const JOB_ID: &str = "job-id";
/// The letter, the same at every attempt.
const WEBHOOK_ID: &str = "rq-webhook-id";
/// Which attempt it is, from 1.
const ATTEMPT: &str = "rq-attempt";
/// The time, and what [`signature::sign`] makes of it and the body.
const SIGNATURE: &str = "rq-signature";

/// Sends letters over HTTP, to addresses that are allowed, and signs them.
///
/// It blocks. One serves all threads; it keeps no connections between letters, and uses no proxy, which could not be held
/// to the addresses that are allowed.
#[derive(Debug)]
pub struct Sender {
    options: WebhookOptions,
    /// Made for the first letter: most workers have none, and authorities take a moment to read.
    agent: OnceLock<Agent>,
}

impl Sender {
    /// A sender that does as these options say.
    pub fn new(options: WebhookOptions) -> Sender {
        Sender { options, agent: OnceLock::new() }
    }

    /// Makes attempt number `attempt`, the first being 1: well when the receiver answers with a status from 200 to 299.
    ///
    /// It takes as long as the letter allows, with name resolution and redirects. Redirects are followed as RQ does: a
    /// POST becomes a GET.
    ///
    /// # Errors
    /// [`SendError::is_final`] tells whether another attempt makes sense.
    pub fn send(&self, letter: &Letter, attempt: u32) -> Result<(), SendError> {
        letter.check()?;
        let headers = self.headers(letter, attempt, Timestamp::now())?;
        // Anybody may have written it.
        let limit = Duration::from_secs(letter.timeout_s.clamp(1, WEBHOOK_TIMEOUT_S_MAX));
        match &letter.body {
            Some(body) => self.run(Method::POST, letter, headers, limit, body.as_str()),
            None => self.run(Method::GET, letter, headers, limit, ()),
        }
    }

    fn run(
        &self,
        method: Method,
        letter: &Letter,
        headers: HeaderMap,
        limit: Duration,
        body: impl AsSendBody,
    ) -> Result<(), SendError> {
        let mut request = Request::builder().method(method).uri(&letter.url).body(body)?;
        *request.headers_mut() = headers;
        let agent = self.agent.get_or_init(|| agent(&self.options));
        let request = agent.configure_request(request).timeout_global(Some(limit)).build();
        let status = agent.run(request)?.status();
        if status.is_success() { Ok(()) } else { Err(SendError::Status(status.as_u16())) }
    }

    /// RQ's, over them the producer's, over them ours.
    fn headers(&self, letter: &Letter, attempt: u32, now: Timestamp) -> Result<HeaderMap, SendError> {
        let mut headers = HeaderMap::new();
        if letter.body.is_some() {
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        }
        for (name, value) in letter.own_headers() {
            headers.insert(HeaderName::try_from(name)?, HeaderValue::from_bytes(&value)?);
        }
        headers.insert(JOB_ID, HeaderValue::try_from(&letter.job_id)?);
        headers.insert(WEBHOOK_ID, HeaderValue::try_from(&letter.id)?);
        headers.insert(ATTEMPT, HeaderValue::from(attempt));
        if let Some(secret) = &self.options.secret {
            let signature = signature::sign(secret, now, letter.body.as_deref().unwrap_or_default());
            headers.insert(SIGNATURE, HeaderValue::try_from(signature)?);
        }
        Ok(headers)
    }
}

fn agent(options: &WebhookOptions) -> Agent {
    let tls = TlsConfig::builder()
        .root_certs(RootCerts::from(authorities(options)))
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .build();
    let config = Agent::config_builder()
        .tls_config(tls)
        .proxy(None)
        .max_redirects(REDIRECTS_MAX)
        .http_status_as_error(false)
        .user_agent(USER_AGENT)
        .max_response_header_size(ANSWER_BYTES_MAX)
        .input_buffer_size(BUFFER_BYTES)
        .output_buffer_size(BUFFER_BYTES)
        .max_idle_connections(0)
        .build();
    Agent::with_parts(config, DefaultConnector::default(), CheckedResolver::new(options.allow.clone()))
}

/// Those of the file that the options name, or the system's. None can be read where there are none: what is secured is
/// not reached then, and the error says so.
fn authorities(options: &WebhookOptions) -> Vec<Certificate<'static>> {
    let read = match &options.ca_file {
        Some(path) => rustls_native_certs::load_certs_from_paths(Some(path), None),
        None => rustls_native_certs::load_native_certs(),
    };
    for error in &read.errors {
        tracing::warn!("Webhooks: some authorities cannot be read: {error}");
    }
    read.certs.iter().map(|certificate| Certificate::from_der(certificate).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use rq_core::{Job, Status, Value, compose};

    use super::*;

    fn letter(headers: &[(&str, &str)]) -> Letter {
        let entry = Value::Dict(vec![
            ("url".into(), "http://h/".into()),
            ("job_status".into(), "finished".into()),
            ("method".into(), "POST".into()),
            (
                "headers".into(),
                Value::Dict(headers.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect()),
            ),
        ]);
        let mut job = Job::new("j", "default", Vec::new());
        job.webhooks = Some(rq_core::Codec::Json.encode_value(&Value::List(vec![entry])).unwrap());
        compose(&job, Status::Finished, None, None).letters.remove(0)
    }

    fn text(headers: &HeaderMap, name: &str) -> String {
        String::from_utf8_lossy(headers[name].as_bytes()).into_owned()
    }

    #[test]
    fn headers_are_rqs_then_the_producers_then_ours() {
        let sender = Sender::new(WebhookOptions { secret: Some("s".into()), ..WebhookOptions::default() });
        let letter =
            letter(&[("content-TYPE", "text/x"), ("X-A", "1"), ("x-a", "é"), ("Rq-Signature", "forged")]);
        let headers = sender.headers(&letter, 3, Timestamp::from_epoch_us(7_000_000)).unwrap();
        assert_eq!(text(&headers, "content-type"), "text/x");
        assert_eq!(headers["x-a"].as_bytes(), b"\xe9");
        assert_eq!(text(&headers, "job-id"), "j");
        assert_eq!(text(&headers, "rq-attempt"), "3");
        assert_eq!(text(&headers, "rq-webhook-id"), letter.id);
        assert!(text(&headers, "rq-signature").starts_with("t=7,v1="));
        assert_eq!(headers.len(), 6);
    }

    #[test]
    fn nothing_is_signed_without_a_secret() {
        let headers =
            Sender::new(WebhookOptions::default()).headers(&letter(&[]), 1, Timestamp::now()).unwrap();
        assert!(!headers.contains_key("rq-signature"));
        assert_eq!(text(&headers, "content-type"), "application/json");
    }

    #[test]
    fn a_letter_that_can_never_be_sent_is_refused_for_good() {
        let sender = Sender::new(WebhookOptions::default());
        let sent = sender.send(&letter(&[("X", "a\r\nY: b")]), 1);
        assert!(matches!(&sent, Err(error @ SendError::Header(_)) if error.is_final()), "{sent:?}");
        let mut bad = letter(&[]);
        bad.url = "http://h:70000/".to_owned();
        let sent = sender.send(&bad, 1);
        assert!(matches!(&sent, Err(error @ SendError::Url(_)) if error.is_final()), "{sent:?}");
    }
}
