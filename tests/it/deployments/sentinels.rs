//! A master that sentinels name: it is found, and found again when it is another.

use rq_core::Call;
use rq_tests::{Scratch, Watched};

use super::load::Load;
use crate::rq_test::{Books, RqTest};

#[test]
fn a_failover_under_load_costs_no_job() {
    let mut watched = Watched::start(None);
    let scratch = Scratch::on(&watched.url());
    let load = Load::start(&scratch, "thread");
    load.during(|| watched.kill_primary());
    load.check(&Scratch::seen_by(&scratch, &watched.replica().url()));
}

#[test]
fn a_dead_sentinel_and_an_unknown_master_are_told_apart() {
    let mut watched = Watched::start(None);
    watched.kill_sentinel(0);
    let scratch = Scratch::on(&watched.url());
    let job = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    RqTest::new(&scratch).drain(&[]);
    assert_eq!(job.result().unwrap(), Some(5));
    let elsewhere = watched.url().replace("/queues", "/nobody");
    let (code, _, errors) = RqTest::new(&scratch).outcome(&["info", "--url", &elsewhere]);
    assert_eq!(code, Some(1));
    assert!(errors.contains("asked for the master nobody: it knows no such master"), "{errors}");
}

#[test]
fn the_environment_names_sentinels_too() {
    let watched = Watched::start(Some("secret"));
    let url = watched.url();
    let (sentinels, master) = url.trim_start_matches("redis+sentinel://").split_once('/').unwrap();
    let scratch = Scratch::on(&url);
    let mut command = RqTest::new(&scratch).command(&["info"]);
    command.env_remove("RQ_REDIS_URL").env("REDIS_SENTINELS", sentinels);
    command.env("REDIS_SENTINEL_MASTER", master).env("REDIS_PASSWORD", "secret");
    let info = rq_tests::Child::spawn(&mut command).succeed(crate::rq_test::LIMIT);
    assert!(info.contains("0 queues"), "{info}");
}
