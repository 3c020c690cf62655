//! [`Load`]: work under way while something happens to Redis.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rq_core::blocking::Queue;
use rq_core::{Call, Error, Keys};
use rq_tests::{Acknowledged, Child, Excuse, Journal, Ledger, Scratch, Signal, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

/// How long a job takes: some always run.
const JOB_MS: u64 = 50;
/// The pause between two jobs of a producer.
const PAUSE: Duration = Duration::from_millis(10);
/// How many jobs are under way before anything happens, and come after it.
const JOBS: usize = 40;
/// How long a producer goes on trying.
const PRODUCER_LIMIT: Duration = Duration::from_secs(60);

/// Two workers and a producer at work on a Redis.
pub(crate) struct Load<'a> {
    // Before what they work on.
    workers: Vec<Child>,
    scratch: &'a Scratch,
    journal: Journal,
    enqueued: AtomicUsize,
    is_over: AtomicBool,
}

impl<'a> Load<'a> {
    /// Starts the workers.
    pub(crate) fn start(scratch: &'a Scratch, executor: &str) -> Self {
        let worker = |_| RqTest::new(scratch).worker(&["-w", executor, "--concurrency", "4", "--lease", "3"]);
        Self {
            workers: (0..2).map(worker).collect(),
            scratch,
            journal: Journal::new(scratch),
            enqueued: AtomicUsize::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Has jobs come and run while `trouble` happens, and some time after it.
    pub(crate) fn during(&self, trouble: impl FnOnce()) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.produce());
            // Whatever happens here, the producer is told that it is over.
            let _over = Over(&self.is_over);
            self.wait_for(JOBS);
            trouble();
            self.wait_for(self.enqueued.load(Ordering::Relaxed) + JOBS);
        });
    }

    /// Waits until all jobs have ended, stops the workers, and looks for what is wrong. `left` is the key space as its server
    /// shows it by now.
    #[track_caller]
    pub(crate) fn check(mut self, left: &Scratch) {
        let jobs = self.enqueued.load(Ordering::Relaxed);
        let ended = || left.count("finished:default") + left.count("failed:default");
        let limit = Instant::now() + LIMIT;
        while ended() < jobs && Instant::now() < limit {
            sleep(PAUSE);
        }
        self.workers.iter().for_each(|worker| worker.signal(Signal::SIGTERM));
        for worker in &mut self.workers {
            let status = worker.wait(LIMIT);
            assert!(status.success(), "{status}: {}", worker.report());
        }
        let acknowledged: Vec<_> = (0..jobs).map(|number| Acknowledged::finishes(&id(number))).collect();
        let violations = Ledger::read(left).check(&acknowledged, &self.journal, Excuse::None);
        let reports: Vec<String> = self.workers.iter().map(Child::report).collect();
        assert!(violations.is_empty(), "{violations:#?}\n{}", reports.join("\n"));
    }

    #[track_caller]
    fn wait_for(&self, jobs: usize) {
        eventually("jobs to end", PRODUCER_LIMIT, || (self.journal.ends().len() >= jobs).then_some(()));
    }

    fn produce(&self) {
        let queue = Queue::connect(self.scratch.url(), "default").expect("nothing has happened yet");
        let queue = queue.keys(Keys::new(self.scratch.prefix()).expect("a good prefix"));
        while !self.is_over.load(Ordering::Relaxed) {
            let id = id(self.enqueued.load(Ordering::Relaxed));
            let limit = Instant::now() + PRODUCER_LIMIT;
            loop {
                let call =
                    Call::<String>::to("test.journal").arg(self.journal.path()).arg(JOB_MS).job_id(&id);
                match queue.enqueue(call) {
                    Ok(_) => break,
                    // As producers do that mind: again, with the same id.
                    Err(Error::Redis(_) | Error::Unconfirmed { .. }) if Instant::now() < limit => {
                        sleep(PAUSE)
                    }
                    Err(error) => panic!("{id}: {error}"),
                }
            }
            self.enqueued.fetch_add(1, Ordering::Relaxed);
            sleep(PAUSE);
        }
    }
}

fn id(number: usize) -> String {
    format!("j{number}")
}

struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
