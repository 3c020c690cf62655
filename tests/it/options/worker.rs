//! The rows of `rq worker`.

use rq_tests::Signal;

use super::reasons::*;
use super::row::Told::{self, Does, Fails, Raises, Refuses, Says};
use super::row::{CODE, MESSAGE, Row, Until, differs, same};
use super::shared;
use super::start::Start::{self, Empty, Failing, Jobs, Scheduled, Suspended, Worker};

/// A worker that waits for jobs, until it is told to stop.
const IDLE: Until = Until::Idle(1, Signal::SIGTERM);
/// What one that runs jobs leaves, and one that does not start does not.
const RUN: &[&str] = &["code", "stdout", "stderr", "order", "rq:*"];
const OUTPUT: &[&str] = &["stdout"];

pub(super) fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = SAME.iter().map(|line| same(format!("worker {line}"), Jobs)).collect();
    rows.push(same("worker -b -n w", Suspended));
    rows.push(same("worker -n w", Suspended));
    rows.push(same("worker -b -n w", Scheduled));
    rows.push(same("worker -b -n w -s", Scheduled));
    rows.push(same("worker -b -n w --with-scheduler", Scheduled));
    rows.extend(refused());
    rows.extend(run_otherwise());
    rows.extend(classes());
    rows.extend(failures());
    rows.extend(said());
    rows.extend(waiting());
    rows.extend(settings());
    rows.extend(sentry());
    rows.extend(shared::rows("worker", "-b -n w", Jobs));
    rows
}

const SAME: &[&str] = &[
    "-b -n w high default",
    "--burst --name=w high default",
    "-b",
    "-b -n w nosuch",
    "-b -n w --logging_level warning",
    "-b -n w --logging_level=ERROR",
    "-b -n w --log-format '%(levelname)s|%(name)s|%(message)s' --date-format %H",
    "-b -n w --log-format '%(asctime)s %(levelno)d %(message)s' --date-format %H",
    "-b -n w --log-format ''",
    "-b -n w --date-format %H:%M:%S,",
    "-b -n w --results-ttl 5",
    "-b -n w --results-ttl 0",
    "-b -n w --results-ttl -1",
    "-b -n w --results-ttl x",
    "-b -n w --worker-ttl x",
    "-b -n w --worker-ttl 1",
    "-b -n w --maintenance-interval 10",
    "-b -n w --maintenance-interval x",
    "-b -n w --job-monitoring-interval 5",
    "-b -n w --job-monitoring-interval x",
    "-b -n w --disable-job-desc-logging",
    "-b -n w -q",
    "-b -n w --quiet",
    "-bq -n w",
    "-b -n w --pid w.pid",
    "-n w --max-jobs=2",
    "-b -n w --max-jobs x",
    "-b -n w --max-idle-time x",
    "-b -n w -ds default high default",
    "-b -n w -ds round_robin high default",
    "-b -n w --dequeue-strategy round_robin default high",
    "-b -n w -ds random default",
    "-b -n w -dsrandom",
    "-ds",
    "--max-jobs",
    "-b -n w 'a b'",
    "-b -n ''",
    "-b -n a:b",
    "-b=1",
    "--burst=1",
];

