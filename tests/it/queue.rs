//! What programs call, on a real Redis: each test runs on the async queue and on the blocking one.

use std::net::TcpListener;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rq_core::steps::Claimed;
use rq_core::steps::job::fetch_fields;
use rq_core::steps::queue::counts;
use rq_core::steps::roster::records;
use rq_core::steps::settlement::Settlement;
use rq_core::{
    Call, Codec, Context, Error, Keys, PROGRESS_KEY, ResultKind, Retry, Settled, Status, Ttl, Value, days,
    handlers, job, secs,
};
use rq_tests::{PrivateRedis, Scratch, eventually};
use serde::{Deserialize, Serialize};

use crate::scripts::{QUEUE, Stage, failed, finished, settlement};

/// How long anything here may take that does not depend on a clock.
const LIMIT: Duration = Duration::from_secs(10);

/// Writes each test twice. In its body `now!(..)` awaits on the async front and does nothing on the blocking one;
/// `open(&scratch)` connects to [`QUEUE`] there.
macro_rules! on_both_fronts {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)+) => {
        mod async_front {
            use rq_core::Queue;

            use super::*;

            macro_rules! now {
                ($step:expr) => {
                    $step.await
                };
            }

            async fn open(scratch: &Scratch) -> Queue {
                let keys = Keys::new(scratch.prefix()).unwrap();
                Queue::connect(scratch.url(), QUEUE).await.unwrap().keys(keys)
            }

            $($(#[$attribute])* #[tokio::test] async fn $name() $body)+
        }

        mod blocking_front {
            use rq_core::blocking::Queue;

            use super::*;

            macro_rules! now {
                ($step:expr) => {
                    $step
                };
            }

            fn open(scratch: &Scratch) -> Queue {
                let keys = Keys::new(scratch.prefix()).unwrap();
                Queue::connect(scratch.url(), QUEUE).unwrap().keys(keys)
            }

            $($(#[$attribute])* #[test] fn $name() $body)+
        }
    };
}

pub(crate) use on_both_fronts;

on_both_fronts! {
    fn every_option_appears_in_the_record() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let call = Call::<i64>::to("math.add").arg(2).kwarg("y", 3).job_id("j").description("sum");
        let call = call.timeout(secs(7)).result_ttl(Ttl::Forever).failure_ttl(days(1)).ttl(secs(100));
        let call = call.meta("k", "v").codec(Codec::Json);
        let call = call.retry(Retry::up_to(2).after([secs(5), secs(6)]).at_front());
        let handle = now!(queue.enqueue(call)).unwrap();
        assert_eq!(handle.id(), "j");
        for (field, value) in [
            ("status", "queued"),
            ("origin", QUEUE),
            ("description", "sum"),
            ("timeout", "7"),
            ("result_ttl", "-1"),
            ("failure_ttl", "86400"),
            ("ttl", "100"),
            ("meta", "{\"k\": \"v\"}"),
            ("retries_left", "2"),
            ("retry_intervals", "[5, 6]"),
            ("enqueue_at_front_on_retry", "1"),
        ] {
            assert_eq!(stage.field("j", field).as_deref(), Some(value), "{field}");
        }
        assert!((97..=100).contains(&stage.ask::<i64>("TTL job:j")));
        let job = now!(queue.fetch_job("j")).unwrap().unwrap();
        let (codec, payload) = job.payload().unwrap();
        assert_eq!((codec, payload.full_description().as_str()), (Codec::Json, "math.add(2, y=3)"));
        assert_eq!(job.enqueued_at.map(|at| at.since(job.created_at) < secs(1)), Some(true));
    }

    fn what_is_not_said_is_rqs_default() {
        let stage = Stage::new();
        let handle = now!(now!(open(&stage.scratch)).enqueue(Call::<()>::to("f"))).unwrap();
        let id = handle.id();
        assert!(uuid::Uuid::parse_str(id).is_ok(), "{id}");
        assert_eq!(stage.field(id, "timeout").as_deref(), Some("180"));
        assert_eq!(stage.field(id, "description").as_deref(), Some("f()"));
        for field in ["result_ttl", "failure_ttl", "ttl", "retries_left", "meta"] {
            assert_eq!(stage.field(id, field), None, "{field}");
        }
        assert_eq!(stage.ask::<i64>(&format!("TTL job:{id}")), -1);
    }

    /// A script writes a hundred jobs; the server was told of it by the first enqueue.
    fn many_calls_are_few_commands_and_keep_their_order() {
        let server = PrivateRedis::start(&[]);
        let stage = Stage::on(Scratch::on(&server.url()));
        let queue = now!(open(&stage.scratch));
        now!(queue.enqueue(Call::<()>::to("f").job_id("first"))).unwrap();
        redis::cmd("CONFIG").arg("RESETSTAT").exec(&mut server.connection()).unwrap();
        let calls = (0..250).map(|number| Call::<()>::to("f").arg(number).job_id(format!("j{number}")));
        let handles = now!(queue.enqueue_many(calls)).unwrap();
        assert_eq!(calls_of(&server, "evalsha"), 3);
        assert_eq!(calls_of(&server, "hset"), 250);
        let ids: Vec<String> = handles.iter().map(|handle| handle.id().to_owned()).collect();
        assert_eq!(now!(queue.job_ids_page(1, 250)).unwrap(), ids);
        assert_eq!((ids[0].as_str(), ids[249].as_str()), ("j0", "j249"));
    }

    fn at_front_is_next() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let call = |id: &str| Call::<()>::to("f").job_id(id);
        now!(queue.enqueue(call("a"))).unwrap();
        now!(queue.enqueue(call("b").at_front())).unwrap();
        now!(queue.enqueue_many([call("c"), call("d").at_front(), call("e").at_front()])).unwrap();
        assert_eq!(now!(queue.job_ids()).unwrap(), ["e", "d", "b", "a", "c"]);
    }

    fn a_queue_can_be_looked_into() {
        const JOBS: usize = 600;
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        assert!(now!(queue.is_empty()).unwrap());
        assert_eq!(now!(queue.job_ids()).unwrap(), [""; 0]);
        let calls = (0..JOBS).map(|number| Call::<()>::to("f").arg(number).job_id(format!("j{number}")));
        now!(queue.enqueue_many(calls)).unwrap();
        assert_eq!(now!(queue.len()).unwrap(), JOBS);
        assert!(!now!(queue.is_empty()).unwrap());
        assert_eq!(now!(queue.job_ids_page(2, 2)).unwrap(), ["j2", "j3"]);
        assert_eq!(now!(queue.job_ids_page(598, 5)).unwrap(), ["j598", "j599"]);
        assert_eq!(now!(queue.job_ids_page(usize::MAX, usize::MAX)).unwrap(), [""; 0]);
        stage.run("DEL job:j1");
        let jobs = now!(queue.jobs()).unwrap();
        assert_eq!(jobs.len(), JOBS - 1, "an id whose job is gone is left out");
        assert_eq!((jobs[0].id.as_str(), jobs[1].id.as_str()), ("j0", "j2"));
        assert_eq!(jobs[598].described(), "f(599)");
        assert_eq!(now!(queue.fetch_job("j1")).unwrap(), None);
        assert_eq!(now!(queue.named("other").unwrap().fetch_job("j0")).unwrap(), Some(jobs[0].clone()));
    }

    fn asking_for_nothing_gives_nothing() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        now!(queue.enqueue(Call::<()>::to("f"))).unwrap();
        assert_eq!(now!(queue.job_ids_page(0, 0)).unwrap(), [""; 0]);
        assert_eq!(now!(queue.enqueue_many(Vec::<Call<()>>::new())).unwrap().len(), 0);
        // As `rq info` asks where there are no queues and no workers.
        assert_eq!(stage.take(&counts(&stage.keys, &[])), []);
        assert_eq!(stage.take(&records(&stage.keys, &[])), []);
        assert_eq!(stage.take(&fetch_fields(&stage.keys, &[])), []);
    }

    fn a_record_that_cannot_be_read_is_named() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        now!(queue.enqueue(Call::<()>::to("f").job_id("j"))).unwrap();
        stage.run("HSET job:j timeout soon");
        for error in [now!(queue.jobs()).unwrap_err(), now!(queue.fetch_job("j")).unwrap_err()] {
            assert!(matches!(error, Error::Malformed { .. }), "{error}");
            assert!(error.to_string().starts_with("job j cannot be read: field `timeout`"), "{error}");
        }
    }

    fn emptying_takes_all_and_deleting_the_queue_too() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let fill = || (0..1100).map(|_| Call::<()>::to("f"));
        now!(queue.enqueue_many(fill())).unwrap();
        assert_eq!(now!(queue.empty()).unwrap(), 1100);
        assert!(stage.key_names().iter().eq(["queues"]), "{:?}", stage.key_names());
        now!(queue.enqueue_many(fill())).unwrap();
        assert_eq!(now!(queue.delete()).unwrap(), 1100);
        assert!(stage.key_names().is_empty(), "{:?}", stage.key_names());
        assert_eq!(now!(queue.delete()).unwrap(), 0);
    }

    fn a_living_jobs_id_is_refused_and_the_others_are_enqueued() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let call = |id: &str, argument: i64| Call::<()>::to("f").arg(argument).job_id(id);
        now!(queue.enqueue(call("a", 1))).unwrap();
        now!(queue.enqueue(call("a", 1))).expect("the same call is the same job");
        let error = now!(queue.enqueue_many([call("b", 1), call("a", 2), call("c", 1)])).unwrap_err();
        let Error::JobExists { job_id, status } = error else { panic!("{error}") };
        assert_eq!((job_id.as_str(), status.as_str()), ("a", "queued"));
        assert_eq!(now!(queue.job_ids()).unwrap(), ["a", "b", "c"]);
    }

    fn what_cannot_be_written_is_refused_before_anything_is_sent() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let call = Call::<()>::to;
        let no_key_of_json = call("f").value(Value::Dict(vec![(Value::Tuple(vec![]), Value::Null)]));
        for (bad, expected) in [
            (no_key_of_json.codec(Codec::Json), "a tuple cannot be a dict's key"),
            (call("f").job_id("a b"), "job id \"a b\" cannot be used"),
            (call("f").timeout(secs(0)), "timeout: "),
            (call("f").ttl(secs(0)), "ttl: "),
        ] {
            let error = now!(queue.enqueue_many([call("good"), bad])).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert!(!error.is_redis_unavailable());
        }
        assert!(stage.key_names().is_empty(), "{:?}", stage.key_names());
        for name in ["", "a,b", "q:intermediate"] {
            assert!(matches!(queue.named(name), Err(Error::Name(_))), "{name:?}");
        }
    }

    fn a_payload_that_no_worker_reads_is_refused_before_anything_is_sent() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).codec(Codec::Pickle);
        let large = Call::<()>::to("f").value(Value::Bytes(vec![0; Codec::MAX_PAYLOAD_BYTES]));
        let error = now!(queue.enqueue_many([Call::<()>::to("good"), large])).unwrap_err();
        assert!(matches!(&error, Error::PayloadTooLarge { function, .. } if function == "f"), "{error:?}");
        assert!(stage.key_names().is_empty(), "{:?}", stage.key_names());
    }

    fn all_keys_have_the_prefix() {
        let server = PrivateRedis::start(&[]);
        let scratch = Scratch::on(&server.url());
        let queue = now!(open(&scratch)).inline(handlers![add, fail]);
        now!(queue.enqueue(add::call(1, 2))).unwrap();
        now!(queue.enqueue(fail::call("boom".to_owned()))).unwrap();
        now!(now!(open(&scratch)).enqueue(Call::<()>::to("f"))).unwrap();
        let keys: Vec<String> = redis::cmd("KEYS").arg("*").query(&mut server.connection()).unwrap();
        assert_eq!(keys.len(), 9, "{keys:?}");
        assert!(keys.iter().all(|key| key.starts_with(&scratch.key(""))), "{keys:?}");
    }

    fn a_handle_follows_its_job() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let handle = now!(queue.enqueue(Call::<i64>::to("math.add").job_id("j"))).unwrap();
        assert_eq!(now!(handle.status()).unwrap(), Some(Status::Queued));
        assert_eq!((now!(handle.result()).unwrap(), now!(handle.latest_result()).unwrap()), (None, None));
        let worker = stage.worker("w", &[QUEUE]);
        let claimed = worker.claim(1);
        assert_eq!(now!(handle.status()).unwrap(), Some(Status::Started));
        worker.settle(&[finished(&claimed[0])]);
        assert_eq!(now!(handle.status()).unwrap(), Some(Status::Finished));
        assert_eq!(now!(handle.result()).unwrap(), Some(5));
        let latest = now!(handle.latest_result()).unwrap().unwrap();
        assert_eq!((latest.kind, latest.worker_name.as_deref()), (ResultKind::Successful, Some("w")));
        assert_eq!(now!(handle.job()).unwrap().unwrap().worker_name.as_deref(), Some("w"));
        assert_eq!(now!(queue.handle::<i64>("j").wait(secs(0))).unwrap(), 5, "any handle of the id");
        stage.run("DEL job:j results:j");
        stage.run("DEL results:j");
        assert_eq!((now!(handle.status()).unwrap(), now!(handle.job()).unwrap()), (None, None));
    }

    fn a_wait_ends_when_the_result_comes() {
        let (server, stage) = on_a_private_server();
        let handle = now!(now!(open(&stage.scratch)).enqueue(Call::<i64>::to("math.add"))).unwrap();
        let working = work_once_somebody_waits(server, &stage, finished);
        assert_eq!(now!(handle.wait(LIMIT)).unwrap(), 5);
        working.join().unwrap();
    }

    fn a_wait_ends_when_the_job_fails() {
        let (server, stage) = on_a_private_server();
        let call = Call::<i64>::to("math.add").job_id("j");
        let handle = now!(now!(open(&stage.scratch)).enqueue(call)).unwrap();
        let working = work_once_somebody_waits(server, &stage, failed);
        let error = now!(handle.wait(LIMIT)).unwrap_err();
        let _server = working.join().unwrap();
        assert_eq!(error.to_string(), "job j failed: Error: boom");
        let Error::JobFailed { status, text, .. } = error else { panic!("{error:?}") };
        assert_eq!((status, text.as_str()), (Status::Failed, "Error: boom"));
        assert_eq!(now!(handle.result()).unwrap(), None);
    }

    /// A job that is deleted as it ends leaves no entry to wake the waiter, who looks again by himself.
    fn a_wait_ends_when_the_job_is_deleted() {
        let (server, stage) = on_a_private_server();
        let handle = now!(now!(open(&stage.scratch)).enqueue(Call::<i64>::to("math.add"))).unwrap();
        let unkept = |claimed: &Claimed| settlement(claimed, Settled::Finished(None), Ttl::Seconds(0));
        let working = work_once_somebody_waits(server, &stage, unkept);
        let error = now!(handle.wait(LIMIT)).unwrap_err();
        working.join().unwrap();
        assert!(matches!(error, Error::NoSuchJob { .. }), "{error}");
    }

    /// As after Python's `requeue`, which keeps the results.
    fn a_wait_is_for_the_run_to_come() {
        let (server, stage) = on_a_private_server();
        let call = Call::<i64>::to("math.add").job_id("j");
        let handle = now!(now!(open(&stage.scratch)).enqueue(call)).unwrap();
        let worker = stage.worker("first", &[QUEUE]);
        worker.settle(&[finished(&worker.claim(1)[0])]);
        assert_eq!(now!(handle.wait(secs(0))).unwrap(), 5);
        stage.run("ZREM finished:q j");
        stage.run("HSET job:j status queued");
        stage.run("RPUSH queue:q j");
        let six = |claimed: &Claimed| {
            settlement(claimed, Settled::Finished(Some(b"6".to_vec())), Ttl::RESULT_DEFAULT)
        };
        let working = work_once_somebody_waits(server, &stage, six);
        assert_eq!(now!(handle.wait(LIMIT)).unwrap(), 6);
        working.join().unwrap();
    }

    fn a_wait_that_cannot_succeed_says_why() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        let handle = now!(queue.enqueue(Call::<i64>::to("math.add").job_id("j"))).unwrap();
        let began = Instant::now();
        let error = now!(handle.wait(Duration::from_millis(50))).unwrap_err();
        assert_eq!(error.to_string(), "job j has not ended within 50ms; it is queued");
        assert!((Duration::from_millis(50)..LIMIT).contains(&began.elapsed()));

        stage.run("HSET job:j status canceled");
        let error = now!(handle.wait(LIMIT)).unwrap_err();
        assert!(matches!(error, Error::JobFailed { status: Status::Canceled, .. }), "{error}");
        stage.run("HSET job:j status finished");
        let error = now!(handle.wait(LIMIT)).unwrap_err();
        assert!(matches!(error, Error::ResultGone { .. }), "{error}");
        stage.run("DEL job:j");
        let error = now!(handle.wait(LIMIT)).unwrap_err();
        assert!(matches!(error, Error::NoSuchJob { .. }), "{error}");
        let error = now!(queue.handle::<i64>("never").wait(LIMIT)).unwrap_err();
        assert!(matches!(error, Error::NoSuchJob { .. }), "{error}");
    }

    fn a_value_of_another_type_is_an_error() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).inline(handlers![add]);
        let id = now!(queue.enqueue(add::call(2, 3))).unwrap().id().to_owned();
        let error = now!(queue.handle::<String>(&id).wait(LIMIT)).unwrap_err();
        assert!(matches!(error, Error::Value(_)), "{error}");
        assert_eq!(now!(queue.handle::<Value>(&id).wait(LIMIT)).unwrap(), Value::Int(5));
    }

    fn values_come_back_in_every_codec() {
        for codec in [Codec::Json, Codec::Bincode, Codec::Pickle] {
            let stage = Stage::new();
            let queue = now!(open(&stage.scratch)).codec(codec).inline(handlers![add, stretch]);
            let sum = now!(queue.enqueue(add::call(2, 3).meta("k", 1))).unwrap();
            assert_eq!(now!(sum.wait(LIMIT)).unwrap(), 5, "{codec}");
            let job = now!(sum.job()).unwrap().unwrap();
            assert_eq!(job.payload().unwrap().0, codec);
            assert_eq!(job.meta().unwrap().repr(), "{'k': 1}", "{codec}");
            let line = Line { name: "é".to_owned(), points: vec![(0.5, -1), (2.0, 3)], label: None };
            let stretched = now!(queue.enqueue(stretch::call(line.clone(), 2.0))).unwrap();
            let expected = Line { points: vec![(1.0, -1), (4.0, 3)], ..line };
            assert_eq!(now!(stretched.wait(LIMIT)).unwrap(), expected, "{codec}");
        }
    }

    fn inline_runs_leave_what_a_worker_leaves() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).inline(handlers![add, report]);
        let calls = [add::call(1, 2).job_id("a"), add::call(3, 4).job_id("b")];
        let handles = now!(queue.enqueue_many(calls)).unwrap();
        assert_eq!(now!(handles[1].result()).unwrap(), Some(7));
        assert_eq!(now!(queue.len()).unwrap(), 0);
        for id in ["a", "b"] {
            assert_eq!(stage.books(id), ["finished:q"]);
            assert_eq!(stage.field(id, "worker_name").as_deref(), Some("sync"));
            assert!((497..=500).contains(&stage.ask::<i64>(&format!("TTL job:{id}"))));
        }
        let reported = now!(queue.enqueue(report::call().job_id("c"))).unwrap();
        assert_eq!(now!(reported.result()).unwrap(), Some(()));
        let meta = now!(reported.job()).unwrap().unwrap().meta().unwrap().repr();
        assert!(meta.contains(&format!("'{PROGRESS_KEY}': 0.5")), "{meta}");
        assert!(!stage.key_names().iter().any(|name| name.contains("execution")), "{:?}", stage.key_names());
    }

    fn inline_runs_may_fail() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch)).inline(handlers![add, fail, collapse]);
        for (call, expected) in [
            (Call::<()>::to("fail.error").arg("boom").job_id("error"), "job error failed: Error: boom"),
            (Call::to("fail.panic").job_id("panic"), "job panic failed: Panic: job panicked"),
            (
                Call::to("math.ad").job_id("unknown"),
                "job unknown failed: UnknownFunction: no handler named `math.ad` in this worker; \
                 did you mean `math.add`?",
            ),
            (
                Call::to("math.add").arg(1).job_id("missing"),
                "job missing failed: TypeError: math.add() missing argument 'y'",
            ),
        ] {
            let handle = now!(queue.enqueue(call)).expect("it is recorded, not returned");
            let error = now!(handle.wait(LIMIT)).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{error}");
            assert_eq!(stage.books(handle.id()), ["failed:q"]);
        }
    }

    /// It may be running.
    fn an_inline_call_of_a_living_jobs_id_does_not_run() {
        let stage = Stage::new();
        let queue = now!(open(&stage.scratch));
        now!(queue.enqueue(Call::<()>::to("f").job_id("j"))).unwrap();
        let error = now!(queue.inline(handlers![add]).enqueue(add::call(1, 2).job_id("j"))).unwrap_err();
        assert!(matches!(error, Error::JobExists { .. }), "{error}");
        assert_eq!(stage.books("j"), ["queue:q"]);
    }

    fn a_server_that_is_not_there_is_an_error_at_once() {
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let began = Instant::now();
        let error = now!(Queue::connect(&format!("redis://{address}/"), QUEUE)).unwrap_err();
        assert!(error.is_redis_unavailable(), "{error:?}");
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
        let error = now!(Queue::connect("http://localhost/", QUEUE)).unwrap_err();
        assert!(!error.is_redis_unavailable(), "{error:?}");
    }

    fn a_connection_that_broke_is_replaced() {
        let mut server = PrivateRedis::start(&[]);
        let scratch = Scratch::on(&server.url());
        let queue = now!(open(&scratch));
        now!(queue.enqueue(Call::<()>::to("f"))).unwrap();
        // As after a restart: the connection is gone, and the server knows no scripts.
        redis::cmd("SCRIPT").arg("FLUSH").exec(&mut server.connection()).unwrap();
        redis::cmd("CLIENT").arg(&["KILL", "TYPE", "normal"]).exec(&mut server.connection()).unwrap();
        now!(queue.enqueue(Call::<()>::to("f"))).unwrap();
        assert_eq!(now!(queue.len()).unwrap(), 2, "enqueued once, whatever was sent twice");

        server.kill();
        let began = Instant::now();
        let error = now!(queue.enqueue(Call::<()>::to("f"))).unwrap_err();
        assert!(error.is_redis_unavailable(), "{error:?}");
        assert!(began.elapsed() < LIMIT, "{:?}", began.elapsed());
    }
}

