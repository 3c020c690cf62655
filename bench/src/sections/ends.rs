//! What it costs that the end of a job calls for something: a callback where it ran, one that is posted, a webhook, an
//! exception handler, the end of its group; and what a declaration adds to its job.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use rq_core::{Call, Callback, Timestamp, Ttl, Webhook, job};

use super::Extent;
use super::wake_up::IdleWorker;
use crate::figures::{Figures, Name, percentile};
use crate::stage::{Drained, QUEUE, Stage, Wait, finish, trivial};

/// The figures of one kind of job.
struct Row {
    commands: Name,
    redis_us: Name,
    /// Of its hash, while it waits.
    bytes: Name,
    /// Whether the worker has an exception handler.
    is_handled: bool,
}

impl Row {
    const fn new(row: &'static str) -> Row {
        Row {
            commands: Name::new(row, "Redis commands/job"),
            redis_us: Name::new(row, "Redis CPU µs/job"),
            bytes: Name::new(row, "bytes in Redis"),
            is_handled: false,
        }
    }
}

const PLAIN: Row = Row::new("one by one, value");
const DECLARED: Row = Row::new("one by one, value, options of #[job]");
const CURRENT: Row = Row::new("one by one, value, Context::current");
const SUCCESS: Row = Row::new("one by one, value, success callback");
const FAILED: Row = Row::new("one by one, failure");
const HANDLED: Row = Row { is_handled: true, ..Row::new("one by one, failure, exception handler") };
const FAILURE: Row = Row::new("one by one, failure, failure callback");
const STOPPED: Row = Row::new("one by one, stopped");
const POSTED: Row = Row::new("one by one, stopped, stopped callback (posted)");
const WEBHOOK: Row = Row::new("one by one, value, webhook");
const MEMBER: Row = Row::new("one by one, value, in a group");
const AWAITED: Row = Row::new("one by one, value, in a group that a job waits for");
const WEBHOOK_RATE: Name = Name::new("drain, -w thread, a webhook each", "jobs/s");
const WEBHOOK_P50: Name = Name::new("end of a job to its webhook, idle", "p50 µs");
const WEBHOOK_P99: Name = Name::new("end of a job to its webhook, idle", "p99 µs");

/// The callback of `bench-worker`.
const CALLBACK: &str = "bench.hear";
/// Has `bench-worker` take an exception handler.
const HANDLER_VARIABLE: &str = "RQ_BENCH_EXCEPTION_HANDLER";
const OPTIONS: [&str; 6] = ["-w", "thread", "--burst", "--quiet", "--webhook-allow", "private"];
/// One job at a time, so that no two share a command, and counts can be compared to the last one.
const ONE_BY_ONE: &str = "1";
/// How many jobs run at once where their rate is measured.
const AT_ONCE: &str = "64";
/// How long a webhook may take.
const LONGEST: Duration = Duration::from_secs(10);

/// The trivial job, with what all its calls share.
#[job("operator.add", queue = "bench", timeout = "30s", result_ttl = 500, retry = 3)]
fn declared(x: i64, y: i64) -> i64;

pub(crate) fn measure(stage: &mut Stage, extent: Extent, figures: &mut Figures) -> Result<()> {
    let jobs = extent.choose(500, 2_000);
    let hear = || Callback::to(CALLBACK);
    drain(stage, &PLAIN, &trivial(), jobs, figures)?;
    drain(stage, &DECLARED, &declared::call(2, 3), jobs, figures)?;
    drain(stage, &CURRENT, &named("bench.current"), jobs, figures)?;
    drain(stage, &SUCCESS, &trivial().on_success(hear()), jobs, figures)?;
    drain(stage, &FAILED, &named("bench.fail"), jobs, figures)?;
    drain(stage, &HANDLED, &named("bench.fail"), jobs, figures)?;
    drain(stage, &FAILURE, &named("bench.fail").on_failure(hear()), jobs, figures)?;
    drain(stage, &STOPPED, &named("bench.stop"), jobs, figures)?;
    drain(stage, &POSTED, &named("bench.stop").on_stopped(hear()), jobs, figures)?;
    drain_group(stage, &MEMBER, jobs, false, figures)?;
    drain_group(stage, &AWAITED, jobs, true, figures)?;
    let receiver = Receiver::open()?;
    drain(stage, &WEBHOOK, &receiver.told(), jobs, figures)?;
    receiver.check_arrived(jobs)?;
    let many = extent.choose(2_000, 10_000);
    let at_once = worker(stage, AT_ONCE);
    figures.add(WEBHOOK_RATE, run(stage, &receiver.told(), many, at_once)?.jobs_per_s());
    receiver.check_arrived(many)?;
    measure_delay(stage, &receiver, extent.choose(100, 400), figures)
}

fn named(function: &str) -> Call<()> {
    Call::to(function).result_ttl(Ttl::RESULT_DEFAULT)
}

fn drain<T>(stage: &mut Stage, row: &Row, call: &Call<T>, jobs: usize, figures: &mut Figures) -> Result<()>
where
    Call<T>: Clone,
{
    let mut worker = worker(stage, ONE_BY_ONE);
    if row.is_handled {
        worker.env(HANDLER_VARIABLE, "1");
    }
    let drained = run(stage, call, jobs, worker)?;
    figures.add(row.commands, drained.commands_per_job());
    figures.add(row.redis_us, drained.redis_us_per_job());
    stage.fill(QUEUE, call, 1, Wait::Queued)?;
    figures.add(row.bytes, bytes_of_first(stage)? as f64);
    Ok(())
}

