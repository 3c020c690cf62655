//! Which jobs are run, and in which order.

use rq_core::Call;
use rq_tests::{Gate, Journal};

use super::Stage;
use crate::rq_test::Books;

pub(super) fn queues_are_served_in_order_and_the_head_first(executor: &'static str) {
    let stage = Stage::new(executor);
    let journal = Journal::new(&stage.scratch);
    let enqueue = |queue: &str, id: &str, at_front: bool| {
        let call = Call::<()>::to("interop.journal").arg(journal.path()).arg(id).arg(0);
        let call = if at_front { call.at_front() } else { call };
        stage.scratch.queue(queue).enqueue(call).unwrap();
    };
    for (queue, ids) in [("low", ["l1", "l2"]), ("high", ["h1", "h2"]), ("mid", ["m1", "m2"])] {
        ids.into_iter().for_each(|id| enqueue(queue, id, false));
    }
    enqueue("mid", "m0", true);
    enqueue("low", "l0", true);
    enqueue("unserved", "u1", false);
    stage.drain(&["--concurrency", "1", "high", "mid", "low"]);
    assert_eq!(journal.began(), ["h1", "h2", "m0", "m1", "m2", "l0", "l1", "l2"]);
    assert_eq!(stage.scratch.waiting("unserved").len(), 1);
}

pub(super) fn no_more_jobs_run_at_once_than_there_are_slots(executor: &'static str) {
    const SLOTS: usize = 3;
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let ids: Vec<String> = (0..8).map(|number| format!("j{number}")).collect();
    let calls = ids.iter().map(|id| Call::<()>::to("test.gate").arg(gate.key()).job_id(id));
    stage.queue().enqueue_many(calls).unwrap();
    let worker = stage.worker(&["--concurrency", "3"]);
    for (served, id) in ids.iter().enumerate() {
        if served < SLOTS {
            gate.wait_for_arrival();
            continue;
        }
        // All slots are taken, so what waits is not claimed either: another worker may have it.
        assert_eq!(stage.scratch.count("wip:default"), SLOTS);
        assert_eq!(stage.scratch.waiting("default").first(), Some(id));
        gate.open(1);
        gate.wait_for_arrival();
    }
    drop(worker);
}
