//! [`Case`]: one fault at one request, from the producer to the check.

use std::os::unix::process::CommandExt;
use std::time::{Duration, Instant};

use rq_core::OnCrash;
use rq_tests::{
    Acknowledged, Answer, Child, Excuse, Fault, HookServer, Journal, Ledger, Proxy, Scratch, Signal,
    Violation,
};

use super::outcome::Outcome;
use super::posts;
use super::scenario::{Producer, Scenario};
use crate::rq_test::RqTest;

/// How long the worker behind the proxy may take. It is quick unless it hangs.
const FIRST_LIMIT: Duration = Duration::from_secs(15);
/// How long it may take until nothing is left to do. It is quick unless the worker finds that Redis, or itself, has been
/// away, if only for a moment of a busy machine: then it gives those that live two leases.
const RECOVERY_LIMIT: Duration = Duration::from_secs(5);
/// How long a worker without work may take to leave.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);
/// How long a silent worker keeps what it runs, in seconds: short, and the sweep is soon over.
pub(super) const LEASE_S: &str = "0.2";
/// How often the books are read meanwhile.
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// From this request on a job may have begun.
const BEGIN: &str = "EVALSHA begin";

/// One fault at one request of one scenario.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) scenario: &'static Scenario,
    /// What breaks at which request, from 1 on; nothing in a trial run.
    pub(crate) fault: Option<(usize, Fault)>,
    /// What becomes of a job that may have begun when its worker died.
    pub(crate) on_crash: OnCrash,
}

impl Case {
    /// Runs it, in a key space of its own.
    pub(crate) fn run(&self) -> Outcome {
        let mut stage = Stage::set(self);
        let proxy = Proxy::new(stage.scratch.url(), self.fault);
        let first = stage.run_first(&proxy);
        let excuse = self.excuse(&proxy);
        let began = Instant::now();
        let second = stage.run_second(excuse);
        let recovery = began.elapsed();
        let mut later = vec![second];
        stage.empty_outbox(&mut later);
        if self.scenario.posts {
            stage.check_posts(&proxy, &later);
        }

        let mut outcome = Outcome {
            case: *self,
            requests: proxy.requests(),
            struck: !proxy.struck().is_empty(),
            violations: stage.violations(excuse),
            facts: stage.violations(Excuse::None),
            complaints: stage.complaints.clone(),
            recovery,
            evidence: String::new(),
        };
        if !outcome.is_good() {
            let reports = std::iter::once(&first).chain(&later).map(Child::report);
            outcome.evidence = reports.chain([stage.scratch.dump_json()]).collect::<Vec<_>>().join("\n");
        }
        outcome
    }

    /// What the fault excuses: a kill before any job was marked as begun, nothing.
    fn excuse(&self, proxy: &Proxy) -> Excuse {
        let Some((number, fault)) = self.fault.filter(|(_, fault)| fault.kills()) else {
            return Excuse::None;
        };
        let requests = proxy.requests();
        let reached = if fault.is_after() { number } else { number - 1 };
        if proxy.struck().is_empty() || !requests[..reached].iter().any(|request| request == BEGIN) {
            return Excuse::None;
        }
        match self.on_crash {
            OnCrash::Requeue => Excuse::Rerun,
            _ => Excuse::Failure,
        }
    }

    /// `retry:17:kill-after:requeue`, by which it is run again.
    pub(crate) fn name(&self) -> String {
        let scenario = self.scenario.name;
        match self.fault {
            None => scenario.to_string(),
            Some((number, fault)) if fault.kills() => {
                format!("{scenario}:{number}:{}:{}", fault.name(), self.on_crash)
            }
            Some((number, fault)) => format!("{scenario}:{number}:{}", fault.name()),
        }
    }

    /// What the table has a row for: `retry, kill, requeue`.
    pub(crate) fn row(&self) -> String {
        match self.fault {
            Some((_, fault)) if fault.kills() => {
                format!("{}, kill, {}", self.scenario.name, self.on_crash)
            }
            _ => format!("{}, cut", self.scenario.name),
        }
    }
}

/// Where a case plays.
struct Stage<'a> {
    case: &'a Case,
    scratch: Scratch,
    journal: Journal,
    /// Who receives webhooks. It refuses the first one.
    server: HookServer,
    jobs: Vec<Acknowledged>,
    complaints: Vec<String>,
}

impl<'a> Stage<'a> {
    /// With the jobs enqueued.
    fn set(case: &'a Case) -> Self {
        let scratch = Scratch::new();
        let journal = Journal::new(&scratch);
        let server = HookServer::start();
        server.answer([Answer::Status(500)]);
        let on_crash = case.on_crash;
        let producer = Producer { scratch: &scratch, journal: &journal, on_crash, server: &server };
        let jobs = (case.scenario.enqueue)(&producer);
        Self { case, scratch, journal, server, jobs, complaints: vec![] }
    }

