//! When a worker ends that is told to while Redis is away.

use std::thread::sleep;
use std::time::{Duration, Instant};

use rq_core::secs;
use rq_tests::{Signal, Stream, Trouble};

use super::{Stage, check_all};
use crate::rq_test::Books;

/// When a worker is told to stop: at once, or when it has noticed that Redis is away.
const MOMENTS: [Duration; 2] = [Duration::ZERO, secs(3)];
/// How much later than promised an end may be seen, as other tests compute meanwhile.
const SLACK: Duration = Duration::from_millis(500);

#[test]
fn an_idle_worker_stops_within_two_seconds_while_redis_is_down() {
    const PROMISED: Duration = secs(2);
    let executors = ["thread", "fork", "green"];
    let downs = [Trouble::Killed, Trouble::Frozen, Trouble::Partition];
    let cases = executors.into_iter().flat_map(|executor| {
        downs.into_iter().flat_map(move |down| MOMENTS.map(|moment| (executor, down, moment)))
    });
    check_all(cases, |(executor, down, moment)| {
        let mut stage = Stage::new(down);
        let mut worker = stage.worker(&["-w", executor]);
        stage.redis.begin();
        sleep(moment);
        worker.signal(Signal::SIGTERM);
        match worker.wait_at_most(PROMISED + SLACK) {
            Some(_) => vec![],
            None => vec![format!("it still runs after {:?}", PROMISED + SLACK)],
        }
    });
}

/// One of its jobs has ended by then, and one is ended.
#[test]
fn a_busy_worker_stops_in_time_and_names_what_it_could_not_hand_in() {
    const PROMISED: Duration = secs(4);
    let downs = [Trouble::Killed, Trouble::Frozen, Trouble::ReadOnly];
    let cases =
        ["thread", "fork", "green"].into_iter().flat_map(|executor| downs.map(|down| (executor, down)));
    check_all(cases, |(executor, down)| {
        let mut stage = Stage::new(down);
        let mut worker = stage.worker(&["-w", executor, "--concurrency", "2", "--stop-timeout", "1"]);
        let calls = [stage.call("ends", secs(1)), stage.call("is-ended", secs(60))];
        stage.scratch.queue("default").enqueue_many(calls).unwrap();
        stage.wait_for_beginnings(2);
        stage.redis.begin();
        stage.wait_for_ends(1);
        worker.signal(Signal::SIGTERM);
        let told_at = Instant::now();
        let Some(status) = worker.wait_at_most(PROMISED + SLACK) else {
            return vec![format!("it still runs after {:?}", told_at.elapsed())];
        };
        let mut complaints = Vec::new();
        if status.code() != Some(1) {
            complaints.push(format!("it ended with {status}"));
        }
        let said = worker.text(Stream::Stderr);
        for id in ["ends", "is-ended"].into_iter().filter(|id| !names(&said, id)) {
            complaints.push(format!("it does not name {id} on stderr: {said}"));
        }
        complaints
    });
}

/// Whether a text has this id as a word.
fn names(text: &str, id: &str) -> bool {
    let ends_word = |c: char| !(c.is_alphanumeric() || c == '-');
    text.split(ends_word).any(|word| word == id)
}
