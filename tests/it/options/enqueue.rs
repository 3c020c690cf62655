//! The rows of `rq enqueue`.

use super::reasons::*;
use super::row::Told::{self, Does, Fails, Raises, Refuses};
use super::row::{CODE, EFFECT, MESSAGE, Row, differs, same};
use super::shared;
use super::start::Start::{Empty, Failed, Jobs};

pub(super) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SAME.iter().map(|line| same(format!("enqueue {line}"), Empty)).collect();
    rows.extend(SAME_BEHIND_JOBS.iter().map(|line| same(format!("enqueue {line}"), Jobs)));
    rows.push(same("enqueue --job-id j --depends-on bad interop.add", Failed));
    rows.extend(senseless());
    rows.extend(never_run());
    rows.extend(names());
    rows.push(differs(
        "enqueue --job-id one interop.echo again",
        Jobs,
        EFFECT,
        Does("overwrites the job, which then runs twice"),
        Fails("job one exists already and is queued; use another id, or wait until it has ended"),
        TAKEN_ID,
    ));
    rows.push(shared::away("enqueue", "--job-id j interop.add :1", MESSAGE));
    rows.push(differs(
        "enqueue --job-id j --serializer nosuch interop.add :1",
        Empty,
        CODE,
        Raises("Invalid attribute name: nosuch"),
        Refuses("'nosuch' is none of json, pickle and bincode."),
        CODECS,
    ));
    rows.extend(shared::rows("enqueue", "--job-id j interop.add :1 :2", Empty));
    rows.extend(shared::rows_of_who_runs_no_jobs("enqueue", "--job-id j interop.add :1 :2", Empty));
    rows
}

const SAME: &[&str] = &[
    "-q high --job-id j interop.add :1 :2",
    "--queue=high --job-id=j interop.add :1 :2",
    "interop.add :1 :2",
    "--job-id j interop.echo text k=v n:=1.5 't%=(1, None)'",
    "--job-id j interop.echo :@rows.json text=@letter.txt",
    "--job-id j --timeout 5m interop.add",
    "--job-id j --timeout 5M interop.add",
    "--job-id j --timeout -1 interop.add",
    "--job-id j --result-ttl 1h interop.add",
    "--job-id j --result-ttl 0 interop.add",
    "--job-id j --result-ttl -1 interop.add",
    "--job-id j --ttl 2d interop.add",
    "--job-id j --failure-ttl 30s interop.add",
    "--job-id j --failure-ttl 0 interop.add",
    "--job-id j --failure-ttl -1 interop.add",
    "--job-id j --description 'what people read' interop.add",
    "--job-id j --description '' interop.add",
    "--job-id j --at-front interop.add",
    "--job-id j --retry-max 3 interop.add",
    "--job-id j --retry-max 3 --retry-interval 5 --retry-interval 10 interop.add",
    "--job-id j --retry-max 0 interop.add",
    "--job-id j --retry-max x interop.add",
    "--job-id j --schedule-in 10m interop.add",
    "--job-id j --schedule-in 0 interop.add",
    "--job-id j --schedule-in 10m --at-front interop.add",
    "--job-id j --schedule-at 2090-05-27T21:45:00 interop.add",
    "--job-id j --schedule-at 1990-05-27T21:45:00 interop.add",
    "--job-id j --schedule-at 2090-05-27T21:45:00 --schedule-in 5 interop.add",
    "--job-id j --quiet interop.add",
    "-q 'a b' --job-id j interop.add",
    "--job-id j nodots",
    "",
    "--job-id",
    "-q",
    "--quiet=yes interop.add",
    "interop.add :{",
    "interop.add k:={",
    "interop.add '%2+0'",
    "interop.add a=1 a=2",
    "interop.add @nosuch.txt",
    "--job-id j interop.add -- -1",
    "--job-id j interop.add -1",
    "--job-id j --job-id k interop.add",
    "--job-id j -S json interop.add :1",
    "--job-id j -S rq.serializers.JSONSerializer interop.add :1",
];