/// What Python runs with, or ends with a traceback.
fn refused() -> Vec<Row> {
    let not_run = |options: &str, theirs, part, why| {
        differs(format!("worker -b -n w {options}"), Jobs, RUN, theirs, Refuses(part), why)
    };
    let no_number = |options: &str, part| not_run(options, Does("works all the same"), part, NO_NUMBER);
    let at_once = |options: &str, at, theirs, ours, why| {
        differs(format!("worker -b -n w {options}"), Jobs, at, theirs, ours, why)
    };
    const ONE: &str = "it must be at least 1.";
    vec![
        no_number("--results-ttl -2", "it must be 0 or more, or -1 for ever."),
        no_number("--worker-ttl 0", ONE),
        no_number("--worker-ttl -1", ONE),
        no_number("--maintenance-interval 0", ONE),
        no_number("--maintenance-interval -1", ONE),
        no_number("--job-monitoring-interval 0", ONE),
        no_number("--job-monitoring-interval -1", ONE),
        no_number("--max-jobs 0", ONE),
        no_number("--max-jobs -1", ONE),
        no_number("--max-idle-time 0", ONE),
        no_number("--max-idle-time -1", ONE),
        not_run("--pid ''", Does("writes no file"), "Option '--pid' requires an argument.", EMPTY_NAME),
        differs(
            "worker -b -n w ''",
            Jobs,
            &["code", "stdout", "stderr", "rq:*"],
            Does("works on a queue without a name"),
            Refuses("it must not be empty."),
            EMPTY_NAME,
        ),
        differs(
            "worker -b -n w a,b",
            Jobs,
            &["code", "stdout", "stderr", "rq:*"],
            Does("works on a queue of that name"),
            Refuses("it must not hold a comma"),
            COMMA,
        ),
        at_once(
            "--logging_level nosuch",
            CODE,
            Raises("Unknown level: 'NOSUCH'"),
            Refuses("'nosuch' is none of DEBUG, INFO, WARNING, ERROR and CRITICAL."),
            SENSELESS,
        ),
        at_once(
            "-v -q",
            CODE,
            Raises("Flags --verbose and --quiet are mutually exclusive."),
            Refuses("Options '--verbose' and '--quiet' cannot be used together."),
            TOGETHER,
        ),
        at_once(
            "--log-format x",
            CODE,
            Raises("Invalid format 'x' for '%' style"),
            Refuses("it has no field, such as %(message)s."),
            FORMATS,
        ),
        at_once(
            "--log-format '%(nosuch)s'",
            &["code", "stderr", "rq:*"],
            Does("tells of an error with each line"),
            Refuses("behind % it takes one of"),
            FORMATS,
        ),
        at_once(
            "--pid /nosuch/w.pid",
            MESSAGE,
            Raises("No such file or directory: '/nosuch/w.pid'"),
            Fails("the process id cannot be written to /nosuch/w.pid"),
            SENTENCE,
        ),
        at_once("-ds nosuch", MESSAGE, Fails("ERROR: Dequeue"), Fails("Error: Dequeue"), ERROR_WORD),
        at_once(
            "-u redis://127.0.0.1:1/",
            MESSAGE,
            Fails("Connection refused"),
            Fails("cannot be reached"),
            UNREACHABLE,
        )
        .of_all("-u redis://127.0.0.1:1/"),
        differs(
            "worker -n w",
            Worker,
            MESSAGE,
            Raises("There exists an active worker named 'w' already"),
            Fails("There exists an active worker named 'w' already; choose another --name"),
            SENTENCE,
        ),
    ]
}

/// What ours runs with, and Python does not.
fn run_otherwise() -> Vec<Row> {
    vec![
        differs(
            "worker -b -n w -S json",
            Jobs,
            &["stdout", "stderr", "order", "rq:*"],
            Does("fails jobs that were written with pickle"),
            Says("Job OK"),
            ANY_CODEC,
        ),
        differs(
            "worker -b -n w -S nosuch",
            Jobs,
            CODE,
            Raises("Invalid attribute name: nosuch"),
            Refuses("'nosuch' is none of json, pickle and bincode."),
            CODECS,
        ),
        differs(
            "worker -b -n 'a b'",
            Jobs,
            MESSAGE,
            Says("CLIENT SETNAME command not supported"),
            Does("says nothing"),
            CLIENT_NAME,
        ),
        differs(
            "worker -b -n w -P more",
            Jobs,
            RUN,
            Does("looks there, too"),
            Refuses("Option '--path' says where the module of --config is"),
            PYTHONS_JOBS,
        ),
    ]
}

fn classes() -> Vec<Row> {
    let noted = |class: &str, part| {
        let line = format!("worker -b -n w -w {class}");
        differs(line, Jobs, MESSAGE, Does("runs the jobs by that class"), Says(part), WORKER_CLASSES)
    };
    let refused = |options: &str, part| {
        let theirs = Raises("Invalid attribute name: nosuch.");
        differs(format!("worker -b -n w {options}"), Jobs, CODE, theirs, Refuses(part), CLASSES)
    };
    let deprecated = |class: &str, theirs| {
        let line = format!("worker -b -n w -w {class} default");
        let ours = Says("the fork executor runs the jobs instead");
        differs(line, Jobs, MESSAGE, Says(theirs), ours, WORKER_CLASSES)
    };
    vec![
        noted("rq.Worker", "the fork executor runs the jobs instead"),
        noted("rq.worker.Worker", "the fork executor runs the jobs instead"),
        noted("rq.SimpleWorker", "the thread executor runs the jobs instead"),
        differs(
            "worker -b -n w -w rq.worker.SpawnWorker",
            Jobs,
            &["stderr", "stdout", "order"],
            Does("logs nothing of the jobs"),
            Says("the fork executor runs the jobs instead"),
            WORKER_CLASSES,
        ),
        deprecated("rq.worker.RoundRobinWorker", "WARNING: RoundRobinWorker is deprecated."),
        deprecated("rq.worker.RandomWorker", "WARNING: RandomWorker is deprecated."),
        refused("--worker-class nosuch.Worker", "is a Python class, which cannot be loaded here."),
        refused("-j nosuch.Job", "and this program has no job class of that name."),
        refused("--queue-class nosuch.Queue", "and this program has no queue class of that name."),
        refused("--connection-class nosuch.Redis", "is a Python class, which cannot be loaded here."),
    ]
}