/// A group of trivial jobs; with one that runs when they have ended, in whose figures it is one more job.
fn drain_group(
    stage: &mut Stage,
    row: &Row,
    jobs: usize,
    is_awaited: bool,
    figures: &mut Figures,
) -> Result<()> {
    stage.clear()?;
    let group = stage.queue(QUEUE)?.new_group();
    group.enqueue_many((0..jobs).map(|_| trivial()))?;
    if is_awaited {
        group.on_complete(trivial())?;
    }
    let (jobs, worker) = (jobs + usize::from(is_awaited), worker(stage, ONE_BY_ONE));
    figures.add(row.bytes, bytes_of_first(stage)? as f64);
    let drained = stage.measure(jobs, |_| finish(vec![worker]))?;
    check_ended(stage, jobs)?;
    figures.add(row.commands, drained.commands_per_job());
    figures.add(row.redis_us, drained.redis_us_per_job());
    Ok(())
}

/// So many jobs like this one are run, and what their ends call for is done.
fn run<T>(stage: &mut Stage, call: &Call<T>, jobs: usize, worker: Command) -> Result<Drained>
where
    Call<T>: Clone,
{
    stage.clear()?;
    stage.fill(QUEUE, call, jobs, Wait::Queued)?;
    let drained = stage.measure(jobs, |_| finish(vec![worker]))?;
    check_ended(stage, jobs)?;
    Ok(drained)
}

fn worker(stage: &Stage, at_once: &str) -> Command {
    let mut worker = stage.worker(&[&OPTIONS[..], &["--concurrency", at_once]].concat(), &[QUEUE]);
    // A line for each failure would be all that one sees.
    worker.stderr(Stdio::null());
    worker
}

/// What the next job takes of Redis' memory.
fn bytes_of_first(stage: &mut Stage) -> Result<u64> {
    let id: String = redis::cmd("LINDEX").arg(stage.keys.queue(QUEUE)).arg(0).query(&mut stage.redis)?;
    let mut usage = redis::cmd("MEMORY");
    Ok(usage.arg("USAGE").arg(stage.keys.job(&id)).query(&mut stage.redis)?)
}

/// Every job must have ended, and nothing may be left of what was to be done then.
fn check_ended(stage: &mut Stage, jobs: usize) -> Result<()> {
    let mut ended = 0;
    for registry in [stage.keys.finished(QUEUE), stage.keys.failed(QUEUE)] {
        let there: usize = redis::cmd("ZCARD").arg(registry).query(&mut stage.redis)?;
        ended += there;
    }
    ensure!(ended == jobs, "{ended} of {jobs} jobs ended.");
    let outbox = format!("{}:outbox:*", stage.keys.prefix());
    let left: Vec<String> = redis::cmd("KEYS").arg(outbox).query(&mut stage.redis)?;
    ensure!(left.is_empty(), "{} keys of the outbox are left.", left.len());
    Ok(())
}

/// One job after the other, each once the webhook of the one before has come.
fn measure_delay(
    stage: &mut Stage,
    receiver: &Receiver,
    samples: usize,
    figures: &mut Figures,
) -> Result<()> {
    stage.clear()?;
    let queue = stage.queue(QUEUE)?;
    let mut command = stage.worker(&["-w", "thread", "--quiet", "--webhook-allow", "private"], &[QUEUE]);
    let mut worker = IdleWorker { process: command.spawn().context("could not start a worker")? };
    let mut delays_us = Vec::with_capacity(samples);
    for _ in 0..samples {
        queue.enqueue(receiver.told())?;
        let delay = receiver.delays.recv_timeout(LONGEST).context("a webhook did not arrive")?;
        delays_us.push(delay.as_secs_f64() * 1e6);
    }
    delays_us.sort_by(f64::total_cmp);
    figures.add(WEBHOOK_P50, percentile(&delays_us, 50));
    figures.add(WEBHOOK_P99, percentile(&delays_us, 99));
    worker.end()
}

/// Takes webhooks at an address of this machine.
struct Receiver {
    url: String,
    /// How long each came after the end of its job.
    delays: mpsc::Receiver<Duration>,
}

impl Receiver {
    /// Its thread ends with the first webhook that nobody waits for, or with the program.
    fn open() -> Result<Receiver> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let url = format!("http://{}/ended", listener.local_addr()?);
        let (teller, delays) = mpsc::channel();
        std::thread::spawn(move || {
            let came = listener.incoming().map(|connection| receive(connection?));
            came.map_while(Result::ok).all(|delay| teller.send(delay).is_ok())
        });
        Ok(Receiver { url, delays })
    }

    /// All webhooks must have arrived, each once.
    fn check_arrived(&self, jobs: usize) -> Result<()> {
        let arrived = self.delays.try_iter().count();
        ensure!(arrived == jobs, "{arrived} webhooks of {jobs} arrived.");
        Ok(())
    }

    /// The trivial job, which tells it.
    fn told(&self) -> Call<i64> {
        trivial().webhook(Webhook::finished(&self.url).post())
    }
}

/// Reads one webhook and answers. How long it came after the end of its job, by the machine's clock.
fn receive(connection: TcpStream) -> Result<Duration> {
    let mut request = BufReader::new(connection);
    let mut head = String::new();
    while request.read_line(&mut head)? > "\r\n".len() {}
    let mut headers = head.lines().filter_map(|line| line.split_once(": "));
    let length = headers.find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.context("a webhook without a length")?.1.parse()?];
    request.read_exact(&mut body)?;
    let now = Timestamp::now();
    request.get_mut().write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")?;
    let body: serde_json::Value = serde_json::from_slice(&body)?;
    let ended_at = body["ended_at"].as_str().context("a webhook without the end of its job")?;
    Ok(now.since(Timestamp::parse(&ended_at.replace("+00:00", "Z"))?))
}
