//! One life after the other for the same ids, at random: a producer of Python's enqueues, schedules, defers, cancels, deletes
//! and requeues a few ids, while workers of ours under each executor, which are killed time and again, and one of Python's
//! run them. Every life that was acknowledged is run or accounted for (docs/design/lives.md).
//!
//! `cargo xtask rig lives` does more of it.

use std::collections::BTreeMap;
use std::fs;
use std::time::{Duration, Instant};

use rq_tests::{Child, Journal, PrivateRedis, Python, Scratch, Signal};

use crate::dice::{self, Dice, SEED};
use crate::rq_test::{Books, LIMIT, RqTest};

const IDS: usize = 12;
/// How many things the producer does.
const DEEDS: usize = 400;
const DEEDS_FULL: usize = 12_000;
const EXECUTORS: [&str; 3] = ["fork", "thread", "green"];
/// How long all may take, and how long until all is quiet after that: the entry of a run that nobody ends, such as Python may
/// leave, is over after 90 s.
const PRODUCING_LONGEST: Duration = Duration::from_secs(400);
const QUIET_WITHIN: Duration = Duration::from_secs(150);

#[test]
fn every_life_that_was_acknowledged_is_run_or_accounted_for() {
    let deeds = if dice::is_full() { DEEDS_FULL } else { DEEDS };
    let seed = dice::seed();
    println!("{SEED}={seed}, {deeds} deeds");
    let redis = PrivateRedis::start(&[]);
    let scratch = Scratch::on(&redis.url());
    let (python, journal) = (Python::new(&scratch), Journal::new(&scratch));
    let theirs = python.spawn_rq(&["worker", "--name", "theirs", "-w", "rq.SimpleWorker"]);
    theirs.wait_for_line("*** Listening on", LIMIT);
    let mut fleet = Fleet::new(&scratch, seed);
    let mut producer = python
        .spawn(&format!("import lives\nlives.produce(conn, {:?}, {seed}, {IDS}, {deeds})", journal.path()));
    let killed = fleet.harass_while(&mut producer);
    let began = Instant::now();
    while let Some(left) = unquiet(&scratch) {
        assert!(began.elapsed() < QUIET_WITHIN, "left: {left}; {SEED}={seed}");
        std::thread::sleep(Duration::from_millis(50));
    }
    let told = Told::of(&journal);
    println!("{killed} workers killed; {} lives, {} runs", told.lives(), told.runs());
    let lost: Vec<String> = told.ids().filter_map(|id| told.loss(id, &scratch)).collect();
    assert!(lost.is_empty(), "{lost:#?}; {SEED}={seed}");
    for id in told.ids() {
        let job = scratch.hash(&format!("job:{id}"));
        // What Python's worker writes of a job that is deleted at that moment is no job.
        let status = job.get("data").and(job.get("status")).cloned().unwrap_or_default();
        assert!(
            ["", "finished", "failed", "stopped", "canceled", "deferred"].contains(&status.as_str()),
            "{id} is {status} when all is quiet; {SEED}={seed}"
        );
    }
    fleet.stop();
    drop(theirs);
}

