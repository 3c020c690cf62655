//! What a worker says of itself, and when it stops by itself.

use std::time::{Duration, Instant};

use rq_core::{Call, Timestamp};
use rq_tests::{Gate, Journal, Signal, Stream, eventually};

use super::{LIMIT, SOON, Stage, assert_exit};
use crate::rq_test::{Books, RqTest};

fn add() -> Call<i64> {
    Call::to("math.add").arg(2).arg(3)
}

pub(super) fn a_worker_keeps_a_record_of_itself(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let mut worker = stage.worker(&["--name", "w", "--concurrency", "1", "high", "default"]);
    let state = |wanted: &str| {
        eventually(&format!("the worker to be {wanted}"), SOON, || {
            (scratch.hash("worker:w").get("state")? == wanted).then_some(())
        });
    };
    state("idle");
    let record = scratch.hash("worker:w");
    assert_eq!(record["queues"], "high,default");
    assert_eq!(record["pid"], worker.id().to_string());
    let times =
        [record["birth"].as_str(), &record["last_heartbeat"]].map(|time| Timestamp::parse(time).unwrap());
    assert!(times.is_sorted() && times[1] <= Timestamp::now(), "{times:?}");
    for field in ["hostname", "version", "python_version"] {
        assert!(!record[field].is_empty(), "{field}");
    }
    assert!(record["ip_address"].contains(':'), "{}", record["ip_address"]);
    assert!((400..=480).contains(&scratch.ttl_s("worker:w")));
    for set in ["workers", "workers:high", "workers:default"] {
        let members: Vec<String> = scratch.query("SMEMBERS", [scratch.key(set)]);
        assert_eq!(members, [scratch.key("worker:w")], "{set}");
    }
    let gate = Gate::new(scratch, "gate");
    let job = stage.queue().enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    state("busy");
    let running: Vec<String> = scratch.query("SMEMBERS", [scratch.key("worker:w:executions")]);
    assert!(matches!(&running[..], [one] if one.starts_with(&format!("{}:", job.id()))), "{running:?}");
    gate.open(1);
    job.wait(LIMIT).unwrap();
    state("idle");
    assert_eq!(scratch.hash("worker:w")["successful_job_count"], "1");
    worker.signal(Signal::SIGTERM);
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    assert!(Timestamp::parse(&scratch.hash("worker:w")["death"]).is_ok());
    assert!((1..=60).contains(&scratch.ttl_s("worker:w")));
    let left: Vec<String> = scratch.dump().into_keys().filter(|key| key.contains(":worker")).collect();
    assert_eq!(left, ["rq:worker:w"]);
}

pub(super) fn heartbeats_keep_the_worker_and_its_jobs_alive(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let worker = stage.worker(&["--name", "w", "--job-monitoring-interval", "1"]);
    let gate = Gate::new(scratch, "gate");
    let job = stage.queue().enqueue(Call::<String>::to("test.gate").arg(gate.key()).job_id("j")).unwrap();
    gate.wait_for_arrival();
    let running: Vec<String> = scratch.query("ZRANGE", [scratch.key("wip:default"), "0".into(), "-1".into()]);
    let [member] = &running[..] else { panic!("{running:?}") };
    let x = member.strip_prefix("j:").unwrap();
    // As if all of it was about to be over.
    for (key, member) in [("wip:default", member.as_str()), ("executions:j", x)] {
        scratch.query::<()>("ZADD", [scratch.key(key), "XX".into(), "1".into(), member.into()]);
    }
    let keys = [
        format!("execution:{member}"),
        "executions:j".into(),
        "worker:w".into(),
        "worker:w:executions".into(),
    ];
    for key in &keys {
        scratch.query::<()>("EXPIRE", [scratch.key(key), "20".into()]);
    }
    let old = scratch.hash(&format!("execution:{member}"))["last_heartbeat"].parse::<f64>().unwrap();
    let now_s = Timestamp::now().epoch_secs() as f64;
    eventually("a heartbeat", SOON, || {
        let beats = scratch.hash(&format!("execution:{member}"))["last_heartbeat"].parse::<f64>().unwrap();
        let scores = [scratch.score("wip:default", member)?, scratch.score("executions:j", x)?];
        let refreshed = scores.iter().all(|score| *score > now_s + 50.0);
        (beats > old && refreshed && keys.iter().all(|key| scratch.ttl_s(key) > 50)).then_some(())
    });
    // A record that somebody deleted comes back.
    scratch.query::<()>("DEL", [scratch.key("worker:w")]);
    worker.wait_for_line("its record was gone from Redis and was written again", SOON);
    assert_eq!(scratch.hash("worker:w")["pid"], worker.id().to_string());
    gate.open(1);
    assert_eq!(job.wait(LIMIT).unwrap(), "j");
}

