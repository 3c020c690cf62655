//! `take_round`: one worker an interval, and nothing that could stick.

use rq_core::steps::maintenance::{Scope, take_round};

use super::{QUEUE, Stage};

const INTERVAL_MS: u64 = 60_000;

#[test]
fn one_of_many_does_it() {
    let stage = Stage::new();
    let round = |scope, name| take_round(&stage.keys, scope, name, INTERVAL_MS);
    for scope in [Scope::Queue(QUEUE), Scope::Queue("other"), Scope::AtLarge] {
        assert!(stage.take_twice(&round(scope, "w1 1")), "{scope:?}");
        assert!(!stage.take_twice(&round(scope, "w2 1")), "{scope:?}");
        assert!(!stage.take_twice(&round(scope, "w1 2")), "{scope:?}");
    }
    assert!(stage.key_names().iter().eq(["maintained", "maintained:other", "maintained:q"]));
    let left_ms: u64 = stage.ask("PTTL maintained:q");
    assert!((INTERVAL_MS - 5000..=INTERVAL_MS).contains(&left_ms), "{left_ms}");
}

#[test]
fn what_would_hold_for_ever_counts_for_nothing() {
    for marker in [
        "SET maintained:q forever",
        "SET maintained:q longer PX 600000",
        "RPUSH maintained:q a",
        "SADD maintained:q a",
    ] {
        let stage = Stage::new();
        stage.run(marker);
        assert!(
            stage.take_twice(&take_round(&stage.keys, Scope::Queue(QUEUE), "w 1", INTERVAL_MS)),
            "{marker}"
        );
        assert_eq!(stage.ask::<String>("GET maintained:q"), "w 1");
    }
}
