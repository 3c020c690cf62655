//! What Python's tools show of jobs that we made and ran: `rq info`, RQ's own classes, rq-dashboard and django-rq.

use rq_core::{Call, Value};
use rq_tests::{Python, Scratch};
use serde_json::{Value as Json, json};

use crate::rq_test::{Books, RqTest};

/// What the failed job is known by: its error, as its text has it.
const ERROR: &str = "no such customer";

/// One job that waits, one that has finished and one that has failed, with all that a producer may say of them.
fn three_jobs() -> Scratch {
    let scratch = Scratch::new();
    let queue = scratch.queue("default");
    let call = |function: &str, id: &str| Call::<Value>::to(function).job_id(id).meta("k", "v");
    queue.enqueue(call("math.add", "done").arg(2).kwarg("y", 3).description("what people read")).unwrap();
    queue.enqueue(call("interop.fail", "bad").arg(ERROR)).unwrap();
    RqTest::new(&scratch).drain(&["--name", "ours"]);
    let waits = call("interop.echo", "waits").value(Value::Bytes(vec![0xff])).kwarg("big", u128::MAX);
    queue.enqueue(waits.kwvalue("day", Value::Date(jiff::civil::date(2024, 1, 2)))).unwrap();
    scratch
}

#[test]
fn rq_info_counts_them() {
    let scratch = three_jobs();
    let python = Python::new(&scratch);
    assert_eq!(python.rq(&["info", "--raw"]), "queue default 1, 0 executing, 1 finished, 1 failed\n");
    let registries = python.rq(&["info", "--by-queue"]);
    assert!(registries.contains("1 queues, 1 jobs total"), "{registries}");
}

#[test]
fn rqs_classes_read_all_of_them() {
    const LOOK: &str = "\
def parts(id):
    job = Job.fetch(id, connection=conn)
    result = job.latest_result()
    ended = result and [result.type.name, repr(result.return_value), result.worker_name]
    return [job.func_name, repr(job.args), repr(job.kwargs), job.meta, job.get_status(), repr(job.return_value()), ended]
print(json.dumps({id: parts(id) for id in ['waits', 'done', 'bad']}))
print((Job.fetch('bad', connection=conn).latest_result().exc_string))
";
    let scratch = three_jobs();
    let printed = Python::new(&scratch).run(LOOK);
    let (parts, failure) = printed.split_once('\n').unwrap();
    let parts: Json = serde_json::from_str(parts).unwrap();
    let big = u128::MAX;
    let meta = json!({"k": "v"});
    assert_eq!(
        parts,
        json!({
            "waits": [
                "interop.echo", "(b'\\xff',)", format!("{{'big': {big}, 'day': datetime.date(2024, 1, 2)}}"), meta, "queued",
                "None", null,
            ],
            "done": ["math.add", "(2,)", "{'y': 3}", meta, "finished", "5", ["SUCCESSFUL", "5", "ours"]],
            "bad": ["interop.fail", format!("('{ERROR}',)"), "{}", meta, "failed", "None", ["FAILED", "None", "ours"]],
        })
    );
    assert!(failure.contains(ERROR), "{failure}");
}

#[test]
fn rq_dashboard_shows_all_of_them() {
    const LOOK: &str = "\
import dashboards
seen = dashboards.RqDashboard()
jobs = {id: seen.job(id) for id in ['waits', 'done', 'bad']}
lists = [seen.jobs('default', registry) for registry in ['queued', 'finished', 'failed', 'started']]
print(json.dumps([jobs, lists]))
";
    let scratch = three_jobs();
    let seen: Json = serde_json::from_str(&Python::with_dashboards(&scratch).run(LOOK)).unwrap();
    let [jobs, lists] = [&seen[0], &seen[1]];
    assert_eq!(*lists, json!([["waits"], ["done"], ["bad"], []]));
    let part = |id: &str, part: &str| jobs[id][part].clone();
    let texts = |part_name: &str| ["waits", "done", "bad"].map(|id| part(id, part_name));
    assert_eq!(texts("status"), ["queued", "finished", "failed"]);
    assert_eq!(texts("metadata"), [r#"{"k": "v"}"#; 3]);
    assert_eq!((part("done", "result"), part("done", "description")), (json!(5), json!("what people read")));
    assert_eq!(part("bad", "description"), json!(format!("interop.fail('{ERROR}')")));
    assert!(part("bad", "exc_info").as_str().is_some_and(|text| text.contains(ERROR)), "{jobs}");
    for time in ["created_at", "enqueued_at", "started_at", "ended_at"] {
        assert!(part("done", time).is_string() && part("bad", time).is_string(), "{time}: {jobs}");
    }
}

#[test]
fn django_rq_shows_all_of_them() {
    const LOOK: &str = "\
import dashboards
seen = dashboards.DjangoRq('default')
jobs = {id: seen.job(id) for id in ['waits', 'done', 'bad']}
print(json.dumps([jobs, seen.registry(''), seen.registry('finished/'), seen.registry('failed/')]))
";
    let scratch = three_jobs();
    let seen: Json = serde_json::from_str(&Python::with_dashboards(&scratch).run(LOOK)).unwrap();
    let check = |page: &Json, parts: &[&str]| {
        let text = page.as_str().unwrap();
        for part in parts {
            assert!(text.contains(part), "{part:?} is not in {text}");
        }
    };
    let [waits, done, bad] = ["waits", "done", "bad"].map(|id| &seen[0][id]);
    check(
        waits,
        &["Status queued", "Callable interop.echo", "b'\\xff'", &u128::MAX.to_string(), "{'k': 'v'}"],
    );
    check(
        done,
        &[
            "Status finished",
            "Callable math.add args 2",
            "y",
            "SUCCESSFUL",
            "Worker: ours",
            "Return Value: 5",
        ],
    );
    check(bad, &["Status failed", "Callable interop.fail", "FAILED", "Worker: ours", ERROR]);
    check(&seen[1], &["waits", "interop.echo", "1 jobs"]);
    check(&seen[2], &["done", "math.add"]);
    check(&seen[3], &["bad", "interop.fail"]);
}
