//! What becomes of a job whose id Python enqueues anew while it runs: both lives are run, and both keep their ends.

use rq_core::{Call, Status, secs};
use rq_tests::{Gate, Python, eventually};
use serde_json::{Value as Json, json};

use super::Stage;
use crate::rq_test::{Books, LIMIT};

/// The ways by which Python gives an id another life. `q` is the queue. A field that a call leaves out keeps the value that
/// the first life gave it, as under Python's workers.
const WAYS: [(&str, &str); 4] = [
    ("enqueued", "q.enqueue('interop.echo', 'second', job_id=id, result_ttl=500)"),
    (
        "job",
        "q.enqueue_job(Job.create('interop.echo', ['second'], id=id, connection=conn, origin='default', result_ttl=500))",
    ),
    (
        "scheduled",
        "q.enqueue_in(datetime.timedelta(seconds=0), 'interop.echo', 'second', job_id=id, result_ttl=500)",
    ),
    (
        "deferred",
        "q.enqueue('interop.echo', 'second', job_id=id, result_ttl=500, depends_on=q.enqueue('interop.echo', 'parent'))",
    ),
];

/// Enqueues `second` under each of the ids.
fn enqueue_anew(python: &Python) {
    let code: String = WAYS.iter().map(|(id, way)| format!("id = '{id}'\n{way}\n")).collect();
    python.run(&format!("q = Queue(connection=conn)\n{code}"));
}

/// What Python sees of a job's results, sorted: with several slots either life may end first.
fn values(python: &Python, id: &str) -> Json {
    let printed = python.run(&format!(
        "job = Job.fetch('{id}', connection=conn)\n\
         print(json.dumps(sorted([r.return_value for r in job.results()], key=str)))"
    ));
    serde_json::from_str(&printed).expect("JSON")
}

/// While all slots are busy; the first life also fails at its limit, and keeps no result.
pub(super) fn both_lives_of_an_id_are_run(executor: &'static str) {
    for first in ["value", "failure", "unkept"] {
        let stage = Stage::new(executor);
        let python = Python::new(&stage.scratch);
        let gate = Gate::new(&stage.scratch, "gate");
        let slots = WAYS.len().to_string();
        let worker = stage.worker(&["--concurrency", &slots, "--with-scheduler", "--lease", "1"]);
        for (id, _) in WAYS {
            let call = Call::<String>::to("test.gate").arg(gate.key()).job_id(id);
            let call = match first {
                "failure" => call.timeout(secs(2)),
                "unkept" => call.result_ttl(secs(0)),
                _ => call,
            };
            stage.queue().enqueue(call).unwrap();
            gate.wait_for_arrival();
        }
        enqueue_anew(&python);
        if first != "failure" {
            gate.open(WAYS.len());
        }
        for (id, _) in WAYS {
            let ended = || {
                let is_over = stage.scratch.status(id) == Status::Finished.to_string();
                (is_over && stage.scratch.count("wip:default") == 0).then_some(())
            };
            eventually(&format!("both lives of {id} to end"), LIMIT, ended);
            let expected = match first {
                "value" if id < "second" => json!([id, "second"]),
                "value" => json!(["second", id]),
                "failure" => json!([null, "second"]),
                _ => json!(["second"]),
            };
            assert_eq!(values(&python, id), expected, "{first}, {id}: {}", worker.report());
        }
        assert_eq!(stage.scratch.count("leases"), 0, "{first}");
        assert_eq!(stage.scratch.waiting("default").len(), 0, "{first}");
    }
}

/// With a slot to spare: the first life's end must not put its time to live on the record of the second.
pub(super) fn two_lives_at_once_keep_their_ends(executor: &'static str) {
    let stage = Stage::new(executor);
    let python = Python::new(&stage.scratch);
    let gates = ["first", "second"].map(|name| Gate::new(&stage.scratch, name));
    let worker = stage.worker(&["--concurrency", "2"]);
    let first = Call::<String>::to("test.gate").arg(gates[0].key()).job_id("tick").result_ttl(secs(1));
    stage.queue().enqueue(first).unwrap();
    gates[0].wait_for_arrival();
    python.run(&format!(
        "Queue(connection=conn).enqueue('test.gate', {:?}, job_id='tick', result_ttl=500)",
        gates[1].key()
    ));
    gates[1].wait_for_arrival();
    gates[0].open(1);
    worker.wait_for_line("job tick was enqueued anew while it ran", LIMIT);
    eventually("the first end to be over", LIMIT, || {
        (stage.scratch.ttl_s("results:tick") == -2).then_some(())
    });
    gates[1].open(1);
    let ended = || (stage.scratch.status("tick") == Status::Finished.to_string()).then_some(());
    eventually("the second life to end", LIMIT, ended);
    assert_eq!(values(&python, "tick"), json!(["tick"]), "{}", worker.report());
    assert_eq!((stage.scratch.count("finished:default"), stage.scratch.count("wip:default")), (1, 0));
}
