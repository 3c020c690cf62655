//! The scenario whose ends call for webhooks and callbacks; and [`Found`], what must have come of those.

use rq_core::{Call, Callback, Job, JobResult, Letter, Status, Value, Webhook, compose};
use rq_tests::{Acknowledged, Journal, Received, Scratch, jobs};

use super::scenario::Producer;
use crate::rq_test::Books;

/// A worker may send to this machine.
pub(super) const ALLOW: [&str; 2] = ["--webhook-allow", "private"];

/// The callback of all its jobs.
const CALLBACK: &str = "due.journal";
/// The end of a job that died with its worker.
const ABANDONED: &str = "failed AbandonedJobError";
const QUEUE: &str = "default";

/// One that finishes and one that fails, whose callbacks are called where they run; and one that is stopped, whose callback
/// is posted.
const FINISHES: &str = "a";
const FAILS: &str = "b";
const IS_STOPPED: &str = "c";

/// Enqueues them.
pub(super) fn enqueue(producer: &Producer<'_>) -> Vec<Acknowledged> {
    let path = || producer.journal.path().to_owned();
    let (url, prefix) = (producer.scratch.url().to_owned(), producer.scratch.prefix().to_owned());
    send(producer, FINISHES, jobs::interop_journal::call(path(), FINISHES.to_owned(), 0));
    send(producer, FAILS, jobs::flaky::call(path(), FAILS.to_owned(), usize::MAX));
    send(producer, IS_STOPPED, jobs::stop_itself::call(url, prefix, path()));
    vec![Acknowledged::finishes(FINISHES), Acknowledged::fails(FAILS), Acknowledged::fails(IS_STOPPED)]
}

fn send<T>(producer: &Producer<'_>, id: &str, call: Call<T>) {
    let callback = || Callback::to(CALLBACK);
    let url = |end: &str| producer.server.url(&format!("/{id}/{end}"));
    let call = call.meta(jobs::due::JOURNAL, producer.journal.path());
    let call = call.on_success(callback()).on_failure(callback()).on_stopped(callback());
    let call = call.webhook(Webhook::finished(url("finished")).post());
    producer.send(QUEUE, id, call.webhook(Webhook::failed(url("failed")).post()));
}

/// As if the time were over until what lies in the outbox is due again. Whether anything does.
pub(super) fn pass_time(scratch: &Scratch) -> bool {
    let boxes = ["webhooks".to_owned(), format!("callbacks:{CALLBACK}")];
    let mut is_any = false;
    for key in boxes.map(|name| scratch.key(format!("outbox:{name}"))) {
        let entries: Vec<String> = scratch.query("ZRANGE", [&*key, "0", "-1"]);
        for entry in entries {
            is_any = true;
            scratch.query::<i64>("ZADD", [&*key, "XX", "1", &entry]);
        }
    }
    is_any
}

/// All that tells what came of what the ends called for.
pub(super) struct Found<'a> {
    pub(super) scratch: &'a Scratch,
    pub(super) journal: &'a Journal,
    pub(super) received: Vec<Received>,
    /// Whether the first worker was.
    pub(super) was_killed: bool,
    /// What the workers after it wrote.
    pub(super) later: Vec<String>,
}

impl Found<'_> {
    /// What is wrong with that.
    pub(super) fn complaints(&self) -> Vec<String> {
        let ids = [FINISHES, FAILS, IS_STOPPED];
        let mut complaints: Vec<String> = ids.iter().flat_map(|id| self.complaints_of(id)).collect();
        // Each of the two that tell once, and once more the one that was refused.
        let at_most = 3;
        if !self.was_killed && self.received.len() != at_most {
            complaints.push(format!("{} webhooks came, not {at_most}", self.received.len()));
        }
        complaints
    }

    fn complaints_of(&self, id: &str) -> Vec<String> {
        let handle = self.scratch.queue(QUEUE).handle::<Value>(id);
        // What has not ended is told of by the ledger.
        let (Ok(Some(job)), Ok(Some(result))) = (handle.job(), handle.latest_result()) else { return vec![] };
        let mut complaints = self.complaints_about_webhooks(id, &job, &result);
        complaints.extend(self.complaints_about_calls(id, job.status, &result));
        complaints
    }

    /// Each webhook of the end has come, and none of another end.
    fn complaints_about_webhooks(&self, id: &str, job: &Job, result: &JobResult) -> Vec<String> {
        let letters = match job.status {
            Status::Finished | Status::Failed => {
                compose(job, job.status, job.ended_at, result.failure_text.as_deref()).letters
            }
            _ => vec![],
        };
        let received: Vec<&Received> =
            self.received.iter().filter(|request| request.headers["job-id"] == id).collect();
        let is_of = |request: &Received, letter: &Letter| {
            letter.url.ends_with(&request.path) && letter.body.as_deref() == Some(&request.body)
        };
        let mut complaints = Vec::new();
        for letter in &letters {
            let came: Vec<_> = received.iter().filter(|request| is_of(request, letter)).collect();
            if came.is_empty() {
                complaints.push(format!("job {id}: a webhook never came: {:?}", letter.body));
            }
            if came.iter().any(|request| request.headers["rq-webhook-id"] != came[0].headers["rq-webhook-id"])
            {
                complaints.push(format!("job {id}: one webhook came under two ids: {came:?}"));
            }
        }
        for request in received {
            if !letters.iter().any(|letter| is_of(request, letter)) {
                complaints.push(format!("job {id}: a webhook came for no end of it: {request:?}"));
            }
        }
        complaints
    }

    /// Each callback was called: where the job ran, once a run; one that was posted, once, or not at all where the worker
    /// that had it was killed, and then that was told.
    fn complaints_about_calls(&self, id: &str, status: Status, result: &JobResult) -> Vec<String> {
        let is_abandoned =
            result.failure_text.as_deref().is_some_and(|text| text.contains("AbandonedJobError"));
        let (here, posted) = match id {
            FINISHES => ("finished", is_abandoned.then_some(ABANDONED)),
            FAILS => ("failed Error", is_abandoned.then_some(ABANDONED)),
            _ => ("", Some(if is_abandoned { ABANDONED } else { "stopped" })),
        };
        let mut complaints = Vec::new();
        let calls = self.journal.calls(id);
        let count = |end: &str| calls.iter().filter(|call| *call == end).count();
        if let Some(other) = calls.iter().find(|call| **call != here && Some(call.as_str()) != posted) {
            complaints.push(format!("job {id}: {status}, and a callback was called for {other:?}"));
        }
        let runs = self.journal.began().iter().filter(|began| *began == id).count();
        let at_least = usize::from(posted.is_none());
        let at_most = if self.was_killed { runs } else { at_least };
        if !(at_least..=at_most).contains(&count(here)) {
            complaints.push(format!("job {id}: called {} times where it ran, in {runs} runs", count(here)));
        }
        let Some(posted) = posted else { return complaints };
        let lost = format!("job {id}: callback {CALLBACK} was taken by a worker that is gone");
        let is_told = self.later.iter().any(|log| log.contains(&lost));
        match count(posted) {
            1 if !is_told || self.was_killed => {}
            0 if is_told && self.was_killed => {}
            count => complaints.push(format!(
                "job {id}: the callback for {posted:?} was called {count} times; {}",
                if is_told { "it is told as lost" } else { "nothing is told" }
            )),
        }
        complaints
    }
}
