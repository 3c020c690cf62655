//! Groups, and the job that runs once when all of their jobs have ended.

use rq_core::{Call, OnCrash, Retry, Status, Ttl};
use rq_tests::{Gate, Journal, Signal, eventually};

use super::{LIMIT, Stage};
use crate::rq_test::Books;

/// Writes itself down.
fn noted(journal: &Journal, id: &str) -> Call<String> {
    Call::to("test.journal").arg(journal.path()).arg(0).job_id(id)
}

/// The last one began once, after all others.
#[track_caller]
fn assert_once_and_last(journal: &Journal, id: &str) {
    let began = journal.began();
    assert_eq!(began.iter().filter(|began| *began == id).count(), 1, "{began:?}");
    assert_eq!(began.last().map(String::as_str), Some(id), "{began:?}");
}

pub(super) fn the_end_of_a_group_comes_once(executor: &'static str) {
    let stage = Stage::new(executor);
    let journal = Journal::new(&stage.scratch);
    let group = stage.queue().group("g").unwrap();
    let flaky = |id: &str, fails: usize| {
        Call::<usize>::to("interop.flaky").arg(journal.path()).arg(id).arg(fails).job_id(id)
    };
    group
        .enqueue_many([noted(&journal, "plain"), noted(&journal, "short").result_ttl(Ttl::Seconds(0))])
        .unwrap();
    group.enqueue_many([flaky("fails", 9), flaky("again", 2).retry(Retry::up_to(3))]).unwrap();
    group
        .enqueue_many([noted(&journal, "child").depends_on("again"), noted(&journal, "late").at_front()])
        .unwrap();
    for (id, ends) in [("canceled", true), ("deleted", false)] {
        let job = group.enqueue(noted(&journal, id)).unwrap();
        match ends {
            true => job.cancel().unwrap(),
            false => job.delete().unwrap(),
        }
    }
    let last = group.on_complete(noted(&journal, "last")).unwrap();
    assert_eq!(last.status().unwrap(), Some(Status::Deferred));
    let other = group.on_complete(noted(&journal, "other").at_front()).unwrap();
    stage.drain(&["--concurrency", "3"]);
    for job in [&last, &other] {
        assert_eq!(job.status().unwrap(), Some(Status::Finished), "{job:?}");
    }
    let began = journal.began();
    let place = |id: &str| began.iter().position(|began| began == id);
    let first_end = place("last").min(place("other"));
    for id in ["plain", "short", "fails", "again", "child", "late"] {
        assert!(place(id).is_some() && place(id) < first_end, "{id}: {began:?}");
    }
    assert_eq!(began.iter().filter(|id| ["last", "other"].contains(&id.as_str())).count(), 2, "{began:?}");
    let status = group.status().unwrap();
    assert_eq!(status.to_string(), "6 jobs: 4 finished, 1 failed, 1 canceled");
    assert!(status.is_complete());
}

/// One is stopped; one dies with its worker, and another worker finds it.
pub(super) fn what_dies_with_its_worker_ends_for_its_group_too(executor: &'static str) {
    let stage = Stage::new(executor);
    let journal = Journal::new(&stage.scratch);
    let gate = Gate::new(&stage.scratch, "gate");
    let group = stage.queue().group("g").unwrap();
    let waits = |id: &str| Call::<String>::to("test.gate").arg(gate.key()).job_id(id).on_crash(OnCrash::Fail);
    let stopped = group.enqueue(waits("stopped")).unwrap();
    let worker = stage.worker(&["--name", "w", "--lease", "0.5"]);
    gate.wait_for_arrival();
    let last = group.on_complete(noted(&journal, "last")).unwrap();
    group.enqueue(waits("dies")).unwrap();
    assert!(stopped.stop().unwrap());
    assert_eq!(gate.wait_for_arrival(), "dies");
    eventually("one to be stopped", LIMIT, || (stage.scratch.status("stopped") == "stopped").then_some(()));
    worker.signal(Signal::SIGKILL);
    drop(worker);
    assert_eq!(last.status().unwrap(), Some(Status::Deferred));
    let _worker = stage.worker(&["--lease", "0.5"]);
    eventually("the group to end", LIMIT, || (stage.scratch.status("last") == "finished").then_some(()));
    assert_once_and_last(&journal, "last");
    assert_eq!(group.status().unwrap().to_string(), "2 jobs: 1 failed, 1 stopped");
}
