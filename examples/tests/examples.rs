//! What the examples print that need nothing but a Redis.

use std::process::Command;
use std::time::Duration;

use rq_tests::{Child, PrivateRedis, Stream};

/// How long an example may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);

/// Runs an example on a Redis of its own, and returns what it printed.
#[track_caller]
fn printed(program: &str) -> String {
    let redis = PrivateRedis::start(&[]);
    Child::spawn(Command::new(program).env("RQ_REDIS_URL", redis.url())).succeed(LIMIT)
}

#[test]
fn callbacks_are_called_for_each_end() {
    let expected = "published 2\npaged for odd: Error: 5 is odd\ntidied up\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_callbacks")), expected);
}

#[test]
fn a_handler_keeps_a_failure_from_those_behind_it() {
    let expected = "failure 1\nfailure 2\napples failed\n\
                    Error: could not read \"4 apples\"\ncaused by: invalid digit found in string\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_exceptions")), expected);
}

#[test]
fn middleware_counts_jobs_and_what_is_enqueued() {
    let expected = "enqueue timing.halve: 3 well, 0 failed\nenqueue timing.nap: 1 well, 0 failed\n\
                    run timing.halve: 2 well, 1 failed\nrun timing.nap: 1 well, 0 failed\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_middleware_timing")), expected);
}

#[test]
fn middleware_carries_the_tenant_to_sync_and_async_jobs() {
    let expected = "invoices.send was not enqueued: nobody is logged in\n\
                    acme: sent the invoice of month 2\nglobex: reminded\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_middleware_tenant")), expected);
}

#[test]
fn what_fails_within_a_transaction_was_never_there() {
    let expected = "wages: committed\nfails: rolled back\nrent: committed\npanics: rolled back\n\
                    ada has 60\nbank has -100\nbob has 40\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_middleware_transaction")), expected);
}

#[test]
fn a_command_line_names_pieces() {
    let redis = PrivateRedis::start(&[]);
    let spawn = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pieces"));
        Child::spawn(command.args(arguments).env("RQ_REDIS_URL", redis.url()))
    };
    // The queue class gives each job a second. The first of those that sleep ends within twice that, and the second does not.
    for [id, function, argument] in [
        ["even", "app.halve", ":6"],
        ["odd", "app.halve", ":7"],
        ["late", "app.sleep", ":1300"],
        ["too-late", "app.sleep", ":60000"],
    ] {
        let class = "--queue-class=app.queues.Urgent";
        spawn(&["enqueue", class, "--job-id", id, function, argument]).succeed(LIMIT);
    }
    let pieces = [
        "--exception-handler=app.handlers.report",
        "--death-penalty=app.penalties.Twice",
        "--job-class=app.jobs.AuditedJob",
    ];
    let mut worker = spawn(&[&["worker", "--burst"], &pieces[..]].concat());
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    let told = worker.text(Stream::Stderr);
    let is_of_a_piece = |line: &&str| line.starts_with("audited: ") || line.starts_with("reported: ");
    let told: Vec<&str> = told.lines().filter(is_of_a_piece).collect();
    let expected = [
        "audited: even went well",
        "audited: odd failed",
        "reported: odd ended by Error",
        "audited: late went well",
        "audited: too-late failed",
        "reported: too-late ended by JobTimeoutException",
    ];
    assert_eq!(told, expected, "{}", worker.report());
    let log = worker.text(Stream::Stdout);
    assert!(log.contains(": time limits are decided by app.penalties.Twice"), "{log}");
}

#[test]
fn a_call_s_own_word_wins_over_what_is_declared() {
    let printed = printed(env!("CARGO_BIN_EXE_declared"));
    let lines: Vec<&str> = printed.lines().collect();
    let [here, paged, sent, status] = lines[..] else { panic!("{printed}") };
    assert_eq!(here, "no job: sent to eve@example.com");
    assert_eq!(paged, "urgent from high: paged: Error: nobody is no address");
    let id = sent.strip_suffix(" from low: sent to ada@example.com").expect(sent);
    assert_eq!(status, format!("{id} is Finished"));
}

#[test]
fn of_many_calls_one_makes_the_job() {
    let expected = "under way\nqueued already\nindexed\naccount 8 is up to date\nsync-8-2026-11-28 is finished\nunder way\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_unique")), expected);
}

#[test]
fn few_run_at_once_and_few_start_in_a_second() {
    let printed = printed(env!("CARGO_BIN_EXE_limits"));
    let mut lines: Vec<&str> = printed.lines().collect();
    // Those of one second get their slots in any order.
    lines[1..6].sort_unstable();
    let expected = [
        "2 of 2 slots, 3 wait",
        "page 1",
        "page 2",
        "page 3",
        "page 4",
        "page 5",
        "0 wait",
        "3 may start now",
    ];
    assert_eq!(lines, expected);
}

#[test]
fn an_entry_is_due_again_and_again() {
    let printed = printed(env!("CARGO_BIN_EXE_cron"));
    // One more may have begun when the program was content.
    assert!(printed.starts_with(&"account 7 is up to date\n".repeat(3)), "{printed}");
}

#[test]
fn a_job_runs_when_a_group_has_ended() {
    let expected = "4 jobs: 4 queued\npage 1\npage 2\npage 4\n\
                    the report has 4 jobs: 3 finished, 1 failed\nwithout group.render(3)\n";
    assert_eq!(printed(env!("CARGO_BIN_EXE_group")), expected);
}

#[test]
fn webhooks_arrive_signed() {
    let printed = printed(env!("CARGO_BIN_EXE_webhook"));
    let lines: Vec<&str> = printed.lines().collect();
    let [one, other] = lines[..] else { panic!("{printed}") };
    let of = |status: &str| {
        let part = format!("\"status\": \"{status}\"");
        [one, other].into_iter().find(|line| line.contains(&part)).expect(status)
    };
    assert!(of("finished").contains("\"func_name\": \"webhook.halve\""), "{printed}");
    assert!(of("failed").contains("Error: 5 is odd"), "{printed}");
}
