//! [`Case`]: one trouble met by two workers, from their start to the check.

use std::collections::BTreeSet;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rq_core::blocking::Queue;
use rq_core::{Call, secs};
use rq_tests::{
    Acknowledged, Child, Excuse, HookServer, Journal, Ledger, Scratch, Signal, Trouble, Violation,
};

use super::milestones::{Milestone, Way};
use super::outcome::{Fault, Outcome};
use super::posts::{self, Came};
use super::step::Step;
use super::window::Place;
use crate::rq_test::{Books, RqTest};

/// By their words for `-w`.
pub(crate) const EXECUTORS: [&str; 3] = ["thread", "fork", "green"];
/// How long troubles last, in ms: a moment, longer than the default lease, and so long that clients give up.
pub(crate) const LENGTHS_MS: [u64; 3] = [300, 12_000, 60_000];

/// Everything works again so soon after the cause is gone.
const RECOVERY_PROMISED: Duration = secs(5);
/// The same where connections have died and nobody was told.
const RECOVERY_FROM_SILENCE_PROMISED: Duration = secs(15);
/// How much later that may be seen, as other cases compute meanwhile.
const SLACK: Duration = secs(1);
/// How much longer a case watches what is late.
const WATCHED_LONGER: Duration = secs(15);
/// Processor time that a worker may use during a trouble, of a core,
const CPU_MAX: f64 = 0.01;
/// and what its clock for coroutines takes in a debug build, trouble or not.
const CPU_OF_COROUTINES: f64 = 0.015;
/// How many lines a second it may write meanwhile.
const LINES_PER_S_MAX: f64 = 1.0;
/// And how many beside, about jobs that it was at.
const LINES_OF_JOBS: f64 = 4.0;
/// When these are looked at: by then it has done what it was at.
const AFTERMATH: Duration = secs(1);
/// Which troubles are long enough for a look at that.
const LONG: Duration = secs(10);

/// Slots of each worker; two workers share the queue.
const SLOTS: usize = 4;
const WORKERS: usize = 2;
/// The long jobs end so long after the beginning, in parts of the trouble's length: while it lasts,
const END_DURING: [f64; 4] = [0.02, 0.3, 0.6, 0.95];
/// or so long after its end.
const END_AFTER: [Duration; 4] = [
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_millis(1_000),
    Duration::from_millis(1_500),
];
/// How many jobs wait behind them, and how long those take.
const BEHIND: usize = 6;
const BEHIND_TAKES: Duration = Duration::from_millis(100);
/// Jobs of a flow that have ended by the time that it counts as flowing.
const FLOWING: usize = 10;
/// How many of them come at once where some always wait.
const FLOW_BATCH: usize = 20;
/// The pause between two looks at a flow.
const FLOW_PAUSE: Duration = Duration::from_millis(5);
/// How often the books are read.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a worker may take to start, and its first jobs.
const START_LIMIT: Duration = secs(30);
/// How long a worker without work may take to leave.
const LEAVE_LIMIT: Duration = secs(5);
const QUEUE: &str = "default";
/// Longer than any case: what takes so long is stopped; so many of it before the trouble, the others after it.
const NEVER: Duration = secs(600);
const STOPPED_BEFORE: usize = 2;
/// How long what ends call for may take then: workers look every 10 s for what others have left.
const POSTS_LIMIT: Duration = secs(15);

/// One trouble, met by two workers at one step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Case {
    pub(crate) trouble: Trouble,
    pub(crate) length_ms: u64,
    pub(crate) step: Step,
    pub(crate) executor: &'static str,
}

impl Case {
    /// Every one there is.
    pub(crate) fn all() -> impl Iterator<Item = Case> {
        let of_trouble = |trouble| {
            LENGTHS_MS.into_iter().flat_map(move |length_ms| {
                Step::ALL.into_iter().flat_map(move |step| {
                    EXECUTORS.map(move |executor| Case { trouble, length_ms, step, executor })
                })
            })
        };
        Trouble::ALL.into_iter().flat_map(of_trouble)
    }

