//! The users of docs/operations.md: each can do its part, and may do nothing that it does not need.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rq_core::blocking::Queue;
use rq_core::steps::permissions::{OPTIONAL, needed, of_script};
use rq_core::{Call, Dependency, Error, ErrorClass, Keys, RegistryKind, Repeat, Retry, Status, secs};
use rq_tests::{Child, Folder, Scratch, Signal, Stream, eventually};

use super::{Guarded, PASSWORD};
use crate::rq_test::{LIMIT, RqTest};

const DOCUMENT: &str = include_str!("../../../docs/operations.md");
const SOON: Duration = Duration::from_secs(20);

/// What a producer and a manager send beside their scripts.
const SENT_BY_PRODUCERS: &[&str] = &["EVAL", "EVALSHA", "EXISTS", "HGET", "HGETALL", "XREAD", "XREVRANGE"];
const SENT_BY_MANAGERS: &[&str] = &[
    "DEL", "HEXISTS", "HMGET", "LLEN", "LPOS", "LRANGE", "LREM", "PUBLISH", "SCARD", "SET", "SMEMBERS",
    "SUNION", "ZCARD", "ZRANGE", "ZSCORE",
];
const SENT_BY_INFO: &[&str] = &[
    "GET",
    "HEXISTS",
    "HGET",
    "HGETALL",
    "HMGET",
    "LLEN",
    "SCARD",
    "SMEMBERS",
    "SSCAN",
    "SUNION",
    "ZCARD",
    "ZRANGEBYSCORE",
];
/// What a cron scheduler sends beside its scripts, and what people do to its entries.
const SENT_BY_CRON: &[&str] = &[
    "DEL",
    "EVAL",
    "EVALSHA",
    "EXPIRE",
    "HGETALL",
    "HMGET",
    "HSET",
    "SMEMBERS",
    "SREM",
    "TIME",
    "ZADD",
    "ZRANGE",
    "ZRANGEBYSCORE",
    "ZREM",
];
/// What a worker can do without and should: it shows passwords.
const UNADVISED: &str = "CONFIG|GET";

/// The rules of a user as they are documented.
fn rules(user: &str) -> Vec<&'static str> {
    let beginning = format!("ACL SETUSER {user} ");
    let line = DOCUMENT.lines().find_map(|line| line.strip_prefix(&beginning));
    line.unwrap_or_else(|| panic!("{user} is documented")).split_whitespace().collect()
}

/// The commands that a user may run, in capitals.
fn commands(user: &str) -> BTreeSet<String> {
    rules(user).iter().filter_map(|rule| rule.strip_prefix('+')).map(str::to_uppercase).collect()
}

/// Makes a user as documented, for the prefix of a scratch.
fn make(guarded: &Guarded, scratch: &Scratch, user: &str, without: Option<&str>) -> String {
    let name = format!("{user}-{}", scratch.prefix());
    let without = without.map(|command| format!("+{}", command.to_lowercase()));
    let rules: Vec<String> = rules(user)
        .into_iter()
        .filter(|rule| Some(*rule) != without.as_deref())
        .map(|rule| rule.replace("rq:", &format!("{}:", scratch.prefix())).replace("PASSWORD", PASSWORD))
        .collect();
    guarded.change(&name, &rules.iter().map(String::as_str).collect::<Vec<_>>());
    name
}

fn queue(guarded: &Guarded, scratch: &Scratch, user: &str) -> Queue {
    let keys = Keys::new(scratch.prefix()).unwrap();
    Queue::connect(&guarded.url(user), "default").unwrap().keys(keys)
}

fn worker(guarded: &Guarded, scratch: &Scratch, user: &str, args: &[&str]) -> Child {
    let mut command = RqTest::new(scratch).command(&[&["worker"], args].concat());
    let worker = Child::spawn(command.env("RQ_REDIS_URL", guarded.url(user)));
    worker.wait_for_line("*** Listening on", LIMIT);
    worker
}

fn union<'a>(sets: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    sets.into_iter().map(str::to_owned).collect()
}

