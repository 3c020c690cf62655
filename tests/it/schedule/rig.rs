//! Two schedulers, stopped and killed at random: no due job is missed, and none is enqueued twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rq_core::Timestamp;
use rq_tests::{Child, PrivateRedis, Scratch, Signal, eventually};

use super::{ACQUIRED, counted};
use crate::dice::{self, Dice, SEED};
use crate::rq_test::{Books, LIMIT, RqTest};

/// How many jobs one round trip writes.
const WRITTEN_AT_ONCE: usize = 5_000;

/// How large a run is.
struct Size {
    jobs: usize,
    /// Within which time they all become due.
    due_within: Duration,
}

const SAMPLE: Size = Size { jobs: 5_000, due_within: Duration::from_secs(6) };
const FULL: Size = Size { jobs: 100_000, due_within: Duration::from_secs(120) };

#[test]
fn two_schedulers_that_are_stopped_and_killed_miss_and_double_nothing() {
    let size = if dice::is_full() { FULL } else { SAMPLE };
    let seed = dice::seed();
    println!("{SEED}={seed}, {} jobs", size.jobs);
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let mut stage = Stage::new(&scratch, seed);
    schedule(&scratch, &size);
    let deeds = stage.harass_for(size.due_within);
    println!("{deeds:?}");
    stage.leave_in_peace();
    eventually("the schedule to be empty", LIMIT, || (scratch.count("scheduled:default") == 0).then_some(()));
    let enqueued = counted(&scratch);
    let missed = (0..size.jobs).filter(|number| !enqueued.contains_key(&id(*number))).count();
    let doubled: Vec<_> = enqueued.iter().filter(|&(_, &count)| count > 1).collect();
    assert!(missed == 0 && doubled.is_empty(), "{missed} missed, doubled {doubled:?}; {SEED}={seed}");
    assert_eq!(enqueued.len(), size.jobs);
}

fn id(number: usize) -> String {
    format!("j{number}")
}

/// Writes the jobs, due one after the other from now on.
fn schedule(scratch: &Scratch, size: &Size) {
    let (mut connection, now_s) = (scratch.connection(), Timestamp::now().epoch_secs());
    let numbers: Vec<usize> = (0..size.jobs).collect();
    for numbers in numbers.chunks(WRITTEN_AT_ONCE) {
        let mut pipeline = redis::pipe();
        for &number in numbers {
            let due_s = now_s + (size.due_within.as_secs() as usize * number / size.jobs) as i64;
            let fields = ["status", "scheduled", "data", "x", "origin", "default"];
            pipeline.cmd("HSET").arg(scratch.key(format!("job:{}", id(number)))).arg(&fields).ignore();
            pipeline.cmd("ZADD").arg(scratch.key("scheduled:default")).arg(due_s).arg(id(number)).ignore();
        }
        pipeline.exec(&mut connection).unwrap();
    }
}

/// Two workers that schedule and claim nothing.
struct Stage<'a> {
    scratch: &'a Scratch,
    schedulers: [Scheduler; 2],
    dice: Dice,
    /// How often each thing was done to them.
    deeds: BTreeMap<&'static str, usize>,
}

struct Scheduler {
    worker: Child,
    stopped: bool,
}

impl<'a> Stage<'a> {
    fn new(scratch: &'a Scratch, seed: u64) -> Self {
        // No claim passes a key of another type: what is enqueued stays in its queue, to be counted.
        scratch.query::<()>("SET", [scratch.key("leases"), "nobody claims".into()]);
        let schedulers = [start(scratch), start(scratch)];
        eventually("one of them to hold the queue", LIMIT, || {
            schedulers.iter().any(|one| one.worker.report().contains(ACQUIRED)).then_some(())
        });
        Stage { scratch, schedulers, dice: Dice::new(seed), deeds: BTreeMap::new() }
    }

    /// Does something to one of them every tenth of a second or so.
    fn harass_for(&mut self, time: Duration) -> &BTreeMap<&'static str, usize> {
        let until = Instant::now() + time;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(20 + self.dice.below(180)));
            let deed = self.harass();
            *self.deeds.entry(deed).or_default() += 1;
        }
        &self.deeds
    }

    fn harass(&mut self) -> &'static str {
        let which = self.dice.below(2) as usize;
        let deed = self.dice.below(10);
        let one = &mut self.schedulers[which];
        match deed {
            _ if one.stopped && deed < 6 => {
                one.worker.signal(Signal::SIGCONT);
                one.stopped = false;
                "continued"
            }
            0..=3 => {
                one.worker.signal(Signal::SIGSTOP);
                one.stopped = true;
                "stopped"
            }
            4 | 5 => {
                one.worker.signal(Signal::SIGKILL);
                *one = start(self.scratch);
                "killed"
            }
            // As if a minute had passed: of a scheduler that is stopped or dead, that may be so.
            6..=8 => {
                self.scratch.query::<()>("DEL", [self.scratch.key("scheduler-lock:default")]);
                "lock over"
            }
            _ => {
                self.scratch.query::<usize>("CLIENT", ["KILL", "TYPE", "normal"]);
                "connections cut"
            }
        }
    }

    /// Lets both go on; a lock that a dead one has left is over in time.
    fn leave_in_peace(&mut self) {
        for one in &mut self.schedulers {
            one.worker.signal(Signal::SIGCONT);
        }
        self.scratch.query::<()>("DEL", [self.scratch.key("scheduler-lock:default")]);
    }
}

fn start(scratch: &Scratch) -> Scheduler {
    // Without a line for every claim that is refused.
    let worker = RqTest::new(scratch).spawn(&["worker", "--with-scheduler", "--concurrency", "1"]);
    worker.wait_for_line("*** Listening on", LIMIT);
    Scheduler { worker, stopped: false }
}
