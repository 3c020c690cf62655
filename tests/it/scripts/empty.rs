//! `empty`: the jobs of a queue removed, a bounded number a call.

use rq_core::steps::queue::{EMPTIED_PER_SCRIPT_MAX, Place, empty, enqueue};

use super::{QUEUE, Stage};

#[test]
fn jobs_go_with_all_that_is_theirs() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b", "gone"]);
    stage.run("DEL job:gone");
    stage.run("SADD job:a:dependents child");
    stage.run("SADD job::a:dependencies parent");
    stage.run("XADD results:a * type 1");
    stage.run("HSET job:other data x");
    assert_eq!(stage.twice(&empty(&stage.keys, QUEUE, false)), (3, 0));
    assert!(stage.key_names().iter().eq(["job:other", "queues"]), "{:?}", stage.key_names());
}

#[test]
fn deleting_forgets_the_queue_too() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    stage.run("SADD queues $P:queue:other");
    assert_eq!(stage.twice(&empty(&stage.keys, QUEUE, true)), (1, 0));
    assert_eq!(stage.ask::<Vec<String>>("SMEMBERS queues"), [stage.keys.queue("other")]);
}

#[test]
fn one_call_is_bounded_and_forgets_the_queue_last() {
    const MORE: usize = 200;
    let stage = Stage::new();
    let jobs =
        (0..EMPTIED_PER_SCRIPT_MAX + MORE).map(|number| (stage.job(&format!("j{number}")), Place::Tail));
    stage.take(&enqueue(&stage.keys, QUEUE, &jobs.collect::<Vec<_>>()));
    let step = empty(&stage.keys, QUEUE, true);
    assert_eq!(stage.take(&step), EMPTIED_PER_SCRIPT_MAX);
    assert_eq!(stage.ask::<usize>("LLEN queue:q"), MORE);
    assert_eq!(stage.ask::<usize>("SCARD queues"), 1);
    assert_eq!(stage.take(&step), MORE);
    assert!(stage.scratch.dump().is_empty());
}

#[test]
fn a_list_of_another_type_is_refused() {
    let stage = Stage::new();
    stage.run("SET queue:q mine");
    stage.run("SADD queues $P:queue:q");
    let error = stage.refuse(&empty(&stage.keys, QUEUE, true));
    assert!(error.to_string().contains("WRONGTYPE"), "{error}");
}
