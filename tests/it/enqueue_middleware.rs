//! Middleware around enqueueing: each way into a queue leads through it, once.

use std::sync::{Arc, Mutex};

use rq_core::blocking::Queue;
use rq_core::{
    BoxError, Call, EnqueueMiddleware, EnqueueOutcome, Error, Keys, MadeOrFound, Timestamp, Value, hours,
    secs,
};
use rq_tests::{Fault, Proxy, Scratch, jobs};

use crate::rq_test::Books;

/// Puts a tenant into the meta of each call, and notes what it sees. Refuses `no.such.thing`.
#[derive(Clone, Default)]
struct Tenant(Arc<Mutex<Notes>>);

#[derive(Debug, Default)]
struct Notes {
    before: Vec<String>,
    after: Vec<(Option<String>, String)>,
}

impl EnqueueMiddleware for Tenant {
    fn before(&self, queue: &str, call: Call<()>) -> Result<Call<()>, BoxError> {
        assert!(call.meta_value("tenant").is_none(), "it is called once");
        self.0.lock().unwrap().before.push(queue.to_owned());
        match call.function() {
            "no.such.thing" => Err("no tenant may call it".into()),
            _ => Ok(call.meta("tenant", "acme")),
        }
    }

    fn after(&self, outcome: &EnqueueOutcome<'_>) {
        let says = match outcome.result {
            Ok(()) => format!("{} in {}", outcome.function, outcome.queue),
            Err(Error::Refused { .. }) => "refused".to_owned(),
            Err(Error::JobExists { .. } | Error::Duplicate { .. }) => "there".to_owned(),
            Err(error) => error.to_string(),
        };
        self.0.lock().unwrap().after.push((outcome.job_id.map(str::to_owned), says));
    }
}