    /// `readonly:12:running:fork`, by which it is run again.
    pub(crate) fn name(&self) -> String {
        format!("{}:{}:{}:{}", self.trouble.name(), self.seconds(), self.step.name(), self.executor)
    }

    /// `0.3`, `12`.
    pub(crate) fn seconds(&self) -> String {
        (self.length_ms as f64 / 1e3).to_string()
    }

    pub(crate) fn length(&self) -> Duration {
        Duration::from_millis(self.length_ms)
    }

    /// When everything has to work again.
    fn recovery_promised(&self) -> Duration {
        match self.trouble {
            Trouble::Partition => RECOVERY_FROM_SILENCE_PROMISED,
            _ => RECOVERY_PROMISED,
        }
    }

    /// What a worker may use of a core meanwhile.
    fn cpu_max(&self) -> f64 {
        CPU_MAX + if self.executor == "green" { CPU_OF_COROUTINES } else { 0.0 }
    }

    /// Runs it at a place that others share.
    pub(crate) fn run(&self, place: &Place, way: Way<'_>) -> Outcome {
        let mut stage = Stage::set(self, place);
        stage.get_ready();
        way.reach(Milestone::Ready);
        stage.get_to_step(&way);
        stage.hold();
        way.reach(Milestone::Holding);
        let began = way.wait_for_beginning();
        let spent = stage.watch(&way, began);
        let ended = way.wait_for_end(self.length() + START_LIMIT);
        drop(way);
        stage.check_spent(spent);
        stage.check_recovery(ended);
        stage.check_rest();
        stage.check_posts();
        stage.check_leaving();
        stage.check_books();
        stage.outcome()
    }
}

/// What a worker has spent since the trouble began: for how long it was watched, and the most that one has used.
struct Spent {
    watched: Duration,
    cpu: Duration,
    lines: usize,
}

/// Where a case plays.
struct Stage<'a> {
    case: &'a Case,
    // Before the scratch, which removes what they work on.
    workers: Vec<Child>,
    queue: Queue,
    scratch: Scratch,
    journal: Journal,
    /// Who receives webhooks.
    server: HookServer,
    ids: Vec<String>,
    /// The jobs that are to be stopped, and the workers that run them.
    to_stop: Vec<(String, String)>,
    recovery: Option<Duration>,
    faults: Vec<(Fault, String)>,
}

impl<'a> Stage<'a> {
    /// Starts the workers.
    fn set(case: &'a Case, place: &Place) -> Self {
        let scratch = Scratch::on(&place.url);
        let workers: Vec<Child> = ["one", "two"].map(|name| start(case, place, &scratch, name)).into();
        workers.iter().for_each(|worker| drop(worker.wait_for_line("*** Listening on", START_LIMIT)));
        Self {
            case,
            workers,
            queue: scratch.queue(QUEUE),
            journal: Journal::new(&scratch),
            scratch,
            server: HookServer::start(),
            ids: vec![],
            to_stop: vec![],
            recovery: None,
            faults: vec![],
        }
    }

    fn enqueue(&mut self, takes: &[Duration], waits_for_signal: bool) {
        let first = self.ids.len();
        let ids: Vec<String> = (first..first + takes.len()).map(|number| format!("j{number}")).collect();
        let calls = ids.iter().zip(takes).map(|(id, takes)| {
            let ms = u64::try_from(takes.as_millis()).expect("a job ends in this age");
            let call = Call::<String>::to("test.journal").arg(self.journal.path()).arg(ms).job_id(id);
            let call = if waits_for_signal { call.arg(self.journal.signal_path()) } else { call };
            if self.case.step == Step::Posting {
                posts::calling_for(call, id, &self.journal, &self.server)
            } else {
                call
            }
        });
        self.queue.enqueue_many(calls).expect("Redis takes jobs while there is no trouble");
        self.ids.extend(ids);
    }

