//! What the examples of a Manager do.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use redis::Commands;
use rq_tests::{Child, Folder, PrivateRedis, Signal, Stream, eventually};

/// How long an example may take on a busy machine.
const LIMIT: Duration = Duration::from_secs(60);
const QUEUE: &str = "redis_queue";
const MESSAGES: usize = 200;

/// What an example has logged, without times and levels.
fn logged(child: &Child) -> Vec<String> {
    let text = child.text(Stream::Stdout);
    let message = |line: &str| line.split_once("INFO ").map_or(line, |(_, message)| message).to_owned();
    text.lines().map(message).collect()
}

/// The pids of a slot's children, in their order.
fn created(child: &Child, slot: &str) -> Vec<String> {
    let of_slot = |line: &String| {
        let pid = line.strip_prefix(slot)?.strip_suffix(" created")?;
        Some(pid.trim().to_owned())
    };
    logged(child).iter().filter_map(of_slot).collect()
}

/// Has it leave, which must go well.
#[track_caller]
fn stop(mut manager: Child) {
    manager.signal(Signal::SIGTERM);
    let status = manager.wait(LIMIT);
    assert!(status.success(), "{status}: {}", manager.report());
}

/// How often each message was told of behind these words.
fn told(child: &Child, words: &str) -> BTreeMap<String, usize> {
    let mut told = BTreeMap::new();
    for line in logged(child) {
        if let Some((_, message)) = line.split_once(words) {
            *told.entry(message.to_owned()).or_default() += 1;
        }
    }
    told
}

fn push(redis: &mut redis::Connection, messages: std::ops::Range<usize>) {
    let messages: Vec<String> = messages.map(|number| format!("message {number}")).collect();
    let _: usize = redis.lpush(QUEUE, messages).expect("a list takes messages");
}

#[test]
fn a_process_is_replaced_after_two_runs() {
    let manager = Child::spawn(&mut Command::new(env!("CARGO_BIN_EXE_process-trivial")));
    manager.wait_for_lines(" created", 2, LIMIT);
    let pids = created(&manager, "Trivial-1");
    let [first, second] = [&pids[0], &pids[1]];
    let line = "=".repeat(50);
    let expected = [
        line.clone(),
        "A trivial Manager".to_owned(),
        line,
        format!("Daemon process {}", manager.id()),
        "Check point 1s".to_owned(),
        format!("Trivial-1 {first} created"),
        format!("Trivial-1 {first} cancelled by reaching max requests count [2]"),
        format!("Trivial-1 {first} is not existed any more."),
        format!("Trivial-1 {second} created"),
    ];
    let (own, managers): (Vec<String>, Vec<String>) =
        logged(&manager).into_iter().partition(|line| line == "Trivial-1 is at work");
    assert_eq!(managers[..expected.len()], expected);
    assert_ne!(first, second);
    // Those of the first child; the second one may have begun.
    assert!(own.len() >= 2, "{}", manager.report());
    stop(manager);
}

#[test]
fn a_kind_has_limits_and_a_log_of_its_own() {
    let folder = Folder::new("process-limits");
    let mut program = Command::new(env!("CARGO_BIN_EXE_process-limits"));
    let manager = Child::spawn(program.env("TMPDIR", folder.path()));
    for slot in ["Plain-1", "Large-1"] {
        eventually("two children are replaced", LIMIT, || (created(&manager, slot).len() > 2).then_some(()));
        let first = &created(&manager, slot)[0];
        let line = format!("{slot} {first} cancelled by reaching max requests count [2]");
        assert!(logged(&manager).contains(&line), "{}", manager.report());
    }
    let log = std::fs::read_to_string(folder.path().join("Large-1.log")).unwrap();
    let lines: Vec<&str> = log.lines().collect();
    // Those of several children.
    assert!(lines.len() >= 4, "{log}");
    for line in lines {
        assert!(line.starts_with("INFO 20") && line.contains(" process-limits.rs:"), "{line}");
        assert!(line.ends_with(" Large-1 has a list of 2097152"), "{line}");
    }
    assert!(!manager.text(Stream::Stdout).contains("has a list"));
    stop(manager);
}

#[test]
fn messages_of_a_list_are_handled_once() {
    let server = PrivateRedis::start(&[]);
    let mut redis = server.connection();
    let mut program = Command::new(env!("CARGO_BIN_EXE_list-consumer"));
    let manager = Child::spawn(program.env("RQ_REDIS_URL", server.url()));
    push(&mut redis, 0..MESSAGES);
    manager.wait_for_lines(" has got message ", MESSAGES, LIMIT);
    let told = told(&manager, " has got ");
    assert!(told.len() == MESSAGES && told.values().all(|times| *times == 1), "{told:?}");
    stop(manager);
}

#[test]
fn no_message_is_lost_whoever_is_killed() {
    const KILLS: usize = 6;
    let server = PrivateRedis::start(&[]);
    let mut redis = server.connection();
    // What a child had in hand that is long gone.
    let _: usize = redis.lpush(format!("{QUEUE}:Consumer-2"), "message in hand").unwrap();
    push(&mut redis, 0..MESSAGES);
    let mut program = Command::new(env!("CARGO_BIN_EXE_reliable-consumer"));
    let manager = Child::spawn(program.env("RQ_REDIS_URL", server.url()));
    for number in 1..=KILLS {
        let told = MESSAGES / (KILLS + 1) * number;
        manager.wait_for_lines(" has handled message ", told, LIMIT);
        let slot = format!("Consumer-{}", number % 2 + 1);
        let pid = created(&manager, &slot).pop().expect("the slot had a child");
        // One that is dead already has been told.
        let _ = kill(Pid::from_raw(pid.parse().unwrap()), Signal::SIGKILL);
    }
    let left = |redis: &mut redis::Connection| -> usize {
        let lists = [QUEUE.to_owned(), format!("{QUEUE}:Consumer-1"), format!("{QUEUE}:Consumer-2")];
        lists.iter().map(|list| redis.llen::<_, usize>(list).unwrap()).sum()
    };
    eventually("all messages are handled", LIMIT, || (left(&mut redis) == 0).then_some(()));
    manager.wait_for_line("was killed by signal 9", LIMIT);
    let told = told(&manager, " has handled ");
    assert_eq!(told.len(), MESSAGES + 1, "{told:?}");
    assert_eq!(told["message in hand"], 1);
    // No more than what was in hand is handled again.
    assert!(told.values().sum::<usize>() <= MESSAGES + 1 + KILLS, "{told:?}");
    stop(manager);
}
