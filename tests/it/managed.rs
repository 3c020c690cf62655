//! Workers under a Manager, `rq manager`: what becomes of their jobs when they have to go, and of the workers when their file
//! changes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::sys::signal::kill;
use nix::unistd::Pid;
use rq_core::{Call, Retry};
use rq_manager::{Answer, ChildStatus, Order, SlotStatus, Status};
use rq_tests::{Child, Folder, Gate, PrivateRedis, Process, Scratch, Signal, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

/// A Manager of the test jobs' workers, by a file.
pub(crate) struct Managed<'a> {
    scratch: &'a Scratch,
    folder: Folder,
    pub(crate) manager: Child,
}

impl<'a> Managed<'a> {
    /// With these entries, once all their slots have had their first child.
    pub(crate) fn start(scratch: &'a Scratch, entries: &str) -> Managed<'a> {
        let folder = Folder::new("managed");
        let file = write(&folder, entries);
        let manager = RqTest::new(scratch).spawn(&["manager", "-c", file.to_str().unwrap()]);
        let managed = Managed { scratch, folder, manager };
        managed.until("all slots to have begun", |status| {
            slots(status).all(|slot| !matches!(slot.state.as_str(), "starting" | "leaving"))
        });
        managed
    }

    fn rewrite(&self, entries: &str) {
        write(&self.folder, entries);
        self.manager.signal(Signal::SIGHUP);
    }

    fn ask(&self, order: &Order) -> Status {
        match rq_manager::ask(&socket(&self.folder), order).expect("the Manager answers") {
            Answer::Status(status) => *status,
            Answer::Refused(reason) => panic!("{reason}"),
        }
    }

    #[track_caller]
    pub(crate) fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        eventually(what, LIMIT, || {
            let Ok(Answer::Status(status)) = rq_manager::ask(&socket(&self.folder), &Order::Status) else {
                return None;
            };
            is_so(&status).then_some(*status)
        })
    }

    fn slot(&self, name: &str) -> SlotStatus {
        slots(&self.ask(&Order::Status)).find(|slot| slot.name == name).expect("the slot is there").clone()
    }

    /// The one that serves in a slot.
    fn child(&self, slot: &str) -> ChildStatus {
        self.slot(slot).children.first().expect("somebody serves").clone()
    }

    pub(crate) fn stop(mut self) {
        self.manager.signal(Signal::SIGTERM);
        let status = self.manager.wait(LIMIT);
        assert!(status.success(), "{status}: {}", self.manager.report());
        assert_eq!(Process::all_on(self.scratch), []);
    }
}

fn slots(status: &Status) -> impl Iterator<Item = &SlotStatus> {
    status.kinds.iter().flat_map(|kind| &kind.slots)
}

/// The processes that serve, by slot.
pub(crate) fn serving(status: &Status) -> BTreeMap<String, i32> {
    let serving = slots(status).filter(|slot| slot.state == "running");
    serving.map(|slot| (slot.name.clone(), slot.children[0].pid)).collect()
}

/// What a worker makes of two and three.
#[track_caller]
fn sum_by_worker(scratch: &Scratch) -> i64 {
    let add = Call::<i64>::to("math.add").arg(2).arg(3);
    scratch.queue("default").enqueue(add).unwrap().wait(LIMIT).unwrap()
}

fn socket(folder: &Folder) -> PathBuf {
    folder.path().join("socket")
}

fn write(folder: &Folder, entries: &str) -> PathBuf {
    let file = folder.path().join("rq.toml");
    let new = folder.path().join("rq.toml.new");
    fs::write(&new, format!("[manager]\nwait_time = 30\nsocket = {:?}\n{entries}", socket(folder))).unwrap();
    fs::rename(new, &file).unwrap();
    file
}