    /// Has the long jobs run, which begin to take their time when they are signalled, and others wait behind them.
    fn get_ready(&mut self) {
        if !self.case.step.has_long_jobs() {
            return;
        }
        let length = self.case.length();
        let during = END_DURING.map(|part| length.mul_f64(part));
        let last = match self.case.step {
            Step::Posting => [NEVER; END_AFTER.len()],
            _ => END_AFTER.map(|after| length + after),
        };
        let long: Vec<Duration> = during.into_iter().chain(last).collect();
        assert_eq!(long.len(), SLOTS * WORKERS, "each slot has a long job");
        self.enqueue(&long, true);
        self.wait_for("the long jobs to run", |stage| stage.journal.began().len() == SLOTS * WORKERS);
        if self.case.step == Step::Posting {
            let to_stop = self.ids[END_DURING.len()..].iter();
            self.to_stop = to_stop
                .map(|id| (id.clone(), self.scratch.hash(&format!("job:{id}"))["worker_name"].clone()))
                .collect();
        }
        self.enqueue(&[BEHIND_TAKES; BEHIND], false);
    }

    /// Keeps the short jobs flowing until all cases are where they should be.
    fn get_to_step(&mut self, way: &Way<'_>) {
        while !way.all_are_at(Milestone::Ready) {
            sleep(FLOW_PAUSE);
        }
        if let Some(flow) = self.case.step.flow() {
            self.feed(flow.job, flow.waiting);
            let began = Instant::now();
            while self.journal.ends().len() < FLOWING && began.elapsed() < START_LIMIT {
                self.feed(flow.job, flow.waiting);
            }
            way.reach(Milestone::AtStep);
            while !way.all_are_at(Milestone::AtStep) {
                self.feed(flow.job, flow.waiting);
            }
        }
        way.reach(Milestone::AtStep);
        while !way.all_are_at(Milestone::AtStep) {
            sleep(FLOW_PAUSE);
        }
    }

    fn feed(&mut self, job: Duration, waiting: usize) {
        if self.queue.len().expect("Redis answers while there is no trouble") <= waiting {
            let batch = if waiting == 0 { 1 } else { FLOW_BATCH };
            self.enqueue(&vec![job; batch], false);
        }
        sleep(FLOW_PAUSE);
    }

    /// The last thing before the trouble.
    fn hold(&mut self) {
        match self.case.step {
            Step::Claiming => self.enqueue(&[Duration::ZERO], false),
            Step::Settling => self.enqueue(&[Duration::from_millis(20); FLOW_BATCH], false),
            Step::Stopping => self.workers[0].signal(Signal::SIGTERM),
            Step::Posting => self.to_stop[..STOPPED_BEFORE].iter().for_each(|job| self.stop(job)),
            Step::Running | Step::Idle => {}
        }
        self.journal.signal();
    }

