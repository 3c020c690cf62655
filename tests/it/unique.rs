//! Unique jobs: one is made, whoever asks for it, in whichever language.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::Duration;

use rq_core::{Call, Codec, Error, MadeOrFound, Timestamp, Unique, Value, handlers, hours, minutes, secs};
use rq_tests::{Gate, Python, Scratch, jobs};

use crate::rq_test::{Books, LIMIT, RqTest};

const PRODUCERS: usize = 64;

fn add(id: &str) -> Call<i64> {
    Call::to("interop.add").arg(2).arg(3).job_id(id)
}

/// Python's answer to a unique call of this id.
#[track_caller]
fn pythons_answer(python: &Python, id: &str) -> String {
    let code = format!(
        "from rq.exceptions import DuplicateJobError\n\
         try:\n    print(Queue(connection=conn).enqueue('interop.add', 2, 3, job_id='{id}', unique=True).id)\n\
         except DuplicateJobError as error:\n    print(error)\n"
    );
    python.run(&code).trim().to_owned()
}

#[test]
fn an_id_is_unique_in_both_languages() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default");
    assert_eq!(pythons_answer(&python, "theirs"), "theirs");
    let there = queue.enqueue(add("theirs").unique()).unwrap_err();
    assert!(
        matches!(&there, Error::Duplicate { job_id, status } if job_id == "theirs" && status == "queued"),
        "{there:?}"
    );
    let MadeOrFound::Found(found) = queue.enqueue_unique(add("theirs").unique()).unwrap() else {
        panic!("it was there")
    };

    assert!(queue.enqueue_unique(add("ours").unique()).unwrap().is_made());
    assert_eq!(pythons_answer(&python, "ours"), "Job with ID 'ours' already exists");
    let due = Timestamp::now().after(hours(1));
    assert!(queue.enqueue_unique_at(due, add("later").unique()).unwrap().is_made());
    assert!(!queue.enqueue_unique_in(secs(1), add("later").unique()).unwrap().is_made());
    assert_eq!(pythons_answer(&python, "later"), "Job with ID 'later' already exists");

    // Also when it has ended, until its record is gone.
    python.rq(&["worker", "--burst"]);
    assert_eq!(found.wait(LIMIT).unwrap(), 5);
    let there = queue.enqueue(add("theirs").unique()).unwrap_err();
    assert!(there.to_string().contains("job theirs is there already and is finished"), "{there}");
    assert_eq!(pythons_answer(&python, "ours"), "Job with ID 'ours' already exists");
    found.delete().unwrap();
    assert!(queue.enqueue_unique(add("theirs").unique()).unwrap().is_made());
    // Without the word, one that has ended is replaced.
    assert_eq!(queue.enqueue(add("ours")).unwrap().id(), "ours");
}

/// Python's worker gives no lock back: the job has ended, and that is looked at.
#[test]
fn arguments_are_free_again_when_pythons_worker_has_run_them() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let call = || Call::<i64>::to("interop.add").arg(2).kwarg("y", 3).unique_by_args(hours(1));
    let first = queue.enqueue_unique(call()).unwrap();
    assert!(first.is_made());
    let first = first.into_handle();
    for _ in 0..2 {
        let MadeOrFound::Found(found) = queue.enqueue_unique(call()).unwrap() else { panic!("it waits") };
        assert_eq!(found.id(), first.id());
    }
    assert!((3_590..=3_600).contains(&lock_ttl_s(&scratch)), "{}", lock_ttl_s(&scratch));
    Python::new(&scratch).rq(&["worker", "--burst"]);
    assert_eq!(first.result().unwrap(), Some(5));
    let second = queue.enqueue_unique(call()).unwrap();
    assert!(second.is_made());
    assert_ne!(second.into_handle().id(), first.id());
}

fn lock_ttl_s(scratch: &Scratch) -> i64 {
    let dump = scratch.dump();
    let locks: Vec<i64> =
        dump.iter().filter(|(name, _)| name.starts_with("rq:unique:")).map(|(_, key)| key.ttl_s).collect();
    let [ttl_s] = locks[..] else { panic!("{:?}", dump.keys()) };
    ttl_s
}

#[test]
fn what_runs_keeps_others_away_or_does_not() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let gate = Gate::new(&scratch, "g");
    let call = || Call::<String>::to("test.gate").arg(gate.key());
    let until_started = || call().unique_by_args(Unique::until_started(minutes(5)));
    let until_ended = || call().queue("other").unique_by_args(Unique::until_ended(minutes(5)));
    let worker = RqTest::new(&scratch).worker(&["-w", "thread", "default", "other"]);
    let first = queue.delay(until_started()).unwrap();
    let other = queue.delay(until_ended()).unwrap();
    let arrived = BTreeSet::from([gate.wait_for_arrival(), gate.wait_for_arrival()]);
    assert_eq!(arrived, BTreeSet::from([first.id().to_owned(), other.id().to_owned()]));
    let second = queue.delay(until_started()).unwrap();
    let refused = queue.delay(until_ended()).unwrap_err();
    assert!(
        matches!(&refused, Error::Duplicate { job_id, status } if job_id == other.id() && status == "started")
    );
    gate.open(3);
    for job in [&first, &other, &second] {
        job.wait(LIMIT).unwrap();
    }
    let again = queue.delay(until_ended()).unwrap();
    gate.open(1);
    again.wait(LIMIT).unwrap();
    drop(worker);
}

