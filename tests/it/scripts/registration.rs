//! `birth` and `death`: a name belongs to one living worker.

use rq_core::Timestamp;
use rq_core::steps::roster::{names, records};

use super::{QUEUE, Stage, Worker, assert_about};

#[test]
fn birth_registers_once() {
    let stage = Stage::new();
    let worker = Worker::new(&stage, "w", &["high", "low"]);
    assert!(stage.take_twice(&worker.birth()));
    let expected = ["worker:w", "workers", "workers:high", "workers:low"];
    assert!(stage.key_names().iter().eq(expected), "{:?}", stage.key_names());
    for set in &expected[1..] {
        assert_eq!(stage.ask::<Vec<String>>(&format!("SMEMBERS {set}")), [stage.keys.worker("w")]);
    }
    assert_about("the ttl of the worker", stage.ask("TTL worker:w"), 480);
    let found = stage.take(&records(&stage.keys, &["w".to_owned()]));
    assert_eq!(found[0].queues, ["high", "low"]);
    assert_eq!(found[0].pid, Some(4711));
}

#[test]
fn a_name_is_taken_until_death() {
    let stage = Stage::new();
    let first = stage.worker("w", &["high"]);
    stage.run("HSET claims:w number 7 answer x");
    let before = stage.scratch.dump();
    let second = Worker::new(&stage, "w", &["low"]);
    assert!(!stage.take_twice(&second.birth()));
    assert_eq!(stage.scratch.dump(), before, "a refused birth changes nothing");
    stage.take(&first.death());
    assert!(stage.take_twice(&second.birth()));
    assert_eq!(stage.ask::<Option<String>>("HGET worker:w death"), None);
    assert_eq!(stage.ask::<String>("HGET worker:w queues"), "low");
    assert_eq!(stage.ask::<usize>("EXISTS claims:w"), 0);
}

/// Its claims are counted from one again.
#[test]
fn a_name_that_died_silently_is_free_once_its_record_expired() {
    let stage = Stage::new();
    stage.enqueue(&["a", "b"]);
    assert_eq!(stage.worker("w", &[QUEUE]).claim(1).len(), 1);
    stage.run("DEL worker:w");
    let next = stage.worker("w", &[QUEUE]);
    assert_eq!(next.claim(1)[0].id.job_id(), "b");
}

#[test]
fn death_leaves_a_record_for_a_minute() {
    let stage = Stage::new();
    stage.enqueue(&["a"]);
    let worker = stage.worker("w", &[QUEUE, "low"]);
    stage.worker("other", &["low"]);
    worker.claim(1);
    stage.twice(&worker.death());
    assert_about("the ttl of the dead worker", stage.ask("TTL worker:w"), 60);
    let died: String = stage.ask("HGET worker:w death");
    assert!(Timestamp::parse(&died).is_ok(), "{died}");
    assert_eq!(stage.ask::<usize>("EXISTS worker:w:executions"), 0);
    assert_eq!(stage.ask::<usize>("EXISTS claims:w"), 0);
    for (queues, expected) in [(vec![], vec!["other"]), (vec!["q"], vec![]), (vec!["low"], vec!["other"])] {
        let queues: Vec<String> = queues.into_iter().map(str::to_owned).collect();
        assert_eq!(stage.take(&names(&stage.keys, &queues)), expected, "workers of {queues:?}");
    }
}

#[test]
fn death_after_the_record_expired_writes_none() {
    let stage = Stage::new();
    let worker = stage.worker("w", &[QUEUE]);
    stage.run("DEL worker:w");
    stage.twice(&worker.death());
    assert!(stage.scratch.dump().is_empty(), "{}", stage.scratch.dump_json());
}

#[test]
fn sets_of_another_type_refuse_before_anything_is_written() {
    for key in ["workers", "workers:q", "worker:w"] {
        let stage = Stage::new();
        stage.run(&format!("SET {key} mine"));
        let error = stage.refuse(&Worker::new(&stage, "w", &[QUEUE]).birth());
        assert!(error.to_string().contains("WRONGTYPE"), "{error}");
    }
}
