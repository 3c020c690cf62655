//! Groups: `await_group`, `note_open` and `let_end`, which declare a job that waits for a group's end; `take_groups` and
//! `look_at_group`, by which a worker finds what nobody told of; and what the other scripts do for a group.

use rq_core::steps::group::{
    Awaited, ENDS_MAX, Looked, await_group, let_end, look, members, note_open, take,
};
use rq_core::steps::job::{Cursor, Page};
use rq_core::steps::maintenance::{Undeferred, undefer};
use rq_core::steps::management::{Deleted, RequeueFrom, Requeued, cancel, delete, requeue};
use rq_core::steps::queue::{Enqueued, Place, enqueue};
use rq_core::steps::settlement::Settlement;
use rq_core::steps::silent::{AbandonReply, Evidence, abandon};
use rq_core::{Cancel, Conclusion, Job, NextPlace, Settled, Status, Ttl};

use super::abandon::{failing, fall_silent};
use super::{QUEUE, Stage, failed, finished, settlement};

const GROUP: &str = "g";
/// How long a declaration may hold an end back, in milliseconds; long enough for these tests.
const HELD_MS: u64 = 600_000;

/// A job of the group, ready to be enqueued.
pub(super) fn member(stage: &Stage, id: &str) -> Job {
    let mut job = stage.job(id);
    job.group_id = Some(GROUP.to_owned());
    job
}

#[track_caller]
fn enqueue_members(stage: &Stage, ids: &[&str]) {
    let jobs: Vec<(Job, Place)> = ids.iter().map(|id| (member(stage, id), Place::Tail)).collect();
    assert_eq!(
        stage.twice(&enqueue(&stage.keys, QUEUE, &jobs)),
        (vec![Enqueued::Done; ids.len()], vec![Enqueued::Already; ids.len()])
    );
}

/// A job that waits for the group's end, ready to be written.
pub(super) fn last(stage: &Stage, id: &str) -> Job {
    let mut job = stage.job(id);
    job.status = Status::Deferred;
    job.enqueued_at = None;
    job.after_group = Some(GROUP.to_owned());
    job
}

/// Declares that job; how many jobs went on at once.
#[track_caller]
pub(super) fn declare(stage: &Stage, id: &str) -> usize {
    assert_eq!(stage.take_twice(&await_group(&stage.keys, GROUP, &last(stage, id))), Awaited::Waits);
    note_all(stage, id);
    let (first, second) = stage.twice(&let_end(&stage.keys, GROUP, id));
    assert_eq!(second, 0);
    first
}

fn note_all(stage: &Stage, id: &str) {
    let mut next = Some(Cursor::default());
    while let Some(at) = next {
        next = stage.take(&note_open(&stage.keys, GROUP, id, &at)).next;
    }
}

fn open(stage: &Stage) -> Vec<String> {
    let mut ids: Vec<String> = stage.ask("ZRANGE group_open:g 0 -1");
    ids.sort();
    ids
}

/// Whether the job waits for the group's end, by its record and the registry.
#[track_caller]
fn assert_waits(stage: &Stage, id: &str) {
    assert_eq!(
        (stage.field(id, "status").unwrap().as_str(), stage.books(id)),
        ("deferred", vec!["deferred:q".to_owned()])
    );
}

/// Whether it went on, once, and nothing is left of what was noted for the group.
#[track_caller]
fn assert_went_on(stage: &Stage, id: &str) {
    assert_eq!(
        (stage.field(id, "status").unwrap().as_str(), stage.books(id)),
        ("queued", vec!["queue:q".to_owned()])
    );
    assert!(stage.key_names().iter().all(|name| !name.starts_with("group_")), "{:?}", stage.key_names());
}

fn of_group(settlement: Settlement) -> Settlement {
    Settlement { group: Some(GROUP.to_owned()), ..settlement }
}

