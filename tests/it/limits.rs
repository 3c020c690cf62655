//! Rate limits and paces: how many jobs run, or start, at a time, whoever enqueues and runs them.

use std::collections::BTreeSet;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use rq_core::{Call, Error, Status, handlers, minutes, secs};
use rq_tests::{Gate, Journal, Line, Python, Scratch, Signal, eventually, fixture::Value, jobs};

use crate::rq_test::{Books, LIMIT, RqTest};

const PRODUCERS: usize = 64;

fn add(id: &str) -> Call<i64> {
    Call::to("interop.add").arg(2).arg(3).job_id(id)
}

/// Python enqueues under the limit `api`.
fn pythons(ids: &[&str], slots: usize) -> String {
    let queue = "from rq.rate_limit import RateLimit\nq = Queue(connection=conn)\n".to_owned();
    ids.iter().fold(queue, |code, id| {
        let limit = format!("RateLimit(key='api', concurrency={slots})");
        code + &format!("q.enqueue('interop.add', 2, 3, job_id='{id}', rate_limit={limit})\n")
    })
}

// Rate limits

#[test]
fn both_languages_jobs_share_a_limit_under_either_worker() {
    for worker_is_pythons in [true, false] {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let queue = scratch.queue("default");
        python.run(&pythons(&["theirs1"], 2));
        queue.enqueue_many(["ours1", "ours2"].map(|id| add(id).rate_limit("api", 2))).unwrap();
        python.run(&pythons(&["theirs2"], 2));
        let limit = queue.rate_limit("api");
        let held: BTreeSet<String> = limit.held().unwrap().into_iter().collect();
        assert_eq!((limit.slots().unwrap(), held.len(), scratch.waiting("default").len()), (Some(2), 2, 2));
        assert!(held.contains("theirs1"), "{held:?}");
        let waiting = limit.waiting().unwrap();
        assert_eq!((waiting.len(), limit.waiting_count().unwrap(), limit.held_count().unwrap()), (2, 2, 2));
        for id in &waiting {
            assert_eq!(queue.handle::<()>(id).status().unwrap(), Some(Status::RateLimited));
        }
        let show = "from rq.rate_limit import RateLimitRegistry\n\
                    limit, = RateLimitRegistry.all(conn)\n\
                    print(limit.key, limit.concurrency, limit.get_allowed_job_count(), limit.get_rate_limited_job_count())";
        assert_eq!(python.run(show), "api 2 2 2\n");
        match worker_is_pythons {
            true => drop(python.rq(&["worker", "--burst"])),
            false => drop(RqTest::new(&scratch).drain(&[])),
        }
        for id in ["theirs1", "theirs2", "ours1", "ours2"] {
            assert_eq!(
                queue.handle::<i64>(id).result().unwrap(),
                Some(5),
                "{id}, Python: {worker_is_pythons}"
            );
        }
        assert_eq!((limit.held_count().unwrap(), limit.waiting_count().unwrap()), (0, 0));
    }
}

#[test]
fn a_slot_is_given_to_who_comes_first_and_who_asks_for_the_head_gets_it() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let gate = Gate::new(&scratch, "g");
    let stands = |id: &str| Call::<String>::to("test.gate").arg(gate.key()).job_id(id).rate_limit("gate", 1);
    let first = queue.enqueue(stands("first")).unwrap();
    let second = queue.enqueue(stands("second").at_front()).unwrap();
    assert_eq!(second.status().unwrap(), Some(Status::RateLimited));
    let worker = RqTest::new(&scratch).worker(&["-w", "thread", "--concurrency", "1"]);
    assert_eq!(gate.wait_for_arrival(), "first");
    let plain = queue.enqueue(add("plain")).unwrap();
    gate.open(1);
    first.wait(LIMIT).unwrap();
    // At the head of the queue, before what was there earlier.
    assert_eq!(gate.wait_for_arrival(), "second");
    assert_eq!(plain.status().unwrap(), Some(Status::Queued));
    gate.open(1);
    second.wait(LIMIT).unwrap();
    plain.wait(LIMIT).unwrap();
    drop(worker);
}

