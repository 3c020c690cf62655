//! Where our end states are others than Python's, and why.

use std::collections::BTreeSet;

use super::facts::At;

/// What differs for one reason. A pattern is a text in which `*` (one at most) stands for any other.
pub(super) struct Difference {
    /// Patterns of the replays' names.
    pub(super) scenarios: &'static [&'static str],
    /// Patterns of keys.
    pub(super) keys: &'static [&'static str],
    /// Patterns of facts: `.field`, `ttl`, `[index]`, `#entry.field`.
    pub(super) facts: &'static [&'static str],
    /// Those with the same reason share a row of the table in the docs.
    pub(super) why: &'static str,
}

/// A pattern of a difference, by the place of the difference; it is there because something fits it.
pub(super) type Part = (usize, &'static str);

/// As tight as can be: what else differs is a mistake.
pub(super) const DIFFERENCES: &[Difference] = &[
    // Keys and fields of ours
    difference(&["*"], &["rq:job:*"], &[".execution"], EXECUTION),
    difference(&["*"], &["rq:job:*"], &[".settled"], SETTLED),
    difference(&["canceled", "cancel_delete_running*"], &["rq:job:*"], &[".canceled"], TOKEN),
    difference(&["unique"], &["rq:job:*"], &[".unique"], UNIQUE),
    difference(&["rate_limit", "rate_limit/after all jobs"], &["rq:job:job-2"], &[".canceled"], TOKEN),
    difference(&["requeue_delete/requeued"], &["rq:job:*"], &[".requeued"], TOKEN),
    difference(&["rate_limit_paths/requeued"], &["rq:job:job-child"], &[".requeued"], TOKEN),
    difference(&["canceled"], &["rq:job:job-parent"], &[".released"], RELEASED),
    difference(
        &["abandoned", "horse_crash", "kill_horse_and_shutdown*"],
        &["rq:job:*"],
        &[".crashes"],
        CRASHES,
    ),
    difference(AT_WORK, &["rq:claims:worker-*"], WHOLE, CLAIMS),
    difference(RUNNING, &["rq:leases"], WHOLE, LEASES),
    difference(&["intermediate_stuck*"], &["rq:maintained", "rq:maintained:default"], WHOLE, MAINTAINED),
    difference(&["*"], &["rq:clean_groups"], WHOLE, CLEAN_GROUPS),
    difference(&["cron*"], &["rq:cron_entries", "rq:cron_entry:*"], WHOLE, CRON_ENTRIES),
    difference(&["cron*"], &["rq:cron_scheduler:cron-1"], &[".shares_ticks"], SHARES_TICKS),
    difference(&["cron*"], &["rq:job:*"], &[".cron", ".cron_due"], CRON_DUE),
    // Results
    difference(
        &[
            "failed",
            "timeout",
            "horse_crash",
            "kill_horse_and_shutdown*",
            "stopped",
            "stop_execution",
            "abandoned",
        ],
        &["rq:results:job-1"],
        &["ttl"],
        RESULTS_EXPIRE,
    ),
    difference(&["simple_worker", "sync_queue"], &["rq:results:job-2"], &["ttl"], RESULTS_EXPIRE),
    difference(&["callbacks"], &["rq:results:job-bad", "rq:results:job-cbfail"], &["ttl"], RESULTS_EXPIRE),
    difference(&["webhooks"], &["rq:results:job-bad"], &["ttl"], RESULTS_EXPIRE),
    difference(&["json_serializer"], &["rq:results:job-bad"], &["ttl"], RESULTS_EXPIRE),
    difference(&["dependent_failed_parent"], &["rq:results:job-parent"], &["ttl"], RESULTS_EXPIRE),
    difference(&["retry"], &["rq:results:job-immediate"], &["ttl"], RESULTS_EXPIRE),
    difference(&["retry_returned*"], &["rq:results:job-*"], &["ttl"], RESULTS_EXPIRE),
    difference(&["requeue_delete/requeued"], &["rq:results:job-*"], &["ttl"], RESULTS_EXPIRE),
    difference(&["rate_limit_paths/*"], &["rq:results:job-child"], &["ttl"], RESULTS_EXPIRE),
    difference(&["retry", "retry/*"], &["rq:results:job-interval"], WHOLE, EACH_ATTEMPT),
    difference(&["rate_limit_paths*"], &["rq:results:job-sched"], WHOLE, EACH_ATTEMPT),
    difference(&["retry"], &["rq:results:job-immediate"], &["#0.type", "#1.*"], EACH_ATTEMPT),
    difference(&["abandoned"], &["rq:results:job-2"], WHOLE, EACH_ATTEMPT),
    difference(&["abandoned"], &["rq:results:job-1"], &["#0.execution_*"], WHICH_RUN),
    difference(&["sync_queue"], &["rq:results:job-*"], &["#0.execution_*"], INLINE),
    difference(
        &["retry_returned*"],
        &["rq:results:job-*"],
        &["#0.return_value", "#1.return_value"],
        RETRY_OBJECT,
    ),
    difference(&["retry_returned*", "repeat"], &["rq:job:job-*"], &[".result"], LEGACY_RESULT),
    // Runs that ended otherwise than with a value
    difference(
        &["stopped", "stop_execution", "horse_crash", "kill_horse_and_shutdown*"],
        &["rq:job:job-1"],
        &[".worker_name", ".last_heartbeat"],
        OLD_COPY,
    ),
    difference(&["stopped", "stop_execution"], &["rq:job:job-1"], &[".ended_at"], NO_END),
    difference(&["stopped", "stop_execution"], &["rq:results:job-1"], &["#0.execution_ended_at"], NO_END),
    difference(&["stopped", "stop_execution"], &["rq:worker:worker-1"], &[".total_working_time"], NO_END),
    difference(&["sync_queue"], &["rq:job:job-2"], &[".ended_at"], INLINE_END),
    difference(&["abandoned"], &["rq:job:*"], &[".ended_at"], ABANDONED_END),
    difference(
        &["abandoned"],
        &["rq:execution*", "rq:worker:worker-dead*:executions"],
        WHOLE,
        LEFT_TO_EXPIRE,
    ),
    // What is managed while it runs
    difference(RUNNING, &["rq:worker:worker-*:executions"], &["ttl"], LIST_KEPT),
    difference(RUNNING, &["rq:worker:worker-*"], &["ttl"], HEARTBEAT),
    difference(&["cancel_delete_running/*"], &["rq:worker:worker-1"], &["ttl"], HEARTBEAT),
    difference(
        &["cancel_delete_running/after cancel"],
        &["rq:execution*", "rq:worker:worker-1:executions"],
        WHOLE,
        CANCELED_RUN,
    ),
    difference(
        &["cancel_delete_running*"],
        &["rq:finished:default", "rq:results:job-cancel"],
        WHOLE,
        FILED_ANYWAY,
    ),
    difference(
        &["cancel_delete_running*"],
        &["rq:job:job-cancel"],
        &["ttl", ".status", ".ended_at"],
        FILED_ANYWAY,
    ),
    difference(
        &["cancel_delete_running"],
        &["rq:results:job-delete", "rq:job:job-delete"],
        WHOLE,
        FILED_ANYWAY,
    ),
    difference(
        &["cancel_delete_running"],
        &["rq:worker:worker-1"],
        &[".successful_job_count", ".total_working_time"],
        FILED_ANYWAY,
    ),
    difference(&["requeue_delete/requeued"], &["rq:job:job-*"], &["ttl"], REQUEUED_TTL),
    difference(
        &["rate_limit_paths/requeued"],
        &["rq:job:job-child", "rq:job::job-child:dependencies"],
        &["ttl"],
        REQUEUED_TTL,
    ),
    // Waiting
    difference(
        &["enqueue_many"],
        &["rq:job::m-3:dependencies", "rq:job:job-done:dependents"],
        WHOLE,
        NEED_NOT_WAIT,
    ),
    difference(&["dependent"], &["rq:job:job-a:dependents"], WHOLE, LET_GO),
    difference(&["suspend_resume*"], &["rq:queue:default:intermediate"], WHOLE, INTERMEDIATE),
    difference(
        &["intermediate_stuck"],
        &["rq:failed:default", "rq:finished:default", "rq:results:job-1"],
        WHOLE,
        STUCK,
    ),
    difference(
        &["intermediate_stuck"],
        &["rq:job:job-1"],
        &["ttl", ".status", ".started_at", ".ended_at", ".last_heartbeat", ".worker_name"],
        STUCK,
    ),
    difference(
        &["intermediate_stuck"],
        &["rq:worker:worker-1"],
        &[".successful_job_count", ".failed_job_count", ".total_working_time"],
        STUCK,
    ),
    difference(
        &["intermediate_stuck"],
        &["rq:queue:default:intermediate:first_seen:job-1"],
        WHOLE,
        FIRST_SEEN,
    ),
    difference(&["scheduled"], &["rq:scheduled:default"], WHOLE, UNWRITTEN),
    // What is called, and what cannot be
    difference(&["callbacks"], &["cb:failure:job-bad"], &["text"], IN_OUR_WORDS),
    difference(&["abandoned"], &["cb:failure:job-1"], &["text"], IN_OUR_WORDS),
    difference(&["instance_methods"], &["rq:failed:default"], WHOLE, METHOD),
    difference(&["instance_methods"], &["rq:finished:default"], &["{job-bound}"], METHOD),
    difference(&["instance_methods"], &["rq:job:job-bound"], &["ttl", ".status"], METHOD),
    difference(
        &["instance_methods"],
        &["rq:results:job-bound"],
        &["ttl", "#0.type", "#0.return_value", "#0.exc_string"],
        METHOD,
    ),
    difference(
        &["instance_methods"],
        &["rq:worker:worker-1"],
        &[".successful_job_count", ".failed_job_count"],
        METHOD,
    ),
];

/// Snapshots in which a worker lives that has claimed something.
const AT_WORK: &[&str] = &[
    "worker_busy/*",
    "stopped/while running",
    "abandoned/dead worker left behind",
    "cancel_delete_running/*",
    "kill_horse_and_shutdown/after kill-horse",
    "scheduler_process/running",
];
/// Those of them in which a job runs.
const RUNNING: &[&str] = &["worker_busy/*", "stopped/while running", "abandoned/dead worker left behind"];

/// All facts of a key.
const WHOLE: &[&str] = &["*"];

// Why

const EXECUTION: &str = "A field of ours: the run that the job was claimed for last. By it a run is known that a deleted registry has lost.";
const SETTLED: &str = "A field of ours, by which a settle that is sent twice is known. Python keeps fields that it does not know.";
const TOKEN: &str =
    "A field of ours: the token of the call, by which a cancel or a requeue that is sent twice is known.";
const RELEASED: &str =
    "A field of ours: the canceled job holds nobody back, should whoever cancels it die midway.";
const CRASHES: &str = "A field of ours: how often what ran the job has died.";
const CLAIMS: &str =
    "A key of ours, by which a claim that is sent twice is known. It goes when its worker goes.";
const LEASES: &str = "A key of ours: until when each execution is its worker's.";
const MAINTAINED: &str =
    "Keys of ours: who did the latest round of maintenance. They expire before the next one is due.";
const UNIQUE: &str =
    "A field of ours: the token of a unique call, by which a second sending is told from another producer's.";
const CLEAN_GROUPS: &str = "Python's lock for looking after groups. Our maintenance takes no lock.";
const RESULTS_EXPIRE: &str = "Results of failures expire with the failed job. Python's live for ever.";
const EACH_ATTEMPT: &str = "Each attempt has an entry with its traceback, of type 4 where another attempt follows. Python keeps the last one's alone.";
const WHICH_RUN: &str =
    "Ours says which run it was. Python's leaves that out for runs that it finds abandoned.";
const INLINE: &str = "Jobs that run inline have an execution, which fences them. Python's have none.";
const RETRY_OBJECT: &str =
    "Python stores the object that asked for the retry, of its class `Retry`. Ours stores no value.";
const LEGACY_RESULT: &str = "In a job that runs again Python keeps a copy of its result, for old readers. Ours has it among the results alone.";
const OLD_COPY: &str = "Python's worker writes its copy of the job from before the run over the record, and these are lost. Ours keeps them.";
const NO_END: &str = "Ours says when a stopped job ended, and counts the time it took. Python does neither.";
const INLINE_END: &str = "Ours says when a job that failed inline ended. Python does not.";
const ABANDONED_END: &str = "Ours says when the run of a dead worker was given up. Python does not.";
const LEFT_TO_EXPIRE: &str =
    "Ours takes away the execution of a run that it gives up. Python leaves it to expire.";
const HEARTBEAT: &str = "Python's worker cuts its own TTL to that of the job it runs. Ours does not.";
const LIST_KEPT: &str =
    "Ours outlives the worker, so that whoever takes a dead worker off the lists sees what it ran.";
const CANCELED_RUN: &str =
    "A canceled job has lost its run, and so has its worker. Python's runs on, and its outcome wins.";
const FILED_ANYWAY: &str = "What was canceled or deleted while it ran stays so. Python's worker files its outcome all the same, and brings a deleted job back.";
const REQUEUED_TTL: &str =
    "A requeued job lives until it has run. Python's expires when its failure would have.";
const LET_GO: &str = "Who is let go leaves the sets of all it waited for: a worker of Python's that has just ended one of \
    them reads its set in a later step and would queue the dependent once more.";
const NEED_NOT_WAIT: &str =
    "No such sets for a job that need not wait: what is left in them makes Python run a finished job again.";
const INTERMEDIATE: &str = "Python's worker leaves an id without a job there. Ours never uses this list.";
const STUCK: &str =
    "What a worker of Python's popped and never began is queued again, and ran. Python fails it.";
const UNWRITTEN: &str =
    "An id without a job stays in the schedule for 10 s: Python before 3.0 writes the job after that.";
const FIRST_SEEN: &str = "Ours takes the note away with what was noted. Python leaves it to expire.";
const IN_OUR_WORDS: &str = "What a callback is told of a failure, and writes down here, is in our words: it is none of Python's classes.";

const CRON_ENTRIES: &str = "Keys of ours: each entry, how far it has come, and what it enqueues. By them a tick is fired once, whoever has the entry.";
const SHARES_TICKS: &str =
    "A field of ours: this scheduler's ticks are fired once, whoever else has the same entries.";
const CRON_DUE: &str = "Fields of ours: which entry enqueued the job, and when it was due.";

const METHOD: &str = "A method of a Python object is for Python to call: ours fails the job, and says so.";

const fn difference(
    scenarios: &'static [&'static str],
    keys: &'static [&'static str],
    facts: &'static [&'static str],
    why: &'static str,
) -> Difference {
    Difference { scenarios, keys, facts, why }
}