fn look_once(stage: &Stage) -> Looked {
    let Page { found, next } = stage.take(&look(&stage.keys, GROUP, &Cursor::default(), HELD_MS));
    assert_eq!(next, None);
    found
}

#[test]
fn jobs_join_a_group_with_the_script_that_writes_them() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a", "b"]);
    let mut found = stage.take(&members(&stage.keys, GROUP, &Cursor::default())).found;
    found.sort();
    assert_eq!(found, ["a", "b"]);
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS groups"), [GROUP]);
    assert_eq!(stage.field("a", "group_id").as_deref(), Some(GROUP));
    // Nobody waits, so nothing is noted.
    assert!(open(&stage).is_empty());
}

#[test]
fn a_group_of_a_wrong_type_takes_no_job() {
    for broken in ["SET group:g x", "SET groups x", "SET group_open:g x"] {
        let stage = Stage::new();
        stage.run(broken);
        stage.refuse(&enqueue(&stage.keys, QUEUE, &[(member(&stage, "a"), Place::Tail)]));
        // Other jobs are no concern of that group's.
        stage.enqueue(&["b"]);
    }
}

#[test]
fn the_last_end_lets_the_job_go_on_once() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a", "b"]);
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(2);
    worker.begin(&claimed);
    assert_eq!(declare(&stage, "z"), 0);
    assert_eq!(open(&stage), ["a", "b"]);
    worker.settle(&[of_group(failed(&claimed[0]))]);
    assert_waits(&stage, "z");
    stage.twice(&worker.settle_step(&[of_group(finished(&claimed[1]))]));
    assert_went_on(&stage, "z");
}

#[test]
fn a_group_of_nobody_has_ended() {
    let stage = Stage::new();
    assert_eq!(declare(&stage, "z"), 1);
    assert_went_on(&stage, "z");
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    let worker = stage.worker("w", &[QUEUE]);
    worker.settle(&[of_group(finished(&worker.claim(1)[0]))]);
    assert_eq!(declare(&stage, "z"), 1);
    assert_went_on(&stage, "z");
}

/// What ends a member.
type End = Box<dyn Fn(&Stage)>;

/// Whatever ends a member, it is waited for no more; and the job goes on once.
#[test]
fn every_end_counts() {
    let end_unkept = |settled: Settled, ttl| {
        move |stage: &Stage| {
            let worker = stage.worker("w", &[QUEUE]);
            let claimed = worker.claim(1);
            worker.settle(&[of_group(settlement(&claimed[0], settled.clone(), ttl))]);
        }
    };
    let ends: Vec<(&str, End)> = vec![
        ("not kept", Box::new(end_unkept(Settled::Finished(None), Ttl::Seconds(0)))),
        ("for ever", Box::new(end_unkept(Settled::Finished(None), Ttl::Forever))),
        ("stopped", Box::new(end_unkept(Settled::Stopped("x".into()), Ttl::FAILURE_DEFAULT))),
        ("exhausted", Box::new(end_unkept(Settled::Exhausted, Ttl::FAILURE_DEFAULT))),
        (
            "canceled",
            Box::new(|stage| {
                stage.take_twice(&cancel(&stage.keys, "a", Cancel::default()));
            }),
        ),
        (
            "deleted",
            Box::new(|stage| {
                assert_eq!(stage.take_twice(&delete(&stage.keys, &["a".to_owned()])), [Deleted::Done]);
            }),
        ),
        (
            "abandoned",
            Box::new(|stage| {
                let worker = stage.worker("w", &[QUEUE]);
                let claimed = worker.claim(1);
                worker.begin(&claimed);
                fall_silent(stage, &claimed[0]);
                let mut end = failing(&claimed[0]);
                end.settlement.group = Some(GROUP.to_owned());
                let answers = stage.take(&abandon(&stage.keys, Evidence::Lease, &[end]));
                assert_eq!(answers, [AbandonReply::Concluded]);
            }),
        ),
        (
            "not filed",
            Box::new(|stage| {
                let worker = stage.worker("w", &[QUEUE]);
                let claimed = worker.claim(1);
                let mut end = of_group(failed(&claimed[0]));
                end.conclusion.filed = false;
                worker.settle(&[end]);
            }),
        ),
        (
            "gone while it ran",
            Box::new(|stage| {
                let worker = stage.worker("w", &[QUEUE]);
                let claimed = worker.claim(1);
                worker.begin(&claimed);
                stage.run("DEL job:a");
                stage.take(&worker.settle_step(&[of_group(finished(&claimed[0]))]));
            }),
        ),
    ];
    for (name, end) in ends {
        let stage = Stage::new();
        enqueue_members(&stage, &["a"]);
        assert_eq!(declare(&stage, "z"), 0, "{name}");
        assert_waits(&stage, "z");
        end(&stage);
        assert_eq!(stage.field("z", "status").as_deref(), Some("queued"), "{name}");
        assert_went_on(&stage, "z");
    }
}

