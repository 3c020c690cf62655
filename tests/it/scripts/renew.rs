//! `renew`: what a worker holds it goes on to hold; what it lost it does not get back.

use rq_core::steps::claim::renew;

use super::{LEASE, Stage};

#[test]
fn a_lease_lasts_from_its_renewal_on() {
    let stage = Stage::new();
    let (worker, claimed) = stage.worker_with(&["a", "b"]);
    for claimed in &claimed {
        stage.run(&format!("ZADD leases 5 {}", claimed.id));
    }
    stage.run(&format!("ZREM leases {}", claimed[1].id));
    let step = renew(&worker.who, &claimed);
    for sending in 1..=2 {
        assert_eq!(stage.take(&step), [true, false], "sending {sending}");
    }
    let (now_s, _): (f64, f64) = stage.scratch.query("TIME", [""; 0]);
    let until_ms: f64 = stage.ask(&format!("ZSCORE leases {}", claimed[0].id));
    let left_s = until_ms / 1e3 - now_s;
    assert!((left_s - LEASE.as_secs_f64()).abs() <= 2.0, "{left_s} s");
    assert_eq!(stage.ask::<usize>("ZCARD leases"), 1);
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