/// What waits or runs, `<id> <book>`, at one moment: what goes from book to book is not to be missed. Python pops an id before
/// it marks its job as running, and leaves an id in the deferred registry that it enqueues anew.
const UNQUIET: &str = r"
    local P, found = ARGV[1], {}
    local function look(book, ids, status)
      for _, id in ipairs(ids) do
        local is_there = not status or redis.call('HGET', P .. ':job:' .. id, 'status') == status
        if is_there then found[#found + 1] = id .. ' ' .. book end
      end
    end
    look('queued', redis.call('LRANGE', P .. ':queue:default', 0, -1))
    look('popped', redis.call('LRANGE', P .. ':queue:default:intermediate', 0, -1), 'queued')
    look('running', redis.call('ZRANGE', P .. ':wip:default', 0, -1))
    look('leased', redis.call('ZRANGE', P .. ':leases', 0, -1))
    look('scheduled', redis.call('ZRANGE', P .. ':scheduled:default', 0, -1))
    -- One that waits for a job which was killed with its worker waits in vain.
    for _, id in ipairs(redis.call('ZRANGE', P .. ':deferred:default', 0, -1)) do
      local was = redis.call('HMGET', P .. ':job:' .. id, 'status', 'dependency_id')
      local parent = was[2] and redis.call('HGET', P .. ':job:' .. was[2], 'status')
      if was[1] == 'deferred' and parent ~= 'failed' then found[#found + 1] = id .. ' deferred' end
    end
    return found
";

/// What waits or runs, with its record; `None` where nothing does.
fn unquiet(scratch: &Scratch) -> Option<String> {
    let found: Vec<String> = scratch.query("EVAL", [UNQUIET, "0", scratch.prefix()]);
    let told = found.iter().map(|what| {
        let id = what.split([':', ' ']).next().unwrap_or_default();
        format!("{what}: {:?}", scratch.hash(&format!("job:{id}")))
    });
    (!found.is_empty()).then(|| told.collect::<Vec<_>>().join("; "))
}

/// Workers of ours, one under each executor.
struct Fleet<'a> {
    scratch: &'a Scratch,
    workers: Vec<Child>,
    dice: Dice,
}

impl<'a> Fleet<'a> {
    fn new(scratch: &'a Scratch, seed: u64) -> Self {
        let workers = EXECUTORS.iter().map(|executor| start(scratch, executor)).collect();
        Fleet { scratch, workers, dice: Dice::new(seed) }
    }

    /// Kills one every second or so, and starts another, until the producer has ended. How many.
    fn harass_while(&mut self, producer: &mut Child) -> usize {
        let began = Instant::now();
        let mut killed = 0;
        while producer.wait_at_most(Duration::ZERO).is_none() {
            assert!(began.elapsed() < PRODUCING_LONGEST, "the producer takes too long");
            std::thread::sleep(Duration::from_millis(300 + self.dice.below(1200)));
            let which = self.dice.below(EXECUTORS.len() as u64) as usize;
            self.workers[which].signal(Signal::SIGKILL);
            self.workers[which].wait(LIMIT);
            self.workers[which] = start(self.scratch, EXECUTORS[which]);
            killed += 1;
        }
        assert!(producer.wait(LIMIT).success(), "{}", producer.report());
        killed
    }

    fn stop(self) {
        for mut worker in self.workers {
            worker.signal(Signal::SIGTERM);
            assert!(worker.wait(LIMIT).success(), "{}", worker.report());
        }
    }
}

fn start(scratch: &Scratch, executor: &str) -> Child {
    // Maintenance lets go what Python's worker leaves deferred, which ends a job while its producer has another wait for it.
    let maintenance = ["--maintenance-interval", "20"];
    let executor = ["-w", executor, "--concurrency", "3", "--lease", "0.5"];
    RqTest::new(scratch).worker(&[executor.as_slice(), &maintenance].concat())
}

/// What the journal tells: what the producer did, and which lives were begun.
struct Told {
    lines: Vec<(String, String)>,
}

impl Told {
    fn of(journal: &Journal) -> Told {
        let text = fs::read_to_string(journal.path()).expect("a journal");
        let lines = text.lines().map(|line| line.split_once(' ').expect("two words"));
        Told { lines: lines.map(|(what, whose)| (what.to_owned(), whose.to_owned())).collect() }
    }

    fn lives(&self) -> usize {
        self.lines.iter().filter(|(what, _)| what == "ack").count()
    }

    fn runs(&self) -> usize {
        self.lines.iter().filter(|(what, _)| what == "start").count()
    }

    fn ids(&self) -> impl Iterator<Item = &str> {
        let ids = self.lines.iter().filter(|(what, _)| what == "intend");
        let ids: std::collections::BTreeSet<&str> = ids.map(|(_, token)| id_of(token)).collect();
        ids.into_iter()
    }

    /// What is wrong with the last life of an id, which no other has taken the place of; `None` if nothing is.
    fn loss(&self, id: &str, scratch: &Scratch) -> Option<String> {
        let last = self.lines.iter().rposition(|(what, whose)| what == "ack" && id_of(whose) == id)?;
        let token = &self.lines[last].1;
        let after = &self.lines[last + 1..];
        // Canceled, deleted, or another life of the same record by now.
        if after.iter().any(|(what, whose)| ["drop", "again"].contains(&what.as_str()) && whose == id) {
            return None;
        }
        let intended = self.lines.iter().position(|(what, whose)| what == "intend" && whose == token)?;
        let mut starts: BTreeMap<&str, usize> = BTreeMap::new();
        let mut was_run = false;
        let begun = |(_, (what, whose)): &(usize, &(String, String))| what == "start" && id_of(whose) == id;
        for (at, (_, whose)) in self.lines.iter().enumerate().filter(begun) {
            let count = starts.entry(whose).or_default();
            *count += 1;
            // Python's worker has put the arguments of the life that it ran back: that one's are run again.
            was_run |= at > intended && (whose == token || *count > 1);
        }
        if was_run {
            return None;
        }
        let job = scratch.hash(&format!("job:{id}"));
        let status = job.get("status").cloned().unwrap_or_default();
        // Its worker was killed before the job wrote its first line, or that of the job which it waits for.
        if ["failed", "deferred"].contains(&status.as_str()) {
            return None;
        }
        Some(format!("{token} was never begun; the job is '{status}', and {starts:?} began"))
    }
}

/// `tick3` of `tick3#14`.
fn id_of(token: &str) -> &str {
    token.split_once('#').map_or(token, |(id, _)| id)
}
