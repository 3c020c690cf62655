//! The producer of `cargo xtask demo`: enqueues, starts a worker, shows progress, a result table and a first figure.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use indicatif::{ProgressBar, ProgressStyle};
use rq_core::blocking::{JobHandle, Queue};
use rq_core::{Keys, ResultKind, Status};
use rq_examples::drain::{Drain, Drained};
use rq_examples::word_count::count_words_at_url;

/// How long all pages together may take.
const PAGES_LIMIT: Duration = Duration::from_secs(120);
/// How often progress is looked at.
const LOOK_PAUSE: Duration = Duration::from_millis(50);
/// How many rows the result table has for pages that were counted.
const ROWS_MAX: usize = 8;
/// Python drains one job for this many of ours, or the comparison would take minutes.
const PYTHON_SHARE: usize = 20;

/// Counts words on pages with RQ, then measures how fast a worker drains a queue.
#[derive(Parser)]
struct Options {
    /// The Redis to use.
    #[arg(long)]
    url: String,
    /// The address that lists the paths of pages, one a line.
    #[arg(long)]
    pages: String,
    /// How many pages to count.
    #[arg(long)]
    count: usize,
    /// The program that is the worker.
    #[arg(long)]
    worker: PathBuf,
    /// How many trivial jobs to drain; 0 for none.
    #[arg(long, default_value_t = 0)]
    drain: usize,
    /// A Python that has RQ, to compare with.
    #[arg(long)]
    python: Option<PathBuf>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    let shown = count_pages(&options);
    let measured = shown.and_then(|()| measure(&options));
    clean_up(&options)?;
    measured
}

fn count_pages(options: &Options) -> Result<()> {
    let pages = list_pages(options)?;
    let queue = Queue::connect(&options.url, "pages")?;
    let jobs = queue.enqueue_many(pages.iter().map(|page| count_words_at_url::call(page.clone())))?;
    println!("Enqueued {} jobs; the first is {}.", jobs.len(), jobs.first().map_or("none", JobHandle::id));
    let began = Instant::now();
    let mut worker = Worker::start(options)?;
    watch(&jobs, &mut worker).inspect_err(|_| worker.end())?;
    show_results(&pages, &jobs, began.elapsed())
}

/// The addresses of the pages.
fn list_pages(options: &Options) -> Result<Vec<String>> {
    let listed = ureq::get(&options.pages).call()?.body_mut().read_to_string()?;
    let paths: Vec<&str> = listed.lines().collect();
    if paths.is_empty() {
        bail!("{} lists no pages", options.pages);
    }
    Ok(paths.iter().cycle().take(options.count).map(|path| format!("{}{path}", options.pages)).collect())
}

/// Follows the jobs until all have ended.
fn watch(jobs: &[JobHandle<usize>], worker: &mut Worker) -> Result<()> {
    let style = ProgressStyle::with_template("{bar:40.green} {pos}/{len} jobs, {msg} failed, {elapsed}")?;
    let bar = ProgressBar::new(jobs.len() as u64).with_style(style);
    let mut open: Vec<&JobHandle<usize>> = jobs.iter().collect();
    let (began, mut failed) = (Instant::now(), 0);
    while !open.is_empty() {
        if began.elapsed() > PAGES_LIMIT {
            bail!("{} jobs have not ended within {PAGES_LIMIT:?}: {}", open.len(), worker.said());
        }
        worker.check()?;
        let mut still_open = Vec::new();
        for job in open {
            match job.status()? {
                Some(status) if !status.is_terminal() => still_open.push(job),
                status => failed += u64::from(status != Some(Status::Finished)),
            }
        }
        open = still_open;
        bar.set_message(failed.to_string());
        bar.set_position((jobs.len() - open.len()) as u64);
        std::thread::sleep(LOOK_PAUSE);
    }
    bar.finish();
    Ok(())
}

