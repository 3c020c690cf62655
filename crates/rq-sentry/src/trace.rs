//! The trace that a job belongs to: the one that its producer was in, by the headers that Sentry's SDKs leave in its meta.

use rq_core::{Job, Value};
use sentry::protocol::{SpanId, TraceContext, TraceId};

/// Where Sentry's integration for Python's RQ keeps them, in the job's meta.
const HEADERS: &str = "_sentry_trace_headers";
/// The one that is needed: `<trace id>-<span id>`, and whether it is sampled behind that.
const SENTRY_TRACE: &str = "sentry-trace";

/// The trace that the producer of a job was in, if it was in one.
pub(crate) fn of(job: &Job) -> Option<TraceContext> {
    let meta = job.meta().ok()?;
    let Value::Str(header) = entry(entry(&meta, HEADERS)?, SENTRY_TRACE)? else { return None };
    let (trace_id, parent_span_id) = parse(header)?;
    Some(TraceContext {
        trace_id,
        parent_span_id: Some(parent_span_id),
        op: Some("queue.task.rq".to_owned()),
        ..TraceContext::default()
    })
}

fn entry<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    let Value::Dict(entries) = value else { return None };
    let is_named = |key: &Value| matches!(key, Value::Str(key) if key == name);
    entries.iter().find(|(key, _)| is_named(key)).map(|(_, value)| value)
}

fn parse(header: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = header.trim().splitn(3, '-');
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use rq_core::Codec;

    use super::*;

    const TRACE: &str = "771a43a4192642f0b136d5159a501700";

    #[test]
    fn the_producers_trace_goes_on() {
        let check = |header: Value, expected: Option<&str>| {
            let mut job = Job::new("j", "q", Vec::new());
            let headers =
                Value::Dict(vec![(SENTRY_TRACE.into(), header.clone()), ("baggage".into(), "x".into())]);
            let meta = Value::Dict(vec![("a".into(), 1.into()), (HEADERS.into(), headers)]);
            job.meta = Some(Codec::Pickle.encode_value(&meta).unwrap());
            let trace = of(&job);
            let parent = trace.as_ref().and_then(|trace| trace.parent_span_id).map(|id| id.to_string());
            assert_eq!(trace.map(|trace| trace.trace_id.to_string()).as_deref(), expected, "{header:?}");
            assert_eq!(parent.as_deref(), expected.map(|_| "7634e8a9e4d52f1b"));
        };
        for sampled in ["", "-1", "-0"] {
            check(format!("{TRACE}-7634e8a9e4d52f1b{sampled}").into(), Some(TRACE));
        }
        for wrong in ["", "x", TRACE, "771a-7634e8a9e4d52f1b-1", "é-é"] {
            check(wrong.into(), None);
        }
        check(1.into(), None);
        assert!(of(&Job::new("j", "q", Vec::new())).is_none());
    }
}
