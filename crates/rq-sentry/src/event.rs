//! What Sentry is told of a failure: an event.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rq_core::{Failure, Job, Payload, Timeout, Value, without_argument};
use sentry::Level;
use sentry::protocol::{Event, Exception, Frame, Mechanism, Stacktrace};
use serde_json::{Map, json};

use crate::account::{Account, Place};
use crate::trace;

/// The most characters of a text in an event: what Sentry itself keeps of a message.
const TEXT_CHARS_MAX: usize = 8192;
/// The most characters of a tag's value that Sentry takes.
const TAG_CHARS_MAX: usize = 200;
/// The most characters of one argument.
const ARGUMENT_CHARS_MAX: usize = 1024;
/// The most arguments by position, and as many by name.
const ARGUMENTS_MAX: usize = 50;
/// The most causes.
const CAUSES_MAX: usize = 32;
/// The type of what is told of a cause, whose own type nobody knows.
const CAUSE: &str = "Error";
/// Under which name Sentry's integration for Python's RQ writes what it knows of the job.
const RQ_JOB: &str = "rq-job";

/// The event that a failure of a job is, with the job's arguments or without.
pub(crate) fn of(job: &Job, failure: &Failure, with_arguments: bool) -> Event<'static> {
    // One that cannot be read has failed for that, and has no name.
    let call = job.payload().ok().map(|(_, payload)| payload);
    let func = call.as_ref().map(|call| cut(&call.func, TEXT_CHARS_MAX));
    let mut event = Event {
        level: Level::Error,
        logger: Some("rq.worker".to_owned()),
        exception: exceptions(failure, func.as_deref(), with_arguments).into(),
        tags: tags(job, func.as_deref()),
        extra: [(RQ_JOB.to_owned(), rq_job(job, call.as_ref(), with_arguments).into())].into(),
        ..Event::default()
    };
    if let (Failure::Timeout { .. }, Some(func)) = (failure, &func) {
        // As with Python: one issue for each function that takes too long, whatever its limit is.
        event.fingerprint =
            Cow::Owned(["rq", failure.kind(), func].map(|part| Cow::Owned(part.to_owned())).into());
    }
    if let Some(trace) = trace::of(job) {
        event.contexts.insert("trace".to_owned(), trace.into());
    }
    event.transaction = func;
    event
}

/// The causes, the first one first, and then the failure: what Sentry shows on top is the last of them.
fn exceptions(failure: &Failure, func: Option<&str>, with_arguments: bool) -> Vec<Exception> {
    let text = failure.text();
    let text = if with_arguments { Cow::Borrowed(text.as_str()) } else { without_argument(&text) };
    let account = Account::of(failure.kind(), &text);
    let causes = account.causes.iter().take(CAUSES_MAX).rev();
    let causes = causes.map(|cause| Exception {
        ty: CAUSE.to_owned(),
        value: Some(cut(cause, TEXT_CHARS_MAX)),
        ..Exception::default()
    });
    let module = func.and_then(|func| func.rsplit_once('.')).map(|(module, _)| module.to_owned());
    let failed = Exception {
        ty: failure.kind().to_owned(),
        value: Some(cut(account.message, TEXT_CHARS_MAX)),
        stacktrace: account.place.map(|place| stacktrace(&place, func, module.as_deref())),
        module,
        mechanism: Some(Mechanism { ty: "rq".to_owned(), handled: Some(false), ..Mechanism::default() }),
        ..Exception::default()
    };
    causes.chain([failed]).collect()
}

/// The one place that is known.
fn stacktrace(place: &Place<'_>, func: Option<&str>, module: Option<&str>) -> Stacktrace {
    let frame = Frame {
        function: func.map(str::to_owned),
        module: module.map(str::to_owned),
        filename: Some(cut(place.file, TEXT_CHARS_MAX)),
        lineno: Some(place.line),
        colno: Some(place.column),
        in_app: Some(true),
        ..Frame::default()
    };
    Stacktrace { frames: vec![frame], ..Stacktrace::default() }
}

fn tags(job: &Job, func: Option<&str>) -> BTreeMap<String, String> {
    let tags = [
        ("queue", Some(job.origin.as_str())),
        ("worker", job.worker_name.as_deref()),
        ("job_id", Some(job.id.as_str())),
        ("func", func),
    ];
    let known =
        tags.into_iter().filter_map(|(name, value)| Some((name, value.filter(|value| !value.is_empty())?)));
    // Sentry takes no tag with line ends in it.
    let tag = |value: &str| cut(&value.replace(['\n', '\r'], " "), TAG_CHARS_MAX);
    known.map(|(name, value)| (name.to_owned(), tag(value))).collect()
}

