//! A mixed fleet on one Redis: producers, workers, schedulers and crons of Python RQ 3.0.0 and 2.12.0 and ours, and jobs that
//! use everything there is. Every job ends in one place, has run as often as it should, and Python reads all of it.
//!
//! `cargo xtask rig fleet` has 5,000 jobs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::time::{Duration, Instant};

use rq_core::blocking::Queue;
use rq_core::{Call, Codec, Dependency, Repeat, Retry, Unique, secs};
use rq_tests::{Child, Folder, Journal, PrivateRedis, Python, PythonRq, Scratch, Signal, eventually};
use serde_json::Value as Json;

use crate::dice;
use crate::rq_test::{Books, LIMIT, RqTest};

/// How many families of jobs each of the three producers enqueues: of 14 jobs and more.
const FAMILIES: usize = 20;
const FAMILIES_FULL: usize = 115;
/// How long the fleet may take, which is mostly what Python's workers need for their share.
const FLEET_LIMIT: Duration = Duration::from_secs(180);
const FLEET_LIMIT_FULL: Duration = Duration::from_secs(500);
/// The time limit of jobs. Workers of 2.12 leave the entry of a run in `rq:wip` that ended while somebody had another job
/// wait for its own: it is over a minute after that limit.
const TIMEOUT: Duration = Duration::from_secs(30);
/// All results are there when they are read.
const RESULT_TTL: Duration = Duration::from_secs(3600);
const LEFT_BY_2_12: Duration = Duration::from_secs(150);
/// Those that everybody serves, and that of jobs under a rate limit: workers of 2.12 give no slots back.
const QUEUES: [&str; 2] = ["high", "default"];
const LIMITED: &str = "limited";

/// Which part of a family a job is: what is special about it.
struct Kind {
    name: &'static str,
    /// Whose producers have it.
    producers: &'static [&'static str],
    /// The registry it ends in.
    ends_in: &'static str,
    runs: fn(usize) -> usize,
    /// Those of its family that have run before it.
    after: &'static [&'static str],
}

const ALL: &[&str] = &["ours", "python3", "python2"];
const FINISHED: &str = "FinishedJobRegistry";

#[rustfmt::skip]
const KINDS: &[Kind] = &[
    Kind { name: "parent", producers: ALL, ends_in: FINISHED, runs: |number| number % 3 + 1, after: &[] },
    Kind { name: "hopeless", producers: ALL, ends_in: "FailedJobRegistry", runs: |_| 2, after: &[] },
    Kind { name: "child", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &["parent"] },
    Kind { name: "heir", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &["parent", "hopeless"] },
    Kind { name: "front", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "twice", producers: ALL, ends_in: FINISHED, runs: |_| 2, after: &[] },
    Kind { name: "canceled", producers: ALL, ends_in: "CanceledJobRegistry", runs: |_| 0, after: &[] },
    Kind { name: "unique", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "member1", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "member2", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "member3", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "later", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "limited", producers: &["ours", "python3"], ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "paced", producers: &["ours"], ends_in: FINISHED, runs: |_| 1, after: &[] },
    Kind { name: "only", producers: &["ours"], ends_in: FINISHED, runs: |_| 1, after: &[] },
    // Ours declares the ends of everybody's groups.
    Kind { name: "ended", producers: ALL, ends_in: FINISHED, runs: |_| 1, after: &["member1", "member2", "member3"] },
];

fn call(journal: &Journal, family: &str, kind: &str, fails: usize) -> Call<usize> {
    let id = format!("{family}-{kind}");
    Call::to("interop.flaky").arg(journal.path()).arg(&id).arg(fails).job_id(id).result_ttl(RESULT_TTL)
}

fn queue_of(scratch: &Scratch, number: usize) -> Queue {
    queue(scratch, QUEUES[number % 2])
}

fn queue(scratch: &Scratch, name: &str) -> Queue {
    scratch.queue(name).codec(Codec::Pickle).default_timeout(TIMEOUT)
}

