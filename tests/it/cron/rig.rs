//! Two cron schedulers, stopped and killed at random, in a time that runs faster: no tick is missed, and none is fired twice.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rq_core::Timestamp;
use rq_cron::Clock;
use rq_tests::{Child, PrivateRedis, Scratch, Signal, Sim, eventually};

use crate::dice::{self, Dice, SEED};
use crate::rq_test::LIMIT;

/// When the simulated time begins: an hour and a half before the clocks of Berlin are put back.
const FROM: &str = "2026-10-24T23:00:00.000000Z";
/// How many jobs are read at once.
const READ_AT_ONCE: usize = 5_000;

/// How large a run is.
struct Size {
    ticks: usize,
    /// How much faster than the real time. Redis and this machine decide what is possible.
    factor: u32,
    /// How long it may take.
    limit: Duration,
}

const SAMPLE: Size = Size { ticks: 2_000, factor: 1_200, limit: Duration::from_secs(90) };
const FULL: Size = Size { ticks: 20_000, factor: 1_200, limit: Duration::from_secs(540) };

#[test]
fn two_cron_schedulers_that_are_stopped_and_killed_miss_and_double_nothing() {
    let size = if dice::is_full() { FULL } else { SAMPLE };
    let seed = dice::seed();
    println!("{SEED}={seed}, {} ticks", size.ticks);
    let redis = PrivateRedis::lasting(&[]);
    let scratch = Scratch::on(&redis.url());
    let sim = Sim::beginning(Timestamp::parse(FROM).unwrap(), size.factor);
    let mut stage = Stage::new(&scratch, redis, sim, seed);
    stage.harass_until(size.ticks, size.limit);
    println!("{:?}", stage.deeds);
    stage.leave_in_peace();
    let fired = fired(&scratch);
    let [mut missed, mut doubled, mut alien, mut ticks] = [0; 4];
    for (name, expected) in expected(&scratch) {
        let fired = fired.get(&name);
        let count = |due: &Timestamp| fired.and_then(|fired| fired.get(due)).copied().unwrap_or(0);
        missed += expected.iter().filter(|due| count(due) == 0).count();
        doubled += expected.iter().filter(|due| count(due) > 1).count();
        ticks += expected.len();
        alien += fired.map_or(0, |fired| fired.keys().filter(|due| !expected.contains(due)).count());
    }
    println!("{ticks} ticks: {missed} missed, {doubled} doubled, {alien} at other times");
    assert_eq!((missed, doubled, alien), (0, 0, 0), "of {ticks}; {SEED}={seed}");
    assert!(ticks >= size.ticks, "{ticks}");
}

/// Two schedulers, and who has them stop.
struct Stage<'a> {
    scratch: &'a Scratch,
    redis: PrivateRedis,
    sim: Sim,
    schedulers: [Scheduler; 2],
    dice: Dice,
    /// How often each thing was done to them.
    deeds: BTreeMap<&'static str, usize>,
}

struct Scheduler {
    program: Child,
    stopped: bool,
}

impl<'a> Stage<'a> {
    fn new(scratch: &'a Scratch, redis: PrivateRedis, sim: Sim, seed: u64) -> Self {
        let schedulers = [start(scratch, &sim), start(scratch, &sim)];
        Stage { scratch, redis, sim, schedulers, dice: Dice::new(seed), deeds: BTreeMap::new() }
    }

    /// Does something to one of them, or to both, every now and then.
    fn harass_until(&mut self, ticks: usize, limit: Duration) {
        let until = Instant::now() + limit;
        while self.waiting() < ticks {
            assert!(Instant::now() < until, "{} ticks in {limit:?}; {:?}", self.waiting(), self.deeds);
            std::thread::sleep(Duration::from_millis(20 + self.dice.below(180)));
            let deed = self.harass();
            *self.deeds.entry(deed).or_default() += 1;
        }
    }

    fn waiting(&self) -> usize {
        self.scratch.query("LLEN", [self.scratch.key("queue:sim")])
    }