    /// The worker that meets the fault. It runs until the queues are empty, or dies.
    fn run_first(&mut self, proxy: &Proxy) -> Child {
        let mut command = self.worker(&["--burst", "--name", "first"]);
        // In a group of its own, for the proxy to kill.
        command.env("RQ_REDIS_URL", proxy.url()).process_group(0);
        let mut first = Child::spawn(&mut command);
        proxy.aim_at(first.id());
        let status = first.wait_at_most(FIRST_LIMIT);
        let was_killed = self.was_killed(proxy);
        match status {
            None => self.complaints.push(format!("the first worker still runs after {FIRST_LIMIT:?}")),
            Some(_) if was_killed => self.bury(),
            Some(status) if status.success() => {}
            Some(status) => self.complaints.push(format!("the first worker gave up: {status}")),
        }
        first
    }

    fn was_killed(&self, proxy: &Proxy) -> bool {
        self.case.fault.is_some_and(|(_, fault)| fault.kills()) && !proxy.struck().is_empty()
    }

    /// What happens when a worker is dead: the kill is noted, and its locks as a scheduler run out, as they do in a minute.
    fn bury(&self) {
        self.journal.note_kill();
        for queue in self.case.scenario.queues {
            self.scratch.query::<()>("DEL", [self.scratch.key(format!("scheduler-lock:{queue}"))]);
        }
    }

    /// The worker that finds what the first one left. It runs until nothing is left to do.
    fn run_second(&mut self, excuse: Excuse) -> Child {
        posts::pass_time(&self.scratch);
        // Where nothing was left it shall change nothing.
        let stop: &[&str] = if self.is_quiet(excuse) { &["--burst"] } else { &[] };
        let mut second = Child::spawn(&mut self.worker(&[&["--name", "second"], stop].concat()));
        if stop.is_empty() && self.is_there_when_quiet(&mut second, excuse) {
            second.signal(Signal::SIGTERM);
        }
        match second.wait_at_most(LEAVE_LIMIT) {
            None => self.complaints.push(format!("the second worker still runs after {LEAVE_LIMIT:?}")),
            Some(status) if status.success() => {}
            Some(status) => self.complaints.push(format!("the second worker gave up: {status}")),
        }
        second
    }

    /// Workers that do what is left in the outbox, once the time is over for which it was put off or taken.
    fn empty_outbox(&mut self, workers: &mut Vec<Child>) {
        for name in ["third", "fourth"] {
            if !posts::pass_time(&self.scratch) {
                return;
            }
            let mut worker = Child::spawn(&mut self.worker(&["--name", name, "--burst"]));
            match worker.wait_at_most(LEAVE_LIMIT) {
                None => self.complaints.push(format!("the {name} worker still runs after {LEAVE_LIMIT:?}")),
                Some(status) if status.success() => {}
                Some(status) => self.complaints.push(format!("the {name} worker gave up: {status}")),
            }
            workers.push(worker);
        }
    }

    /// What became of what ends call for outside of Redis.
    fn check_posts(&mut self, proxy: &Proxy, later: &[Child]) {
        let found = posts::Found {
            scratch: &self.scratch,
            journal: &self.journal,
            received: self.server.received(),
            was_killed: self.was_killed(proxy),
            later: later.iter().map(Child::report).collect(),
        };
        self.complaints.extend(found.complaints());
    }

    /// Waits until nothing is left to do, as long as that may take. Whether the worker is still there.
    fn is_there_when_quiet(&self, worker: &mut Child, excuse: Excuse) -> bool {
        let deadline = Instant::now() + RECOVERY_LIMIT;
        while !self.is_quiet(excuse) && Instant::now() < deadline {
            if worker.wait_at_most(LOOK_EVERY).is_some() {
                return false;
            }
        }
        true
    }

    fn is_quiet(&self, excuse: Excuse) -> bool {
        // What is in the outbox may be due only after minutes: that is the last workers' part.
        !self.violations(excuse).iter().any(|violation| violation.may_pass() && !violation.is_of_outbox())
    }

    fn violations(&self, excuse: Excuse) -> Vec<Violation> {
        Ledger::read(&self.scratch).check(&self.jobs, &self.journal, excuse)
    }

    fn worker(&self, options: &[&str]) -> std::process::Command {
        let scenario = self.case.scenario;
        let args = [&["worker", "--lease", LEASE_S], options, scenario.options, scenario.queues].concat();
        RqTest::new(&self.scratch).command(&args)
    }
}
