//! The rows of the options that every command has.

use super::reasons::*;
use super::row::Told::{Does, Fails, Raises, Refuses, Says};
use super::row::{ALL, CODE, MESSAGE, Row, differs, same};
use super::start::Start;

/// Rows of `command`, with `arguments` that it cannot do without, from `start`.
pub(super) fn rows(command: &str, arguments: &str, start: Start) -> Vec<Row> {
    let line = |options: &str| format!("{command} {options} {arguments}").trim_end().to_owned();
    let elsewhere = |options: &str| format!("RQ_REDIS_URL= {}", line(options));
    let help = Says("Show this message and exit.");
    vec![
        same(elsewhere("-u {url} -P . -S pickle -j rq.job.Job"), start),
        same(elsewhere("-c settings"), start),
        same(elsewhere("--config=settings"), start),
        same(line("-c elsewhere -u {url}"), start),
        same(
            elsewhere(
                "--url={url} --path . --serializer pickle --job-class=rq.job.Job --queue-class rq.Queue \
                 --connection-class redis.Redis",
            ),
            start,
        ),
        same(line("--zzz"), start),
        differs(line("--help"), start, &["stdout"], help, Says("Connection:"), HELP).of_all("--help"),
        same(format!("{} -u", line("").trim_end()), start),
    ]
}

/// A row of a Redis that cannot be reached.
pub(super) fn away(command: &str, arguments: &str, at: &'static [&'static str]) -> Row {
    const NOBODY: &str = "-u redis://127.0.0.1:1/";
    let line = format!("{command} {NOBODY} {arguments}");
    let theirs = Raises("Connection refused.");
    differs(line.trim_end(), Start::Empty, at, theirs, Fails("cannot be reached: "), UNREACHABLE)
        .of_all(NOBODY)
}

/// Rows of the class that runs jobs, of commands that run none.
pub(super) fn rows_of_who_runs_no_jobs(command: &str, arguments: &str, start: Start) -> Vec<Row> {
    let line = |options: &str| same(format!("{command} {options} {arguments}").trim_end(), start);
    vec![line("-w rq.Worker"), line("--worker-class rq.SimpleWorker")]
}

/// Rows of what is the same for all commands, so that one that prints something, and runs no jobs, stands for them.
pub(super) fn rows_of_one(command: &str, start: Start) -> Vec<Row> {
    let with = |options: &str| format!("{command} {options}");
    let under = |variables: &str| format!("{variables} {command}");
    [missing(&with, start), urls(&with, start), classes(&with, start), variables(&under, start)]
        .into_iter()
        .flatten()
        .collect()
}

type Line<'a> = &'a dyn Fn(&str) -> String;

fn missing(with: Line<'_>, start: Start) -> Vec<Row> {
    let options = ["-u", "--config", "-w", "--job-class", "--queue-class", "--connection-class", "-P", "-S"];
    let without_value = options.iter().map(|option| same(with(option), start));
    without_value.chain([same(with("-z"), start)]).collect()
}

fn urls(with: Line<'_>, start: Start) -> Vec<Row> {
    let cannot = |url: &str, theirs, ours| differs(with(url), start, MESSAGE, theirs, ours, SENTENCE);
    let away = |url: &str| {
        let ours = Fails("cannot be reached: Connection refused");
        differs(with(url), start, &["stdout", "stderr"], Fails("Connection refused."), ours, UNREACHABLE)
    };
    vec![
        away("-u redis://127.0.0.1:1/"),
        cannot("-u nonsense://x", Raises("Redis URL must specify"), Fails("a Redis URL must specify")),
        cannot("-u nonsense", Raises("Redis URL must specify"), Fails("a Redis URL must specify")),
        cannot(
            "-u redis://127.0.0.1:99999/",
            Raises("Port out of range 0-65535"),
            Fails("the port of the Redis URL"),
        ),
    ]
}