#[test]
fn a_job_that_runs_again_has_not_ended() {
    for (settled, next) in [
        (Settled::Again(Some("x".into())), NextPlace::Tail),
        (Settled::Again(None), NextPlace::At(i64::from(u32::MAX))),
        (Settled::Finished(None), NextPlace::Head),
    ] {
        let stage = Stage::new();
        enqueue_members(&stage, &["a"]);
        declare(&stage, "z");
        let worker = stage.worker("w", &[QUEUE]);
        let mut again = of_group(settlement(&worker.claim(1)[0], settled, Ttl::RESULT_DEFAULT));
        again.conclusion = Conclusion { next: Some(next), ..again.conclusion };
        worker.settle(&[again]);
        assert_waits(&stage, "z");
        assert_eq!(open(&stage), ["a"]);
    }
}

#[test]
fn members_that_come_later_are_waited_for() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    enqueue_members(&stage, &["b"]);
    assert_eq!(open(&stage), ["a", "b"]);
    stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    assert_waits(&stage, "z");
    stage.take(&cancel(&stage.keys, "b", Cancel::default()));
    assert_went_on(&stage, "z");
    // After the end nothing is noted.
    enqueue_members(&stage, &["c"]);
    assert!(open(&stage).is_empty());
}

#[test]
fn a_requeued_member_is_waited_for_until_the_end() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a", "b"]);
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(2);
    declare(&stage, "z");
    worker.settle(&[of_group(failed(&claimed[0]))]);
    let again = || requeue(&stage.keys, RequeueFrom::Record, false, &["a".to_owned()]);
    assert_eq!(stage.take_twice(&again()), [Requeued::Done]);
    assert_eq!(open(&stage), ["a", "b"]);
    worker.settle(&[of_group(finished(&claimed[1]))]);
    assert_waits(&stage, "z");
    let claimed = worker.claim(1);
    worker.settle(&[of_group(failed(&claimed[0]))]);
    assert_went_on(&stage, "z");
    assert_eq!(stage.take_twice(&again()), [Requeued::Done]);
    assert!(open(&stage).is_empty());
    assert_eq!(stage.waiting(QUEUE), ["z", "a"]);
}

/// In whatever order a member ends and its end is declared to be waited for.
#[test]
fn members_that_end_while_the_declaration_is_under_way_are_not_waited_for() {
    for ends_after in 0..3 {
        let stage = Stage::new();
        enqueue_members(&stage, &["a"]);
        let end_at = |step| {
            if step == ends_after {
                stage.take(&cancel(&stage.keys, "a", Cancel::default()));
                assert_waits(&stage, "z");
            }
        };
        stage.take(&await_group(&stage.keys, GROUP, &last(&stage, "z")));
        end_at(0);
        note_all(&stage, "z");
        end_at(1);
        let gone_on = stage.take(&let_end(&stage.keys, GROUP, "z"));
        assert_eq!(gone_on, usize::from(ends_after < 2));
        end_at_last(&stage, ends_after);
        assert_went_on(&stage, "z");
    }
}