    fn harass(&mut self) -> &'static str {
        let which = self.dice.below(2) as usize;
        match self.dice.below(20) {
            0..=4 => self.stop(which),
            5..=10 => self.go_on(which),
            11..=13 => self.kill(which),
            14 => {
                self.stop(0);
                self.stop(1);
                std::thread::sleep(Duration::from_millis(self.dice.below(300)));
                self.go_on(1 - which);
                "both stopped"
            }
            15 => {
                self.kill(0);
                self.kill(1);
                "both killed"
            }
            16 => {
                self.redis.kill();
                std::thread::sleep(Duration::from_millis(self.dice.below(300)));
                self.redis.restart();
                eventually("Redis to have read its data", LIMIT, || {
                    redis::cmd("PING").exec(&mut self.redis.connection()).ok()
                });
                "Redis killed"
            }
            _ => {
                self.scratch.query::<usize>("CLIENT", ["KILL", "TYPE", "normal"]);
                "connections cut"
            }
        }
    }

    fn stop(&mut self, which: usize) -> &'static str {
        self.schedulers[which].program.signal(Signal::SIGSTOP);
        self.schedulers[which].stopped = true;
        "stopped"
    }

    fn go_on(&mut self, which: usize) -> &'static str {
        self.schedulers[which].program.signal(Signal::SIGCONT);
        let was_stopped = std::mem::replace(&mut self.schedulers[which].stopped, false);
        if was_stopped { "continued" } else { "left alone" }
    }

    fn kill(&mut self, which: usize) -> &'static str {
        self.schedulers[which].program.signal(Signal::SIGKILL);
        self.schedulers[which] = start(self.scratch, &self.sim);
        "killed"
    }

    /// Lets both catch up, and ends them.
    fn leave_in_peace(&mut self) {
        self.go_on(0);
        self.go_on(1);
        let caught_up_with = self.sim.now();
        eventually("all to be decided", LIMIT, || {
            let next = |name: &str, decided: Timestamp| {
                let cron = Sim::cron().check().unwrap();
                let entry = cron.entries().iter().find(|entry| entry.name() == name).cloned().unwrap();
                entry.schedule().next_after(decided).unwrap()
            };
            let is_behind = |name: &String| {
                times(self.scratch, name).1.is_some_and(|decided| next(name, decided) <= caught_up_with)
            };
            (!names().iter().any(is_behind)).then_some(())
        });
        for one in &mut self.schedulers {
            one.program.signal(Signal::SIGKILL);
            one.program.wait(LIMIT);
        }
    }
}

fn start(scratch: &Scratch, sim: &Sim) -> Scheduler {
    let (name, value) = sim.env();
    let mut command = scratch.command(env!("CARGO_BIN_EXE_rq-cron-sim"));
    let program = Child::spawn(command.env(name, value));
    Scheduler { program, stopped: false }
}

fn names() -> Vec<String> {
    Sim::cron().check().unwrap().entries().iter().map(|entry| entry.name().to_owned()).collect()
}

/// Since when an entry counts, and which of its ticks was decided last.
fn times(scratch: &Scratch, name: &str) -> (Option<Timestamp>, Option<Timestamp>) {
    let words = [scratch.key(format!("cron_entry:{name}")), "since".into(), "decided".into()];
    scratch
        .query::<(Option<i64>, Option<i64>)>("HMGET", words)
        .map_both(|us| us.map(Timestamp::from_epoch_us))
}

trait Both<T> {
    fn map_both<U>(self, f: impl Fn(T) -> U) -> (U, U);
}

impl<T> Both<T> for (T, T) {
    fn map_both<U>(self, f: impl Fn(T) -> U) -> (U, U) {
        (f(self.0), f(self.1))
    }
}

/// All ticks of each entry, from when it was first seen until what was decided last.
fn expected(scratch: &Scratch) -> Vec<(String, Vec<Timestamp>)> {
    let cron = Sim::cron().check().unwrap();
    let expected = cron.entries().iter().map(|entry| {
        let (since, decided) = times(scratch, entry.name());
        let since = since.expect("it was announced");
        let is_interval = entry.schedule().to_string().starts_with("every");
        let first = if is_interval { Some(since) } else { entry.schedule().next_after(since) };
        let ticks = std::iter::successors(first, |tick| entry.schedule().next_after(*tick));
        let ticks = ticks.take_while(|tick| Some(*tick) <= decided).collect();
        (entry.name().to_owned(), ticks)
    });
    expected.collect()
}

/// How often each tick of each entry has enqueued a job: those that are in the queue, and none else.
fn fired(scratch: &Scratch) -> BTreeMap<String, BTreeMap<Timestamp, usize>> {
    let ids: Vec<String> = scratch.query("LRANGE", [scratch.key("queue:sim"), "0".into(), "-1".into()]);
    let mut connection = scratch.connection();
    let mut fired: BTreeMap<String, BTreeMap<Timestamp, usize>> = BTreeMap::new();
    for ids in ids.chunks(READ_AT_ONCE) {
        let mut pipeline = redis::pipe();
        for id in ids {
            pipeline.cmd("HMGET").arg(scratch.key(format!("job:{id}"))).arg("cron").arg("cron_due");
        }
        let jobs: Vec<(String, String)> =
            pipeline.query(&mut connection).expect("each job says what it is of");
        for (name, due) in jobs {
            *fired.entry(name).or_default().entry(Timestamp::parse(&due).unwrap()).or_default() += 1;
        }
    }
    fired
}
