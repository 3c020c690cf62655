//! The rows of `rq worker-pool`.

use rq_tests::Signal;

use super::reasons::*;
use super::row::Told::{Does, Raises, Refuses, Says};
use super::row::{CODE, MESSAGE, Row, Until, differs, same};
use super::shared;
use super::start::Start::{Empty, Failing, Jobs};

/// What a pool leaves, and one that does not start does not.
const RUN: &[&str] = &["code", "stdout", "stderr", "order", "rq:*"];
/// Likewise, without jobs.
const WORKED: &[&str] = &["code", "stdout", "stderr", "rq:*"];
const OUTPUT: &[&str] = &["stdout"];

pub(super) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SAME.iter().map(|line| same(format!("worker-pool {line}"), Jobs)).collect();
    rows.push(same("RQ_REDIS_URL= worker-pool -b -c queues", Jobs));
    rows.extend(refused());
    rows.extend(said());
    rows.extend(stopped());
    rows.extend(shared::rows("worker-pool", "-b", Jobs));
    rows
}

const SAME: &[&str] = &[
    "-b",
    "--burst high default",
    "-b -n 2 nosuch",
    "-b --num-workers=1",
    "-b -n 0",
    "-b -n x",
    "-b -q",
    "-b --quiet",
    "-n",
    "--burst=1",
];

fn refused() -> Vec<Row> {
    let not_run = |options: &str, at, theirs, part, why| {
        differs(format!("worker-pool -b {options}"), Jobs, at, theirs, Refuses(part), why)
    };
    let no_class =
        |options: &str, part| not_run(options, CODE, Raises("Invalid attribute name: nosuch"), part, CLASSES);
    let no_number = |options: &str| {
        let at = &["code", "stdout", "stderr"];
        not_run(options, at, Does("starts no worker"), "it must be 0 or more.", NO_NUMBER)
    };
    vec![
        no_number("-n -1"),
        no_number("--num-workers -1"),
        not_run("-l nosuch", CODE, Raises("Unknown level: 'NOSUCH'"), "'nosuch' is none of DEBUG", SENSELESS),
        not_run("-v -q", CODE, Raises("are mutually exclusive."), "cannot be used together.", TOGETHER),
        not_run("--log-format x", CODE, Raises("Invalid format 'x'"), "it has no field", FORMATS),
        not_run(
            "--log-format '%(nosuch)s'",
            WORKED,
            Does("tells of an error with each line"),
            "behind % it takes one of",
            FORMATS,
        ),
        not_run("''", WORKED, Does("works on a queue without a name"), "it must not be empty.", EMPTY_NAME),
        not_run("a,b", WORKED, Does("works on a queue of that name"), "it must not hold a comma", COMMA),
        not_run(
            "-S nosuch",
            CODE,
            Raises("Invalid attribute name: nosuch"),
            "is none of json, pickle and bincode.",
            CODECS,
        ),
        not_run(
            "-P more",
            RUN,
            Does("looks there, too"),
            "Option '--path' says where the module of --config is",
            PYTHONS_JOBS,
        ),
        no_class("-j nosuch.Job", "and this program has no job class of that name."),
        no_class("-w nosuch.Worker", "is a Python class, which cannot be loaded here."),
        differs(
            "worker-pool -b --exception-handler handlers.quiet",
            Failing,
            WORKED,
            Does("calls a function of Python's"),
            Refuses("and this program has no exception handler of that name."),
            HANDLERS,
        ),
    ]
}

fn said() -> Vec<Row> {
    let differing = |options: &str, at, theirs, ours, why| {
        differs(format!("worker-pool -b {options}"), Jobs, at, Says(theirs), ours, why)
    };
    let nothing = Does("says nothing");
    let noted = |options: &str, part| {
        let line = format!("worker-pool -b {options}");
        differs(line, Jobs, MESSAGE, Does("runs the jobs by that class"), Says(part), WORKER_CLASSES)
    };
    vec![
        differing("-l WARNING", OUTPUT, "Starting worker started with PID", nothing, POOL_LEVEL),
        differing("--logging-level=error", OUTPUT, "Starting worker started with PID", nothing, POOL_LEVEL),
        differing("-l DEBUG", OUTPUT, "performing job one", Says("Job OK"), DEBUG),
        differing("-v", OUTPUT, "performing job one", Says("Job OK"), DEBUG),
        differing("--verbose", OUTPUT, "performing job one", Says("Job OK"), DEBUG),
        differing(
            "--log-format '%(levelname)s|%(message)s' --date-format %H",
            OUTPUT,
            "<time> Starting worker pool",
            Says("INFO|Starting worker pool"),
            POOL_FORMAT,
        ),
        differing(
            "-u redis://127.0.0.1:1/",
            &["stdout", "stderr"],
            "<traceback> redis.exceptions.ConnectionError",
            Says("cannot be reached"),
            POOL_AWAY,
        ),
        noted("-w rq.Worker", "the fork executor runs the jobs instead"),
        noted("--worker-class rq.SimpleWorker", "the thread executor runs the jobs instead"),
    ]
}

fn stopped() -> Vec<Row> {
    let by = |line: &str, workers, signal| {
        let ours = Says("Acquired scheduler lock for");
        let row = differs(line, Empty, OUTPUT, Says("Scheduler for"), ours, SCHEDULER);
        row.until(Until::Idle(workers, signal))
    };
    vec![by("worker-pool", 1, Signal::SIGTERM), by("worker-pool -n 2 high", 2, Signal::SIGINT)]
}