pub(super) fn a_name_is_taken_once(executor: &'static str) {
    let stage = Stage::new(executor);
    let mut first = stage.worker(&["--name", "w"]);
    let (code, _, said) = RqTest::new(&stage.scratch).outcome(&["worker", "-w", executor, "--name", "w"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("There exists an active worker named 'w' already"), "{said}");
    first.signal(Signal::SIGTERM);
    first.wait(SOON);
    // Its record is kept for a minute; its name is free at once.
    let second = stage.worker(&["--name", "w"]);
    assert_eq!(stage.scratch.hash("worker:w")["pid"], second.id().to_string());
}

pub(super) fn a_worker_ends_by_itself_when_told_to(executor: &'static str) {
    let stage = Stage::new(executor);
    let journal = Journal::new(&stage.scratch);
    let calls =
        (0..5).map(|id| Call::<()>::to("interop.journal").arg(journal.path()).arg(id.to_string()).arg(0));
    stage.queue().enqueue_many(calls).unwrap();
    let check = |args: &[&str], line: &str, ran: usize| {
        let began = Instant::now();
        let mut worker = stage.worker(args);
        let status = worker.wait(SOON);
        assert_exit(&worker, status, 0);
        assert!(worker.text(Stream::Stdout).contains(line), "{}", worker.report());
        assert_eq!(journal.ends().len(), ran);
        began.elapsed()
    };
    check(&["--max-jobs", "3", "--concurrency", "2"], "finished executing 3 jobs, quitting", 3);
    assert_eq!(stage.scratch.waiting("default").len(), 2);
    check(&["--burst"], "done, quitting", 5);
    let took = check(&["--max-idle-time", "1"], "idle for 1 second, quitting", 5);
    assert!(took >= Duration::from_secs(1));
}

pub(super) fn an_idle_worker_is_notified(executor: &'static str) {
    /// Well below the five seconds after which a worker looks whatever it heard.
    const HEARD_WITHIN: Duration = Duration::from_secs(2);
    for queues in [&["default"][..], &["high", "default", "low"]] {
        let stage = Stage::new(executor);
        let _worker = stage.worker(&[&["--name", "w"], queues].concat());
        // Again and again, since a notifier may have to be armed anew.
        for queue in queues.iter().cycle().take(6) {
            eventually("the worker to be idle", SOON, || {
                (stage.scratch.hash("worker:w").get("state")? == "idle").then_some(())
            });
            let sum = stage.scratch.queue(queue).enqueue(add()).unwrap().wait(HEARD_WITHIN);
            assert_eq!(sum.unwrap(), 5, "{queue} of {queues:?}");
        }
    }
}

pub(super) fn suspended_workers_take_no_jobs(executor: &'static str) {
    let stage = Stage::new(executor);
    let scratch = &stage.scratch;
    let suspend = || scratch.query::<()>("SET", [scratch.key("suspended"), "1".into()]);
    let resume = || scratch.query::<()>("DEL", [scratch.key("suspended")]);
    // Before the start.
    suspend();
    let (code, out, err) = RqTest::new(scratch).outcome(&["worker", "-w", executor]);
    assert_eq!(code, Some(1));
    assert!(
        (out + &err).contains("RQ is currently suspended, to resume job execution run \"rq resume\""),
        "{err}"
    );
    resume();
    // While it is idle.
    let worker = stage.worker(&["--name", "w"]);
    suspend();
    let job = stage.queue().enqueue(add()).unwrap();
    worker.wait_for_line("suspended, run `rq resume` to resume", SOON);
    eventually("the record to say so", SOON, || {
        (scratch.hash("worker:w")["state"] == "suspended").then_some(())
    });
    assert_eq!(scratch.waiting("default"), [job.id()]);
    resume();
    assert_eq!(job.wait(SOON).unwrap(), 5);
    drop(worker);
    // In the middle of a burst: what runs is finished, what waits stays.
    let gate = Gate::new(scratch, "gate");
    let running = stage.queue().enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    let waiting = stage.queue().enqueue(add()).unwrap();
    let mut worker = stage.worker(&["--burst", "--concurrency", "1"]);
    gate.wait_for_arrival();
    suspend();
    gate.open(1);
    let status = worker.wait(SOON);
    assert_exit(&worker, status, 0);
    assert!(worker.text(Stream::Stdout).contains("suspended in burst mode, exiting"), "{}", worker.report());
    assert_eq!(
        (scratch.status(running.id()), scratch.status(waiting.id())),
        ("finished".into(), "queued".into())
    );
}

pub(super) fn a_worker_says_what_it_is_at(executor: &'static str) {
    let stage = Stage::new(executor);
    let gate = Gate::new(&stage.scratch, "gate");
    let worker = stage.worker(&["--name", "w", "--concurrency", "2"]);
    stage.queue().enqueue(Call::<String>::to("test.gate").arg(gate.key()).job_id("j")).unwrap();
    gate.wait_for_arrival();
    worker.signal(Signal::SIGUSR1);
    worker.wait_for_line("Working; 1 of 2 slots taken", SOON);
    worker.wait_for_line("(j) for 0:00:", SOON);
    gate.open(1);
}