/// The same families as `tests/python/fleet.py` enqueues, and what Python has not.
fn enqueue_family(scratch: &Scratch, journal: &Journal, number: usize) {
    let (queue, family) = (queue_of(scratch, number), format!("ours-{number}"));
    let id = |kind: &str| format!("{family}-{kind}");
    let call = |kind: &str, fails: usize| call(journal, &family, kind, fails);
    let calls = [
        call("parent", number % 3).retry(Retry::up_to(2).after([secs(0), secs(1)])),
        call("hopeless", 9).retry(Retry::up_to(1)),
        call("child", 0).depends_on(id("parent")),
        call("heir", 0).depends_on(Dependency::on([id("parent"), id("hopeless")]).allow_failure()),
        call("front", 0).at_front(),
        call("twice", 0).repeat(Repeat::times(1)),
        call("canceled", 0).depends_on(id("hopeless")),
        call("paced", 0).pace("mail", 10, secs(1)),
    ];
    queue.enqueue_many(calls).unwrap();
    queue.handle::<()>(&id("canceled")).cancel().unwrap();
    assert!(queue.enqueue_unique(call("unique", 0).unique()).unwrap().is_made());
    assert!(!queue.enqueue_unique(call("unique", 0).unique()).unwrap().is_made());
    assert!(
        queue
            .enqueue_unique(call("only", 0).unique_by_args(Unique::for_all_of(secs(600))))
            .unwrap()
            .is_made()
    );
    let again = call("only", 0).job_id(id("again")).unique_by_args(Unique::for_all_of(secs(600)));
    assert_eq!(queue.enqueue_unique(again).unwrap().into_handle().id(), id("only"));
    queue
        .group(&family)
        .unwrap()
        .enqueue_many(["member1", "member2", "member3"].map(|kind| call(kind, 0)))
        .unwrap();
    queue.enqueue_in(secs(number as u64 % 3), call("later", 0)).unwrap();
    let limited = self::queue(scratch, LIMITED);
    limited.enqueue(call("limited", 0).rate_limit("mail", 3)).unwrap();
}

fn declare_end(scratch: &Scratch, journal: &Journal, who: &str, number: usize) {
    let family = format!("{who}-{number}");
    let group = queue_of(scratch, number).group(&family).unwrap();
    group.on_complete(call(journal, &family, "ended", 0)).unwrap();
}

/// The fleet's workers, and its crons, each with an entry of its own that is due every second.
struct Fleet {
    workers: Vec<Child>,
    crons: Vec<Child>,
    _folder: Folder,
}

/// The names of the crons' entries.
const ENTRIES: [&str; 3] = ["cron-ours", "cron-python3", "cron-python2"];

impl Fleet {
    fn start(scratch: &Scratch, journal: &Journal) -> Fleet {
        let ours = RqTest::new(scratch);
        let folder = Folder::new("fleet");
        let path = journal.path();
        fs::write(
            folder.path().join("rq.toml"),
            format!(
                "[[cron]]\nname = 'cron-ours'\nfunction = 'interop.flaky'\nargs = ['{path}', 'cron-ours', 0]\nevery = '1s'\nresult_ttl = 3600\n"
            ),
        )
        .unwrap();
        let mut crons = vec![Child::spawn(ours.command(&["cron"]).current_dir(folder.path()))];
        for (rq, name) in [(PythonRq::Rq3, "cron-python3"), (PythonRq::Rq2, "cron-python2")] {
            crons.push(
                Python::of(rq, scratch).spawn(&format!("import fleet; fleet.cron(conn, {path:?}, {name:?})")),
            );
        }
        let mut workers = vec![
            // What two workers of 2.12 leave deferred, which end the two parents of a job at once, is found by maintenance.
            ours.worker(&["--name", "ours-fork", "--maintenance-interval", "20", "high", "default", LIMITED]),
            ours.worker(&["--name", "ours-thread", "-w", "thread", "--with-scheduler", "high", "default"]),
        ];
        for (rq, name, queues) in [
            (PythonRq::Rq3, "theirs-3", &["high", "default", LIMITED][..]),
            (PythonRq::Rq2, "theirs-2", &QUEUES),
        ] {
            let simple = ["worker", "--name", name, "-w", "rq.SimpleWorker", "--with-scheduler"];
            let worker = Python::of(rq, scratch).spawn_rq(&[&simple[..], queues].concat());
            worker.wait_for_line("*** Listening on", LIMIT);
            workers.push(worker);
        }
        Fleet { workers, crons, _folder: folder }
    }

