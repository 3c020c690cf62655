//! Our own steps leave the same end state as Python RQ does: keys, types, fields and TTLs.
//!
//! | file | holds |
//! |---|---|
//! | `replays.rs` | what the scenarios did, done by us |
//! | `facts.rs` | what is compared |
//! | `differences.rs` | where ours is another, and why |
//! | `table.rs` | the same in words, for `docs/differences.md` |

use std::collections::BTreeSet;

use rq_tests::Scratch;
use rq_tests::fixture::{self, Scenario};

use super::CALLBACK_KEYS;
use super::differences::{self, DIFFERENCES};
use super::facts::{At, Fact, facts};
use super::replays::*;
use crate::scripts::Stage;

/// The version whose scenarios are replayed.
pub(super) const VERSION: &str = "rq-3.0.0";
/// Fewer were compared if the test has lost its way.
const COMPARED_AT_LEAST: usize = 3500;

/// What one scenario did, done by us.
pub(super) struct Replay {
    /// Its name; behind a slash the snapshot, where that is not the last one.
    pub(super) scenario: &'static str,
    act: fn(&Stage),
}

pub(super) const REPLAYS: &[Replay] = &[
    replay("queued_simple", queued_simple),
    replay("queued_all_options", queued_all_options),
    replay("enqueue_many", enqueue_many),
    replay("group/queued", group_queued),
    replay("group", group),
    replay("unique", unique),
    replay("empty_delete_queue", empty_delete_queue),
    replay("sync_queue", sync_queue),
    replay("finished", finished),
    replay("finished_none_and_ttls", finished_none_and_ttls),
    replay("json_serializer/queued", json_serializer_queued),
    replay("json_serializer", json_serializer),
    replay("key_prefix", key_prefix),
    replay("simple_worker", simple_worker),
    replay("worker_multi_queue", worker_multi_queue),
    replay("worker_idle/idle", worker_idle_idle),
    replay("worker_idle", worker_idle),
    replay("worker_busy/busy", worker_busy_busy),
    replay("worker_busy/busy, shutdown requested", worker_busy_shutdown_requested),
    replay("worker_busy", worker_busy),
    replay("failed", failed),
    replay("timeout", timeout),
    replay("horse_crash", horse_crash),
    replay("kill_horse_and_shutdown/after kill-horse", horse_killed),
    replay("kill_horse_and_shutdown", kill_horse_and_shutdown),
    replay("stopped/while running", stopped_while_running),
    replay("stopped", stopped),
    replay("stop_execution", stop_execution),
    replay("retry/after job-interval failed once", retry_with_pause),
    replay("retry", retry),
    replay("retry_returned/after job-now", retry_returned_now),
    replay("retry_returned", retry_returned),
    replay("repeat/queued", repeat_queued),
    replay("repeat", repeat),
    replay("callbacks/queued", callbacks_queued),
    replay("callbacks", callbacks),
    replay("webhooks/queued", webhooks_queued),
    replay("webhooks", webhooks),
    replay("instance_methods/queued", instance_methods_queued),
    replay("instance_methods", instance_methods),
    replay("dependent/deferred", dependent_deferred),
    replay("dependent/after job-a finished", dependent_half),
    replay("dependent", dependent),
    replay("dependent_failed_parent", dependent_failed_parent),
    replay("rate_limit/two allowed, one rate_limited", rate_limit_waiting),
    replay("rate_limit/after first job", rate_limit_first),
    replay("rate_limit/after all jobs", rate_limit_all),
    replay("rate_limit", rate_limit),
    replay("rate_limit_paths/job-sched retry scheduled, slot free", rate_limit_retry),
    replay("rate_limit_paths/child failed", rate_limit_child),
    replay("rate_limit_paths/requeued", rate_limit_requeued),
    replay("rate_limit_paths", rate_limit_paths),
    replay("scheduled/scheduled", scheduled_scheduled),
    replay("scheduled", scheduled),
    replay("cron/running", cron_running),
    replay("cron", cron),
    replay("scheduler_process/running", scheduler_process_running),
    replay("scheduler_process", scheduler_process),
    replay("canceled", canceled),
    replay("requeue_delete/requeued", requeued),
    replay("requeue_delete", requeued_and_deleted),
    replay("suspend_resume/suspended", suspended),
    replay("suspend_resume", resumed),
    replay("cancel_delete_running/after cancel", canceled_while_it_runs),
    replay("cancel_delete_running/after delete", deleted_while_it_runs),
    replay("cancel_delete_running", canceled_and_deleted_while_they_run),
    replay("abandoned/dead worker left behind", left_behind),
    replay("abandoned", abandoned),
    replay("intermediate_stuck/first seen", stuck_first_seen),
    replay("intermediate_stuck", stuck),
];

