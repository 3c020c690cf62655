//! What whoever runs RQ asks Redis, and asks of workers, on both fronts and beside Python's.

use rq_core::{Call, Error, Keys, Value, secs};
use rq_tests::{Gate, Python, Scratch, eventually};

use crate::queue::on_both_fronts;
use crate::rq_test::{Books, LIMIT, RqTest};
use crate::scripts::{QUEUE, Stage};

fn call(id: &str) -> Call<i64> {
    Call::to("math.add").arg(1).arg(2).job_id(id)
}

on_both_fronts! {
    fn queues_are_listed_and_jobs_have_places_in_them() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        assert_eq!(now!(queue.names()).unwrap(), [""; 0]);
        for id in ["a", "b", "c"] {
            now!(queue.enqueue(call(id))).unwrap();
        }
        now!(queue.named("other").unwrap().enqueue(call("d"))).unwrap();
        stage.run(&format!("SADD queues {}:queue:x,y", stage.scratch.prefix()));
        assert_eq!(now!(queue.names()).unwrap(), ["other", QUEUE, "x,y"]);
        let all: Vec<String> = now!(queue.all()).unwrap().iter().map(|queue| queue.name().to_owned()).collect();
        assert_eq!(all, ["other", QUEUE]);
        let position = |id: &'static str| queue.position(id);
        assert_eq!((now!(position("a")).unwrap(), now!(position("c")).unwrap()), (Some(0), Some(2)));
        assert_eq!(now!(position("d")).unwrap(), None);
        assert!(now!(queue.remove("b")).unwrap());
        assert!(!now!(queue.remove("b")).unwrap() && !now!(queue.remove("d")).unwrap());
        assert_eq!((stage.waiting(QUEUE), now!(position("c")).unwrap()), (vec!["a".into(), "c".into()], Some(1)));
        let removed = now!(queue.fetch_job("b")).unwrap().unwrap();
        assert_eq!(removed.status, rq_core::Status::Queued, "its record stays, as in Python");
    }

    fn a_job_is_enqueued_at_a_moment_of_the_standard_library() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let due = std::time::SystemTime::now() + secs(600);
        now!(queue.enqueue_at(due, call("at"))).unwrap();
        now!(queue.enqueue_in(secs(600), call("in"))).unwrap();
        let due_s = due.duration_since(std::time::SystemTime::UNIX_EPOCH).unwrap().as_secs_f64();
        for id in ["at", "in"] {
            let score = stage.scratch.score("scheduled:q", id).unwrap();
            assert!((score - due_s).abs() < 3.0, "{id}: {score}");
        }
    }

    fn a_job_exists_until_it_is_gone_and_its_record_is_read_anew() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let job = now!(queue.enqueue(call("j"))).unwrap();
        let mut record = now!(job.job()).unwrap().unwrap();
        assert!(now!(job.exists()).unwrap());
        stage.run("HSET job:j status finished");
        now!(job.refresh(&mut record)).unwrap();
        assert_eq!(record.status, rq_core::Status::Finished);
        now!(job.delete()).unwrap();
        assert!(!now!(job.exists()).unwrap());
        let gone = now!(job.refresh(&mut record)).unwrap_err();
        assert!(matches!(gone, Error::NoSuchJob { .. }), "{gone}");
        assert_eq!(record.status, rq_core::Status::Finished, "left as it was");
        // What somebody's bare write has left is no job.
        stage.run("HSET job:j meta x");
        assert!(!now!(job.exists()).unwrap());
    }

    fn meta_is_set_key_by_key_and_brings_no_job_back() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let job = now!(queue.enqueue(call("j").meta("kept", 1))).unwrap();
        now!(job.set_meta("note", "é")).unwrap();
        now!(job.set_meta("note", "again")).unwrap();
        let meta = now!(job.job()).unwrap().unwrap().meta().unwrap();
        let entry = |key: &str, value: Value| (Value::Str(key.to_owned()), value);
        assert_eq!(meta, Value::Dict(vec![entry("kept", 1.into()), entry("note", "again".into())]));
        now!(job.delete()).unwrap();
        let gone = now!(job.set_meta("note", 1)).unwrap_err();
        assert!(matches!(gone, Error::NoSuchJob { .. }), "{gone}");
        assert_eq!(stage.ask::<usize>("EXISTS job:j"), 0);
    }

    fn workers_are_found_by_name_and_counted() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let (_worker, claimed) = stage.worker_with(&["a", "b"]);
        let _other = stage.worker("v", &["other"]);
        let worker = now!(queue.worker("w")).unwrap().unwrap();
        assert_eq!((worker.name.as_str(), worker.queues.as_slice()), ("w", &[QUEUE.to_owned()][..]));
        assert!(now!(queue.worker("nosuch")).unwrap().is_none());
        assert_eq!((now!(queue.worker_count()).unwrap(), now!(queue.all_worker_count()).unwrap()), (1, 2));
        let mut ids: Vec<_> = claimed.iter().map(|claimed| claimed.id.clone()).collect();
        ids.sort();
        assert_eq!(now!(queue.worker_executions("w")).unwrap(), ids);
        assert_eq!(now!(queue.worker_executions("v")).unwrap(), []);
        for asked in [now!(queue.stop_worker("w")), now!(queue.stop_worker_cold("w")), now!(queue.kill_horses("w"))] {
            assert!(!asked.unwrap(), "nobody listens");
        }
    }
}

