//! A scheduler of ten thousand queues holds up nobody else that Redis serves.

use std::time::Duration;

use rq_core::secs;
use rq_tests::{PrivateRedis, Scratch, eventually, jobs};

use super::stop;
use crate::rq_test::{Books, LIMIT, RqTest};

const QUEUES: usize = 10_000;
/// How long one command may take in Redis.
const HELD_UP_MAX: Duration = Duration::from_millis(5);

#[test]
fn ten_thousand_queues_hold_redis_up_for_no_longer_than_milliseconds() {
    let redis = PrivateRedis::start(&["--slowlog-log-slower-than", "5000", "--slowlog-max-len", "1000"]);
    let scratch = Scratch::on(&redis.url());
    let names: Vec<String> = (0..QUEUES).map(|number| format!("q{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let worker = RqTest::new(&scratch).worker(&[&["-s", "--name", "w"], &names[..]].concat());
    let locked = || scratch.dump().keys().filter(|name| name.starts_with("rq:scheduler-lock:")).count();
    eventually("all queues to be locked", LIMIT, || (locked() == QUEUES).then_some(()));
    let handles = [0, QUEUES / 2, QUEUES - 1]
        .map(|number| scratch.queue(names[number]).enqueue_in(secs(1), jobs::add::call(1, 1)).unwrap());
    for handle in handles {
        assert_eq!(handle.wait(LIMIT).unwrap(), 2);
    }
    stop(worker);
    assert_eq!(locked(), 0);
    let slow: Vec<redis::Value> =
        redis::cmd("SLOWLOG").arg("GET").arg(-1).query(&mut redis.connection()).expect("SLOWLOG");
    let slow: Vec<String> =
        slow.iter().map(|entry| format!("{entry:?}").chars().take(300).collect()).collect();
    assert!(slow.is_empty(), "held up for more than {HELD_UP_MAX:?}: {slow:#?}");
}
