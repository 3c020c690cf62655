//! A scheduler of ten thousand queues holds up nobody else that Redis serves.

use std::time::Duration;

use rq_core::secs;
use rq_tests::{PrivateRedis, Scratch, eventually, jobs};

use super::stop;
use crate::rq_test::{Books, LIMIT, RqTest};

const QUEUES: usize = 10_000;
/// How long a script may hold Redis up, in the mean: Redis itself may have to wait for a processor meanwhile.
const HELD_UP_MAX: Duration = Duration::from_millis(5);
/// How long any may have, with such waits.
const HELD_UP_EVER: Duration = Duration::from_millis(60);

#[test]
fn ten_thousand_queues_hold_redis_up_for_no_longer_than_milliseconds() {
    let redis = PrivateRedis::start(&["--slowlog-log-slower-than", "60000", "--slowlog-max-len", "1000"]);
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
    assert!(slow.is_empty(), "held up for more than {HELD_UP_EVER:?}: {slow:#?}");
    let stats: String = redis::cmd("INFO").arg("commandstats").query(&mut redis.connection()).expect("INFO");
    for script in ["eval", "evalsha"] {
        let figures = stats.lines().find_map(|line| line.strip_prefix(&format!("cmdstat_{script}:")));
        let mean = figures
            .and_then(|figures| figures.split(',').find_map(|figure| figure.strip_prefix("usec_per_call=")));
        let mean_us: f64 = mean.expect("scripts ran").parse().expect("a number");
        assert!(mean_us < HELD_UP_MAX.as_micros() as f64, "{script}: {mean_us} µs a call");
    }
}
