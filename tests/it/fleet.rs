//! A mixed fleet on one Redis: producers, workers and schedulers of both kinds, with retries, dependents and schedules.

use std::collections::BTreeMap;
use std::time::Duration;

use rq_core::{Call, Codec, Dependency, Retry, secs};
use rq_tests::{Journal, Python, Scratch, Signal, eventually};
use serde_json::Value as Json;

use crate::rq_test::{Books, LIMIT, RqTest};

/// How many families of jobs each of the two producers enqueues, and how many jobs one has.
const FAMILIES: usize = 200;
const FAMILY: usize = 5;
/// How long the fleet may take, which is mostly what Python's worker needs for its share.
const FLEET_LIMIT: Duration = Duration::from_secs(120);

/// The same families as `tests/python/fleet.py` enqueues.
fn enqueue(scratch: &Scratch, journal: &Journal) {
    for number in 0..FAMILIES {
        let queue = scratch.queue(["high", "default"][number % 2]).codec(Codec::Pickle);
        let id = |kind: &str| format!("ours-{number}-{kind}");
        let call = |kind: &str, fails: usize| {
            Call::<usize>::to("interop.flaky").arg(journal.path()).arg(id(kind)).arg(fails).job_id(id(kind))
        };
        let calls = [
            call("parent", number % 3).retry(Retry::up_to(2).after([secs(0), secs(1)])),
            call("hopeless", 9).retry(Retry::up_to(1)),
            call("child", 0).depends_on(id("parent")),
            call("heir", 0).depends_on(Dependency::on([id("parent"), id("hopeless")]).allow_failure()),
        ];
        queue.enqueue_many(calls).unwrap();
        queue.enqueue_in(secs(number as u64 % 3), call("later", 0)).unwrap();
    }
}

#[test]
fn a_mixed_fleet_ends_every_job_in_one_place() {
    let scratch = Scratch::new();
    let (python, journal) = (Python::new(&scratch), Journal::new(&scratch));
    let ours = RqTest::new(&scratch).worker(&["--name", "ours", "--with-scheduler", "high", "default"]);
    let class = "rq.SimpleWorker";
    let theirs =
        python.spawn_rq(&["worker", "--name", "theirs", "-w", class, "--with-scheduler", "high", "default"]);
    theirs.wait_for_line("*** Listening on", LIMIT);
    let producer =
        python.spawn(&format!("import fleet; fleet.enqueue(conn, {:?}, {FAMILIES})", journal.path()));
    enqueue(&scratch, &journal);
    producer.succeed(LIMIT);

    let jobs = 2 * FAMILIES * FAMILY;
    let ended = || {
        ["finished:high", "finished:default", "failed:high", "failed:default"]
            .map(|book| scratch.count(book))
            .iter()
            .sum::<usize>()
    };
    eventually("all jobs to have ended", FLEET_LIMIT, || (jobs == ended()).then_some(()));
    for mut worker in [ours, theirs] {
        worker.signal(Signal::SIGTERM);
        assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    }
    let seen: Json =
        serde_json::from_str(&python.run("import fleet; print(json.dumps(fleet.read(conn)))")).expect("JSON");
    check(&seen, &journal, jobs);
}

/// Every job is in one place, which is the right one, and ran as often as it had to, after those it waited for.
fn check(seen: &Json, journal: &Journal, jobs: usize) {
    let places = seen["places"].as_object().expect("a dict");
    assert_eq!(places.len(), jobs);
    let mut order: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let mut runs: BTreeMap<String, usize> = BTreeMap::new();
    for (line, id) in journal.began().into_iter().enumerate() {
        *runs.entry(id.clone()).or_default() += 1;
        let first_and_last = order.entry(id).or_insert((line, line));
        first_and_last.1 = line;
    }
    for (id, held) in places {
        let (family, kind) = id.rsplit_once('-').expect("a family and a kind");
        let number: usize = family.rsplit_once('-').expect("a number").1.parse().expect("a number");
        let hopeless = kind == "hopeless";
        let registry = if hopeless { "FailedJobRegistry" } else { "FinishedJobRegistry" };
        assert_eq!(held, &serde_json::json!([registry]), "{id}");
        let status = if hopeless { "failed" } else { "finished" };
        assert_eq!(seen["results"][id][0], status, "{id}");
        let expected_runs = match kind {
            "parent" => number % 3 + 1,
            "hopeless" => 2,
            _ => 1,
        };
        assert_eq!(runs.get(id.as_str()), Some(&expected_runs), "{id}");
        assert_eq!(journal.ends().get(id.as_str()).copied().unwrap_or(0), usize::from(!hopeless), "{id}");
        let parents: &[&str] = match kind {
            "child" => &["parent"],
            "heir" => &["parent", "hopeless"],
            _ => &[],
        };
        for parent in parents {
            let parent = format!("{family}-{parent}");
            assert!(order[&parent].1 < order[id.as_str()].0, "{id} began before the last run of {parent}");
        }
    }
}
