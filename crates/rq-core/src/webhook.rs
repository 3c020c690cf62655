//! [`Webhook`]: an HTTP request that tells how a job ended (docs/wire.md §13).

mod check;
mod letter;
mod read;

use std::fmt;

use rq_wire::{Codec, Value};

use crate::error::Error;
use crate::job::Job;
use crate::status::Status;
use crate::time::TimeSpan;
use crate::ttl::whole_seconds;

#[cfg(feature = "worker")]
pub use letter::{Composed, EXC_INFO_BYTES_MAX, LetterError, Unsendable};
pub use letter::{Letter, compose, told_by};
pub use read::WebhooksError;

/// The most webhooks of one job.
pub const WEBHOOKS_MAX: usize = 16;
/// The most bytes of the URL of a webhook.
pub const WEBHOOK_URL_BYTES_MAX: usize = 2048;
/// The most bytes of the headers of a webhook, names and values.
pub const WEBHOOK_HEADERS_BYTES_MAX: usize = 8 << 10;
/// The longest time that a request may take, in seconds.
pub const WEBHOOK_TIMEOUT_S_MAX: u64 = 60;
/// How long a request may take that says nothing of it, in seconds.
const TIMEOUT_S_DEFAULT: u64 = 10;

/// An HTTP request that is sent when a job has finished, or failed: RQ's `Webhook`.
///
/// By default it is a GET without a body. A POST tells in JSON which job it was, and how it ended. It is sent at least
/// once by a worker of ours, with retries, and at most once by a Python worker; docs/webhooks.md has the whole of it.
///
/// ```
/// use rq_core::{secs, Call, Webhook};
/// let call = Call::<()>::to("reports.send")
///     .webhook(Webhook::finished("https://example.com/done"))
///     .webhook(Webhook::failed("https://example.com/alarm").post().header("X-Token", "abc").timeout(secs(5)));
/// # let _ = call;
/// ```
#[must_use = "a webhook does nothing until a call is given it"]
#[derive(Clone, PartialEq, Eq)]
pub struct Webhook {
    url: String,
    status: Status,
    is_post: bool,
    headers: Vec<(String, String)>,
    timeout_s: u64,
}

impl Webhook {
    /// A request to `url` (`http` or `https`) when the job has finished.
    pub fn finished(url: impl Into<String>) -> Webhook {
        Webhook::on(Status::Finished, url.into())
    }

    /// A request to `url` (`http` or `https`) when the job has failed for good, not before each retry.
    pub fn failed(url: impl Into<String>) -> Webhook {
        Webhook::on(Status::Failed, url.into())
    }

    fn on(status: Status, url: String) -> Webhook {
        Webhook { url, status, is_post: false, headers: Vec::new(), timeout_s: TIMEOUT_S_DEFAULT }
    }

    /// Makes it a POST, whose body tells which job it was and how it ended.
    pub fn post(mut self) -> Webhook {
        self.is_post = true;
        self
    }

    /// Adds a header; a second one of the same name replaces the first. The value is kept with the job in Redis.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Webhook {
        let name = name.into();
        self.headers.retain(|(known, _)| !known.eq_ignore_ascii_case(&name));
        self.headers.push((name, value.into()));
        self
    }

    /// How long the request may take, in whole seconds from 1 to 60; by default 10 s.
    pub fn timeout(mut self, limit: impl Into<TimeSpan>) -> Webhook {
        self.timeout_s = whole_seconds(limit.into().duration());
        self
    }

    /// Where it is sent to.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// After which end it is sent: finished or failed.
    pub fn status(&self) -> Status {
        self.status
    }

    /// Whether it is a POST.
    pub fn is_post(&self) -> bool {
        self.is_post
    }

    /// Its headers, beside those that every request has.
    pub fn headers(&self) -> &[(String, String)] {
        &self.headers
    }

    /// How long it may take, in seconds.
    pub fn timeout_s(&self) -> u64 {
        self.timeout_s
    }

    /// Refuses what RQ refuses, what no worker could send, and what is larger than may be.
    fn check(&self) -> Result<(), Error> {
        let refuse = |reason| Err(Error::Option { option: "webhook", reason });
        if self.url.len() > WEBHOOK_URL_BYTES_MAX {
            return refuse("a URL can have 2,048 bytes at most");
        }
        if !(1..=WEBHOOK_TIMEOUT_S_MAX).contains(&self.timeout_s) {
            return refuse("a request needs a second at least, and may take 60 at most");
        }
        let headers_bytes: usize = self.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if headers_bytes > WEBHOOK_HEADERS_BYTES_MAX {
            return refuse("headers can have 8,192 bytes at most");
        }
        check::url(&self.url).or_else(refuse)?;
        self.headers.iter().try_for_each(|(name, value)| {
            check::header(name, value).or_else(refuse)?;
            // A Python worker would send what the producer says in their place.
            if check::is_ours(name) {
                refuse("Job-Id and Rq-.. are headers that the worker writes")
            } else {
                Ok(())
            }
        })
    }

    /// As `asdict` has it, in its order.
    fn to_value(&self) -> Value {
        let headers = self.headers.iter().map(|(name, value)| (name.as_str().into(), value.as_str().into()));
        let headers = if self.headers.is_empty() { Value::Null } else { Value::Dict(headers.collect()) };
        Value::Dict(vec![
            ("url".into(), self.url.as_str().into()),
            ("job_status".into(), self.status.as_str().into()),
            ("method".into(), if self.is_post { "POST" } else { "GET" }.into()),
            ("headers".into(), headers),
            ("timeout".into(), self.timeout_s.into()),
        ])
    }
}