fn end_at_last(stage: &Stage, ends_after: usize) {
    if ends_after == 2 {
        assert_waits(stage, "z");
        stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    }
}

#[test]
fn several_jobs_wait_for_one_end() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    let names: Vec<String> = (0..ENDS_MAX).map(|number| format!("z{number}")).collect();
    for name in &names {
        declare(&stage, name);
    }
    let more = || await_group(&stage.keys, GROUP, &last(&stage, "more"));
    assert_eq!(stage.take_twice(&more()), Awaited::TooMany);
    // One that was canceled makes room.
    stage.take(&cancel(&stage.keys, "z3", Cancel::default()));
    assert_eq!(stage.take(&more()), Awaited::Waits);
    stage.take(&let_end(&stage.keys, GROUP, "more"));
    stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    let waiting = stage.waiting(QUEUE);
    assert_eq!(waiting.len(), ENDS_MAX);
    assert!(!waiting.contains(&"z3".to_owned()) && waiting.contains(&"more".to_owned()), "{waiting:?}");
    assert_eq!(stage.field("z3", "status").as_deref(), Some("canceled"));
}

#[test]
fn a_declaration_knows_its_own_job_again() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    // The same call once more, as after a connection that broke for good: another time of creation.
    let again = || await_group(&stage.keys, GROUP, &last(&stage, "z"));
    assert_eq!(stage.take(&again()), Awaited::Waits);
    assert_eq!(open(&stage), ["a", "hold:z"]);
    stage.take(&let_end(&stage.keys, GROUP, "z"));
    stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    assert_went_on(&stage, "z");
    assert_eq!(stage.take_twice(&again()), Awaited::WentOn);
    let mut other = last(&stage, "a");
    other.data.push(0);
    stage.run("HSET job:a status started");
    assert_eq!(stage.take_twice(&await_group(&stage.keys, GROUP, &other)), Awaited::Taken("started".into()));
}

#[test]
fn a_job_that_has_ended_is_replaced_by_one_that_waits() {
    let stage = Stage::new();
    stage.enqueue(&["z"]);
    let worker = stage.worker("w", &[QUEUE]);
    worker.settle(&[failed(&worker.claim(1)[0])]);
    enqueue_members(&stage, &["a"]);
    let mut job = last(&stage, "z");
    job.data.push(0);
    assert_eq!(stage.take_twice(&await_group(&stage.keys, GROUP, &job)), Awaited::Waits);
    assert_waits(&stage, "z");
    assert_eq!(stage.ask::<usize>("EXISTS results:z"), 0);
}

#[test]
fn a_look_finds_what_nobody_told_of() {
    for end in [
        "HSET job:a status finished",
        "HSET job:a status failed",
        "DEL job:a",
        "HDEL job:a data",
        "HSET job:a group_id other",
        "SET job:a x",
    ] {
        let stage = Stage::new();
        enqueue_members(&stage, &["a"]);
        declare(&stage, "z");
        assert_eq!(look_once(&stage), Looked { ended: 0, gone_on: 0, overdue: vec![] });
        stage.run("DEL queue:q");
        if end.starts_with("SET") {
            stage.run("DEL job:a");
        }
        stage.run(end);
        assert_eq!(look_once(&stage), Looked { ended: 1, gone_on: 1, overdue: vec![] }, "{end}");
        assert_went_on(&stage, "z");
        assert_eq!(look_once(&stage), Looked { ended: 0, gone_on: 0, overdue: vec![] });
    }
}

