//! [`Letter`]: one request to be sent, as it waits in Redis.

use std::fmt;

use rq_wire::{Codec, Value};
#[cfg(any(feature = "worker", test))]
use rq_wire::{CodecError, ValueError};
use serde::{Deserialize, Serialize};

use super::{WebhooksError, check};
use crate::conclusion::Settled;
use crate::execution::fresh_x;
use crate::failure::shortened;
use crate::job::Job;
use crate::status::Status;
use crate::steps::outbox::{OutBox, Post};
use crate::time::Timestamp;

/// The most bytes of the job's id, and of the function's name, in a request.
const NAME_BYTES_MAX: usize = 8 << 10;
/// The most bytes of a failure's text in a request.
pub const EXC_INFO_BYTES_MAX: usize = 64 << 10;

/// One request to be sent: all that a sender needs, so that the job may be gone by then.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Letter {
    /// The same at every attempt: a receiver can tell by it what it has had already.
    pub id: String,
    /// The job that has ended.
    pub job_id: String,
    /// Where it is sent to.
    pub url: String,
    /// The producer's headers.
    pub headers: Vec<(String, String)>,
    /// How long an attempt may take, in seconds.
    pub timeout_s: u64,
    /// The body of a POST; a GET has none.
    pub body: Option<String>,
}

/// Why a letter can never be sent.
#[cfg(any(feature = "worker", test))]
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unsendable {
    /// The URL is none.
    #[error("{0}")]
    Url(&'static str),
    /// A header is none.
    #[error("{0}")]
    Header(&'static str),
}

/// What is to be sent, and what is wrong with the rest.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Composed {
    /// A letter for each webhook of the job that goes with its end.
    pub letters: Vec<Letter>,
    /// What is to be warned of.
    pub wrong: Option<WebhooksError>,
}

/// What webhooks tell of the end of an execution that was settled so: the status, and what failed. `None`: nothing is sent.
pub fn told_by<'a>(job: &Job, settled: &'a Settled) -> Option<(Status, Option<&'a str>)> {
    let told = match settled {
        Settled::Finished(_) => (Status::Finished, None),
        Settled::Failed(text) => (Status::Failed, Some(text.as_str())),
        Settled::Exhausted => (Status::Failed, Some("")),
        // Neither for a stopped job nor for an attempt that another follows, as in RQ (docs/wire.md §13).
        Settled::Stopped(_) | Settled::Again(_) => return None,
    };
    job.has_webhooks().then_some(told)
}

/// The letters for a job that has `status`, finished or failed.
///
/// Bodies are RQ's, byte for byte (docs/wire.md §13). It decodes the payload for the name of the function, which is null
/// where that cannot be: never call it on the dispatcher's loop.
pub fn compose(job: &Job, status: Status, ended_at: Option<Timestamp>, exc_info: Option<&str>) -> Composed {
    if job.id.len() > NAME_BYTES_MAX {
        let wrong = Some(WebhooksError::Malformed("the job's id is too long for a header"));
        return Composed { wrong, ..Composed::default() };
    }
    let (mut webhooks, wrong) = job.webhooks();
    webhooks.retain(|webhook| webhook.status == status);
    // Once for all of them, and not at all where nobody reads it.
    let is_body_needed = webhooks.iter().any(|webhook| webhook.is_post);
    let body = is_body_needed.then(|| body(job, status, ended_at, exc_info));
    let letters = webhooks.into_iter().map(|webhook| Letter {
        id: fresh_x(),
        job_id: job.id.clone(),
        body: body.clone().filter(|_| webhook.is_post),
        url: webhook.url,
        headers: webhook.headers,
        timeout_s: webhook.timeout_s,
    });
    Composed { letters: letters.collect(), wrong }
}

fn body(job: &Job, status: Status, ended_at: Option<Timestamp>, exc_info: Option<&str>) -> String {
    let or_null = |text: Option<String>| text.map_or(Value::Null, Value::Str);
    let func_name = job.payload().ok().map(|(_, payload)| payload.func);
    let func_name = func_name.filter(|name| name.len() <= NAME_BYTES_MAX);
    let mut items = vec![
        ("job_id".into(), job.id.as_str().into()),
        ("func_name".into(), or_null(func_name)),
        ("status".into(), status.as_str().into()),
        ("enqueued_at".into(), or_null(job.enqueued_at.map(Timestamp::iso_text))),
        ("ended_at".into(), or_null(ended_at.map(Timestamp::iso_text))),
    ];
    if status == Status::Failed {
        let text = exc_info.map(|text| shortened(text.to_owned(), EXC_INFO_BYTES_MAX));
        items.push(("exc_info".into(), or_null(text)));
    }
    match Codec::Json.encode_value(&Value::Dict(items)) {
        Ok(json) => String::from_utf8_lossy(&json).into_owned(),
        Err(error) => unreachable!("an object of texts is always JSON: {error}"),
    }
}

