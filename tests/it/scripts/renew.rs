//! `renew`: what a worker holds it goes on to hold. What it lost it does not get back (`damage.rs`).

use rq_core::steps::claim::renew;

use super::{LEASE, Stage};

#[test]
fn a_lease_lasts_from_its_renewal_on() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    for claimed in &claimed {
        stage.run(&format!("ZADD leases 5 {}", claimed.id));
    }
    stage.run(&format!("ZREM wip:q {}", claimed[1].id));
    stage.run("HSET job:b status canceled");
    let step = renew(&worker.who, &claimed);
    for sending in 1..=2 {
        assert_eq!(stage.take(&step), [true, false], "sending {sending}");
    }
    let (now_s, _): (f64, f64) = stage.scratch.query("TIME", [""; 0]);
    let until_ms: f64 = stage.ask(&format!("ZSCORE leases {}", claimed[0].id));
    let left_s = until_ms / 1e3 - now_s;
    assert!((left_s - LEASE.as_secs_f64()).abs() <= 2.0, "{left_s} s");
    assert_eq!(stage.ask::<f64>(&format!("ZSCORE leases {}", claimed[1].id)), 5.0, "it runs out");
}

#[test]
fn leases_of_another_type_are_an_error_and_no_loss() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a"]);
    stage.run("DEL leases");
    stage.run("SET leases mine");
    stage.refuse(&renew(&worker.who, &claimed));
}

#[test]
fn every_end_of_an_execution_ends_its_lease() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    assert_eq!(stage.ask::<usize>("ZCARD leases"), 2);
    stage.take(&rq_core::steps::claim::put_back(&worker.who, &claimed[1..]));
    worker.settle(&[super::finished(&claimed[0])]);
    assert!(!stage.ask::<bool>("EXISTS leases"));
}