#[test]
fn at_the_soft_limit_the_job_in_hand_is_finished_while_another_serves() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 1\nsoft_memory_limit = 100\n",
    );
    let before = managed.child("w-1");
    let (gate, queue) = (Gate::new(&scratch, "gate"), scratch.queue("default"));
    let in_hand = queue.enqueue(Call::<()>::to("test.leak").arg(150).arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    managed.manager.wait_for_line("cancelled by reaching soft memory limit [100 MB]: it holds 1", LIMIT);
    // The slot does not idle meanwhile.
    let sum = queue.enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(sum.wait(LIMIT).unwrap(), 5);
    let slot = managed.slot("w-1");
    assert_eq!((slot.children.len(), slot.children[1].pid), (2, before.pid), "{slot:?}");
    assert_eq!(slot.children[1].cause.as_ref().map(rq_manager::Cause::word), Some("soft_memory_limit"));
    gate.open(1);
    in_hand.wait(LIMIT).unwrap();
    assert_eq!(in_hand.latest_result().unwrap().unwrap().worker_name, Some(before.name));
    managed.until("it to have left", |status| {
        slots(status).all(|slot| slot.ends.contains_key("soft_memory_limit"))
    });
    managed.stop();
}

#[test]
fn at_the_hard_limit_the_job_in_hand_is_settled_and_its_worker_replaced() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 1\nhard_memory_limit = 100\n",
    );
    let (gate, queue) = (Gate::new(&scratch, "gate"), scratch.queue("default"));
    let began = Instant::now();
    let call = Call::<()>::to("test.leak").arg(150).arg(gate.key()).retry(Retry::up_to(1));
    let in_hand = queue.enqueue(call.job_id("leaks")).unwrap();
    gate.wait_for_arrival();
    managed.manager.wait_for_line("cancelled by reaching hard memory limit [100 MB]: it holds 1", LIMIT);
    // By the worker itself, on its way out: nobody had to wait for its lease. It is tried once more, and no better.
    gate.wait_for_arrival();
    eventually("it to have failed", LIMIT, || (scratch.status("leaks") == "failed").then_some(()));
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    let text = in_hand.latest_result().unwrap().unwrap().failure_text.unwrap();
    assert!(text.contains("the worker was shut down while the job ran"), "{text}");
    managed.until("two to have left", |status| {
        slots(status).all(|slot| slot.ends.get("hard_memory_limit") == Some(&2) && slot.state == "running")
    });
    managed.stop();
}

#[test]
fn who_freezes_is_ended_and_others_take_its_job_over() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 1\nsilence = 2\nlease = 1\non_crash = \"requeue\"\n",
    );
    let (gate, queue) = (Gate::new(&scratch, "gate"), scratch.queue("default"));
    let in_hand = queue.enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    gate.wait_for_arrival();
    let frozen = Pid::from_raw(managed.child("w-1").pid);
    kill(frozen, Signal::SIGSTOP).unwrap();
    managed.manager.wait_for_line("cancelled: it has not told for 2 s that it lives", LIMIT);
    managed.manager.wait_for_line(&format!("w-1 {frozen} did not leave in time, and is killed"), LIMIT);
    gate.wait_for_arrival();
    gate.open(1);
    in_hand.wait(LIMIT).unwrap();
    managed.until("it to be gone", |status| slots(status).all(|slot| slot.ends.contains_key("silent")));
    managed.stop();
}

#[test]
fn who_cannot_begin_is_parked_with_its_own_words_and_others_go_on() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"lost\"\nurl = \"redis://127.0.0.1:1/\"\nexecutor = \"thread\"\n\
         [[worker]]\nname = \"well\"\nexecutor = \"thread\"\n",
    );
    let status = managed.until("it to be parked", |status| slots(status).any(|slot| slot.state == "parked"));
    let lost = slots(&status).find(|slot| slot.name == "lost-1").unwrap();
    let reason = lost.reason.clone().unwrap();
    assert!(reason.contains("Redis at redis://127.0.0.1:1/0 cannot be reached"), "{reason}");
    assert_eq!((lost.starts, lost.ends["boot_failed"]), (5, 5));
    let well = managed.child("well-1");
    assert_eq!(sum_by_worker(&scratch), 5);
    assert_eq!((managed.child("well-1").pid, managed.slot("well-1").starts), (well.pid, 1));
    managed.stop();
}

#[test]
fn who_has_done_its_jobs_is_replaced_without_a_gap() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 4\nmax_jobs = 10\n",
    );
    let calls = (0..100).map(|_| Call::<i64>::to("math.add").arg(2).arg(3));
    let jobs = scratch.queue("default").enqueue_many(calls).unwrap();
    for job in &jobs {
        assert_eq!(job.wait(LIMIT).unwrap(), 5);
    }
    let slot = managed.slot("w-1");
    assert!(slot.ends["max_requests"] >= 8, "{slot:?}");
    let log = managed.manager.report();
    assert!(!log.contains("parked") && log.contains("cancelled by reaching max requests count ["), "{log}");
    managed.stop();
}