/// Bytes that are no letter.
#[cfg(any(feature = "worker", test))]
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LetterError {
    /// They are no JSON.
    #[error("a letter cannot be read: {0}")]
    Json(#[from] CodecError),
    /// They are something else in JSON.
    #[error("a letter cannot be read: {0}")]
    Shape(#[from] ValueError),
}

impl Letter {
    /// The entry of the outbox that has it sent.
    pub fn post(&self) -> Post {
        Post { to: OutBox::Webhooks, body: String::from_utf8_lossy(&self.to_json()).into_owned() }
    }

    /// As it is kept in Redis.
    pub fn to_json(&self) -> Vec<u8> {
        let json = Value::from_serialize(self).map(|value| Codec::Json.encode_value(&value));
        match json {
            Ok(Ok(json)) => json,
            other => unreachable!("texts and a number are always JSON: {other:?}"),
        }
    }
}

#[cfg(any(feature = "worker", test))]
impl Letter {
    /// Reads what [`Letter::to_json`] wrote, of this version or a later one.
    pub fn from_json(bytes: &[u8]) -> Result<Letter, LetterError> {
        Ok(Codec::Json.decode_value(bytes)?.deserialize_into()?)
    }

    /// Refuses what can never be sent.
    pub fn check(&self) -> Result<(), Unsendable> {
        check::url(&self.url).map_err(Unsendable::Url)?;
        self.headers
            .iter()
            .try_for_each(|(name, value)| check::header(name, value).map_err(Unsendable::Header))
    }

    /// Its own headers, those excepted that a worker writes itself; values in Latin-1, as Python sends them.
    pub fn own_headers(&self) -> impl Iterator<Item = (&str, Vec<u8>)> {
        let own = self.headers.iter().filter(|(name, _)| !check::is_ours(name));
        own.filter_map(|(name, value)| Some((name.as_str(), check::latin_1(value)?)))
    }

    /// The URL without its path, which may hold a secret, for people to read.
    #[cfg(feature = "worker")]
    pub fn destination(&self) -> String {
        check::destination(&self.url)
    }
}

/// Without what may be secret.
impl fmt::Debug for Letter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Letter");
        shown.field("id", &self.id).field("job_id", &self.job_id).field("to", &check::destination(&self.url));
        shown
            .field("timeout_s", &self.timeout_s)
            .field("is_post", &self.body.is_some())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::Defaults;
    use crate::{Call, Webhook};

    fn job(webhooks: impl IntoIterator<Item = Webhook>) -> Job {
        let call = webhooks.into_iter().fold(Call::<()>::to("math.add").arg(1).job_id("j"), Call::webhook);
        call.into_job("default", Defaults::new(Codec::Pickle)).expect("a good call")
    }

    fn time(text: &str) -> Option<Timestamp> {
        Some(Timestamp::parse(text).expect("a time"))
    }

    #[test]
    fn the_body_is_pythons() {
        let mut job = job([Webhook::finished("http://h").post(), Webhook::failed("http://h").post()]);
        job.enqueued_at = time("2026-11-22T01:49:05.009772Z");
        let ended_at = time("2026-11-22T01:49:06.000000Z");
        let body = |composed: Composed| composed.letters[0].body.clone().unwrap();
        assert_eq!(
            body(compose(&job, Status::Finished, ended_at, Some("never shown"))),
            r#"{"job_id": "j", "func_name": "math.add", "status": "finished", "enqueued_at": "2026-11-22T01:49:05.009772+00:00", "ended_at": "2026-11-22T01:49:06+00:00"}"#
        );
        job.enqueued_at = None;
        job.data = b"nothing".to_vec();
        assert_eq!(
            body(compose(&job, Status::Failed, None, Some("é \u{1f600} \"\n"))),
            r#"{"job_id": "j", "func_name": null, "status": "failed", "enqueued_at": null, "ended_at": null, "exc_info": "\u00e9 \ud83d\ude00 \"\n"}"#
        );
    }

    #[test]
    fn each_webhook_that_goes_with_the_end_becomes_a_letter() {
        let job = job([
            Webhook::finished("http://a"),
            Webhook::failed("http://b"),
            Webhook::failed("http://c").post(),
        ]);
        let to = |status| {
            let composed = compose(&job, status, None, None);
            composed.letters.into_iter().map(|l| (l.url, l.body.is_some())).collect::<Vec<_>>()
        };
        assert_eq!(to(Status::Finished), [("http://a".to_owned(), false)]);
        assert_eq!(to(Status::Failed), [("http://b".to_owned(), false), ("http://c".to_owned(), true)]);
        assert_eq!(to(Status::Stopped), []);
    }

    #[test]
    fn a_long_failure_is_cut() {
        let job = job([Webhook::failed("http://h").post()]);
        let composed = compose(&job, Status::Failed, None, Some(&"x".repeat(EXC_INFO_BYTES_MAX + 1)));
        let body = composed.letters[0].body.clone().unwrap();
        assert!(
            body.len() < EXC_INFO_BYTES_MAX + 500 && body.ends_with("(of 65537 bytes)\"}"),
            "{}",
            body.len()
        );
    }

    #[test]
    fn a_letter_is_read_as_it_was_written() {
        let job = job([Webhook::failed("http://h").post().header("X-A", "é"), Webhook::failed("http://h")]);
        for letter in compose(&job, Status::Failed, None, None).letters {
            assert_eq!(Letter::from_json(&letter.to_json()).unwrap(), letter);
        }
        assert!(Letter::from_json(b"{}").is_err() && Letter::from_json(b"{").is_err());
    }

    #[test]
    fn a_letter_that_nobody_could_send_is_found_out() {
        let letter = |url: &str, name: &str, value: &str| Letter {
            id: String::new(),
            job_id: String::new(),
            url: url.to_owned(),
            headers: vec![(name.to_owned(), value.to_owned())],
            timeout_s: 1,
            body: None,
        };
        assert_eq!(letter("http://h", "X", "y").check(), Ok(()));
        assert!(matches!(letter("http://a b", "X", "y").check(), Err(Unsendable::Url(_))));
        assert!(matches!(letter("http://u@h", "X", "y").check(), Err(Unsendable::Url(_))));
        assert!(matches!(letter("http://h", "X", "y\nZ: z").check(), Err(Unsendable::Header(_))));
        assert_eq!(letter("http://h", "Rq-Signature", "forged").own_headers().count(), 0);
    }
}