#[test]
fn a_declaration_that_was_cut_off_is_ended_by_a_look() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    stage.take(&await_group(&stage.keys, GROUP, &last(&stage, "z")));
    assert_eq!(look_once(&stage).overdue, Vec::<String>::new());
    // Long ago.
    stage.run("ZADD group_open:g 1 hold:z");
    assert_eq!(look_once(&stage), Looked { ended: 0, gone_on: 0, overdue: vec!["z".into()] });
    // As the worker goes on: nothing ends early.
    note_all(&stage, "z");
    assert_eq!(stage.take(&let_end(&stage.keys, GROUP, "z")), 0);
    assert_eq!(open(&stage), ["a"]);
    // Its caller was slow, and not dead after all.
    note_all(&stage, "z");
    assert_eq!(stage.take(&let_end(&stage.keys, GROUP, "z")), 0);
    stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    assert_went_on(&stage, "z");
}

#[test]
fn a_group_is_taken_by_one_worker_at_a_time() {
    let stage = Stage::new();
    assert_eq!(stage.take(&take(&stage.keys, 0)), Vec::<String>::new());
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    assert_eq!(stage.take(&take(&stage.keys, 0)), Vec::<String>::new());
    assert_eq!(stage.take(&take(&stage.keys, 60_000)), [GROUP]);
    stage.run("ZADD group_ends 1 g");
    let (first, second) = stage.twice(&take(&stage.keys, 0));
    assert_eq!((first, second), (vec![GROUP.to_owned()], vec![]));
    // A large one is looked at more seldom: a second for each 100.
    let ids: String = (0..5000).map(|number| format!(" 1 j{number}")).collect();
    stage.run(&format!("ZADD group_open:g{ids}"));
    stage.run("ZADD group_ends 1 g");
    assert_eq!(stage.take(&take(&stage.keys, 0)), [GROUP]);
    assert_eq!(stage.take(&take(&stage.keys, 45_000)), Vec::<String>::new());
    assert_eq!(stage.take(&take(&stage.keys, 55_000)), [GROUP]);
}

#[test]
fn a_group_that_nobody_waits_for_is_forgotten() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    stage.take(&cancel(&stage.keys, "z", Cancel::default()));
    stage.run("ZADD group_ends 1 g");
    assert_eq!(stage.take(&take(&stage.keys, 0)), Vec::<String>::new());
    assert!(stage.key_names().iter().all(|name| !name.starts_with("group_")), "{:?}", stage.key_names());
}

#[test]
fn a_large_group_is_noted_and_looked_at_page_by_page() {
    const MEMBERS: usize = 2000;
    let stage = Stage::new();
    let ids: Vec<String> = (0..MEMBERS).map(|number| format!("j{number}")).collect();
    enqueue_members(&stage, &ids.iter().map(String::as_str).collect::<Vec<_>>());
    stage.take(&await_group(&stage.keys, GROUP, &last(&stage, "z")));
    let (mut pages, mut next) = (0, Some(Cursor::default()));
    while let Some(at) = next {
        let before = open(&stage).len();
        next = stage.take(&note_open(&stage.keys, GROUP, "z", &at)).next;
        assert!(open(&stage).len() - before <= 600);
        pages += 1;
    }
    assert!(pages > 5, "{pages} pages");
    assert_eq!(stage.take(&let_end(&stage.keys, GROUP, "z")), 0);
    assert_eq!(open(&stage).len(), MEMBERS);
    for id in &ids {
        stage.run(&format!("DEL job:{id}"));
    }
    let (mut ended, mut gone_on, mut next) = (0, 0, Some(Cursor::default()));
    while let Some(at) = next {
        let page = stage.take(&look(&stage.keys, GROUP, &at, HELD_MS));
        assert!(page.found.ended <= 600);
        (ended, gone_on, next) = (ended + page.found.ended, gone_on + page.found.gone_on, page.next);
    }
    assert_eq!((ended, gone_on), (MEMBERS, 1));
    assert_eq!(stage.field("z", "status").as_deref(), Some("queued"));
}