    fn stop_crons(&mut self) {
        self.crons.drain(..).for_each(stop);
    }

    fn stop(self) {
        self.workers.into_iter().for_each(stop);
    }
}

fn stop(mut process: Child) {
    process.signal(Signal::SIGTERM);
    assert!(process.wait(LIMIT).success(), "{}", process.report());
}

/// The jobs of the crons' entries.
fn ticks(scratch: &Scratch) -> Vec<String> {
    let of = |name: &&str| -> Vec<String> {
        scratch.query("ZRANGE", [scratch.key(format!("cron_job:{name}:jobs")), "0".into(), "-1".into()])
    };
    ENTRIES.iter().flat_map(of).collect()
}

#[test]
fn a_mixed_fleet_ends_every_job_in_one_place() {
    let (families, limit) = match dice::is_full() {
        true => (FAMILIES_FULL, FLEET_LIMIT_FULL),
        false => (FAMILIES, FLEET_LIMIT),
    };
    let redis = PrivateRedis::start(&[]);
    // Python before 3.0 has no other prefix.
    let scratch = Scratch::unprefixed_on(&redis.url());
    let journal = Journal::new(&scratch);
    let mut fleet = Fleet::start(&scratch, &journal);
    let producers = [(PythonRq::Rq3, "python3"), (PythonRq::Rq2, "python2")].map(|(rq, who)| {
        let code = format!("import fleet; fleet.enqueue(conn, {:?}, {who:?}, {families})", journal.path());
        Python::of(rq, &scratch).spawn(&code)
    });
    (0..families).for_each(|number| enqueue_family(&scratch, &journal, number));
    producers.into_iter().for_each(|producer| {
        producer.succeed(limit);
    });
    for who in ALL {
        (0..families).for_each(|number| declare_end(&scratch, &journal, who, number));
    }
    fleet.stop_crons();
    let ticks = ticks(&scratch);
    assert!(ticks.len() >= ENTRIES.len(), "{ticks:?}");
    let jobs: Vec<String> = ids(families).into_iter().chain(ticks.clone()).collect();
    let ended = || -> usize {
        let of =
            |queue| ["finished", "failed", "canceled"].map(|book| scratch.count(&format!("{book}:{queue}")));
        QUEUES.iter().chain([&LIMITED]).flat_map(of).sum()
    };
    let began = Instant::now();
    while ended() < jobs.len() {
        if began.elapsed() >= limit {
            let unended = unended(&scratch, &jobs);
            let first = unended.first().and_then(|told| told.split(' ').next()).unwrap_or_default();
            panic!("not ended: {unended:?}; {}", told(&scratch, first));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    eventually("all runs to be over", LEFT_BY_2_12, || {
        let running: usize =
            QUEUES.iter().chain([&LIMITED]).map(|queue| scratch.count(&format!("wip:{queue}"))).sum();
        (running == 0).then_some(())
    });
    fleet.stop();
    for rq in [PythonRq::Rq3, PythonRq::Rq2] {
        let read = Python::of(rq, &scratch).run("import fleet; print(json.dumps(fleet.read(conn)))");
        Seen { read: serde_json::from_str(&read).expect("JSON"), families, ticks: &ticks, scratch: &scratch }
            .check(&journal);
    }
    println!("{} jobs", jobs.len());
}

/// The ids of all jobs.
fn ids(families: usize) -> Vec<String> {
    let of = |kind: &Kind| {
        let families =
            kind.producers.iter().flat_map(|who| (0..families).map(move |number| format!("{who}-{number}")));
        families.map(|family| format!("{family}-{}", kind.name)).collect::<Vec<_>>()
    };
    KINDS.iter().flat_map(of).collect()
}

/// Those that have not ended, with what their records say.
fn unended(scratch: &Scratch, jobs: &[String]) -> Vec<String> {
    let told = jobs.iter().map(|id| format!("{id} {}", scratch.status(id)));
    let ended = [" finished", " failed", " canceled"];
    told.filter(|told| !ended.iter().any(|end| told.ends_with(end))).collect()
}

/// What Redis has of a job: its record, its results, and what is scheduled or runs.
fn told(scratch: &Scratch, id: &str) -> String {
    let book = |name: String| -> Vec<String> {
        scratch.query("ZRANGE", [scratch.key(name), "0".into(), "-1".into(), "WITHSCORES".into()])
    };
    let queues = QUEUES.iter().chain([&LIMITED]);
    let books: Vec<Vec<String>> =
        queues.flat_map(|queue| ["scheduled", "wip"].map(|name| book(format!("{name}:{queue}")))).collect();
    let results: redis::Value =
        scratch.query("XRANGE", [scratch.key(format!("results:{id}")), "-".into(), "+".into()]);
    format!("{:?}; {books:?}; {results:?}", scratch.hash(&format!("job:{id}")))
}

/// What a Python has read.
struct Seen<'a> {
    read: Json,
    families: usize,
    ticks: &'a [String],
    scratch: &'a Scratch,
}

impl Seen<'_> {
    fn check(&self, journal: &Journal) {
        let began = journal.began();
        let mut runs: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (line, id) in began.iter().enumerate() {
            runs.entry(id).or_default().push(line);
        }
        for kind in KINDS {
            for who in kind.producers {
                for number in 0..self.families {
                    self.check_job(kind, &format!("{who}-{number}"), number, &runs);
                }
            }
        }
        for id in self.ticks {
            assert_eq!(self.read["places"][id], serde_json::json!([FINISHED]), "{id}");
        }
        let of_entries: usize = ENTRIES.iter().filter_map(|name| runs.get(name)).map(Vec::len).sum();
        assert_eq!(of_entries, self.ticks.len(), "runs of the crons' jobs");
        let known: BTreeSet<String> =
            ids(self.families).into_iter().chain(self.ticks.iter().cloned()).collect();
        let places = self.read["places"].as_object().expect("a dict");
        let strangers: Vec<&String> = places.keys().filter(|id| !known.contains(*id)).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
        for (name, members) in self.read["groups"].as_object().expect("a dict") {
            let expected = ["member1", "member2", "member3"].map(|kind| format!("{name}-{kind}"));
            assert_eq!(members, &serde_json::json!(expected));
        }
    }

    /// It is in one place, which is the right one, and ran as often as it had to, after those it waited for.
    fn check_job(&self, kind: &Kind, family: &str, number: usize, runs: &BTreeMap<&str, Vec<usize>>) {
        let id = format!("{family}-{}", kind.name);
        let expected = serde_json::json!([kind.ends_in]);
        assert_eq!(self.read["places"][&id], expected, "{id}: {}", told(self.scratch, &id));
        let status = match kind.ends_in {
            FINISHED => "finished",
            "FailedJobRegistry" => "failed",
            _ => "canceled",
        };
        assert_eq!(self.read["results"][&id][0], status, "{id}");
        let of = |id: &str| runs.get(id).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(of(&id).len(), (kind.runs)(number), "runs of {id}: {}", told(self.scratch, &id));
        for before in kind.after {
            let before = format!("{family}-{before}");
            assert!(of(&before).last() < of(&id).first(), "{id} began before the last run of {before}");
        }
    }
}
