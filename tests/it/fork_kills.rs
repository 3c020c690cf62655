//! Each of the three roles of `-w fork` is killed at random moments under load: nothing is lost, and nothing is left.
//!
//! | file | holds |
//! |---|---|
//! | `family` | the processes, as the system lists them |
//! | `whereabouts` | where every job is |

pub(crate) mod family;
pub(crate) mod whereabouts;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use rq_core::Call;
use rq_tests::{Acknowledged, Child, Excuse, Gate, Journal, Ledger, Scratch, Signal, eventually};

use crate::dice::{self, Dice, SEED};
use crate::rq_test::{Books, LIMIT, RqTest};
use family::Process;
use whereabouts::Whereabouts;

/// How often something is killed, and how often with `RQ_RIG=full`.
const MOMENTS: usize = 12;
const MOMENTS_FULL: usize = 100;
/// How soon after a worker began or went on it is hit.
const MOMENT_WITHIN_MS: u64 = 80;
/// What a kill leaves must be put in order within this time.
const SOON: Duration = Duration::from_secs(2);
/// How long a silent worker keeps what it runs.
const LEASE_S: &str = "0.3";
/// How long after that another may take to end it.
const REAPED_WITHIN: Duration = Duration::from_secs(5);
const SLOTS: usize = 4;
/// How many jobs one horse runs: both kinds of horses are hit.
const HORSE_JOBS: [&str; 2] = ["1", "5"];
/// The queue never has fewer jobs than this: all slots are always busy.
const LOAD: usize = 300;
/// How long the longest of the jobs takes.
const JOB_MS_MAX: u64 = 12;
/// What is written of a job whose process was killed.
const KILLED: &str = "Killed: the process running the job was ended by signal 9";
/// What is written of a job whose worker was killed.
const ABANDONED: &str = "stopped heartbeating while it ran the job";
/// What is written of a job whose fork server was killed.
const BEREFT: &str = "the fork server has died, and the job's process with it";

/// Whom a kill hits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Worker,
    ForkServer,
    Horse,
}

const ROLES: [Role; 3] = [Role::Horse, Role::ForkServer, Role::Worker];

#[test]
fn nothing_is_lost_or_left_whenever_one_is_killed() {
    let moments = if dice::is_full() { MOMENTS_FULL } else { MOMENTS };
    let seed = dice::seed();
    println!("{SEED}={seed}, {moments} moments");
    let scratch = Scratch::new();
    let mut stage = Stage::new(&scratch, seed);
    for moment in 0..moments {
        stage.keep_loaded();
        std::thread::sleep(Duration::from_millis(stage.dice.below(MOMENT_WITHIN_MS)));
        stage.kill(ROLES[moment % ROLES.len()]);
    }
    println!("{:?}", stage.tally);
    stage.finish();
}

#[test]
fn who_is_killed_takes_his_jobs_along_and_nobody_elses() {
    let check = |role: Role, ended: usize, cause: &str| {
        let scratch = Scratch::new();
        let mut stage = Stage::new(&scratch, 0);
        let gate = Gate::new(&scratch, "gate");
        let calls = (0..SLOTS).map(|_| Call::<String>::to("test.gate").arg(gate.key()));
        let jobs = scratch.queue("default").enqueue_many(calls).unwrap();
        stage.ids.extend(jobs.iter().map(|job| job.id().to_string()));
        jobs.iter().for_each(|_| drop(gate.wait_for_arrival()));
        let hit = stage.hit(role);
        let add = Call::<i64>::to("math.add").arg(2).arg(3);
        let sum = scratch.queue("default").enqueue(add).unwrap();
        stage.check_processes(role, &hit);
        let settled = eventually("the jobs to have ended", REAPED_WITHIN, || {
            let now = stage.whereabouts();
            (now.failed.len() >= ended).then_some(now)
        });
        assert_eq!(settled.failed.len(), ended, "{role:?}: {settled:?}");
        settled
            .failed
            .iter()
            .for_each(|id| assert!(cause_of(&scratch, id).contains(cause), "{role:?}: {id}"));
        gate.open(SLOTS);
        assert_eq!(sum.wait(LIMIT).unwrap(), 5, "{role:?}");
        eventually("the others to finish", LIMIT, || {
            (scratch.count("finished:default") == SLOTS - ended + 1).then_some(())
        });
    };
    check(Role::Horse, 1, KILLED);
    check(Role::ForkServer, SLOTS, BEREFT);
    check(Role::Worker, SLOTS, ABANDONED);
}

