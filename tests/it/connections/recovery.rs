//! How soon a worker is back.

use std::net::SocketAddr;
use std::thread::sleep;
use std::time::Duration;

use rq_core::{Call, secs};
use rq_tests::{Child, Gateway, PrivateRedis, Scratch, Trouble, eventually};

use super::{RECOVERY, RECOVERY_FROM_SILENCE, SOON, Stage, check_all};
use crate::rq_test::{Books, LIMIT, RqTest};

/// The old master lives on as a replica, and so do the worker's connections to it.
#[test]
fn a_worker_follows_its_name_to_the_new_master() {
    check_recovery(Trouble::Failover, (2, secs(2)), Duration::ZERO, RECOVERY, RECOVERY);
}

#[test]
fn a_worker_works_on_after_its_connections_died_silently() {
    check_recovery(Trouble::Partition, (1, secs(1)), Duration::ZERO, RECOVERY_FROM_SILENCE, SOON);
}

#[test]
fn a_worker_logs_in_again_once_its_user_is_back() {
    /// Longer than a client's own attempts to connect.
    const WITHOUT_USER: Duration = secs(4);
    check_recovery(Trouble::NoUser, (1, secs(1)), WITHOUT_USER, RECOVERY, RECOVERY);
}

/// A Redis that was restarted along with the worker has much to read: that is no reason to give up.
#[test]
fn a_worker_that_starts_while_redis_is_loading_waits() {
    /// Long enough for an attempt, and for what is made of its refusal.
    const LOADS: Duration = secs(2);
    check_all(["thread", "fork", "green"], |executor| {
        let mut stage = Stage::new(Trouble::Loading);
        stage.redis.prepare();
        stage.redis.begin();
        let mut command = RqTest::new(&stage.scratch).command(&["worker", "-w", executor]);
        let mut worker = Child::spawn(command.env("RQ_REDIS_URL", stage.redis.worker_url()));
        if let Some(status) = worker.wait_at_most(LOADS) {
            return vec![format!("{status}: {}", worker.report())];
        }
        stage.redis.end();
        worker.wait_for_line("*** Listening on", RECOVERY);
        stage.wait_for_work(RECOVERY);
        stage.stop(&mut worker);
        Vec::new()
    });
}

/// So many jobs, which take so long, run when the trouble begins. `within` so long after its end the worker works again,
/// and `outcomes_within` so long after that the jobs have ended well.
fn check_recovery(
    trouble: Trouble,
    (jobs, takes): (usize, Duration),
    lasts: Duration,
    within: Duration,
    outcomes_within: Duration,
) {
    let mut stage = Stage::new(trouble);
    let mut worker = stage.worker(&["--concurrency", "2"]);
    let ids = stage.enqueue(jobs, takes);
    stage.wait_for_beginnings(ids.len());
    stage.redis.begin();
    sleep(lasts);
    stage.redis.end();
    stage.wait_for_work(within);
    assert!(stage.complaints(&ids, outcomes_within).is_empty(), "{}", worker.report());
    stage.stop(&mut worker);
}

/// Of its connections the one dies that commands come over: nothing else tells the worker.
#[test]
fn a_command_is_heard_after_its_connection_died_silently() {
    let redis = PrivateRedis::start(&[]);
    let gateway = Gateway::to(redis.address());
    let scratch = Scratch::on(&redis.url());
    let mut command = RqTest::new(&scratch).command(&["worker", "--name", "w"]);
    let worker = Child::spawn(command.env("RQ_REDIS_URL", format!("redis://{}/", gateway.address())));
    worker.wait_for_line("*** Listening on", LIMIT);
    let sleeps = Call::<u64>::to("test.sleep").arg(LIMIT.as_millis() as u64).job_id("j");
    scratch.queue("default").enqueue(sleeps).unwrap();
    worker.wait_for_line("(j)", SOON);

    let dead = subscribers(&redis);
    assert_eq!(gateway.silence_those(&dead), 1, "{dead:?}");
    eventually("another subscription", RECOVERY_FROM_SILENCE, || {
        subscribers(&redis).iter().any(|address| !dead.contains(address)).then_some(())
    });
    let stop = r#"{"command": "stop-job", "job_id": "j"}"#;
    scratch.query::<()>("PUBLISH", [scratch.key("pubsub:w"), stop.to_owned()]);
    eventually("the job to be stopped", SOON, || (scratch.status("j") == "stopped").then_some(()));
}

/// The connections that are subscribed to something.
fn subscribers(redis: &PrivateRedis) -> Vec<SocketAddr> {
    let mut list = redis::cmd("CLIENT");
    let list: String = list.arg(&["LIST", "TYPE", "pubsub"]).query(&mut redis.connection()).unwrap();
    let addresses =
        list.lines().filter_map(|client| client.split(' ').find_map(|word| word.strip_prefix("addr=")));
    addresses.map(|address| address.parse().unwrap()).collect()
}
