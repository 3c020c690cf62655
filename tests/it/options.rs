//! Every option of Python RQ's `rq`, with Python's program and with ours: what is printed, how it exits, what is left
//! in Redis and in the working directory. Where ours differs a row says in what and why.
//!
//! | file | holds |
//! |---|---|
//! | `options/row.rs` | a command line, and what may differ |
//! | `options/start.rs` | what Redis and the working directory hold before |
//! | `options/trial.rs` | one program that runs one of them |
//! | `options/steady.rs` | what is printed, without what differs from run to run |
//! | `options/verdict.rs` | both beside each other |
//! | `options/complete.rs` | whether each option has a row |
//! | `options/document.rs` | the differences in words, for `docs/options.md` |
//! | `options/reasons.rs` | why ours differs |
//! | `options/shared.rs` | the rows of the options that all commands have |
//! | `options/<command>.rs` | the rows of that command |

mod complete;
mod cron;
mod document;
mod empty;
mod enqueue;
mod info;
mod reasons;
mod requeue;
mod resume;
mod row;
mod shared;
mod start;
mod steady;
mod suspend;
mod trial;
mod verdict;
mod worker;
mod worker_pool;

use row::Row;

/// A command, and its rows.
struct Table {
    command: &'static str,
    rows: fn() -> Vec<Row>,
}

const TABLES: &[Table] = &[
    Table { command: "info", rows: info::rows },
    Table { command: "enqueue", rows: enqueue::rows },
    Table { command: "empty", rows: empty::rows },
    Table { command: "requeue", rows: requeue::rows },
    Table { command: "suspend", rows: suspend::rows },
    Table { command: "resume", rows: resume::rows },
    Table { command: "worker", rows: worker::rows },
    Table { command: "worker-pool", rows: worker_pool::rows },
    Table { command: "cron", rows: cron::rows },
];

fn check(command: &str) {
    let table = TABLES.iter().find(|table| table.command == command).expect("it is in the list");
    let rows = (table.rows)();
    complete::check(command, &rows);
    verdict::check(&rows);
}

#[test]
fn info_does_what_pythons_does() {
    check("info");
}

#[test]
fn enqueue_does_what_pythons_does() {
    check("enqueue");
}

#[test]
fn empty_does_what_pythons_does() {
    check("empty");
}

#[test]
fn requeue_does_what_pythons_does() {
    check("requeue");
}

#[test]
fn suspend_does_what_pythons_does() {
    check("suspend");
}

#[test]
fn resume_does_what_pythons_does() {
    check("resume");
}

#[test]
fn worker_does_what_pythons_does() {
    check("worker");
}

#[test]
fn worker_pool_does_what_pythons_does() {
    check("worker-pool");
}

#[test]
fn cron_does_what_pythons_does() {
    check("cron");
}