#[test]
fn a_fork_server_that_dies_idle_costs_no_job() {
    let scratch = Scratch::new();
    let mut stage = Stage::new(&scratch, 0);
    let add = || Call::<i64>::to("math.add").arg(2).arg(3);
    let queue = scratch.queue("default");
    assert_eq!(queue.enqueue(add()).unwrap().wait(LIMIT).unwrap(), 5);
    let hit = stage.hit(Role::ForkServer);
    stage.check_processes(Role::ForkServer, &hit);
    assert_eq!(queue.enqueue(add()).unwrap().wait(LIMIT).unwrap(), 5);
}

/// A worker under load, and what it must not lose.
struct Stage<'a> {
    scratch: &'a Scratch,
    journal: Journal,
    dice: Dice,
    worker: Child,
    ids: BTreeSet<String>,
    /// Those that had failed before the last kill.
    failed: BTreeSet<String>,
    /// By role: how often it was killed, how many jobs that ended, and how long it took at most until all was in order.
    tally: BTreeMap<Role, (usize, usize, Duration)>,
}

/// What a kill has hit.
struct Hit {
    at: Instant,
    /// What must be gone now.
    processes: Vec<Process>,
    /// What ran.
    running: BTreeSet<String>,
}

impl<'a> Stage<'a> {
    fn new(scratch: &'a Scratch, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let worker = start(scratch, &mut dice);
        let journal = Journal::new(scratch);
        let (ids, failed, tally) = Default::default();
        Self { scratch, journal, dice, worker, ids, failed, tally }
    }

    /// Puts more jobs into the queue when there are few.
    fn keep_loaded(&mut self) {
        if self.whereabouts().waiting.len() >= LOAD {
            return;
        }
        let ids: Vec<_> =
            (self.ids.len()..self.ids.len() + LOAD).map(|number| format!("j{number}")).collect();
        let calls = ids.iter().map(|id| {
            let ms = 1 + self.dice.below(JOB_MS_MAX);
            Call::<()>::to("interop.journal").arg(self.journal.path()).arg(id).arg(ms).job_id(id)
        });
        self.scratch.queue("default").enqueue_many(calls).unwrap();
        self.ids.extend(ids);
    }

    /// Kills one, and looks whether all is put in order.
    fn kill(&mut self, role: Role) {
        let hit = self.hit(role);
        self.check_processes(role, &hit);
        let limit = if role == Role::Worker { REAPED_WITHIN } else { SOON };
        eventually("what ran at the kill to be settled", limit, || {
            self.whereabouts().running.is_disjoint(&hit.running).then_some(())
        });
        let took = hit.at.elapsed();
        self.check_goes_on();
        let ended = self.check_causes(role);
        let (kills, all_ended, longest) = self.tally.entry(role).or_default();
        *kills += 1;
        *all_ended += ended;
        *longest = took.max(*longest);
    }

    fn hit(&mut self, role: Role) -> Hit {
        let worker = self.worker.id();
        let server = eventually("a fork server", SOON, || family::fork_server(worker));
        assert_eq!(server.threads(), 1, "a fork server has one thread");
        let processes = match role {
            Role::Horse => eventually("a horse to be hit", SOON, || {
                let horses = family::grown_horses(&server);
                let which = self.dice.below(horses.len().max(1) as u64) as usize;
                let horse = horses.into_iter().nth(which)?;
                horse.kill().then_some(vec![horse])
            }),
            Role::ForkServer => {
                let horses = family::horses(&server);
                assert!(server.kill(), "the fork server lives");
                [vec![server], horses].concat()
            }
            Role::Worker => {
                let family = family::of_scratch(self.scratch);
                self.worker.signal(Signal::SIGKILL);
                family
            }
        };
        Hit { at: Instant::now(), processes, running: self.whereabouts().running }
    }

