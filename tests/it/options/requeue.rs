//! The rows of `rq requeue`.

use super::reasons::*;
use super::row::Told::{Does, Fails, Raises, Refuses};
use super::row::{ALL, Row, differs, same};
use super::shared;
use super::start::Start::{Empty, Failed, Jobs};

/// Of requeued jobs.
const TTL: &str = "rq:job:* ttl";

pub(super) fn rows() -> Vec<Row> {
    let requeued = |line: &str| {
        let (theirs, ours) = (Does("keeps the time to live"), Does("takes it off"));
        differs(line, Failed, &[TTL], theirs, ours, REQUEUED_TTL)
    };
    let named = |line: &str, start, at, theirs| {
        let ours = Fails("jobs from failed job registry");
        differs(format!("requeue {line}"), start, at, theirs, ours, GOES_ON)
    };
    let (gone, not_failed) = (Raises("No such job: rq:job:nosuch"), Raises("InvalidJobOperation"));
    let said = &["stdout", "stderr"];
    let mut rows = vec![
        requeued("requeue --queue default bad"),
        requeued("requeue --queue=default worse bad"),
        requeued("requeue --queue default -a"),
        requeued("requeue --queue default --all"),
        requeued("requeue --queue default --all bad"),
        same("requeue --queue default --all", Empty),
        same("requeue --queue nosuch --all", Failed),
        same("requeue --queue default", Failed),
        named("--queue default nosuch", Failed, said, gone),
        named("--queue default nosuch bad", Failed, &["stdout", "stderr", "rq:*"], gone),
        named("--queue default bad nosuch", Failed, &["stdout", "stderr", TTL], gone),
        named("--queue high bad", Failed, said, not_failed),
        named("--queue default one", Jobs, said, not_failed),
        differs(
            "requeue --queue default bad bad",
            Failed,
            &["code", "stderr", TTL],
            not_failed,
            Does("requeues it"),
            TWICE,
        ),
        same("requeue --all", Failed),
        same("requeue bad", Failed),
        same("requeue --queue", Failed),
        differs(
            "requeue --queue '' --all",
            Failed,
            ALL,
            Does("says `Nothing to do`"),
            Refuses("it must not be empty."),
            EMPTY_NAME,
        ),
        differs(
            "requeue --queue default ''",
            Failed,
            ALL,
            Raises("No such job: rq:job:"),
            Refuses("it must not be empty."),
            EMPTY_NAME,
        ),
        same("requeue --queue default --all=yes", Failed),
        same("requeue -q default bad", Failed),
        shared::away("requeue", "--queue default bad", &["stdout", "stderr"]),
    ];
    rows.extend(shared::rows("requeue", "--queue nosuch --all", Failed));
    rows.extend(shared::rows_of_who_runs_no_jobs("requeue", "--queue nosuch --all", Failed));
    rows
}