#[test]
fn who_does_one_job_each_is_never_taken_for_one_that_failed() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 1\ncount = 4\nmax_jobs = 1\n",
    );
    let calls = (0..200).map(|_| Call::<i64>::to("math.add").arg(2).arg(3));
    let jobs = scratch.queue("default").enqueue_many(calls).unwrap();
    for job in &jobs {
        assert_eq!(job.wait(LIMIT).unwrap(), 5);
    }
    let status = managed
        .until("the last ones to be gone", |status| slots(status).all(|slot| slot.children.len() == 1));
    let ends: BTreeSet<&String> = slots(&status).flat_map(|slot| slot.ends.keys()).collect();
    assert_eq!(ends.into_iter().collect::<Vec<_>>(), ["max_requests"], "{status:?}");
    managed.stop();
}

#[test]
fn a_reload_to_a_redis_that_does_not_answer_leaves_the_old_workers_at_work() {
    let (scratch, silent) = (Scratch::new(), std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let entry = |url: &str| format!("[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nurl = \"{url}\"\n");
    let managed = Managed::start(&scratch, &entry(scratch.url()));
    let before = managed.child("w-1");
    managed.rewrite(&entry(&format!("redis://{}/", silent.local_addr().unwrap())));
    // It counts as ready by then that has not said so, but not here.
    managed.until("it to have been tried for long", |status| {
        slots(status)
            .any(|slot| slot.children.iter().any(|child| child.pid != before.pid && child.up_s > 11.0))
    });
    let slot = managed.slot("w-1");
    assert_eq!((slot.children[0].pid, slot.children[0].state.as_str()), (before.pid, "running"), "{slot:?}");
    assert_eq!(sum_by_worker(&scratch), 5);
    managed.rewrite(&entry(scratch.url()));
    // Undone, it has not changed.
    let status =
        managed.until("the other to be gone", |status| slots(status).all(|slot| slot.children.len() == 1));
    assert_eq!(serving(&status)["w-1"], before.pid);
    managed.stop();
}

#[test]
fn a_reload_to_a_limit_that_cannot_work_changes_nothing() {
    let scratch = Scratch::new();
    let entry = |limit| {
        format!("[[worker]]\nname = \"w\"\nexecutor = \"thread\"\ncount = 2\nsoft_memory_limit = {limit}\n")
    };
    let managed = Managed::start(&scratch, &entry(400));
    let before = serving(&managed.ask(&Order::Status));
    managed.rewrite(&entry(1));
    managed.manager.wait_for_line(
        "Not reloaded, all stays as it was: w: the soft memory limit of 1 MB is no more than",
        LIMIT,
    );
    let status = managed.ask(&Order::Status);
    assert_eq!(serving(&status), before);
    assert!(status.reload_failed.unwrap().contains("raise it"));
    managed.stop();
}

#[test]
fn what_a_job_has_put_into_the_background_counts_for_its_worker_and_goes_with_it() {
    let scratch = Scratch::new();
    let managed = Managed::start(
        &scratch,
        "[[worker]]\nname = \"w\"\nexecutor = \"thread\"\nconcurrency = 1\nhard_memory_limit = 150\n",
    );
    let before = managed.child("w-1");
    let script = |line: &str| {
        let call = Call::<String>::to("interop.program").arg(vec!["sh", "-c", line]);
        scratch.queue("default").enqueue(call).unwrap().wait(LIMIT).unwrap();
    };
    // Without an environment nobody can tell whose it is: it is left alone, as is the one of which that is known.
    script("(env -i setsid sleep 7001 >/dev/null 2>&1 &) ; (setsid sleep 7002 >/dev/null 2>&1 &) ; :");
    let sleeps = || Process::all_on(&scratch).iter().filter(|it| it.name == "sleep").count();
    let now = managed.ask(&Order::Status).up_s;
    managed.until("several looks", |status| status.up_s > now + 3.0);
    assert_eq!(sleeps(), 1, "{}", managed.manager.report());
    assert!(!managed.manager.report().contains("left behind"), "{}", managed.manager.report());
    script(&format!("(setsid {} leaker >/dev/null 2>&1 &) ; :", env!("CARGO_BIN_EXE_rq-offenders")));
    managed.manager.wait_for_line("cancelled by reaching hard memory limit [150 MB]: it holds", LIMIT);
    managed.until("another to serve", |status| {
        slots(status).all(|slot| {
            slot.state == "running" && slot.children.len() == 1 && slot.children[0].pid != before.pid
        })
    });
    eventually("what it had started to be gone", LIMIT, || (sleeps() == 0).then_some(()));
    managed.stop();
}

#[test]
fn a_reload_under_load_restarts_what_has_changed_and_loses_nothing() {
    let (scratch, other) = (Scratch::new(), PrivateRedis::start(&[]));
    let elsewhere = Scratch::on(&other.url());
    let entry = |name: &str, rest: &str| {
        format!("[[worker]]\nname = \"{name}\"\nexecutor = \"thread\"\nconcurrency = 4\n{rest}\n")
    };
    let same = entry("same", "queues = [\"a\"]\ncount = 2");
    let first = [
        same.clone(),
        entry("queues", "queues = [\"b\"]"),
        entry("count", "queues = [\"a\"]\ncount = 1"),
        entry("moves", &format!("queues = [\"c\"]\nurl = \"{}\"", scratch.url())),
        entry("goes", "queues = [\"a\"]"),
    ]
    .concat();
    let second = [
        same,
        entry("queues", "queues = [\"b\", \"d\"]"),
        entry("count", "queues = [\"a\"]\ncount = 3"),
        entry(
            "moves",
            &format!(
                "queues = [\"c\"]\nurl = \"{}\"\nkey_prefix = \"{}\"",
                elsewhere.url(),
                elsewhere.prefix()
            ),
        ),
        entry("comes", "queues = [\"a\"]"),
    ]
    .concat();
    let managed = Managed::start(&scratch, &first);
    let load = |scratch: &Scratch, queue: &str| {
        let calls = (0..400).map(|_| Call::<u64>::to("test.sleep").arg(5));
        let ids = scratch.queue(queue).enqueue_many(calls).unwrap();
        (queue.to_owned(), ids.iter().map(|job| job.id().to_string()).collect::<BTreeSet<_>>())
    };
    let mut loads: Vec<_> = ["a", "b", "c"].map(|queue| load(&scratch, queue)).into();
    let before = serving(&managed.ask(&Order::Status));
    managed.rewrite(&second);
    loads.push(load(&scratch, "d"));
    let far = load(&elsewhere, "c");
    managed.manager.wait_for_line("Reloaded: new comes; changed queues, count, moves; removed goes", LIMIT);
    let is_settled = |status: &Status| {
        let names: Vec<String> = serving(status).into_keys().collect();
        names == ["comes-1", "count-1", "count-2", "count-3", "moves-1", "queues-1", "same-1", "same-2"]
            && slots(status).all(|slot| slot.children.len() == 1)
            && serving(status)["queues-1"] != before["queues-1"]
            && serving(status)["moves-1"] != before["moves-1"]
    };
    let after = serving(&managed.until("the new ones to serve", is_settled));
    for name in ["same-1", "same-2", "count-1"] {
        assert_eq!(before[name], after[name], "{name}");
    }
    // What waits where nobody serves any more waits for good; what was claimed there was finished.
    let finished = |scratch: &Scratch, (queue, ids): &(String, BTreeSet<String>)| {
        let in_queue: BTreeSet<String> = scratch.waiting(queue).into_iter().collect();
        let finished = scratch.count(&format!("finished:{queue}"));
        assert_eq!(scratch.count(&format!("failed:{queue}")), 0, "{queue}");
        (finished + in_queue.len() == ids.len()
            && (queue == "c" && scratch.url() != elsewhere.url() || in_queue.is_empty()))
        .then_some(())
    };
    for load in &loads {
        eventually("all to be finished", LIMIT, || finished(&scratch, load));
    }
    eventually("all to be finished", LIMIT, || finished(&elsewhere, &far));

    // A file that cannot be read changes nothing.
    managed.rewrite("[[worker]]\nname = \"same\"\nquees = [\"a\"]\n");
    managed.manager.wait_for_line("Not reloaded, all stays as it was:", LIMIT);
    let status = managed.ask(&Order::Status);
    assert_eq!(serving(&status), after);
    assert!(status.reload_failed.unwrap().contains("quees"));
    managed.stop();
}