/// The script alone: what was read is what is replaced.
#[test]
fn meta_that_others_have_written_meanwhile_is_not_lost() {
    use rq_core::steps::management::{Written, write_meta};
    let stage = Stage::new();
    stage.enqueue(&["j"]);
    let write = |read: &[u8], new: &[u8]| write_meta(&stage.keys, "j", read, new);
    assert_eq!(stage.take_twice(&write(b"", b"{\"a\": 1}")), Written::Done);
    assert_eq!(stage.take(&write(b"", b"{\"b\": 1}")), Written::Changed);
    assert_eq!(stage.take_twice(&write(b"{\"a\": 1}", b"{\"b\": 1}")), Written::Done);
    assert_eq!(stage.take_twice(&write_meta(&stage.keys, "nosuch", b"", b"x")), Written::NoJob);

    // Both keys of any two are there in the end.
    let queue = stage.scratch.queue(QUEUE);
    let set = |prefix: &'static str| {
        let job = queue.handle::<()>("j");
        std::thread::spawn(move || (0..20).for_each(|n| job.set_meta(&format!("{prefix}{n}"), n).unwrap()))
    };
    [set("x"), set("y")].into_iter().for_each(|thread| thread.join().unwrap());
    let Value::Dict(meta) = queue.fetch_job("j").unwrap().unwrap().meta().unwrap() else { panic!("a dict") };
    assert_eq!(meta.len(), 41);
}

#[test]
fn a_worker_is_stopped_from_the_command_line() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    let queue = scratch.queue("default");
    for (now, executor) in [(false, "fork"), (true, "fork"), (true, "thread")] {
        let mut worker = ours.worker(&["--name", "w1", "-w", executor]);
        let gate = Gate::new(&scratch, &format!("{executor}-{now}"));
        let job = queue.enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
        gate.wait_for_arrival();
        assert_eq!(queue.worker_executions("w1").unwrap().len(), 1);
        assert_eq!(queue.worker("w1").unwrap().unwrap().state.as_deref(), Some("busy"));
        let args = ["worker", "stop", "w1", "--now"];
        let said = ours.run(if now { &args } else { &args[..3] });
        assert!(said.starts_with("Asked worker w1 to stop"), "{said}");
        if now {
            assert!(job.wait(secs(30)).is_err());
        } else {
            worker.wait_for_line("warm shut down requested", LIMIT);
            gate.open(1);
            job.wait(secs(30)).unwrap();
        }
        assert!(worker.wait(LIMIT).success(), "{}", worker.report());
        assert!(queue.worker("w1").unwrap().is_none());
    }
    let (code, _, err) = ours.outcome(&["worker", "stop", "w1"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("there is no worker w1. There is none at all."), "{err}");
    assert!(err.contains("put `--` before it"), "{err}");
}

#[test]
fn a_queue_may_be_called_stop() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    for line in [
        &["worker", "--burst", "stop"][..],
        &["worker", "--burst", "--", "stop", "x"],
        &["worker", "x", "stop", "--burst"],
        &["worker", "--burst", "stop", "x"],
    ] {
        let job = scratch.queue("stop").enqueue(call("j")).unwrap();
        ours.run(line);
        assert_eq!(job.result().unwrap(), Some(3), "{line:?}");
        job.delete().unwrap();
    }
    let mut worker = ours.worker(&["stop"]);
    assert!(scratch.queue("stop").enqueue(call("alone")).unwrap().wait(secs(30)).is_ok());
    worker.signal(rq_tests::Signal::SIGTERM);
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
}

#[test]
fn pythons_workers_heed_what_is_asked_of_them() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default");
    let mut worker = python.spawn_rq(&["worker", "--name", "py", "-S", "json"]);
    worker.wait_for_line("*** Listening on", LIMIT);
    let record = eventually("its record", LIMIT, || queue.worker("py").unwrap());
    assert!(record.is_pythons() && record.pid.is_some(), "{record:?}");
    assert_eq!(queue.worker_count().unwrap(), 1);
    assert!(queue.kill_horses("py").unwrap());
    worker.wait_for_line("Worker is not working, kill horse command ignored", LIMIT);
    assert!(queue.stop_worker_cold("py").unwrap());
    assert!(worker.wait(LIMIT).success(), "{}", worker.report());
    assert!(queue.worker("py").unwrap().is_none());
}
