//! What a producer is told whose connection breaks around an enqueue: that the job is there, or that nobody knows.

use rq_core::{Call, Error, Keys, Queue, blocking, secs};
use rq_tests::{Fault, Proxy, Scratch};

use crate::rq_test::Books;

/// What is sent to enqueue.
const ENQUEUE: &str = "EVALSHA enqueue";
const QUEUE: &str = "default";

/// How the job is enqueued.
#[derive(Clone, Copy, Debug)]
enum Front {
    Async,
    Blocking,
}

/// What the producer is told.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Told {
    Enqueued,
    Unconfirmed,
}

/// The job's `result_ttl`; what breaks at the first and second sending; what is told, and how often the job is in the
/// queue then.
type Row = (u64, &'static [Fault], Told, usize);

const ROWS: [Row; 9] = [
    (500, &[], Told::Enqueued, 1),
    (500, &[Fault::CutBefore], Told::Enqueued, 1),
    (500, &[Fault::CutAfter], Told::Enqueued, 1),
    (500, &[Fault::CutBefore, Fault::CutBefore], Told::Unconfirmed, 0),
    (500, &[Fault::CutBefore, Fault::CutAfter], Told::Unconfirmed, 1),
    (500, &[Fault::CutAfter, Fault::CutAfter], Told::Unconfirmed, 1),
    // Sent once: a job that has run by then has left no trace that a second sending could find.
    (0, &[], Told::Enqueued, 1),
    (0, &[Fault::CutBefore], Told::Unconfirmed, 0),
    (0, &[Fault::CutAfter], Told::Unconfirmed, 1),
];

#[test]
fn a_producer_is_told_what_is_known() {
    for front in [Front::Async, Front::Blocking] {
        for row in ROWS {
            check(front, row);
        }
    }
}

fn check(front: Front, row: Row) {
    let (result_ttl_s, faults, told, enqueued) = row;
    let plan = plan(front, result_ttl_s, faults);
    let scratch = Scratch::new();
    let proxy = Proxy::new(scratch.url(), plan.iter().copied());
    let answer = enqueue(front, proxy.url(), &scratch, result_ttl_s);
    match (&answer, told) {
        (Ok(()), Told::Enqueued) => {}
        (Err(Error::Unconfirmed { job_id, .. }), Told::Unconfirmed) => assert_eq!(job_id, "j"),
        _ => panic!("{front:?} {row:?}: {answer:?}"),
    }
    assert_eq!(proxy.struck().len(), faults.len(), "{front:?} {row:?}: {:?}", proxy.requests());
    assert_eq!(scratch.waiting(QUEUE), vec!["j"; enqueued], "{front:?} {row:?}");
    // What the message advises.
    enqueue(front, scratch.url(), &scratch, result_ttl_s).unwrap();
    assert_eq!(scratch.waiting(QUEUE), ["j"], "{front:?} {row:?}");
}

/// At which requests the faults have to happen, found out one by one: what is requested after one is up to the client.
fn plan(front: Front, result_ttl_s: u64, faults: &[Fault]) -> Vec<(usize, Fault)> {
    let mut plan: Vec<(usize, Fault)> = Vec::new();
    for &fault in faults {
        let scratch = Scratch::new();
        // The scripts are known by then.
        enqueue(front, scratch.url(), &scratch, result_ttl_s).unwrap();
        let proxy = Proxy::new(scratch.url(), plan.iter().copied());
        // Broken or not, it was sent.
        let _ = enqueue(front, proxy.url(), &scratch, result_ttl_s);
        let requests = proxy.requests();
        let mut sendings = (1..).zip(&requests).filter(|(_, request)| *request == ENQUEUE);
        let (number, _) = sendings.nth(plan.len()).unwrap_or_else(|| panic!("no sending in {requests:?}"));
        plan.push((number, fault));
    }
    plan
}

/// Enqueues the job `j`, over a new connection.
fn enqueue(front: Front, url: &str, scratch: &Scratch, result_ttl_s: u64) -> Result<(), Error> {
    let keys = Keys::new(scratch.prefix()).unwrap();
    let call = Call::<()>::to("f").job_id("j").result_ttl(secs(result_ttl_s));
    match front {
        Front::Blocking => blocking::Queue::connect(url, QUEUE)?.keys(keys).enqueue(call).map(drop),
        Front::Async => {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                Queue::connect(url, QUEUE).await?.keys(keys).enqueue(call).await.map(drop)
            })
        }
    }
}