fn failures() -> Vec<Row> {
    const THEIRS: Told = Says("exception raised while executing (interop.fail)");
    let told = |options: &str| {
        let ours = Says("exception raised while executing (interop.fail('oh no')): Error: oh no");
        differs(format!("worker -b -n w {options}"), Failing, MESSAGE, THEIRS, ours, FAILURE)
    };
    vec![
        told(""),
        told("-q"),
        told("-d"),
        told("--disable-default-exception-handler"),
        differs(
            "RQ_TEST_APP=pieces worker -b -n w --exception-handler app.handlers.page",
            Failing,
            // The log says which handlers there are.
            &["stdout", "stderr"],
            THEIRS,
            Says("page handler: bad ended by"),
            FAILURE,
        ),
        differs(
            "worker -b -n w --exception-handler handlers.quiet",
            Failing,
            &["code", "stdout", "stderr", "rq:*"],
            THEIRS,
            Refuses("and this program has no exception handler of that name."),
            HANDLERS,
        ),
    ]
}

/// What differs in words.
fn said() -> Vec<Row> {
    let debug = |options: &str| {
        let ours = Says("Job OK");
        differs(format!("worker -b -n w {options}"), Jobs, OUTPUT, Says("performing job one"), ours, DEBUG)
    };
    vec![
        debug("--logging_level DEBUG"),
        debug("-v"),
        debug("--verbose"),
        differs(
            "worker -b -n w --log-format '%(process)d %(message)s'",
            Jobs,
            OUTPUT,
            Does("names the work horse in the lines of its job"),
            Does("names the worker in all lines"),
            HORSE,
        ),
        differs(
            "worker -b -n w --max-jobs 1",
            Jobs,
            OUTPUT,
            Says("finished executing 1 jobs, quitting"),
            Says("finished executing 1 job, quitting"),
            SINGULAR,
        ),
        differs(
            "worker -n w --max-idle-time 1",
            Jobs,
            OUTPUT,
            Says("idle for 1 seconds, quitting"),
            Says("idle for 1 second, quitting"),
            SINGULAR,
        ),
        scheduler("worker -n w -s", Empty).until(IDLE),
    ]
}

fn scheduler(line: &str, start: Start) -> Row {
    let ours = Says("Acquired scheduler lock for default");
    differs(line, start, OUTPUT, Says("Scheduler for default started with PID"), ours, SCHEDULER)
}

fn waiting() -> Vec<Row> {
    let stopped = |line: &str, signal| {
        let ours = Says("Worker w: stopping on request");
        let row = differs(line, Empty, OUTPUT, Says("warm shut down requested"), ours, IDLE_STOP);
        row.until(Until::Idle(1, signal))
    };
    vec![
        stopped("worker -n w", Signal::SIGTERM),
        stopped("worker -n w high low", Signal::SIGINT),
        stopped("worker -n w --worker-ttl 100", Signal::SIGTERM),
        stopped("worker -n w --worker-ttl=1000", Signal::SIGTERM),
    ]
}

fn settings() -> Vec<Row> {
    let with = |options: &str| same(format!("RQ_REDIS_URL= worker {options}"), Jobs);
    let unread = |options: &str, theirs, part| {
        differs(format!("RQ_REDIS_URL= worker -b {options}"), Jobs, MESSAGE, theirs, Fails(part), SETTINGS)
    };
    vec![
        with("-b -c settings -n w"),
        with("-b -c queues"),
        with("-b --config=queues high"),
        with("-b -c queues -n w default"),
        with("-b -n w -c computed"),
        unread("-c nosuch", Raises("No module named 'nosuch'"), "the settings in nosuch.py cannot be read"),
        unread("-c broken", Raises("invalid syntax"), "broken.py, line 1: "),
    ]
}

/// Those of RQ 1.16, which 3.0 has no more.
fn sentry() -> Vec<Row> {
    let taken = |options: &str, at, theirs, ours| {
        differs(format!("worker -b -n w {options}"), Jobs, at, Refuses(theirs), ours, SENTRY)
    };
    let reported = Says("failures are reported to Sentry at 127.0.0.1:1");
    vec![
        taken("--sentry-dsn http://x@127.0.0.1:1/1", RUN, "No such option '--sentry-dsn'.", reported),
        taken("--sentry-ca-certs x", RUN, "No such option '--sentry-ca-certs'.", Does("works")),
        taken("--sentry-debug true", RUN, "No such option '--sentry-debug'.", Does("works")),
    ]
}