const SAME_BEHIND_JOBS: &[&str] = &[
    "--job-id j --depends-on one interop.add",
    "--job-id j --depends-on one --depends-on two interop.add",
    "--job-id j --depends-on nosuch interop.add",
    "--job-id j --depends-on one --at-front interop.add",
    "--job-id j --depends-on one --schedule-in 10m interop.add",
    "--job-id j --at-front interop.add :1",
];

/// What Python ends with a traceback, ours with a usage error.
fn senseless() -> Vec<Row> {
    const NO_TIME: Told = Raises("Timeout must be an integer");
    const NOT_POSITIVE: Told = Raises("Job ttl must be greater than 0");
    let refused = |options: &str, theirs, part| {
        differs(
            format!("enqueue --job-id j {options} interop.add"),
            Empty,
            CODE,
            theirs,
            Refuses(part),
            SENSELESS,
        )
    };
    vec![
        refused("--timeout 0", Raises("0 timeout is not allowed"), "0 timeout is not allowed."),
        refused("--timeout soon", NO_TIME, "Invalid value for '--timeout': 'soon' is no time"),
        refused("--timeout 1.5", NO_TIME, "Invalid value for '--timeout': '1.5' is no time"),
        refused("--result-ttl x", NO_TIME, "Invalid value for '--result-ttl': 'x' is no time"),
        refused("--failure-ttl x", NO_TIME, "Invalid value for '--failure-ttl': 'x' is no time"),
        refused("--ttl x", NO_TIME, "Invalid value for '--ttl': 'x' is no time"),
        refused("--ttl 0", NOT_POSITIVE, "Invalid value for '--ttl': it must be greater than 0."),
        refused("--ttl -1", NOT_POSITIVE, "Invalid value for '--ttl': it must be greater than 0."),
        refused(
            "--retry-max 3 --retry-interval -5",
            Raises("negative numbers are not allowed"),
            "negative numbers are not allowed.",
        ),
        refused("--schedule-in soon", NO_TIME, "'soon' is no time"),
        refused("--schedule-at 2090-05-27", Raises("does not match format"), "is no local time of the form"),
    ]
}

/// What Python enqueues, and ours refuses.
fn never_run() -> Vec<Row> {
    let refused = |line: &str, theirs, part, why| {
        differs(format!("enqueue {line}"), Jobs, EFFECT, theirs, Refuses(part), why)
    };
    let means_nothing = |options: &str, part| {
        refused(&format!("--job-id j {options} interop.add"), Does("enqueues a job"), part, SENSELESS)
    };
    vec![
        means_nothing("--timeout -2", "it must be greater than 0, or -1 for no limit."),
        means_nothing("--result-ttl -2", "it must be 0 or more, or -1 for ever."),
        means_nothing("--failure-ttl -2", "it must be 0 or more, or -1 for ever."),
        means_nothing("--retry-max -1", "it must be from 0 to 4294967295."),
        means_nothing("--retry-interval 5", "give that, too"),
        means_nothing("--retry-interval -5", "negative numbers are not allowed."),
        means_nothing("--schedule-in -5", "that is in the past"),
        means_nothing("--depends-on one,two", "give the option once for each job."),
        means_nothing("--depends-on ''", "'' is no job id."),
        refused(
            "--job-id j 'not a function!'",
            Does("enqueues a job"),
            "it must be a dotted path",
            NEVER_RUN,
        ),
        refused("''", Does("enqueues a job"), "it must be a dotted path", NEVER_RUN),
        refused("-q '' --job-id j interop.add", Does("enqueues a job"), "it must not be empty.", EMPTY_NAME),
    ]
}

fn names() -> Vec<Row> {
    let no_id = |id: &str| {
        let theirs = Raises("Job ID must only contain letters, numbers, underscores and dashes");
        let ours = Refuses("it must be made of letters, digits, `_` and `-`.");
        differs(format!("enqueue --job-id '{id}' interop.add"), Empty, CODE, theirs, ours, SENSELESS)
    };
    vec![no_id(""), no_id("a b"), no_id("a:b")]
}