#[test]
fn arguments_are_alike_whatever_carries_them() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let call = |args: Value| Call::<()>::to("f").value(args).unique_by_args(Unique::for_all_of(hours(1)));
    let pair = |one: &str, other: &str| {
        Value::Dict(vec![(one.into(), Value::Int(1)), (other.into(), Value::List(vec![Value::Null]))])
    };
    let twin = Value::Dict(vec![("b".into(), Value::Tuple(vec![Value::Null])), ("a".into(), Value::Int(1))]);
    let made = queue.enqueue(call(pair("a", "b"))).unwrap();
    for same in [
        call(twin.clone()),
        call(twin.clone()).codec(Codec::Json),
        call(twin.clone()).codec(Codec::Bincode),
        call(twin.clone()).job_id("id").description("d").timeout(secs(9)).at_front(),
    ] {
        let found = queue.enqueue_unique(same).unwrap();
        assert!(!found.is_made());
        assert_eq!(found.into_handle().id(), made.id());
    }
    let other = queue.named("other").unwrap();
    for (queue, different) in
        [(&other, call(twin.clone())), (&queue, call(pair("b", "a"))), (&queue, call(twin).arg(1))]
    {
        assert!(queue.enqueue_unique(different).unwrap().is_made());
    }
}

/// Each with a connection of its own, all at once.
#[test]
fn of_many_producers_one_makes_the_job() {
    for by_args in [false, true] {
        let scratch = Scratch::new();
        let barrier = Barrier::new(PRODUCERS);
        let produce = || {
            let queue = scratch.queue("default");
            let call = Call::<i64>::to("math.add").arg(2).arg(3);
            let call = if by_args { call.unique_by_args(minutes(10)) } else { call.job_id("only").unique() };
            barrier.wait();
            let answer = queue.enqueue_unique(call).unwrap();
            (answer.is_made(), answer.into_handle().id().to_owned())
        };
        let answers: Vec<(bool, String)> = std::thread::scope(|scope| {
            let producers: Vec<_> = (0..PRODUCERS).map(|_| scope.spawn(produce)).collect();
            producers.into_iter().map(|producer| producer.join().unwrap()).collect()
        });
        assert_eq!(answers.iter().filter(|(is_made, _)| *is_made).count(), 1, "{answers:?}");
        let ids: BTreeSet<&String> = answers.iter().map(|(_, id)| id).collect();
        assert_eq!((ids.len(), scratch.waiting("default").len()), (1, 1), "{ids:?}");
    }
}

#[test]
fn inline_queues_run_a_unique_job_once() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default").inline(handlers![jobs::add]);
    let call = || jobs::add::call(2, 3).unique_by_args(Unique::for_all_of(minutes(1)));
    let MadeOrFound::Made(made) = queue.enqueue_unique(call()).unwrap() else { panic!("it is the first") };
    let MadeOrFound::Found(found) = queue.enqueue_unique(call()).unwrap() else { panic!("it is the second") };
    assert_eq!((found.id(), found.result().unwrap()), (made.id(), Some(5)));
    let ended = || jobs::add::call(2, 4).unique_by_args(minutes(1));
    for _ in 0..2 {
        assert!(queue.enqueue_unique(ended()).unwrap().is_made());
    }
    assert!(queue.enqueue_unique(jobs::add::call(1, 1).job_id("a").unique()).unwrap().is_made());
    assert!(matches!(
        queue.enqueue(jobs::add::call(1, 1).job_id("a").unique()),
        Err(Error::Duplicate { .. })
    ));
}

#[test]
fn what_cannot_be_unique_is_refused() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let refused = |answer: Result<(), Error>, option: &str| match answer {
        Err(Error::Option { option: refused, .. }) => assert_eq!(refused, option),
        other => panic!("{option}: {other:?}"),
    };
    let call = || Call::<()>::to("f");
    refused(queue.enqueue_unique(call()).map(drop), "unique");
    refused(queue.enqueue(call().unique()).map(drop), "unique");
    refused(queue.enqueue_many([call(), call().job_id("a").unique()]).map(drop), "unique");
    refused(queue.enqueue(call().unique_by_args(Duration::ZERO)).map(drop), "unique_by_args");
    assert!(scratch.dump().is_empty());
}

/// What RQ refuses beside: a unique job may wait for others, or for a slot.
#[test]
fn a_unique_job_may_wait() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    queue.enqueue(add("parent")).unwrap();
    let behind = || add("child").depends_on("parent").unique();
    assert!(queue.enqueue_unique(behind()).unwrap().is_made());
    assert!(!queue.enqueue_unique(behind()).unwrap().is_made());
    assert_eq!(scratch.status("child"), "deferred");
    let limited =
        || Call::<i64>::to("interop.add").arg(1).arg(1).rate_limit("k", 1).unique_by_args(minutes(1));
    let paced =
        || Call::<i64>::to("interop.add").arg(1).arg(2).pace("k", 1, minutes(1)).unique_by_args(minutes(1));
    for call in [&limited as &dyn Fn() -> Call<i64>, &paced] {
        assert!(queue.enqueue_unique(call()).unwrap().is_made());
        assert!(!queue.enqueue_unique(call()).unwrap().is_made());
    }
    assert_eq!((scratch.count("rl:k:allowed"), scratch.count("pace:k")), (1, 1));
}