fn scripts<'a>(names: &'a [&'a str]) -> impl Iterator<Item = &'static str> + 'a {
    names.iter().flat_map(|name| of_script(name).unwrap_or_else(|| panic!("there is a script {name}")))
}

#[test]
fn no_user_has_more_than_it_needs() {
    let advised = OPTIONAL.iter().copied().filter(|command| *command != UNADVISED);
    assert_eq!(commands("worker"), union(needed().into_iter().chain(advised)));
    let producer = || scripts(&["enqueue", "fill_slots"]).chain(SENT_BY_PRODUCERS.iter().copied());
    assert_eq!(commands("producer"), union(producer()));
    let manages = scripts(&["cancel", "delete", "empty", "release", "requeue", "write_meta"]);
    let manages = manages.chain(scripts(&["await_group", "let_end", "note_open", "tidy_group"]));
    assert_eq!(commands("manager"), union(producer().chain(manages).chain(SENT_BY_MANAGERS.iter().copied())));
    assert_eq!(commands("info"), union(SENT_BY_INFO.iter().copied()));
    let cron = scripts(&["announce", "pause", "tick", "trigger"]);
    assert_eq!(commands("cron"), union(cron.chain(SENT_BY_CRON.iter().copied())));
}

/// A command that a worker sends in its own words is needed, or it can do without it: it is asked for at the start, or
/// documented.
#[test]
fn every_command_a_worker_sends_is_known() {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let steps =
        ["claim", "group", "maintenance", "permissions", "schedule", "settlement", "silent", "worker"];
    let mut files: Vec<PathBuf> =
        steps.iter().map(|step| crates.join(format!("rq-core/src/steps/{step}.rs"))).collect();
    for folder in ["rq-worker/src", "rq-worker/src/dispatcher"] {
        files.extend(fs::read_dir(crates.join(folder)).unwrap().map(|entry| entry.unwrap().path()));
    }
    let mut seen = 0;
    for file in files.iter().filter(|file| file.is_file()) {
        let text = fs::read_to_string(file).unwrap();
        for (at, opening) in text.match_indices("cmd(\"") {
            let command = text[at + opening.len()..].split('"').next().unwrap();
            let is_optional = OPTIONAL.iter().any(|optional| optional.split('|').next() == Some(command));
            assert!(needed().contains(command) || is_optional, "{}: {command}", file.display());
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen}");
}

/// What a producer does before any worker has run.
fn produce(queue: &Queue) -> Result<(), Error> {
    let add = |id: &str| Call::<i64>::to("math.add").arg(2).arg(3).job_id(id);
    queue.enqueue(add("plain"))?;
    queue.enqueue_many([add("m1"), add("m2").at_front()])?;
    queue.enqueue_in(secs(1), add("soon"))?;
    queue.enqueue(Call::<()>::to("test.fail").arg("no").job_id("fails"))?;
    queue.enqueue(Call::<()>::to("test.fail").arg("no").job_id("retried").retry(Retry::up_to(2)))?;
    queue.enqueue(add("repeated").repeat(Repeat::times(2)))?;
    queue.enqueue(add("behind").depends_on("plain").ttl(secs(600)))?;
    queue.enqueue(add("lenient").depends_on(Dependency::on(["fails"]).allow_failure()))?;
    queue.enqueue(add("brief").result_ttl(secs(0)))?;
    queue.enqueue(add("once").unique())?;
    queue.enqueue(add("only").unique_by_args(secs(60)))?;
    for id in ["slot1", "slot2"] {
        queue.enqueue(add(id).rate_limit("api", 1).ttl(secs(600)))?;
    }
    for id in ["pace1", "pace2"] {
        queue.enqueue(add(id).pace("mail", 1, secs(1)))?;
    }
    queue.group("g")?.enqueue(add("member"))?;
    Ok(())
}

fn all_goes_well(executor: &str) {
    let guarded = Guarded::new();
    let scratch = guarded.scratch();
    let [producer, manager, worker_user, info] =
        ["producer", "manager", "worker", "info"].map(|user| make(&guarded, &scratch, user, None));
    let (producer, manager) = (queue(&guarded, &scratch, &producer), queue(&guarded, &scratch, &manager));
    produce(&producer).unwrap();
    let args = ["-w", executor, "--name", "w", "--with-scheduler", "--concurrency", "4"];
    let mut worker = worker(&guarded, &scratch, &worker_user, &args);

    let others = ["once", "only", "slot1", "slot2", "pace1", "pace2", "member"];
    for id in ["plain", "m1", "m2", "soon", "repeated", "behind", "lenient"].into_iter().chain(others) {
        assert_eq!(producer.handle::<i64>(id).wait(SOON).unwrap(), 5, "{id}: {}", worker.report());
    }
    for id in ["fails", "retried"] {
        let failed = producer.handle::<()>(id).wait(SOON);
        assert!(matches!(failed, Err(Error::JobFailed { status: Status::Failed, .. })), "{id}: {failed:?}");
    }
    // The manager.
    let failed = manager.registry(RegistryKind::Failed);
    assert_eq!(failed.count().unwrap(), 2);
    assert_eq!(failed.requeue(&["fails".to_owned()]).unwrap().len(), 1);
    assert!(manager.handle::<()>("fails").wait(SOON).is_err());
    let stops = manager.enqueue(Call::<u64>::to("test.sleep").arg(30_000).job_id("stops")).unwrap();
    worker.wait_for_line("(stops)", SOON);
    assert!(stops.stop().unwrap());
    eventually("it to stop", SOON, || (stops.status().unwrap() == Some(Status::Stopped)).then_some(()));
    let waits = manager.enqueue_in(secs(600), Call::<i64>::to("math.add").arg(1).arg(1)).unwrap();
    waits.cancel().unwrap();
    let group = manager.group("g").unwrap();
    assert!(group.status().unwrap().is_complete());
    assert_eq!(group.on_complete(Call::<i64>::to("math.add").arg(1).arg(1)).unwrap().wait(SOON).unwrap(), 2);
    assert_eq!((group.remove("member").unwrap(), group.delete().unwrap()), (true, 0));
    waits.delete().unwrap();
    manager.suspend_all_workers(None).unwrap();
    manager.resume_all_workers().unwrap();
    assert_eq!((manager.workers().unwrap().len(), manager.worker_count().unwrap()), (1, 1));
    assert!(manager.worker("w").unwrap().is_some_and(|worker| !worker.is_pythons()));
    assert_eq!(manager.worker_executions("w").unwrap(), []);
    manager.handle::<()>("fails").set_meta("seen", true).unwrap();
    assert_eq!((manager.position("fails").unwrap(), manager.remove("fails").unwrap()), (None, false));
    assert_eq!(manager.names().unwrap(), ["default"]);

    let show = || {
        let mut shows = RqTest::new(&scratch).command(&["info"]);
        let shown = Child::spawn(shows.env("RQ_REDIS_URL", guarded.url(&info))).succeed(LIMIT);
        assert!(shown.contains("default") && shown.contains("1 workers"), "{shown}");
    };
    show();
    // As documented for Redis 7.
    if guarded.tells_scripts() {
        guarded.change(&info, &["resetkeys", &format!("%R~{}:*", scratch.prefix())]);
        show();
    }

    worker.signal(Signal::SIGTERM);
    let status = worker.wait(LIMIT);
    assert!(status.success(), "{}", worker.report());
    let said = worker.text(Stream::Stderr) + &worker.text(Stream::Stdout);
    assert!(!said.contains("NOPERM") && !said.contains("permission"), "{said}");
    assert!(manager.empty().is_ok());
}

#[test]
fn the_documented_users_are_enough_thread() {
    all_goes_well("thread");
}

#[test]
fn the_documented_users_are_enough_fork() {
    all_goes_well("fork");
}

#[test]
fn the_documented_users_are_enough_green() {
    all_goes_well("green");
}

/// So does a worker with a cron, and one that lacks what that needs says so and leaves.
#[test]
fn the_documented_user_of_a_cron_is_enough() {
    let guarded = Guarded::new();
    let scratch = guarded.scratch();
    let folder = Folder::new("cron");
    let file = folder.path().join("rq.toml");
    let entry = "[[cron]]\nname = \"tick\"\nfunction = \"math.add\"\nargs = [2, 3]\nevery = \"1h\"\n";
    fs::write(&file, entry).unwrap();
    let run = |user: &str, args: &[&str]| {
        let mut command = RqTest::new(&scratch).command(args);
        Child::spawn(command.env("RQ_REDIS_URL", guarded.url(user)))
    };
    let user = make(&guarded, &scratch, "cron", None);
    let mut cron = run(&user, &["cron", file.to_str().unwrap()]);
    cron.wait_for_line("Enqueued job add", LIMIT);
    for verb in ["pause", "resume", "trigger"] {
        run(&user, &["cron", verb, "tick"]).succeed(LIMIT);
    }
    assert!(run(&user, &["cron", "list"]).succeed(LIMIT).ends_with("1 entries, 1 schedulers\n"));
    cron.signal(Signal::SIGTERM);
    assert!(cron.wait(LIMIT).success(), "{}", cron.report());
    run(&user, &["cron", "forget", "tick"]).succeed(LIMIT);

    let with_cron = format!("--with-cron={}", file.display());
    let user = make(&guarded, &scratch, "worker", None);
    let mut worker = run(&user, &["worker", "-w", "thread", &with_cron]);
    assert_eq!(worker.wait(LIMIT).code(), Some(1), "{}", worker.report());
    assert!(worker.report().contains("cron failed"), "{}", worker.report());
}

/// A producer who lacks a command is told which, and nothing is left of the job.
#[test]
fn a_producer_is_told_what_it_lacks() {
    let guarded = Guarded::new();
    type Enqueue = fn(&Queue) -> Result<(), Error>;
    let shapes: [(&[&str], Enqueue); 7] = [
        (&["SADD", "HSET", "RPUSH"], |queue| {
            queue.enqueue(Call::<i64>::to("math.add").job_id("j")).map(drop)
        }),
        (&["LPUSH"], |queue| queue.enqueue(Call::<i64>::to("math.add").job_id("j").at_front()).map(drop)),
        (&["ZADD"], |queue| queue.enqueue_in(secs(9), Call::<i64>::to("math.add").job_id("j")).map(drop)),
        (&["EXPIRE"], |queue| queue.enqueue(Call::<i64>::to("math.add").job_id("j").ttl(secs(9))).map(drop)),
        (&["GET", "SET"], |queue| {
            queue.enqueue(Call::<i64>::to("math.add").job_id("j").unique_by_args(secs(9))).map(drop)
        }),
        (&["ZCARD", "ZPOPMIN", "PERSIST", "RPUSH"], |queue| {
            queue.enqueue(Call::<i64>::to("math.add").job_id("j").rate_limit("k", 1)).map(drop)
        }),
        (&["TIME", "ZRANGE", "ZREMRANGEBYRANK", "ZREMRANGEBYSCORE", "HDEL"], |queue| {
            queue.enqueue(Call::<i64>::to("math.add").job_id("j").pace("k", 1, secs(9))).map(drop)
        }),
    ];
    for (lacking, enqueue) in shapes {
        for lacks in lacking {
            let scratch = guarded.scratch();
            let user = make(&guarded, &scratch, "producer", Some(lacks));
            let error = enqueue(&queue(&guarded, &scratch, &user)).expect_err(lacks);
            assert_eq!(error.class(), ErrorClass::Misconfigured, "{error}");
            assert!(error.to_string().to_uppercase().contains(lacks), "{error}");
            let left = scratch.dump();
            if !guarded.tells_scripts() {
                continue;
            }
            assert!(left.keys().all(|key| key == "rq:queues"), "{lacks}: {left:?}");
        }
    }
}