impl Tenant {
    fn take(&self) -> Notes {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

fn call() -> Call<i64> {
    Call::to("math.add").arg(2).arg(3)
}

/// A way into a queue, and the ids of the jobs that were made on it.
type Way = (&'static str, &'static str, fn(&Queue) -> Vec<String>);

const WAYS: [Way; 13] = [
    ("enqueue", "default", |queue| vec![queue.enqueue(call()).unwrap().id().into()]),
    ("delay", "low", |queue| vec![queue.delay(call().queue("low")).unwrap().id().into()]),
    ("enqueue_at", "default", |queue| {
        let due = Timestamp::now().after(hours(1));
        vec![queue.enqueue_at(due, call()).unwrap().id().into()]
    }),
    ("enqueue_in", "default", |queue| vec![queue.enqueue_in(hours(1), call()).unwrap().id().into()]),
    ("enqueue_many", "default", |queue| {
        let jobs = queue.enqueue_many([call(), call(), call()]).unwrap();
        jobs.iter().map(|job| job.id().into()).collect()
    }),
    ("enqueue_unique", "default", |queue| {
        let made = queue.enqueue_unique(call().unique_by_args(hours(1))).unwrap();
        assert!(made.is_made());
        vec![made.into_handle().id().into()]
    }),
    ("enqueue_unique_in", "default", |queue| {
        let made = queue.enqueue_unique_in(secs(60), call().arg(4).unique_by_args(hours(1))).unwrap();
        vec![made.into_handle().id().into()]
    }),
    ("named", "high", |queue| vec![queue.named("high").unwrap().enqueue(call()).unwrap().id().into()]),
    ("group.enqueue", "default", |queue| vec![queue.new_group().enqueue(call()).unwrap().id().into()]),
    ("group.enqueue_many", "default", |queue| {
        let jobs = queue.new_group().enqueue_many([call(), call()]).unwrap();
        jobs.iter().map(|job| job.id().into()).collect()
    }),
    ("group.on_complete", "default", |queue| {
        vec![queue.new_group().on_complete(call()).unwrap().id().into()]
    }),
    ("inline", "default", |queue| {
        let job = queue.clone().inline(jobs::handlers()).enqueue(call()).unwrap();
        assert_eq!(job.result().unwrap(), Some(5));
        vec![job.id().into()]
    }),
    ("inline, many", "default", |queue| {
        let jobs = queue.clone().inline(jobs::handlers()).enqueue_many([call(), call()]).unwrap();
        jobs.iter().map(|job| job.id().into()).collect()
    }),
];

#[test]
fn each_way_into_a_queue_leads_through_it_once() {
    let (scratch, tenant) = (Scratch::new(), Tenant::default());
    let queue = scratch.queue("default").middleware(tenant.clone());
    for (way, to, go) in WAYS {
        let mut ids = go(&queue);
        let mut notes = tenant.take();
        assert_eq!(notes.before, vec![to; ids.len()], "{way}");
        notes.after.sort();
        ids.sort();
        let after: Vec<_> = ids.iter().map(|id| (Some(id.clone()), format!("math.add in {to}"))).collect();
        assert_eq!(notes.after, after, "{way}");
        for id in ids {
            let meta = queue.fetch_job(&id).unwrap().expect(way).meta().unwrap();
            assert_eq!(meta, Value::Dict(vec![("tenant".into(), "acme".into())]), "{way}");
        }
    }
}

#[tokio::test]
async fn the_async_front_has_it_too() {
    let (scratch, tenant) = (Scratch::new(), Tenant::default());
    let queue = rq_core::Queue::connect(scratch.url(), "default").await.unwrap();
    let queue = queue.keys(Keys::new(scratch.prefix()).unwrap()).middleware(tenant.clone());
    let one = queue.enqueue(call()).await.unwrap();
    let many = queue.enqueue_many([call(), call()]).await.unwrap();
    let mut ids: Vec<_> = many.iter().chain([&one]).map(|job| Some(job.id().to_owned())).collect();
    let mut told: Vec<_> = tenant.take().after.into_iter().map(|(id, _)| id).collect();
    ids.sort();
    told.sort();
    assert_eq!(told, ids);
}

#[test]
fn of_many_calls_none_is_sent_if_one_is_refused() {
    let (scratch, tenant) = (Scratch::new(), Tenant::default());
    let queue = scratch.queue("default").middleware(tenant.clone());
    let refused = || Call::<i64>::to("no.such.thing");
    let error = queue.enqueue(refused()).unwrap_err();
    assert_eq!(error.to_string(), "no.such.thing was not enqueued: no tenant may call it");
    // It is none that has let the call pass.
    assert!(tenant.take().after.is_empty());
    let error = queue.enqueue_many([call().job_id("a"), refused(), call().job_id("b")]).unwrap_err();
    assert!(matches!(error, Error::Refused { .. }), "{error}");
    let notes = tenant.take();
    assert_eq!((notes.before.len(), notes.after), (2, vec![(Some("a".into()), "refused".into())]));
    assert_eq!(scratch.waiting("default"), Vec::<String>::new());
    assert!(queue.fetch_job("a").unwrap().is_none());
}

#[test]
fn what_is_there_already_is_told_of_that_call_alone() {
    let (scratch, tenant) = (Scratch::new(), Tenant::default());
    let plain = scratch.queue("default");
    let queue = plain.clone().middleware(tenant.clone());
    plain.enqueue(Call::<i64>::to("math.add").job_id("b")).unwrap();
    plain.enqueue_unique(call().unique_by_args(hours(1))).unwrap();
    let ids = ["a", "b", "c"];
    queue.enqueue_many(ids.map(|id| call().job_id(id))).unwrap_err();
    let enqueued = || "math.add in default".to_owned();
    let says = [enqueued(), "there".to_owned(), enqueued()];
    let told: Vec<_> = ids.iter().zip(says).map(|(id, says)| (Some((*id).to_owned()), says)).collect();
    assert_eq!(tenant.take().after, told);
    let found = queue.enqueue_unique(call().unique_by_args(hours(1)).job_id("d")).unwrap();
    assert!(matches!(found, MadeOrFound::Found(_)));
    assert_eq!(tenant.take().after, [(Some("d".to_owned()), "there".to_owned())]);
}

#[test]
fn what_is_sent_again_does_not_pass_again() {
    let (scratch, tenant) = (Scratch::new(), Tenant::default());
    let proxy = Proxy::at_first(scratch.url(), "EVALSHA enqueue", Fault::CutAfter);
    let queue = Queue::connect(proxy.url(), "default").unwrap();
    let queue = queue.keys(Keys::new(scratch.prefix()).unwrap()).middleware(tenant.clone());
    let job = queue.enqueue(call()).unwrap();
    assert_eq!(proxy.struck().len(), 1, "it was sent again: {:?}", proxy.requests());
    let notes = tenant.take();
    assert_eq!((notes.before.len(), notes.after.len()), (1, 1));
    assert_eq!(scratch.waiting("default"), [job.id()]);
}

#[test]
fn many_calls_are_told_of_in_their_order_each_with_its_function() {
    let (scratch, tenant) = (Scratch::new(), Tenant::default());
    let queue = scratch.queue("default").middleware(tenant.clone());
    // Two of one id: the first is the job, the other finds it there.
    let of = |function: &str, id: &str| Call::<Value>::to(function).job_id(id);
    let numbered: Vec<_> = (0..20).map(|number| format!("j{number}")).collect();
    let twice = [of("math.add", "a"), of("test.panic", "a")];
    let others = numbered.iter().map(|id| of("test.echo", id));
    drop(queue.enqueue_many(others.chain(twice)));
    let ids = numbered.iter().map(String::as_str).chain(["a", "a"]);
    let after = tenant.take().after;
    assert_eq!(after.iter().filter_map(|(id, _)| id.as_deref()).collect::<Vec<_>>(), ids.collect::<Vec<_>>());
    assert!(after[..20].iter().all(|(_, says)| says == "test.echo in default"), "{after:?}");
    assert_eq!(after[20].1, "math.add in default");
    // Where none is sent, of each as well.
    let refused = Call::<Value>::to("no.such.thing");
    queue.enqueue_many([of("math.add", "b"), of("test.panic", "b"), refused]).unwrap_err();
    let told = (Some("b".to_owned()), "refused".to_owned());
    assert_eq!(tenant.take().after, [told.clone(), told]);
}

#[test]
fn an_id_that_others_depend_on_may_not_be_changed() {
    let scratch = Scratch::new();
    let queue = scratch.queue("default").middleware(|_: &str, call: Call<()>| {
        let id = call.id().map(|id| format!("acme-{id}"));
        Ok(match id {
            Some(id) => call.job_id(id),
            None => call,
        })
    });
    let error = queue.enqueue_many([call().job_id("a"), call().depends_on("a")]).unwrap_err();
    let says = "math.add was not enqueued: it depends on a, whose id middleware has changed";
    assert_eq!(error.to_string(), says);
    assert_eq!(scratch.waiting("default"), Vec::<String>::new());
    // One that is named by what it becomes is the parent it was meant to be, and any id may change where none is named.
    queue.enqueue_many([call().job_id("a"), call().depends_on("acme-a")]).unwrap();
    assert_eq!(scratch.waiting("default"), ["acme-a"]);
}