/// Without the path of the URL and the values of headers: both may hold secrets.
impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.headers.iter().map(|(name, _)| name).collect();
        let mut shown = f.debug_struct("Webhook");
        shown.field("to", &check::destination(&self.url)).field("status", &self.status);
        shown
            .field("is_post", &self.is_post)
            .field("headers", &names)
            .field("timeout_s", &self.timeout_s)
            .finish()
    }
}

/// RQ's field `webhooks`, as `json.dumps` writes it; none for none.
pub(crate) fn to_field(webhooks: &[Webhook]) -> Result<Option<Vec<u8>>, Error> {
    if webhooks.len() > WEBHOOKS_MAX {
        return Err(Error::Option { option: "webhook", reason: "a job can have 16 webhooks at most" });
    }
    webhooks.iter().try_for_each(Webhook::check)?;
    if webhooks.is_empty() {
        return Ok(None);
    }
    let list = Value::List(webhooks.iter().map(Webhook::to_value).collect());
    Ok(Some(Codec::Json.encode_value(&list)?))
}

impl Job {
    /// What is to be sent when the job has ended, as RQ reads it, and what is wrong with the rest.
    ///
    /// As in RQ nothing is sent where one entry is not as it has to be. Beside that, no more than
    /// [`WEBHOOKS_MAX`] are.
    pub fn webhooks(&self) -> (Vec<Webhook>, Option<WebhooksError>) {
        read::from_field(self.webhooks.as_deref().unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Defaults;
    use crate::{Call, secs};

    fn written(call: Call<()>) -> Result<String, Error> {
        let job = call.into_job("default", Defaults::new(Codec::Json))?;
        Ok(String::from_utf8(job.webhooks.unwrap_or_default()).unwrap())
    }

    fn call() -> Call<()> {
        Call::<()>::to("f")
    }

    #[test]
    fn the_field_is_written_as_python_writes_it() {
        // As in tests/fixtures/rq-3.0.0/webhooks.json.
        let written = written(
            call()
                .webhook(Webhook::finished("http://127.0.0.1:7699/get"))
                .webhook(
                    Webhook::finished("http://127.0.0.1:7699/post")
                        .post()
                        .header("X-Token", "abc")
                        .timeout(secs(3)),
                )
                .webhook(Webhook::failed("http://127.0.0.1:7699/nope")),
        );
        assert_eq!(
            written.unwrap(),
            r#"[{"url": "http://127.0.0.1:7699/get", "job_status": "finished", "method": "GET", "headers": null, "timeout": 10}, {"url": "http://127.0.0.1:7699/post", "job_status": "finished", "method": "POST", "headers": {"X-Token": "abc"}, "timeout": 3}, {"url": "http://127.0.0.1:7699/nope", "job_status": "failed", "method": "GET", "headers": null, "timeout": 10}]"#
        );
    }

    #[test]
    fn a_job_without_webhooks_has_no_field() {
        assert_eq!(call().into_job("q", Defaults::new(Codec::Json)).unwrap().webhooks, None);
    }

    #[test]
    fn what_is_written_is_read_again() {
        let webhook = Webhook::failed("https://h/é".replace('é', "%C3%A9"))
            .post()
            .header("X-A", "ü")
            .header("x-a", "ß");
        let job = call().webhook(webhook.clone()).into_job("q", Defaults::new(Codec::Json)).unwrap();
        assert_eq!(job.webhooks(), (vec![webhook], None));
    }

    #[test]
    fn what_nobody_could_send_is_refused_at_enqueueing() {
        let refused = |webhook: Webhook| {
            assert!(matches!(written(call().webhook(webhook)), Err(Error::Option { option: "webhook", .. })));
        };
        for url in
            ["", "h", "ftp://h/", "http://", "http:///path", "http://:80/", "http://h:x/", "http://u:p@h/"]
        {
            refused(Webhook::finished(url));
        }
        for url in ["http://h/a b", "http://h/\r\nX: y", "http://ü/", " http://h/"] {
            refused(Webhook::finished(url));
        }
        refused(Webhook::finished(format!("http://h/{}", "x".repeat(WEBHOOK_URL_BYTES_MAX))));
        let to = || Webhook::finished("http://h");
        refused(to().timeout(secs(0)));
        refused(to().timeout(secs(WEBHOOK_TIMEOUT_S_MAX + 1)));
        refused(to().header("X", "x".repeat(WEBHOOK_HEADERS_BYTES_MAX)));
        for (name, value) in
            [("", "v"), ("X Y", "v"), ("X:", "v"), ("X", "v\r\nY: w"), ("X", "v\0"), ("X", "€")]
        {
            refused(to().header(name, value));
        }
        for name in ["Content-Length", "transfer-encoding", "Connection", "job-id", "Rq-Signature"] {
            refused(to().header(name, "v"));
        }
        let many = (0..=WEBHOOKS_MAX).fold(call(), |call, _| call.webhook(to()));
        assert!(matches!(written(many), Err(Error::Option { option: "webhook", .. })));
    }

    #[test]
    fn its_debug_form_shows_no_secret() {
        let shown = format!("{:?}", Webhook::failed("https://h:1/token?key=k").header("X-Token", "abc"));
        assert_eq!(
            shown,
            r#"Webhook { to: "https://h:1", status: Failed, is_post: false, headers: ["X-Token"], timeout_s: 10 }"#
        );
    }
}
