//! Groups of jobs: with Python on both sides, on both fronts, and inline. `groups/rig.rs` has a large one, over workers that
//! are killed; `conformance/groups.rs` what every executor must do.

mod rig;

use std::time::Duration;

use rq_core::{Call, Error, Queue, Status, blocking, handlers, job, secs};
use rq_tests::{Gate, Journal, Python, Scratch, eventually};
use serde_json::{Value as Json, json};

use crate::interop::seen;
use crate::rq_test::{Books, LIMIT, RqTest};

/// What a look for ends that nobody told of may take: 20 s, and what a busy machine takes.
const FOUND_WITHIN: Duration = Duration::from_secs(40);

fn add(id: &str) -> Call<i64> {
    Call::to("interop.add").arg(1).arg(2).job_id(id)
}

/// The names of keys that are there while somebody waits for the end of a group.
fn noted(scratch: &Scratch) -> Vec<String> {
    scratch.dump().into_keys().filter(|name| name.starts_with("rq:group_")).collect()
}

#[test]
fn a_group_has_its_jobs_and_says_how_far_they_are() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let group = queue.group("g").unwrap();
    assert!(!group.exists().unwrap() && group.status().unwrap().is_complete());
    let handles = group.enqueue_many([add("a"), add("b").depends_on("a")]).unwrap();
    // The same group, by another queue.
    scratch.queue("low").group("g").unwrap().enqueue(add("c")).unwrap();
    queue.enqueue(add("other")).unwrap();
    assert_eq!(
        (group.len().unwrap(), group.job_ids().unwrap()),
        (3, ["a", "b", "c"].map(str::to_owned).into())
    );
    assert_eq!(group.status().unwrap().to_string(), "3 jobs: 2 queued, 1 deferred");
    let jobs = group.jobs().unwrap();
    assert!(jobs.iter().all(|job| job.group() == Some("g")) && jobs.len() == 3, "{jobs:?}");
    assert_eq!(queue.fetch_job("other").unwrap().unwrap().group(), None);
    RqTest::new(&scratch).drain(&["default"]);
    assert_eq!(handles[1].status().unwrap(), Some(Status::Finished));
    let status = group.status().unwrap();
    assert_eq!((status.open(), status.count(Status::Finished), status.is_complete()), (1, 2, false));
    assert!(group.remove("c").unwrap() && !group.remove("c").unwrap());
    assert!(group.status().unwrap().is_complete());
    let named = queue.new_group();
    named.enqueue(add("d")).unwrap();
    assert_eq!(named.name().len(), 32);
    let mut names = vec!["g".to_owned(), named.name().to_owned()];
    names.sort();
    assert_eq!(queue.groups().unwrap(), names);
    assert_eq!((named.delete().unwrap(), named.exists().unwrap()), (1, false));
    assert_eq!(queue.groups().unwrap(), ["g"]);
    assert_eq!(queue.fetch_job("d").unwrap(), None);
}

#[test]
fn names_of_groups_are_checked() {
    let queue = Scratch::new().queue("default");
    for bad in ["", " g", "g\n", "{g}", &"g".repeat(201)] {
        assert!(matches!(queue.group(bad), Err(Error::Name(_))), "{bad:?}");
    }
    let group = queue.group("g").unwrap();
    for (call, what) in [
        (add("z").depends_on("a"), "depends_on"),
        (add("z").pace("k", 1, secs(1)), "pace"),
        (add("z").unique(), "unique"),
    ] {
        let refused = group.on_complete(call);
        assert!(
            matches!(refused, Err(Error::Option { option, .. }) if option == what),
            "{what}: {refused:?}"
        );
    }
}

#[tokio::test]
async fn the_async_front_has_groups_too() {
    let scratch = Scratch::new();
    let keys = rq_core::Keys::new(scratch.prefix()).unwrap();
    let queue = Queue::connect(scratch.url(), "default").await.unwrap().keys(keys);
    let group = queue.group("g").unwrap();
    group.enqueue(add("a")).await.unwrap();
    group.enqueue_many([add("b"), add("c")]).await.unwrap();
    let last = group.on_complete(add("z")).await.unwrap();
    assert_eq!(group.waiting_for_end().await.unwrap(), ["z"]);
    assert_eq!(group.job_ids().await.unwrap(), ["a", "b", "c"]);
    assert_eq!(group.delete().await.unwrap(), 3);
    assert_eq!(last.status().await.unwrap(), Some(Status::Queued));
    assert!(queue.groups().await.unwrap().is_empty() && noted(&scratch).is_empty());
}