    /// What was hit, and what hung on it, is gone soon, and no worker is missing for long.
    fn check_processes(&mut self, role: Role, hit: &Hit) {
        if role == Role::Worker {
            self.worker.wait(SOON);
            self.journal.note_kill();
            eventually("all processes of a killed worker to be gone", SOON, || {
                family::of_scratch(self.scratch).is_empty().then_some(())
            });
            self.worker = start(self.scratch, &mut self.dice);
        }
        eventually("what was hit to be gone", SOON, || {
            (!hit.processes.iter().any(Process::lives)).then_some(())
        });
        if role == Role::ForkServer {
            let worker = self.worker.id();
            eventually("another fork server", SOON, || family::fork_server(worker));
        }
        let mut zombies = family::zombies(self.worker.id());
        eventually("all zombies to be reaped", SOON, || {
            zombies.retain(Process::is_zombie);
            zombies.is_empty().then_some(())
        });
    }

    /// Jobs go on finishing, and each is in some book.
    fn check_goes_on(&self) {
        let before = self.whereabouts();
        assert_eq!(before.accounted(), self.ids);
        eventually("more jobs to finish", SOON, || {
            let now = self.whereabouts();
            (now.finished.len() > before.finished.len() || now.waiting.is_empty()).then_some(())
        });
    }

    /// What has failed since the last kill is what this one hit, and says so. Returns how many these are.
    fn check_causes(&mut self, role: Role) -> usize {
        let failed = self.whereabouts().failed;
        let new = failed.difference(&self.failed).map(|id| (id, cause_of(self.scratch, id)));
        let hit: Vec<_> = new.collect();
        let (most, cause) = match role {
            Role::Horse => (1, KILLED),
            Role::ForkServer => (SLOTS, BEREFT),
            Role::Worker => (SLOTS, ABANDONED),
        };
        let is_good = hit.len() <= most && hit.iter().all(|(_, text)| text.contains(cause));
        assert!(is_good, "{role:?} was killed, and this failed: {hit:?}");
        let hits = hit.len();
        self.failed = failed;
        hits
    }

    /// Runs what is left, and closes the books.
    fn finish(mut self) {
        eventually("all jobs to have ended", LIMIT, || {
            let now = self.whereabouts();
            (now.waiting.is_empty() && now.running.is_empty()).then_some(())
        });
        self.worker.signal(Signal::SIGTERM);
        let status = self.worker.wait(LIMIT);
        assert!(status.success(), "{status}: {}", self.worker.report());
        assert!(family::of_scratch(self.scratch).is_empty());
        let jobs: Vec<_> = self.ids.iter().map(|id| Acknowledged::finishes(id)).collect();
        let violations = Ledger::read(self.scratch).check(&jobs, &self.journal, Excuse::Failure);
        assert!(violations.is_empty(), "{violations:?}");
    }

    fn whereabouts(&self) -> Whereabouts {
        Whereabouts::of(self.scratch, "default")
    }
}

/// Starts a worker and waits until it listens.
fn start(scratch: &Scratch, dice: &mut Dice) -> Child {
    let horse_jobs = HORSE_JOBS[dice.below(HORSE_JOBS.len() as u64) as usize];
    let slots = SLOTS.to_string();
    let options = ["-w", "fork", "--concurrency", &slots, "--lease", LEASE_S, "--horse-jobs", horse_jobs];
    RqTest::new(scratch).worker(&options)
}

/// Why a job has failed, as people read it.
fn cause_of(scratch: &Scratch, id: &str) -> String {
    let result = scratch.queue("default").handle::<()>(id).latest_result().unwrap().unwrap();
    result.failure_text.unwrap_or_default()
}