/// What an eviction or an operator has taken away is made anew, and nothing ends early.
#[test]
fn a_set_that_is_lost_is_made_anew() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    stage.run("ZADD deferred:q 1 z");
    for lost in [&["DEL group_open:g"][..], &["DEL group_open:g", "DEL group_ends", "DEL group_ends:g"]] {
        lost.iter().for_each(|command| stage.run(command));
        // Maintenance sees to it that somebody looks.
        assert_eq!(
            stage.take_twice(&undefer(&stage.keys, QUEUE, &[b"z".to_vec()])),
            [Undeferred::Waits],
            "{lost:?}"
        );
        stage.run("ZADD group_ends 1 g");
        assert_eq!(stage.take(&take(&stage.keys, 0)), [GROUP], "{lost:?}");
        assert_eq!(look_once(&stage), Looked { ended: 0, gone_on: 0, overdue: vec!["z".into()] });
        // Sent again, it finds the declaration that the first sending began.
        assert_eq!(look_once(&stage), Looked { ended: 0, gone_on: 0, overdue: vec!["z".into()] });
        note_all(&stage, "z");
        assert_eq!(stage.take(&let_end(&stage.keys, GROUP, "z")), 0);
        assert_waits(&stage, "z");
        assert_eq!(open(&stage), ["a"], "{lost:?}");
    }
    stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    assert_went_on(&stage, "z");
    // Nobody waits any more: nothing is made anew.
    assert_eq!(look_once(&stage), Looked { ended: 0, gone_on: 0, overdue: vec![] });
    assert_eq!(stage.ask::<usize>("EXISTS group_open:g"), 0);
}

/// It would wait for its own end.
#[test]
fn a_member_may_not_wait_for_the_job_that_waits_for_its_group() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    let waits = |id: &str, group: &str| {
        let mut job = member(&stage, id);
        job.dependency_ids = Some(vec!["z".to_owned()]);
        job.group_id = Some(group.to_owned());
        job
    };
    let add = |job: Job| stage.take(&enqueue(&stage.keys, QUEUE, &[(job, Place::Tail)]));
    assert_eq!(add(waits("m", GROUP)), [Enqueued::Cycle]);
    // One of another group may.
    assert_eq!(add(waits("o", "other")), [Enqueued::Deferred]);
}

/// Its rate limit has no slot free.
#[test]
fn a_job_under_a_rate_limit_waits_for_its_slot_then() {
    let stage = Stage::new();
    let mut job = last(&stage, "z");
    (job.rate_limit_key, job.rate_limit_concurrency) = (Some("k".into()), Some(1));
    stage.run("ZADD rl:k:allowed 1 other");
    stage.take(&await_group(&stage.keys, GROUP, &job));
    assert_eq!(stage.take(&let_end(&stage.keys, GROUP, "z")), 1);
    assert_eq!(stage.field("z", "status").as_deref(), Some("rate_limited"));
    assert_eq!(stage.books("z"), ["rl:k:rate_limited"]);
}

/// Somebody has enqueued the job anew, as Python may; it is no longer the group's to let go.
#[test]
fn a_job_that_was_enqueued_anew_is_left_alone() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    declare(&stage, "z");
    stage.run("HSET job:z status queued");
    stage.run("ZREM deferred:q z");
    stage.run("RPUSH queue:q z");
    stage.take(&cancel(&stage.keys, "a", Cancel::default()));
    assert_went_on(&stage, "z");
}

/// The other life of a member's id may be a member, too.
#[test]
fn the_end_of_an_earlier_life_is_no_end_of_the_member() {
    let stage = Stage::new();
    enqueue_members(&stage, &["a"]);
    let worker = stage.worker("w", &[QUEUE]);
    let claimed = worker.claim(1);
    worker.begin(&claimed);
    declare(&stage, "z");
    stage.run("HSET job:a status queued");
    stage.run("RPUSH queue:q a");
    stage.take(&worker.settle_step(&[of_group(finished(&claimed[0]))]));
    assert_waits(&stage, "z");
    assert_eq!(open(&stage), ["a"]);
}