/// The one thing the two fronts do not share.
#[tokio::test]
async fn async_handlers_run_inline_on_the_async_queue() {
    let scratch = Scratch::new();
    let keys = Keys::new(scratch.prefix()).unwrap();
    let queue = rq_core::Queue::connect(scratch.url(), QUEUE).await.unwrap().keys(keys);
    let queue = queue.inline(handlers![add_later]);
    let handle = queue.enqueue(add_later::call(2, 3)).await.unwrap();
    assert_eq!(handle.result().await.unwrap(), Some(5));
}

#[test]
fn async_handlers_fail_inline_on_the_blocking_queue() {
    let scratch = Scratch::new();
    let keys = Keys::new(scratch.prefix()).unwrap();
    let queue = rq_core::blocking::Queue::connect(scratch.url(), QUEUE).unwrap().keys(keys);
    let queue = queue.inline(handlers![add_later]);
    let handle = queue.enqueue(add_later::call(2, 3).job_id("j")).unwrap();
    let error = handle.wait(LIMIT).unwrap_err();
    let expected =
        "`math.add_later` is an async handler, which needs a runtime; use the async queue or a worker";
    assert!(error.to_string().contains(expected), "{error}");
}

// The jobs

#[job("math.add")]
fn add(x: i64, y: i64) -> rq_core::Result<i64> {
    Ok(x + y)
}