/// The patterns that what is found fits, by the difference it is; empty if it is none of these.
pub(super) fn known(scenario: &str, (key, fact): &At) -> Vec<Part> {
    let mut known = Vec::new();
    for (place, difference) in DIFFERENCES.iter().enumerate() {
        let fitting = |patterns: &[&'static str], text: &str| {
            patterns.iter().find(|pattern| fits(pattern, text)).map(|&pattern| (place, pattern))
        };
        let Difference { scenarios, keys, facts, .. } = difference;
        let parts: Option<Vec<Part>> =
            [fitting(scenarios, scenario), fitting(keys, key), fitting(facts, fact)].into_iter().collect();
        known.extend(parts.unwrap_or_default());
    }
    known
}

/// All patterns there are.
pub(super) fn parts() -> BTreeSet<Part> {
    let patterns = |(place, &Difference { scenarios, keys, facts, .. }): (usize, &Difference)| {
        [scenarios, keys, facts].concat().into_iter().map(move |pattern| (place, pattern))
    };
    DIFFERENCES.iter().enumerate().flat_map(patterns).collect()
}

/// Whether `text` is the pattern.
pub(crate) fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((head, tail)) => {
            text.len() >= head.len() + tail.len() && text.starts_with(head) && text.ends_with(tail)
        }
    }
}