    fn stop(&self, (id, worker): &(String, String)) {
        let command = format!(r#"{{"command": "stop-job", "job_id": "{id}"}}"#);
        self.scratch.query::<usize>("PUBLISH", [self.scratch.key(format!("pubsub:{worker}")), command]);
    }

    /// Looks at what the workers spend during a long trouble that leaves them nothing to do.
    fn watch(&self, way: &Way<'_>, began: Instant) -> Option<Spent> {
        if self.case.length() < LONG || !self.case.trouble.stops_work() {
            return None;
        }
        sleep((began + AFTERMATH).saturating_duration_since(Instant::now()));
        let look = || self.workers.iter().map(|worker| (worker.cpu(), worker.lines()));
        let (since, before): (_, Vec<_>) = (Instant::now(), look().collect());
        way.wait_for_end(self.case.length() + START_LIMIT);
        let spent = look().zip(before).map(|(now, before)| (now.0 - before.0, now.1 - before.1));
        let (cpu, lines): (Vec<Duration>, Vec<usize>) = spent.unzip();
        let most_cpu = cpu.into_iter().max().unwrap_or_default();
        Some(Spent {
            watched: since.elapsed(),
            cpu: most_cpu,
            lines: lines.into_iter().max().unwrap_or_default(),
        })
    }

    fn check_spent(&mut self, spent: Option<Spent>) {
        let Some(Spent { watched, cpu, lines }) = spent else { return };
        let share = cpu.as_secs_f64() / watched.as_secs_f64();
        if share > self.case.cpu_max() {
            self.fault(Fault::Cpu, format!("{:.1} % of a core during the trouble", share * 100.0));
        }
        if lines as f64 > watched.as_secs_f64() * LINES_PER_S_MAX + LINES_OF_JOBS {
            self.fault(Fault::Lines, format!("{lines} lines in {watched:.0?} of trouble"));
        }
    }

    /// How long after the trouble all has come in that had ended by then, and a new job has run.
    fn check_recovery(&mut self, ended: Instant) {
        let mut pending: BTreeSet<String> = self.journal.ends().into_keys().collect();
        // Whether a queue that saw the trouble works again is another question (`connections/queues.rs`).
        self.queue = self.scratch.queue(QUEUE);
        let fresh = format!("j{}", self.ids.len());
        self.enqueue(&[Duration::ZERO], false);
        pending.insert(fresh.clone());
        pending.extend(self.to_stop.iter().map(|(id, _)| id.clone()));
        let promised = self.case.recovery_promised();
        let missing = self.missing_after(&pending, ended + promised + WATCHED_LONGER);
        let took = ended.elapsed();
        if missing.is_empty() {
            self.recovery = Some(took);
        }
        if missing.contains(&fresh) {
            self.fault(Fault::Slow, format!("a new job has not run {took:.1?} after the trouble"));
        } else if !missing.is_empty() {
            let missing = list(&missing);
            self.fault(
                Fault::Slow,
                format!("outcomes still missing {took:.1?} after the trouble: {missing}"),
            );
        } else if took > promised + SLACK {
            self.fault(Fault::Slow, format!("everything worked again only {took:.1?} after the trouble"));
        }
    }

    /// Waits for the jobs that have not ended by now. The last ones end 1.5 s after the trouble.
    fn check_rest(&mut self) {
        let all: BTreeSet<String> = self.ids.iter().cloned().collect();
        let mut limit = self.case.recovery_promised() + secs(2);
        if self.recovery.is_none() {
            // Late already: it is told how they end, not how soon.
            limit = secs(2);
        }
        let missing = self.missing_after(&all, Instant::now() + limit);
        if self.recovery.is_some() && !missing.is_empty() {
            let missing = list(&missing);
            self.fault(Fault::Slow, format!("not in {limit:?} after the others: {missing}"));
        }
    }

    /// What ends have called for has come, once.
    fn check_posts(&mut self) {
        if self.case.step != Step::Posting {
            return;
        }
        let deadline = Instant::now() + POSTS_LIMIT;
        while posts::any_left(&self.scratch) {
            if Instant::now() >= deadline {
                self.fault(
                    Fault::Slow,
                    format!("something is in the outbox {POSTS_LIMIT:?} after the others"),
                );
                break;
            }
            sleep(LOOK_EVERY);
        }
        let came = Came { journal: &self.journal, received: self.server.received() };
        let of_job = |id: &String| came.faults(id, self.to_stop.iter().any(|(stopped, _)| stopped == id));
        let faults: Vec<_> = self.ids.iter().flat_map(of_job).collect();
        self.faults.extend(faults);
    }

    /// Has the workers stop, and looks how they end.
    fn check_leaving(&mut self) {
        let first = usize::from(self.case.step == Step::Stopping);
        self.workers[first..].iter().for_each(|worker| worker.signal(Signal::SIGTERM));
        let mut found = Vec::new();
        for worker in &mut self.workers {
            match worker.wait_at_most(LEAVE_LIMIT) {
                None => found.push(format!("a worker still runs {LEAVE_LIMIT:?} after it was told to stop")),
                Some(status) if status.success() => {}
                Some(status) => found.push(format!("a worker ended with {status}")),
            }
        }
        found.into_iter().for_each(|what| self.fault(Fault::Exit, what));
    }

    /// Each job is in one book, has run once, and has left its result.
    fn check_books(&mut self) {
        let is_stopped = |id: &str| self.to_stop.iter().any(|(stopped, _)| stopped == id);
        let promise = |id: &String| match is_stopped(id) {
            true => Acknowledged::fails(id),
            false => Acknowledged::finishes(id),
        };
        let jobs: Vec<_> = self.ids.iter().map(promise).collect();
        let violations = Ledger::read(&self.scratch).check(&jobs, &self.journal, Excuse::None);
        for violation in violations {
            self.fault(fault_of(&violation), violation.to_string());
        }
        for id in self.ids_in("finished") {
            let result = self.queue.handle::<String>(&id).result();
            if !matches!(&result, Ok(Some(value)) if *value == id) {
                self.fault(Fault::Lost, format!("job {id} has the result {result:?}"));
            }
        }
    }

    fn outcome(self) -> Outcome {
        let mut evidence = String::new();
        if !self.faults.is_empty() {
            let reports: Vec<String> = self.workers.iter().map(Child::report).collect();
            evidence = format!("{}\n{}", reports.join("\n"), self.scratch.dump_json());
        }
        Outcome { case: *self.case, recovery: self.recovery, faults: self.faults, evidence }
    }

    fn fault(&mut self, fault: Fault, what: String) {
        self.faults.push((fault, what));
    }

    /// The ids in a registry.
    fn ids_in(&self, registry: &str) -> BTreeSet<String> {
        let range = [self.scratch.key(format!("{registry}:{QUEUE}")), "0".to_owned(), "-1".to_owned()];
        self.scratch.query::<BTreeSet<String>>("ZRANGE", range)
    }

    /// Those of these jobs that have not ended, be it badly, once all have or it is that late.
    fn missing_after(&self, ids: &BTreeSet<String>, at: Instant) -> BTreeSet<String> {
        loop {
            let ended = &self.ids_in("finished") | &self.ids_in("failed");
            let missing: BTreeSet<String> = ids.difference(&ended).cloned().collect();
            if missing.is_empty() || Instant::now() >= at {
                return missing;
            }
            // Again and again: a worker that has not found Redis yet does not hear it.
            self.to_stop.iter().filter(|(id, _)| missing.contains(id)).for_each(|job| self.stop(job));
            sleep(LOOK_EVERY);
        }
    }

    fn wait_for(&self, what: &str, is_so: impl Fn(&Self) -> bool) {
        rq_tests::eventually(what, START_LIMIT, || is_so(self).then_some(()));
    }
}

fn start(case: &Case, place: &Place, scratch: &Scratch, name: &str) -> Child {
    let slots = SLOTS.to_string();
    let args = ["worker", "-w", case.executor, "--concurrency", &slots, "--name", name];
    let args = [&args[..], &posts::ALLOW].concat();
    let mut command = RqTest::new(scratch).command(&args);
    Child::spawn(command.env("RQ_REDIS_URL", &place.worker_url))
}

fn fault_of(violation: &Violation) -> Fault {
    match violation {
        Violation::RanAgain { .. } | Violation::InTwoPlaces { .. } => Fault::Twice,
        Violation::WrongEnd { .. } => Fault::Failed,
        Violation::Lost { .. } | Violation::NotEnded { .. } | Violation::NeverRan { .. } => Fault::Lost,
        _ => Fault::Other,
    }
}

/// Some of them, and how many more there are.
fn list(ids: &BTreeSet<String>) -> String {
    const SHOWN: usize = 5;
    let mut text = ids.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
    if ids.len() > SHOWN {
        text.push_str(&format!(" and {} more", ids.len() - SHOWN));
    }
    text
}
