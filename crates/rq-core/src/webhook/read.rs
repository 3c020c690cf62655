//! The job field `webhooks`, which anybody may have written.

use rq_wire::{Codec, Value};

use super::{TIMEOUT_S_DEFAULT, WEBHOOK_TIMEOUT_S_MAX, WEBHOOKS_MAX, Webhook, check};
use crate::status::Status;

/// The most bytes that are read of the field.
const FIELD_BYTES_MAX: usize = 256 << 10;

/// What is wrong with the webhooks of a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WebhooksError {
    /// The field is not as RQ writes it; then nothing is sent, as in RQ.
    #[error("its webhooks cannot be read, and none is sent: {0}")]
    Malformed(&'static str),
    /// A webhook has a header that is no text; the others are sent, as in RQ.
    #[error("a webhook to {to} is not sent: a header's value is no text")]
    Header {
        /// The URL without its path.
        to: String,
    },
    /// There are more than may be sent.
    #[error("it has {count} webhooks, of which the first {WEBHOOKS_MAX} count")]
    TooMany {
        /// How many there are.
        count: usize,
    },
}

/// Why one entry is not sent.
enum Refused {
    /// RQ reads none of the field then.
    Entry(&'static str),
    /// RQ finds that out as it sends.
    Header { to: String },
}

pub(super) fn from_field(bytes: &[u8]) -> (Vec<Webhook>, Option<WebhooksError>) {
    let malformed = |reason| (Vec::new(), Some(WebhooksError::Malformed(reason)));
    if bytes.is_empty() {
        return (Vec::new(), None);
    }
    if bytes.len() > FIELD_BYTES_MAX {
        return malformed("they have more than 256 KiB");
    }
    // By the reader for payloads, which bounds depth and memory.
    let entries = match Codec::Json.decode_value(bytes) {
        Ok(Value::List(entries)) => entries,
        // Python goes through these, and finds nothing.
        Ok(Value::Str(text)) if text.is_empty() => return (Vec::new(), None),
        Ok(Value::Dict(none)) if none.is_empty() => return (Vec::new(), None),
        Ok(_) => return malformed("they are no list"),
        Err(_) => return malformed("they are no JSON"),
    };
    let count = entries.len();
    let (mut webhooks, mut wrong) = (Vec::new(), None);
    for entry in entries {
        match webhook(entry) {
            Ok(webhook) => webhooks.push(webhook),
            Err(Refused::Entry(reason)) => return malformed(reason),
            Err(Refused::Header { to }) => wrong = Some(WebhooksError::Header { to }),
        }
    }
    if webhooks.len() > WEBHOOKS_MAX {
        webhooks.truncate(WEBHOOKS_MAX);
        wrong = Some(WebhooksError::TooMany { count });
    }
    (webhooks, wrong)
}

/// One entry, checked as RQ's constructor does.
fn webhook(entry: Value) -> Result<Webhook, Refused> {
    let Value::Dict(items) = entry else { return Err(Refused::Entry("one is no object")) };
    let get =
        |wanted: &str| items.iter().find(|(key, _)| *key == Value::from(wanted)).map(|(_, value)| value);
    let url = match get("url") {
        Some(Value::Str(url)) if check::is_url_of_rq(url) => url.clone(),
        _ => return Err(Refused::Entry("a url is no http:// or https:// URL")),
    };
    let status = match get("job_status") {
        Some(Value::Str(text)) if text == "finished" => Status::Finished,
        Some(Value::Str(text)) if text == "failed" => Status::Failed,
        _ => return Err(Refused::Entry("a job_status is neither finished nor failed")),
    };
    let is_post = match get("method") {
        None => false,
        Some(Value::Str(text)) if text == "GET" => false,
        Some(Value::Str(text)) if text == "POST" => true,
        Some(_) => return Err(Refused::Entry("a method is neither GET nor POST")),
    };
    let timeout_s = match get("timeout") {
        None => TIMEOUT_S_DEFAULT,
        // A bool is an int to Python.
        Some(Value::Bool(true)) => 1,
        Some(Value::Int(seconds @ 1..)) => seconds.unsigned_abs(),
        Some(Value::BigInt(seconds)) if *seconds > 0.into() => WEBHOOK_TIMEOUT_S_MAX,
        Some(_) => return Err(Refused::Entry("a timeout is no whole number above 0")),
    };
    let headers = match get("headers") {
        Some(Value::Dict(headers)) => {
            let texts: Option<_> = headers.iter().map(header).collect();
            texts.ok_or_else(|| Refused::Header { to: check::destination(&url) })?
        }
        Some(value) if value.is_true() => return Err(Refused::Entry("headers are no object")),
        _ => Vec::new(),
    };
    Ok(Webhook { url, status, is_post, headers, timeout_s: timeout_s.min(WEBHOOK_TIMEOUT_S_MAX) })
}

/// Python sends text, and whole numbers as such.
fn header((name, value): &(Value, Value)) -> Option<(String, String)> {
    let Value::Str(name) = name else { return None };
    let value = match value {
        Value::Str(text) => text.clone(),
        Value::Int(_) | Value::BigInt(_) | Value::Bool(_) => value.repr(),
        _ => return None,
    };
    Some((name.clone(), value))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> (Vec<Webhook>, Option<WebhooksError>) {
        from_field(json.as_bytes())
    }

    #[test]
    fn defaults_are_rqs() {
        let (webhooks, wrong) = read(r#"[{"url": "HTTP://h", "job_status": "failed", "more": 1}]"#);
        assert_eq!((webhooks, wrong), (vec![Webhook::failed("HTTP://h")], None));
    }

    #[test]
    fn numbers_are_sent_as_headers_as_in_rq() {
        let (webhooks, _) = read(
            r#"[{"url": "http://h", "job_status": "failed", "timeout": true, "headers": {"a": 1, "b": true, "c": "d"}}]"#,
        );
        let texts: Vec<_> = webhooks[0].headers().iter().map(|(_, value)| value.as_str()).collect();
        assert_eq!((texts, webhooks[0].timeout_s()), (vec!["1", "True", "d"], 1));
    }

    #[test]
    fn nothing_is_sent_where_one_entry_is_wrong() {
        for wrong in [
            "{",
            "null",
            "1",
            "[1]",
            r#"[{"url": "http://h"}]"#,
            r#"[{"job_status": "failed"}]"#,
            r#"[{"url": "ftp://h", "job_status": "failed"}]"#,
            r#"[{"url": "http:///x", "job_status": "failed"}]"#,
            r#"[{"url": "http://h", "job_status": "stopped"}]"#,
            r#"[{"url": "http://h", "job_status": "failed", "method": "PUT"}]"#,
            r#"[{"url": "http://h", "job_status": "failed", "headers": [1]}]"#,
            r#"[{"url": "http://h", "job_status": "failed", "timeout": 0}]"#,
            r#"[{"url": "http://h", "job_status": "failed", "timeout": 1.5}]"#,
            r#"[{"url": "http://h", "job_status": "failed", "timeout": null}]"#,
            r#"[{"url": "http://h", "job_status": "failed"}, {}]"#,
        ] {
            let (webhooks, error) = read(wrong);
            assert!(webhooks.is_empty() && matches!(error, Some(WebhooksError::Malformed(_))), "{wrong}");
        }
        for none in ["", "[]", "{}", "\"\""] {
            assert_eq!(read(none), (Vec::new(), None), "{none}");
        }
    }

    #[test]
    fn a_header_that_is_no_text_keeps_one_webhook_from_being_sent() {
        let (webhooks, wrong) = read(
            r#"[{"url": "http://a/s", "job_status": "failed", "headers": {"x": null}}, {"url": "http://b", "job_status": "failed"}]"#,
        );
        assert_eq!(webhooks, [Webhook::failed("http://b")]);
        assert_eq!(
            wrong.unwrap().to_string(),
            "a webhook to http://a is not sent: a header's value is no text"
        );
    }

    #[test]
    fn too_many_and_too_long_are_cut() {
        let many = vec![r#"{"url": "http://h", "job_status": "failed", "timeout": 1000000}"#; 20].join(",");
        let (webhooks, wrong) = read(&format!("[{many}]"));
        assert_eq!((webhooks.len(), wrong), (WEBHOOKS_MAX, Some(WebhooksError::TooMany { count: 20 })));
        assert_eq!(webhooks[0].timeout_s(), WEBHOOK_TIMEOUT_S_MAX);
        let (webhooks, wrong) = read(&format!("[{}1]", "1,".repeat(FIELD_BYTES_MAX)));
        assert!(webhooks.is_empty() && matches!(wrong, Some(WebhooksError::Malformed(_))));
    }
}
