//! Workers inside of other programs: in their runtimes, stopped by them, more than one in a process.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::stream;
use rq_core::{Call, Context, Handlers, Keys, Queue, handlers, job, minutes, secs};
use rq_tests::jobs::{self, Counter};
use rq_tests::{Process, Scratch, Signal, Stream, eventually};
use rq_worker::{Launch, Observer, Request, Worker, WorkerError, WorkerEvent};
use rq_worker_green::Green;
use rq_worker_thread::Thread;
use tokio::sync::{mpsc, oneshot};

use crate::rq_test::{Books, LIMIT, RqTest};

/// How long anything here may take.
const SOON: Duration = Duration::from_secs(20);

/// Counts what workers do.
#[derive(Default)]
struct Counts {
    began: AtomicUsize,
    finished: AtomicUsize,
    failed: AtomicUsize,
    left: AtomicUsize,
}

impl Observer for Counts {
    fn observe(&self, worker: &str, event: &WorkerEvent<'_>) {
        assert!(["a", "b"].contains(&worker), "{worker}");
        let count = match event {
            WorkerEvent::JobBegan { .. } => &self.began,
            WorkerEvent::JobFinished { .. } => &self.finished,
            WorkerEvent::JobFailed { .. } => &self.failed,
            WorkerEvent::Stopping => &self.left,
            _ => return,
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    fn all(&self) -> [usize; 4] {
        [&self.began, &self.finished, &self.failed, &self.left].map(|count| count.load(Ordering::Relaxed))
    }
}

fn worker<L: Launch>(scratch: &Scratch, name: &str) -> Worker<L> {
    let keys = Keys::new(scratch.prefix()).unwrap();
    let worker = Worker::new(jobs::handlers()).state(Counter::default).url(scratch.url()).keys(keys);
    worker.name(name).concurrency(2)
}

async fn queue(scratch: &Scratch) -> Queue {
    let queue = Queue::connect(scratch.url(), "default").await.unwrap();
    queue.keys(Keys::new(scratch.prefix()).unwrap())
}

/// A service that runs two workers at once, twice, and stops them.
async fn a_service_runs_two_workers_twice<L: Launch>() {
    let (scratch, counts) = (Scratch::new(), Arc::new(Counts::default()));
    for round in 1..=2 {
        let workers = ["a", "b"].map(|name| {
            let (stop, stopped) = oneshot::channel::<()>();
            let worker = worker::<L>(&scratch, name).observer(Arc::clone(&counts));
            (stop, tokio::spawn(worker.run_until(async { drop(stopped.await) })))
        });
        let queue = queue(&scratch).await;
        let sums = (0..20).map(|number| Call::<i64>::to("math.add").arg(number).arg(1));
        for (number, sum) in queue.enqueue_many(sums).await.unwrap().into_iter().enumerate() {
            assert_eq!(sum.wait(SOON).await.unwrap(), number as i64 + 1);
        }
        let failing = queue.enqueue(Call::<()>::to("test.fail")).await.unwrap();
        assert!(failing.wait(SOON).await.is_err());
        for (stop, worker) in workers {
            drop(stop);
            worker.await.unwrap().unwrap();
        }
        assert_eq!(counts.all(), [21 * round, 20 * round, round, 2 * round]);
    }
    let gone = ["a", "b"].map(|name| scratch.hash(&format!("worker:{name}")).contains_key("death"));
    assert_eq!(gone, [true; 2]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_two_workers_of_threads_twice() {
    a_service_runs_two_workers_twice::<Thread>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_service_runs_two_workers_of_coroutines_twice() {
    a_service_runs_two_workers_twice::<Green>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_asks_its_worker_in_its_own_way() {
    let scratch = Scratch::new();
    let (ask, mut asked) = mpsc::channel(4);
    let (begin, mut begun) = mpsc::unbounded_channel();
    let tell = move |_: &str, event: &WorkerEvent<'_>| {
        if let WorkerEvent::JobBegan { .. } = event {
            begin.send(()).unwrap();
        }
    };
    let worker = worker::<Thread>(&scratch, "a").observer(tell);
    let worker = tokio::task::spawn_blocking(|| worker.prepare().unwrap()).await.unwrap();
    let worker = tokio::spawn(worker.run_with(stream::poll_fn(move |context| asked.poll_recv(context))));
    let sleep = |id| Call::<()>::to("test.sleep").arg(60_000).job_id(id);
    let queue = queue(&scratch).await;
    let jobs = queue.enqueue_many([sleep("stopped"), sleep("cut-off")]).await.unwrap();
    for _ in &jobs {
        begun.recv().await.unwrap();
    }
    ask.send(Request::StopJob { job_id: "stopped".to_owned() }).await.unwrap();
    assert!(jobs[0].wait(SOON).await.is_err());
    assert_eq!(scratch.status("stopped"), "stopped");
    ask.send(Request::StopCold).await.unwrap();
    worker.await.unwrap().unwrap();
    assert_eq!(scratch.status("cut-off"), "failed");
}

#[tokio::test]
async fn what_blocks_does_not_run_in_a_runtime() {
    let scratch = Scratch::new();
    let refusal = worker::<Thread>(&scratch, "a").try_run().unwrap_err();
    assert!(matches!(refusal, WorkerError::InsideRuntime), "{refusal:?}");
    assert!(refusal.to_string().contains("run_until"), "{refusal}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thread_beside_the_runtime_may_be_blocked() {
    let scratch = Scratch::new();
    let worker = worker::<Thread>(&scratch, "a").burst();
    tokio::task::spawn_blocking(|| worker.try_run()).await.unwrap().unwrap();
}

/// Leaves a file when it has begun, waits until it has to end, and takes the file away then.
#[job("embedded.wait")]
fn wait(ctx: &Context, path: String) -> rq_core::Result<()> {
    std::fs::write(&path, "")?;
    let interrupted = ctx.sleep(minutes(10));
    std::fs::remove_file(path)?;
    Ok(interrupted?)
}

/// Whoever drops a worker gives up its jobs: they are asked to end, or would run on beside whoever takes them over.
async fn a_dropped_worker_has_its_jobs_end<L: Launch>() {
    let scratch = Scratch::new();
    let path = std::env::temp_dir().join(scratch.prefix());
    let keys = Keys::new(scratch.prefix()).unwrap();
    let worker = Worker::<L>::new(handlers![wait]).url(scratch.url()).keys(keys);
    let worker = tokio::spawn(worker.run_until(std::future::pending()));
    queue(&scratch).await.enqueue(wait::call(path.to_str().unwrap().to_owned())).await.unwrap();
    eventually("the job to begin", SOON, || path.exists().then_some(()));
    worker.abort();
    eventually("the job to end", SOON, || (!path.exists()).then_some(()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_worker_of_threads_has_its_jobs_end() {
    a_dropped_worker_has_its_jobs_end::<Thread>().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_worker_of_coroutines_has_its_jobs_end() {
    a_dropped_worker_has_its_jobs_end::<Green>().await;
}

#[tokio::test]
async fn a_worker_without_handlers_is_refused_by_its_executor() {
    let refusal = Worker::<Thread>::new(Handlers::new()).run_until(std::future::pending()).await;
    assert!(matches!(refusal, Err(WorkerError::NoHandlers)), "{refusal:?}");
}

#[test]
fn rq_main_says_where_it_does_not_run() {
    let scratch = Scratch::new();
    for executor in ["fork", "thread", "green"] {
        let (code, stdout, stderr) =
            RqTest::app(&scratch, "async-main").outcome(&["worker", "--burst", "-w", executor]);
        assert_eq!(code, Some(1), "{stdout}{stderr}");
        assert!(stderr.starts_with("Error: a worker cannot block a thread of an async runtime"), "{stderr}");
    }
}

#[test]
fn what_forks_is_prepared_before_there_are_threads() {
    let scratch = Scratch::new();
    let (code, _, stderr) = RqTest::app(&scratch, "late-service").outcome(&[]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(stderr.contains("call `prepare()` first in `main`"), "{stderr}");
}

#[test]
fn a_program_with_threads_is_told_why_it_cannot_fork_and_what_it_can_do() {
    let scratch = Scratch::new();
    let rq = RqTest::app(&scratch, "thread-in-main");
    let (code, _, stderr) = rq.outcome(&["worker", "--burst", "-w", "fork"]);
    assert_eq!(code, Some(1), "{stderr}");
    let told = "Error: the fork executor could not start: a process that forks must have one thread, and this one has 2: \
                besides its first metrics. Ways on:\n    * call `rq_cli::main`";
    assert!(stderr.starts_with(told), "{stderr}");
    for executor in ["thread", "green"] {
        rq.drain(&["-w", executor]);
    }
    // One that has ended by then is none, though the system may count it a moment longer.
    RqTest::app(&scratch, "joined-thread-in-main").drain(&["-w", "fork"]);
}

/// Two workers of processes in one service; each of them has its fork server replaced by one of its own when that has died.
#[test]
fn a_service_runs_two_workers_of_processes() {
    let scratch = Scratch::new();
    let mut service = RqTest::app(&scratch, "service").spawn(&[]);
    let sums = || {
        for queue in ["one", "two"] {
            let sum = scratch.queue(queue).enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
            assert_eq!(sum.wait(SOON).unwrap(), 5, "{queue}: {}", service.report());
        }
    };
    let fork_servers = || {
        let mut all = Process::all_on(&scratch);
        all.retain(|process| process.name == "rq-fork-server");
        all
    };
    sums();
    let first = fork_servers();
    assert_eq!(first.len(), 2, "{first:?}");
    for server in &first {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(server.id).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    eventually("two other fork servers", SOON, || {
        let now = fork_servers();
        (now.len() == 2 && now.iter().all(|server| !first.contains(server))).then_some(())
    });
    sums();
    service.signal(Signal::SIGTERM);
    let status = service.wait(LIMIT);
    assert_eq!(status.code(), Some(0), "{}", service.report());
    assert_eq!(service.text(Stream::Stdout), "", "nobody has asked for a log");
    eventually("no process of its own", secs(10), || Process::all_on(&scratch).is_empty().then_some(()));
}
