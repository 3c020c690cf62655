//! A worker that lacks one command: it refuses to start and says which, or does without. No job is lost, and none fails
//! that has not run.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use rq_core::steps::permissions::{OPTIONAL, needed};
use rq_core::{Call, Repeat};
use rq_tests::{Child, Scratch, Signal, Stream, eventually};

use super::Guarded;
use crate::cases::{Selection, is_named};
use crate::dice::Dice;
use crate::rq_test::{Books, LIMIT, RqTest};

/// Commands that no worker of ours needs.
const FOREIGN: &[&str] = &[
    "APPEND",
    "BLPOP",
    "CLIENT",
    "CONFIG",
    "ECHO",
    "EVAL_RO",
    "EXEC",
    "FLUSHALL",
    "FUNCTION",
    "GETSET",
    "HDEL",
    "HKEYS",
    "KEYS",
    "LINDEX",
    "LMOVE",
    "MGET",
    "MULTI",
    "OBJECT",
    "PEXPIRE",
    "PUBLISH",
    "SCAN",
    "SCRIPT",
    "SELECT",
    "SORT",
    "SUNION",
    "UNLINK",
    "WATCH",
    "XRANGE",
    "XREAD",
    "XREVRANGE",
    "ZINTER",
    "ZPOPMAX",
];
/// How many workers are tried at once; they mostly wait.
const AT_ONCE: usize = 6;
/// How many commands are taken away from running workers, where that is a sample.
const SAMPLE: usize = 10;
const JOBS: usize = 4;
const SOON: Duration = Duration::from_secs(20);

/// Whether a worker cannot do without it.
fn is_needed(command: &str) -> bool {
    needed().contains(command)
}

fn commands() -> Vec<&'static str> {
    let all: BTreeSet<&str> =
        needed().into_iter().chain(OPTIONAL.iter().copied()).chain(FOREIGN.iter().copied()).collect();
    all.into_iter().collect()
}

/// Runs `check` for each command, some at once, and fails with all that they complain of.
#[track_caller]
fn check_all(commands: Vec<&'static str>, check: impl Fn(&Guarded, &str) -> Result<(), String> + Sync) {
    let guarded = Guarded::new();
    let (waiting, complaints) = (Mutex::new(commands), Mutex::new(Vec::new()));
    let run = || {
        while let Some(command) = { waiting.lock().unwrap().pop() } {
            if let Err(complaint) = check(&guarded, command) {
                complaints.lock().unwrap().push(format!("without {command}: {complaint}"));
            }
        }
    };
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(run);
        }
    });
    let complaints = complaints.into_inner().unwrap();
    assert!(complaints.is_empty(), "{}", complaints.join("\n\n"));
}

fn user_of(command: &str) -> String {
    format!("without-{}", command.to_lowercase().replace('|', "-"))
}

fn rule(sign: char, command: &str) -> String {
    format!("{sign}{}", command.to_lowercase())
}

/// A worker of a user who may do all but that.
fn worker_without(guarded: &Guarded, scratch: &Scratch, command: &str, args: &[&str]) -> Child {
    let user = user_of(command);
    let mut worker =
        RqTest::new(scratch).command(&[&["worker", "-w", "thread", "--concurrency", "2"], args].concat());
    Child::spawn(worker.env("RQ_REDIS_URL", guarded.url(&user)))
}

fn enqueue(scratch: &Scratch, ids: &[String]) {
    let calls = ids.iter().map(|id| Call::<i64>::to("math.add").arg(2).arg(3).job_id(id));
    scratch.queue("default").enqueue_many(calls).unwrap();
}

fn ids(kind: &str) -> Vec<String> {
    (0..JOBS).map(|number| format!("{kind}{number}")).collect()
}