#[job("math.add_later")]
async fn add_later(x: i64, y: i64) -> rq_core::Result<i64> {
    tokio::task::yield_now().await;
    Ok(x + y)
}

#[job("fail.error")]
fn fail(text: String) -> rq_core::Result<()> {
    Err(text.into())
}

#[job("fail.panic")]
fn collapse() -> rq_core::Result<()> {
    panic!("on purpose")
}

#[job("meta.report")]
fn report(ctx: &Context) -> rq_core::Result<()> {
    Ok(ctx.progress(0.5, "half")?)
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Line {
    name: String,
    points: Vec<(f64, i64)>,
    label: Option<String>,
}

#[job("shapes.stretch")]
fn stretch(line: Line, factor: f64) -> rq_core::Result<Line> {
    Ok(Line { points: line.points.into_iter().map(|(x, y)| (x * factor, y)).collect(), ..line })
}

// The other side

/// A server on which nobody else blocks.
fn on_a_private_server() -> (PrivateRedis, Arc<Stage>) {
    let server = PrivateRedis::start(&[]);
    let stage = Stage::on(Scratch::on(&server.url()));
    (server, Arc::new(stage))
}

/// Runs one job of [`QUEUE`] as a worker elsewhere does, and ends it when somebody waits for its result.
fn work_once_somebody_waits(
    server: PrivateRedis,
    stage: &Arc<Stage>,
    end: fn(&Claimed) -> Settlement,
) -> JoinHandle<PrivateRedis> {
    let stage = Arc::clone(stage);
    std::thread::spawn(move || {
        let worker = stage.worker("w", &[QUEUE]);
        let claimed = worker.claim(1);
        eventually("somebody to wait", LIMIT, || {
            (info(&server, "clients", "blocked_clients:") == "1").then_some(())
        });
        worker.settle(&[end(&claimed[0])]);
        server
    })
}

/// How often the server was asked to do `command` since its statistics were reset.
fn calls_of(server: &PrivateRedis, command: &str) -> u64 {
    let statistics = info(server, "commandstats", &format!("cmdstat_{command}:calls="));
    let calls = statistics.split(',').next().expect("split yields something");
    calls.parse().expect("a number")
}

/// What follows `name` in a section of INFO.
fn info(server: &PrivateRedis, section: &str, name: &str) -> String {
    let text: String =
        redis::cmd("INFO").arg(section).query(&mut server.connection()).expect("the server answers");
    let found = text.lines().find_map(|line| line.strip_prefix(name));
    found.unwrap_or_else(|| panic!("no {name} in {text}")).to_owned()
}