const fn replay(scenario: &'static str, act: fn(&Stage)) -> Replay {
    Replay { scenario, act }
}

/// Scenarios that are not replayed, and why.
pub(super) const NOT_YET: &[(&str, &str)] = &[];

#[test]
fn our_steps_leave_what_pythons_left() {
    let mut unused = differences::parts();
    let (mut compared, mut unknown) = (0, Vec::new());
    for Replay { scenario, act } in REPLAYS {
        let found = compare(scenario, *act);
        compared += found.len();
        for (at, theirs, ours) in found.iter().filter(|(_, theirs, ours)| !agree(theirs, ours)) {
            let known = differences::known(scenario, at);
            if known.is_empty() {
                unknown.push(format!("{scenario}: {} {}: {theirs:?}, ours {ours:?}", at.0, at.1));
            }
            unused.retain(|part| !known.contains(part));
        }
    }
    assert!(unknown.is_empty(), "{}", unknown.join("\n"));
    assert!(compared >= COMPARED_AT_LEAST, "{compared} facts compared");
    let unused: Vec<_> = unused.iter().map(|&(place, pattern)| (pattern, DIFFERENCES[place].why)).collect();
    assert!(unused.is_empty(), "nothing fits these any more: {unused:?}");
}

/// Every fact that Python or we left, as each left it.
fn compare(scenario: &str, act: fn(&Stage)) -> Vec<(At, Option<Fact>, Option<Fact>)> {
    let (name, label) = scenario.split_once('/').unwrap_or((scenario, "final"));
    let fixture = fixture::scenario(VERSION, name);
    let stage = Stage::on(scratch_for(&fixture));
    act(&stage);
    let (mut theirs, mut ours) = (facts(&left_by_python(&fixture, label)), facts(&left_by_us(&stage)));
    let places: BTreeSet<At> = theirs.keys().chain(ours.keys()).cloned().collect();
    let both = |at: At| (at.clone(), theirs.remove(&at), ours.remove(&at));
    places.into_iter().map(both).collect()
}

fn agree(theirs: &Option<Fact>, ours: &Option<Fact>) -> bool {
    theirs.as_ref().zip(ours.as_ref()).is_some_and(|(theirs, ours)| theirs.agrees_with(ours))
}

/// Under a prefix with a hash tag, if the scenario was.
fn scratch_for(fixture: &Scenario) -> Scratch {
    if fixture.key_prefix.is_some() { Scratch::tagged() } else { Scratch::new() }
}

/// What our callbacks write is under the prefix of the test, as all is: Python's are without one.
fn left_by_us(stage: &Stage) -> fixture::Keys {
    let as_pythons = |name: String| match name.strip_prefix("rq:") {
        Some(bare) if bare.starts_with(CALLBACK_KEYS) => bare.to_owned(),
        _ => name,
    };
    stage.scratch.dump().into_iter().map(|(name, key)| (as_pythons(name), key)).collect()
}

/// The snapshot with this label; wherever a key name stands in it, the prefix reads `rq`.
fn left_by_python(fixture: &Scenario, label: &str) -> fixture::Keys {
    let keys = fixture.snapshot(label).keys.clone();
    let Some(prefix) = &fixture.key_prefix else { return keys };
    let json = serde_json::to_string(&keys).expect("a snapshot is plain data");
    serde_json::from_str(&json.replace(&format!("{prefix}:"), "rq:")).expect("it still is one")
}

#[test]
fn every_snapshot_is_replayed_or_its_scenario_is_told_to_be_left_out() {
    let replayed: BTreeSet<String> = REPLAYS.iter().map(|replay| replay.scenario.to_owned()).collect();
    assert_eq!(replayed.len(), REPLAYS.len(), "a snapshot is replayed twice");
    let mut expected = BTreeSet::new();
    let mut left_out: BTreeSet<&str> = NOT_YET.iter().map(|(scenario, _)| *scenario).collect();
    for Scenario { name, snapshots, .. } in fixture::scenarios(VERSION) {
        if !left_out.remove(name.as_str()) {
            expected.extend(snapshots.iter().map(|snapshot| match snapshot.label.as_str() {
                "final" => name.clone(),
                label => format!("{name}/{label}"),
            }));
        }
    }
    assert_eq!(replayed, expected);
    assert!(left_out.is_empty(), "no scenarios: {left_out:?}");
}