#[test]
fn a_job_comes_under_its_limit_when_it_is_due() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    queue.enqueue(add("holder").rate_limit("k", 1)).unwrap();
    let later = queue.enqueue_in(secs(0), add("later").rate_limit("k", 1)).unwrap();
    assert_eq!(later.status().unwrap(), Some(Status::Scheduled));
    assert_eq!(queue.rate_limit("k").waiting().unwrap(), [""; 0]);
    let gate = Gate::new(&scratch, "g");
    let blocks = Call::<String>::to("test.gate").arg(gate.key()).at_front();
    let blocks = queue.enqueue(blocks).unwrap();
    let worker = RqTest::new(&scratch).worker(&["-w", "thread", "--concurrency", "1", "--with-scheduler"]);
    gate.wait_for_arrival();
    eventually("it to be due", LIMIT, || {
        (later.status().unwrap() == Some(Status::RateLimited)).then_some(())
    });
    assert_eq!(queue.rate_limit("k").waiting().unwrap(), ["later"]);
    gate.open(1);
    blocks.wait(LIMIT).unwrap();
    assert_eq!(later.wait(LIMIT).unwrap(), 5);
    drop(worker);
}

#[test]
fn a_raised_limit_and_a_canceled_holder_let_others_go_on() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    for id in ["a", "b", "c", "d"] {
        queue.enqueue(add(id).rate_limit("k", 1)).unwrap();
    }
    assert_eq!(scratch.waiting("default"), ["a"]);
    queue.handle::<()>("a").cancel().unwrap();
    assert_eq!(scratch.waiting("default").len(), 1);
    queue.enqueue(add("e").rate_limit("k", 3)).unwrap();
    assert_eq!((scratch.waiting("default").len(), queue.rate_limit("k").slots().unwrap()), (3, Some(3)));
    let keys: Vec<String> = queue.rate_limits().unwrap().iter().map(|limit| limit.key().to_owned()).collect();
    assert_eq!(keys, ["k"]);
    assert_eq!(queue.rate_limit("other").slots().unwrap(), None);
}

/// Workers are killed while they run such jobs, and others go on: never more than two run, and all of them do.
#[test]
fn a_limit_holds_while_workers_are_killed() {
    const SLOTS: u32 = 2;
    const JOBS: usize = 30;
    const BEGUN_PER_LIFE: usize = 5;
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let journal = Journal::new(&scratch);
    let calls = (0..JOBS).map(|number| {
        let call = Call::<String>::to("test.journal").arg(journal.path()).arg(30);
        call.job_id(format!("j{number}")).rate_limit("k", SLOTS)
    });
    queue.enqueue_many(calls).unwrap();
    let options = ["-w", "thread", "--concurrency", "8", "--lease", "0.3", "--on-crash", "requeue"];
    let mut begun = 0;
    while journal.ends().len() < JOBS {
        let mut worker = RqTest::new(&scratch).worker(&options);
        begun += BEGUN_PER_LIFE;
        eventually("jobs to run", LIMIT, || {
            (journal.began().len() >= begun || journal.ends().len() >= JOBS).then_some(())
        });
        worker.signal(Signal::SIGKILL);
        worker.wait(LIMIT);
        journal.note_kill();
        begun = journal.began().len();
    }
    let mut running = BTreeSet::new();
    for line in journal.lines() {
        match line {
            Line::Began(id) => drop(running.insert(id)),
            Line::Ended(id) => drop(running.remove(&id)),
            Line::Killed => running.clear(),
            Line::Called(..) => {}
        }
        assert!(running.len() <= SLOTS as usize, "{running:?}");
    }
    assert!(begun > JOBS, "some were hit: {begun}");
    // What the last kill left ends, too, and gives its slot back.
    let worker = RqTest::new(&scratch).worker(&options);
    let limit = queue.rate_limit("k");
    eventually("the slots to be free", LIMIT, || (limit.held_count().unwrap() == 0).then_some(()));
    assert_eq!((limit.waiting_count().unwrap(), scratch.count("finished:default")), (0, JOBS));
    drop(worker);
}

/// Whoever enqueued died before it gave out slots. A worker's first round of maintenance does it.
#[test]
fn a_worker_that_starts_gives_slots_that_nobody_gave() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let job = queue.enqueue(add("a").rate_limit("k", 1)).unwrap();
    // As `enqueue.lua` leaves it.
    scratch.query::<()>("LPOP", [scratch.key("queue:default")]);
    scratch.query::<()>("ZREM", [scratch.key("rl:k:allowed"), "a".to_owned()]);
    scratch.query::<()>("ZADD", [scratch.key("rl:k:rate_limited"), "1".to_owned(), "a".to_owned()]);
    scratch.query::<()>("HSET", [scratch.key("job:a"), "status".to_owned(), "rate_limited".to_owned()]);
    let worker = RqTest::new(&scratch).worker(&[]);
    assert_eq!(job.wait(LIMIT).unwrap(), 5);
    drop(worker);
}

// Paces