/// What Sentry's integration for Python's RQ tells of a job, in its words, and what it has left.
fn rq_job(job: &Job, call: Option<&Payload>, with_arguments: bool) -> Map<String, serde_json::Value> {
    let mut told = Map::new();
    let mut tell = |name: &str, value: serde_json::Value| drop(told.insert(name.to_owned(), value));
    tell("job_id", job.id.as_str().into());
    if let Some(call) = call {
        tell("func", cut(&call.func, TEXT_CHARS_MAX).into());
        if with_arguments {
            let named = call.kwargs.iter().take(ARGUMENTS_MAX);
            tell("args", call.args.iter().take(ARGUMENTS_MAX).map(argument).collect());
            tell(
                "kwargs",
                named.map(|(name, value)| (name.clone(), argument(value))).collect::<Map<_, _>>().into(),
            );
        }
    }
    if let (true, Some(description)) = (with_arguments, &job.description) {
        tell("description", cut(description, TEXT_CHARS_MAX).into());
    }
    for (name, time) in [("enqueued_at", job.enqueued_at), ("started_at", job.started_at)] {
        if let Some(time) = time {
            tell(name, time.to_string().into());
        }
    }
    tell("timeout", job.timeout.map(Timeout::to_wire).into());
    tell("retries_left", job.retries_left.unwrap_or(0).into());
    if let Some(crashes) = job.crashes {
        tell("crashes", crashes.into());
    }
    told
}

/// An argument: as JSON has it where that is short, else as Python prints it.
fn argument(value: &Value) -> serde_json::Value {
    match value {
        Value::Null => json!(null),
        Value::Bool(truth) => json!(truth),
        Value::Int(number) => json!(number),
        Value::Float(number) => json!(number),
        Value::Str(text) => cut(text, ARGUMENT_CHARS_MAX).into(),
        other => other.repr_cut(ARGUMENT_CHARS_MAX).into(),
    }
}

/// The beginning of a text that has more than so many characters.
fn cut(text: &str, chars_max: usize) -> String {
    match text.char_indices().nth(chars_max) {
        // One less, for the mark of what is missing.
        Some(_) => text.chars().take(chars_max - 1).chain(['…']).collect(),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use rq_core::{ArgumentError, Codec, secs};

    use super::*;

    const SECRET: &str = "hunter2";

    fn job() -> Job {
        let named = vec![("to".to_owned(), Value::List(vec![SECRET.into()]))];
        let payload =
            Payload { func: "mail.send".into(), args: vec![SECRET.into(), 7.into()], kwargs: named };
        let mut job = Job::new("j", "high", Codec::Pickle.encode_payload(&payload).unwrap());
        job.description = Some(payload.description());
        job.worker_name = Some("w\n1".to_owned());
        job
    }

    fn json(event: &Event<'_>) -> serde_json::Value {
        serde_json::to_value(event).unwrap()
    }

    #[test]
    fn an_event_says_what_failed_where() {
        let chain = Failure::Remote { kind: "Error".into(), text: "Error: top\ncaused by: root".into() };
        let event = json(&of(&job(), &chain, false));
        let values = &event["exception"]["values"];
        assert_eq!(values[0]["value"], "root");
        assert_eq!((&values[1]["type"], &values[1]["value"]), (&json!("Error"), &json!("top")));
        assert_eq!(values[1]["module"], "mail");
        assert_eq!(event["transaction"], "mail.send");
        assert_eq!(
            event["tags"],
            json!({"func": "mail.send", "job_id": "j", "queue": "high", "worker": "w 1"})
        );
        assert_eq!(event["extra"][RQ_JOB]["func"], "mail.send");
        let panic =
            Failure::Remote { kind: "Panic".into(), text: "Panic: job panicked at a.rs:3:5: no".into() };
        let event = json(&of(&job(), &panic, false));
        let frame = &event["exception"]["values"][0]["stacktrace"]["frames"][0];
        assert_eq!((&frame["filename"], &frame["lineno"]), (&json!("a.rs"), &json!(3)));
        let event = json(&of(&job(), &Failure::Timeout { limit: secs(1) }, false));
        assert_eq!(event["fingerprint"], json!(["rq", "JobTimeoutException", "mail.send"]));
    }

    #[test]
    fn arguments_are_told_where_that_is_asked_for() {
        let reason = format!("invalid type: string \"{SECRET}\", expected i64");
        let failure = Failure::Arguments(ArgumentError::Type { function: "mail.send", name: "id", reason });
        let silent = json(&of(&job(), &failure, false));
        assert!(!silent.to_string().contains(SECRET), "{silent}");
        let value = &silent["exception"]["values"][0]["value"];
        assert_eq!(value, "mail.send() argument 'id' is not of its type");
        let told = json(&of(&job(), &failure, true));
        let rq_job = &told["extra"][RQ_JOB];
        assert_eq!(
            (&rq_job["args"], &rq_job["kwargs"]),
            (&json!([SECRET, 7]), &json!({"to": "['hunter2']"}))
        );
        assert_eq!(rq_job["description"], "mail.send('hunter2', 7, to=['hunter2'])");
        assert!(told["exception"]["values"][0]["value"].as_str().unwrap().contains(SECRET));
    }

    #[test]
    fn what_cannot_be_read_is_told_all_the_same_and_what_is_long_is_cut() {
        let unreadable = Job::new("j", "q", b"garbage".to_vec());
        let failure =
            Failure::Remote { kind: "Error".into(), text: format!("Error: {}", "é".repeat(1 << 20)) };
        let event = json(&of(&unreadable, &failure, true));
        assert!(event.get("transaction").is_none());
        let value = event["exception"]["values"][0]["value"].as_str().unwrap();
        assert_eq!(value.chars().count(), TEXT_CHARS_MAX);
    }
}