#[test]
fn python_reads_our_groups_and_we_read_pythons() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let queue = scratch.queue("default");
    queue.group("ours").unwrap().enqueue_many([add("a"), add("b")]).unwrap();
    let group = "__import__('rq.group').group.Group";
    let ours = seen(&python, &format!("sorted(job.id for job in {group}.fetch('ours', conn).get_jobs())"));
    assert_eq!(ours, json!(["a", "b"]));
    python.run(&format!(
        "from rq import Queue\n\
         data = [Queue.prepare_data('interop.add', (1, 2), job_id=id) for id in ('c', 'd')]\n\
         {group}.create(conn, 'theirs').enqueue_many(Queue(connection=conn), data)"
    ));
    let theirs = queue.group("theirs").unwrap();
    assert_eq!(theirs.job_ids().unwrap(), ["c", "d"]);
    assert_eq!(queue.groups().unwrap(), ["ours", "theirs"]);
    let all = seen(&python, &format!("sorted(group.name for group in {group}.all(conn))"));
    assert_eq!(all, json!(["ours", "theirs"]));
    // What waits for its end, Python sees as any deferred job, and cancels.
    let last = theirs.on_complete(add("z")).unwrap();
    let gone = theirs.on_complete(add("y")).unwrap();
    assert_eq!(seen(&python, "look.queue('default', conn)")["deferred"].as_array().map(Vec::len), Some(2));
    python.run("Job.fetch('y', connection=conn).cancel()");
    RqTest::new(&scratch).drain(&[]);
    assert_eq!(theirs.status().unwrap().to_string(), "2 jobs: 2 finished");
    assert_eq!(
        (last.status().unwrap(), gone.status().unwrap()),
        (Some(Status::Finished), Some(Status::Canceled))
    );
    assert!(noted(&scratch).is_empty());
}

/// They tell nobody; a worker of ours looks, a burst worker before it leaves.
#[test]
fn what_pythons_workers_end_is_found() {
    let scratch = Scratch::new();
    let python = Python::new(&scratch);
    let group = scratch.queue("theirs").group("g").unwrap();
    group.enqueue_many([add("a"), Call::to("interop.fail").arg("oh no").job_id("b")]).unwrap();
    let last = scratch.queue("ours").group("g").unwrap().on_complete(add("z")).unwrap();
    // Before it ends, a look changes nothing.
    RqTest::new(&scratch).drain(&["ours"]);
    assert_eq!(last.status().unwrap(), Some(Status::Deferred));
    python.rq(&["worker", "--burst", "theirs"]);
    assert_eq!(last.status().unwrap(), Some(Status::Deferred));
    let worker = RqTest::new(&scratch).worker(&["ours"]);
    eventually("a look at the group", FOUND_WITHIN, || {
        (last.status().unwrap() == Some(Status::Finished)).then_some(())
    });
    worker.wait_for_line("all jobs of group g have ended: 1 job that waited for it, queued", LIMIT);
    assert!(noted(&scratch).is_empty());
}

#[test]
fn what_expires_or_is_deleted_by_others_is_found_by_a_burst() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let group = queue.group("g").unwrap();
    group.enqueue_many([add("expires"), add("deleted"), add("emptied")]).unwrap();
    let last = scratch.queue("last").group("g").unwrap().on_complete(add("z")).unwrap();
    for id in ["expires", "deleted"] {
        scratch.query::<()>("DEL", [scratch.key(format!("job:{id}"))]);
    }
    queue.empty().unwrap();
    // As if its time had come.
    scratch.query::<()>("ZADD", [scratch.key("group_ends"), "1".into(), "g".into()]);
    RqTest::new(&scratch).drain(&["last"]);
    assert_eq!(last.status().unwrap(), Some(Status::Finished));
}