fn classes(with: Line<'_>, start: Start) -> Vec<Row> {
    let refused = |options: &str, part| {
        differs(with(options), start, CODE, Raises("Invalid attribute name: nosuch."), Refuses(part), CLASSES)
    };
    let not_read = |options: &str| {
        let ours = Does("goes on");
        differs(with(options), start, ALL, Raises("Invalid attribute name: "), ours, NO_JOBS_RUN)
    };
    let remarked = |options: &str| {
        let ours = Says("Note: --path is ignored: no Python is imported here.");
        differs(with(options), start, MESSAGE, Does("looks there, too"), ours, PATHS)
    };
    let no_codec = |options: &str| {
        let ours = Refuses("is none of json, pickle and bincode.");
        differs(
            with(options),
            start,
            ALL,
            Does("looks at it where a payload is read or written"),
            ours,
            CODECS,
        )
    };
    vec![
        not_read("-w nosuch.Worker"),
        not_read("-w rq.NoWorker"),
        refused("-j nosuch.Job", "and this program has no job class of that name."),
        same(with("--queue-class rq.queue.Queue"), start),
        refused("--queue-class nosuch.Queue", "and this program has no queue class of that name."),
        same(with("--connection-class redis.client.Redis"), start),
        same(with("--connection-class redis.StrictRedis"), start),
        refused("--connection-class nosuch.Redis", "is a Python class, which cannot be loaded here."),
        remarked("-P more"),
        remarked("-P more --path ."),
        same(with("-S json"), start),
        same(with("-S rq.serializers.JSONSerializer"), start),
        same(with("-S rq.serializers.DefaultSerializer"), start),
        no_codec("-S nosuch"),
        no_codec("--serializer no.such"),
    ]
}

fn variables(under: Line<'_>, start: Start) -> Vec<Row> {
    let away = |variables: &str| {
        let ours = Fails("cannot be reached: Connection refused");
        let at = &["stdout", "stderr"];
        differs(under(variables), start, at, Fails("Connection refused."), ours, UNREACHABLE)
    };
    let refused = |variables: &str, part| {
        let theirs = Raises("Invalid attribute name: nosuch.");
        differs(under(variables), start, CODE, theirs, Refuses(part), CLASSES)
    };
    let unread = |variables: &str, theirs, part| {
        differs(under(variables), start, MESSAGE, theirs, Fails(part), SETTINGS)
    };
    vec![
        same(under("RQ_REDIS_URL= REDIS_URL={url}"), start),
        away("RQ_REDIS_URL= REDIS_URL=redis://127.0.0.1:1/"),
        away("RQ_REDIS_URL= REDIS_HOST=127.0.0.1 REDIS_PORT=1"),
        differs(
            under("RQ_REDIS_URL= REDIS_SSL=maybe"),
            start,
            MESSAGE,
            Raises("REDIS_SSL is a boolean and must be \"True\" or \"False\"."),
            Fails("REDIS_SSL is a boolean and must be \"True\" or \"False\"."),
            SENTENCE,
        ),
        same(under("RQ_WORKER_CLASS=rq.SimpleWorker"), start),
        differs(
            under("RQ_WORKER_CLASS=nosuch.Worker"),
            start,
            ALL,
            Raises("Invalid attribute name: nosuch."),
            Does("goes on"),
            NO_JOBS_RUN,
        ),
        same(under("RQ_JOB_CLASS=rq.job.Job"), start),
        refused("RQ_JOB_CLASS=nosuch.Job", "Invalid value for the variable 'RQ_JOB_CLASS'"),
        refused("RQ_QUEUE_CLASS=nosuch.Queue", "Invalid value for the variable 'RQ_QUEUE_CLASS'"),
        refused("RQ_CONNECTION_CLASS=nosuch.Redis", "Invalid value for the variable 'RQ_CONNECTION_CLASS'"),
        same(under("RQ_REDIS_URL= RQ_CONFIG=settings"), start),
        same(under("RQ_REDIS_URL= RQ_CONFIG=computed"), start),
        unread(
            "RQ_REDIS_URL= RQ_CONFIG=nosuch",
            Raises("No module named 'nosuch'"),
            "the settings in nosuch.py cannot be read",
        ),
        unread("RQ_REDIS_URL= RQ_CONFIG=broken", Raises("invalid syntax"), "broken.py, line 1: "),
        differs(
            under("RQ_REDIS_URL= REDIS_URL=redis://127.0.0.1:1/ RQ_CONFIG=settings"),
            start,
            ALL,
            Does("uses the Redis of the file"),
            Fails("cannot be reached"),
            ENVIRONMENT_FIRST,
        ),
    ]
}