#[test]
fn a_pace_is_kept_by_either_worker() {
    const JOBS: usize = 6;
    for worker_is_pythons in [true, false] {
        let scratch = Scratch::new();
        let python = Python::new(&scratch);
        let queue = scratch.queue("default");
        let began = Instant::now();
        let calls = (0..JOBS).map(|number| add(&format!("j{number}")).pace("mail", 2, secs(1)));
        let handles = queue.enqueue_many(calls).unwrap();
        assert_eq!((scratch.waiting("default").len(), scratch.count("scheduled:default")), (2, 4));
        let worker = match worker_is_pythons {
            true => python.spawn_rq(&["worker", "--with-scheduler"]),
            false => RqTest::new(&scratch).worker(&["--with-scheduler"]),
        };
        for handle in &handles {
            assert_eq!(handle.wait(LIMIT).unwrap(), 5, "{}", handle.id());
        }
        // Two at once, two a second later, and two after another one.
        assert!(began.elapsed() >= Duration::from_secs(2), "{:?}", began.elapsed());
        drop(worker);
    }
}

#[test]
fn many_producers_keep_a_pace_together() {
    const COUNT: usize = 7;
    const PERIOD_S: u64 = 2;
    const JOBS_EACH: usize = 5;
    let scratch = Scratch::new();
    let barrier = Barrier::new(PRODUCERS);
    let produce = |producer: usize| {
        let queue = scratch.queue("default");
        barrier.wait();
        for number in 0..JOBS_EACH {
            let call = add(&format!("p{producer}-{number}")).pace("k", COUNT as u32, secs(PERIOD_S));
            queue.enqueue(call).unwrap();
        }
    };
    std::thread::scope(|scope| {
        let produce = &produce;
        (0..PRODUCERS).for_each(|producer| drop(scope.spawn(move || produce(producer))));
    });
    let dump = scratch.dump();
    let Value::SortedSet(starts) = &dump["rq:pace:k"].value else { panic!("starts are sorted") };
    let starts_ms: Vec<f64> = starts.iter().map(|(_, start)| start.0).collect();
    assert_eq!(starts_ms.len(), PRODUCERS * JOBS_EACH);
    for window in starts_ms.windows(COUNT + 1) {
        assert!(window[COUNT] - window[0] >= PERIOD_S as f64 * 1000.0, "{window:?}");
    }
    // What is due is what is written there.
    let queued = scratch.waiting("default").len();
    assert_eq!(queued + scratch.count("scheduled:default"), PRODUCERS * JOBS_EACH);
    let Value::SortedSet(scheduled) = &dump["rq:scheduled:default"].value else { panic!("a schedule") };
    let due_ms: Vec<f64> = scheduled.iter().map(|(_, due)| due.0 * 1000.0).collect();
    assert_eq!(due_ms, starts_ms[queued..]);
}

#[test]
fn a_paced_job_keeps_its_side_of_the_queue() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    queue.enqueue(add("first").pace("k", 1, minutes(1))).unwrap();
    queue.enqueue(add("second").pace("k", 1, minutes(1)).at_front()).unwrap();
    let hash = scratch.hash("job:second");
    assert_eq!((hash["status"].as_str(), hash["enqueue_at_front"].as_str()), ("scheduled", "1"));
    assert!(!scratch.hash("job:first").contains_key("enqueue_at_front"));
}

#[test]
fn limits_that_cannot_be_kept_are_refused() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let inline = queue.clone().inline(handlers![jobs::add]);
    let call = || jobs::add::call(2, 3);
    let refused = |answer: Result<(), Error>, option: &str| match answer {
        Err(Error::Option { option: refused, .. }) => assert_eq!(refused, option),
        other => panic!("{option}: {other:?}"),
    };
    refused(queue.enqueue(call().rate_limit("k", 0)).map(drop), "rate_limit");
    refused(inline.enqueue(call().rate_limit("k", 1)).map(drop), "rate_limit");
    refused(inline.enqueue(call().pace("k", 1, secs(1))).map(drop), "pace");
    refused(queue.enqueue_in(secs(1), call().pace("k", 1, secs(1))).map(drop), "pace");
    refused(queue.enqueue(call().pace("k", 1, secs(1)).depends_on("a")).map(drop), "pace");
    refused(queue.enqueue(call().pace("k", 1, secs(1)).rate_limit("k", 1)).map(drop), "pace");
    refused(queue.enqueue(call().pace("k", 10_001, secs(1))).map(drop), "pace");
    for key in ["", "a\n", "a:allowed", "a:rate_limited", "{a}"] {
        assert!(matches!(queue.enqueue(call().rate_limit(key, 1)), Err(Error::Name(_))), "{key:?}");
        assert!(matches!(queue.enqueue(call().pace(key, 1, secs(1))), Err(Error::Name(_))), "{key:?}");
    }
    assert!(scratch.dump().is_empty());
}