#[test]
fn a_requeued_member_is_waited_for_before_the_end_and_not_after_it() {
    let scratch = Scratch::new();
    let journal = Journal::new(&scratch);
    let gate = Gate::new(&scratch, "gate");
    let queue = scratch.queue("default");
    let group = queue.group("g").unwrap();
    let noted = |id: &str| Call::<String>::to("test.journal").arg(journal.path()).arg(0).job_id(id);
    let fails = group
        .enqueue(Call::<usize>::to("interop.flaky").arg(journal.path()).arg("fails").arg(9).job_id("fails"))
        .unwrap();
    let waits = group.enqueue(Call::<String>::to("test.gate").arg(gate.key()).job_id("waits")).unwrap();
    let last = group.on_complete(noted("last")).unwrap();
    let _worker = RqTest::new(&scratch).worker(&["--concurrency", "2"]);
    gate.wait_for_arrival();
    eventually("the failure", LIMIT, || (fails.status().unwrap() == Some(Status::Failed)).then_some(()));
    fails.requeue().unwrap();
    eventually("the second failure", LIMIT, || (fails.results().unwrap().len() == 2).then_some(()));
    assert_eq!(last.status().unwrap(), Some(Status::Deferred));
    gate.open(1);
    waits.wait(LIMIT).unwrap();
    last.wait(LIMIT).unwrap();
    fails.requeue().unwrap();
    eventually("the third failure", LIMIT, || (fails.results().unwrap().len() == 3).then_some(()));
    assert_eq!(journal.began().iter().filter(|id| *id == "last").count(), 1);
}

#[test]
fn jobs_that_run_inline_are_in_groups_too() {
    #[job("test.inline")]
    fn inline(value: i64) -> rq_core::Result<i64> {
        if value > 0 { Ok(value) } else { Err("no value".into()) }
    }
    let scratch = Scratch::new();
    let queue: blocking::Queue = scratch.queue("default").inline(handlers![inline]);
    let group = queue.group("g").unwrap();
    let declared = queue.group("g").unwrap();
    // One that a worker would run.
    scratch.queue("default").group("g").unwrap().enqueue(add("waits")).unwrap();
    let later = declared.on_complete(add("later")).unwrap();
    group.enqueue_many([inline::call(1), inline::call(0)]).unwrap();
    assert_eq!(later.status().unwrap(), Some(Status::Deferred));
    assert_eq!(group.status().unwrap().to_string(), "3 jobs: 1 queued, 1 finished, 1 failed");
    scratch.queue("default").handle::<i64>("waits").cancel().unwrap();
    assert_eq!(later.status().unwrap(), Some(Status::Queued));
    let at_once = group.on_complete(inline::call(5)).unwrap();
    assert_eq!(at_once.result().unwrap(), Some(5));
}

#[test]
fn rq_group_shows_groups() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    assert_eq!(ours.run(&["group"]), "0 groups, 0 jobs total\n");
    let queue = scratch.queue("default");
    let group = queue.group("report").unwrap();
    group.enqueue_many([add("a"), add("b")]).unwrap();
    queue.handle::<i64>("b").cancel().unwrap();
    group.on_complete(add("z")).unwrap();
    let line = "report       2 jobs: 1 queued, 1 canceled; job z waits for its end\n";
    assert_eq!(ours.run(&["group"]), format!("{line}1 groups, 2 jobs total\n"));
    assert_eq!(ours.run(&["group", "report"]), format!("{line}a queued\nb canceled\n"));
    let shown: Json = serde_json::from_str(&ours.run(&["group", "report", "--json"])).unwrap();
    let expected = json!([{
        "name": "report", "jobs": 2, "open": 1, "gone": 0, "statuses": {"queued": 1, "canceled": 1}, "waiting": ["z"],
    }]);
    assert_eq!((&shown["schema"], &shown["groups"]), (&json!(1), &expected));
    assert_eq!(shown["members"], json!([{"id": "a", "status": "queued"}, {"id": "b", "status": "canceled"}]));
    let (code, out, err) = ours.outcome(&["group", "nosuch"]);
    assert_eq!((code, out.as_str()), (Some(1), ""));
    assert!(err.contains("there is no group nosuch"), "{err}");
    assert!(ours.run(&["info"]).contains("1 queues, 1 jobs total\n1 groups\n"), "{}", ours.run(&["info"]));
    assert!(!ours.run(&["info", "--raw"]).contains("group"));
}