fn show_results(pages: &[String], jobs: &[JobHandle<usize>], took: Duration) -> Result<()> {
    let mut counted = Vec::new();
    let mut failures: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for (page, job) in pages.iter().zip(jobs) {
        let path = page.rsplit_once('/').map_or(page.as_str(), |(_, path)| path);
        match job.latest_result()?.filter(|result| result.kind != ResultKind::Successful) {
            Some(failed) => {
                let text = failed.failure_text.unwrap_or_default();
                let cause = text.lines().last().unwrap_or_default().trim_start_matches("caused by: ");
                failures.entry(cause.to_owned()).or_default().push(path);
            }
            None => counted.push((job.result()?.context("a finished job has a value")?, path)),
        }
    }
    counted.sort_by(|a, b| b.cmp(a));
    let words: usize = counted.iter().map(|(words, _)| words).sum();
    let mut table = table(&["page", "words"]);
    for (words, path) in counted.iter().take(ROWS_MAX) {
        table.add_row([path.to_string(), words.to_string()]);
    }
    if counted.len() > ROWS_MAX {
        table.add_row([format!("… {} more", counted.len() - ROWS_MAX), String::new()]);
    }
    table.add_row(["all".to_owned(), words.to_string()]);
    println!("{table}");
    for (cause, paths) in failures {
        println!("{} failed, as they should: {cause}\n  {}", paths.len(), paths.join(" "));
    }
    println!("{} pages in {:.1} s with one worker of threads.\n", jobs.len(), took.as_secs_f64());
    Ok(())
}

fn measure(options: &Options) -> Result<()> {
    if options.drain == 0 {
        return Ok(());
    }
    let mut drain = Drain::new(&options.url, "drain")?;
    println!("Draining {} trivial jobs ...", options.drain);
    let ours = drain.by_rust(&options.worker, options.drain)?;
    let theirs = match &options.python {
        Some(python) => {
            let jobs = (options.drain / PYTHON_SHARE).max(1);
            println!("Draining {jobs} of the same by Python RQ's SimpleWorker ...");
            Some(drain.by_python(python, jobs)?)
        }
        None => None,
    };
    show_figures(&ours, theirs.as_ref());
    Ok(())
}

fn show_figures(ours: &Drained, theirs: Option<&Drained>) {
    let mut table = table(&["worker", "jobs", "jobs/s", "Redis commands/job", "Redis CPU µs/job"]);
    let rows = [("rq worker -w thread", Some(ours)), ("Python RQ SimpleWorker", theirs)];
    for (name, drained) in rows.into_iter().filter_map(|(name, drained)| Some((name, drained?))) {
        table.add_row([
            name.to_owned(),
            drained.jobs.to_string(),
            format!("{:.0}", drained.jobs_per_s()),
            format!("{:.1}", drained.commands_per_job()),
            format!("{:.0}", drained.redis_us_per_job()),
        ]);
    }
    println!("{table}");
    if let Some(theirs) = theirs {
        println!(
            "{:.0} times as fast, start of the worker included.",
            ours.jobs_per_s() / theirs.jobs_per_s()
        );
    }
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_header(header);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

/// A worker in a process of its own, which ends when the queue is empty.
struct Worker {
    process: Child,
}

impl Worker {
    fn start(options: &Options) -> Result<Worker> {
        let mut command = Command::new(&options.worker);
        command.args(["worker", "-w", "thread", "--burst", "--quiet", "--url", &options.url, "pages"]);
        let process = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn();
        Ok(Worker {
            process: process.with_context(|| format!("could not start {}", options.worker.display()))?,
        })
    }

    /// Fails if the worker has broken off.
    fn check(&mut self) -> Result<()> {
        match self.process.try_wait()? {
            Some(status) if !status.success() => bail!("the worker ended with {status}: {}", self.said()),
            _ => Ok(()),
        }
    }

    fn end(&mut self) {
        let _ = self.process.kill();
    }

    fn said(&mut self) -> String {
        self.end();
        let mut said = String::new();
        if let Some(stderr) = &mut self.process.stderr {
            let _ = stderr.read_to_string(&mut said);
        }
        said
    }
}

impl Drop for Worker {
    /// When all went well it is just leaving, and this waits for it.
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.end();
        }
        let _ = self.process.wait();
    }
}

/// Removes what the demo wrote, where it was a guest in somebody's Redis: all keys under its own prefix.
fn clean_up(options: &Options) -> Result<()> {
    const SCANNED: usize = 1000;
    let keys = Keys::from_env()?;
    if keys == Keys::default() {
        return Ok(());
    }
    let mut redis = redis::Client::open(options.url.as_str())?.get_connection()?;
    let mut cursor = 0;
    // Ends when Redis says that the cursor is round.
    loop {
        let mut scan = redis::cmd("SCAN");
        scan.arg(cursor).arg("MATCH").arg(format!("{}:*", keys.prefix())).arg("COUNT").arg(SCANNED);
        let (next, found): (u64, Vec<Vec<u8>>) = scan.query(&mut redis)?;
        if !found.is_empty() {
            redis::cmd("UNLINK").arg(found).exec(&mut redis)?;
        }
        cursor = next;
        if cursor == 0 {
            return Ok(());
        }
    }
}