/// Waits until all of them have finished, and none has failed.
fn finish(scratch: &Scratch, ids: &[String]) -> Result<(), String> {
    let deadline = Instant::now() + SOON;
    while Instant::now() < deadline {
        if ids.iter().all(|id| scratch.status(id) == "finished") {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
    let told: Vec<String> = ids.iter().map(|id| format!("{id} is {}", scratch.status(id))).collect();
    Err(told.join(", "))
}

#[test]
fn a_worker_refuses_to_start_or_does_without() {
    let commands = commands();
    assert!(commands.len() >= 50);
    check_all(commands, |guarded, command| {
        if !guarded.user(&user_of(command), &["~*", "&*", "+@all", &rule('-', command)]) {
            assert!(!is_needed(command), "{command}");
            return Ok(());
        }
        let scratch = guarded.scratch();
        let before = ids("before");
        enqueue(&scratch, &before);
        let mut worker = worker_without(guarded, &scratch, command, &[]);
        if is_needed(command) {
            let status = worker.wait(LIMIT);
            let said = worker.text(Stream::Stderr);
            let sentence = format!("redis' user '{}' may not run {command}", user_of(command));
            let names_nobody = format!("may not run {command}");
            let is_told = said.contains(&sentence) || said.contains(&names_nobody);
            if status.code() != Some(1) || !is_told || !said.contains(&format!("+{}", command.to_lowercase()))
            {
                return Err(format!("{status}: {said}"));
            }
            let known: usize = scratch.query("EXISTS", [scratch.key("workers"), scratch.key("leases")]);
            let left = scratch.waiting("default").len();
            return if left == JOBS && known == 0 {
                Ok(())
            } else {
                Err(format!("{left} jobs, {known} keys"))
            };
        }
        finish(&scratch, &before).map_err(|what| format!("{what}\n{}", worker.report()))?;
        // Those that come while it waits.
        let later = ids("later");
        enqueue(&scratch, &later);
        finish(&scratch, &later).map_err(|what| format!("{what}\n{}", worker.report()))?;
        worker.signal(Signal::SIGTERM);
        let status = worker.wait(LIMIT);
        if status.success() { Ok(()) } else { Err(format!("{status}\n{}", worker.report())) }
    });
}

#[test]
fn keys_and_channels_are_asked_for() {
    let guarded = Guarded::new();
    for (user, rules, lack) in [
        // By categories: what looks like enough lacks one command.
        (
            "categories",
            &[
                "~*",
                "&*",
                "+acl|whoami",
                "+@read",
                "+@write",
                "+@scripting",
                "+@pubsub",
                "+@connection",
                "+@transaction",
            ][..],
            "may not run TIME, which a worker needs; `ACL SETUSER categories +time` lets it",
        ),
        ("other-keys", &["~other:*", "&*", "+@all"], "may not use the keys"),
        ("reads", &["%R~*", "&*", "+@all"], "may not use the keys"),
        ("no-channel", &["~*", "resetchannels", "+@all"], "may not listen on the channel"),
    ] {
        if !guarded.user(user, rules) {
            continue;
        }
        let scratch = guarded.scratch();
        enqueue(&scratch, &ids("j"));
        let mut worker = Child::spawn(
            RqTest::new(&scratch).command(&["worker", "-w", "thread"]).env("RQ_REDIS_URL", guarded.url(user)),
        );
        let status = worker.wait(LIMIT);
        let said = worker.text(Stream::Stderr);
        assert_eq!(status.code(), Some(1), "{said}");
        assert!(said.contains(lack), "{user}: {said}");
        assert!(user == "categories" || said.contains(scratch.prefix()), "{user}: {said}");
        assert_eq!(scratch.waiting("default").len(), JOBS, "{user}");
    }
}

/// Jobs run while the permission goes, and others come. When it is back all of them finish.
#[test]
fn a_permission_that_is_lost_costs_no_job() {
    const GONE: Duration = Duration::from_millis(1500);
    const JOB_MS: u64 = 500;
    let selection = Selection::from_env();
    let all = needed().into_iter().filter(|command| *command != "SUBSCRIBE").collect();
    let commands = match &selection {
        Selection::Sample { seed } => Dice::new(*seed).draw(all, SAMPLE),
        Selection::Full => all,
        Selection::Named(names) => all.into_iter().filter(|command| is_named(command, names)).collect(),
    };
    println!("{selection}: {commands:?}");
    selection.check(&commands);
    check_all(commands, |guarded, command| {
        let user = user_of(command);
        assert!(guarded.user(&user, &["~*", "&*", "+@all"]));
        let scratch = guarded.scratch();
        let worker = worker_without(guarded, &scratch, command, &["--lease", "1", "--with-scheduler"]);
        worker.wait_for_line("*** Listening on", LIMIT);
        let running = ["r0", "r1"].map(str::to_owned);
        let calls = running.iter().map(|id| Call::<u64>::to("test.sleep").arg(JOB_MS).job_id(id));
        scratch.queue("default").enqueue_many(calls).unwrap();
        // What their ends set going: not on servers that cannot be asked for so much.
        let more = if guarded.tells_scripts() { &["behind", "due", "again"][..] } else { &[] };
        let add = |id: &str| Call::<i64>::to("math.add").arg(2).arg(3).job_id(id);
        for id in more {
            let queue = scratch.queue("default");
            let done = match *id {
                "behind" => queue.enqueue(add(id).depends_on("r0")),
                "due" => queue.enqueue_in(Duration::from_secs(1), add(id)),
                _ => queue.enqueue(add(id).repeat(Repeat::times(1)).depends_on("r1")),
            };
            done.unwrap();
        }
        eventually("the jobs to run", SOON, || (scratch.count("wip:default") == running.len()).then_some(()));
        guarded.change(&user, &[&rule('-', command)]);
        let others = ids("other");
        enqueue(&scratch, &others);
        thread::sleep(GONE);
        let nowhere: Vec<&String> = others
            .iter()
            .filter(|id| {
                let in_books = ["wip", "finished"].iter().any(|book| {
                    let members: Vec<String> = scratch
                        .query("ZRANGE", [scratch.key(format!("{book}:default")), "0".into(), "-1".into()]);
                    members.iter().any(|member| member.split(':').next() == Some(id))
                });
                !in_books && !scratch.waiting("default").contains(id)
            })
            .collect();
        let failed = scratch.count("failed:default");
        guarded.change(&user, &[&rule('+', command)]);
        if failed > 0 || !nowhere.is_empty() {
            return Err(format!("{failed} failed, {nowhere:?} are in no book\n{}", worker.report()));
        }
        let more: Vec<String> = more.iter().map(ToString::to_string).collect();
        finish(&scratch, &[&running[..], &others, &more].concat())
            .map_err(|what| format!("{what}\n{}", worker.report()))?;
        for id in running.iter().chain(&others) {
            let results: usize = scratch.query("XLEN", [scratch.key(format!("results:{id}"))]);
            if results != 1 {
                return Err(format!("{id} has {results} results\n{}", worker.report()));
            }
        }
        Ok(())
    });
}
