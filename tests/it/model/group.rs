//! [`GroupEnd`]: all jobs are of one group; whether one waits for its end, and that it goes on once, when nobody is open.

use std::collections::BTreeSet;

use rq_core::Status;
use rq_core::link::Step;
use rq_core::steps::group::{Awaited, await_group, let_end, look, note_open, take};
use rq_core::steps::job::Cursor;
use rq_tests::fixture::{Bytes, Keys, Value};

use crate::scripts::Stage;

/// The group of all jobs.
pub(super) const GROUP: &str = "g";
/// Where those go that wait for its end: no worker serves it.
const QUEUE: &str = "last";
/// So soon all groups are due.
const AHEAD_MS: u64 = 100_000_000;

/// The jobs that were declared.
#[derive(Default)]
pub(super) struct GroupEnd {
    went_on: Vec<String>,
    waits: Option<String>,
}

impl GroupEnd {
    /// Has a job wait for the end, if none does.
    pub(super) fn declare(&mut self, stage: &Stage, twice: bool) {
        if self.waits.is_some() {
            return;
        }
        let id = format!("z{}", self.went_on.len());
        let mut job = stage.job(&id);
        (job.status, job.origin) = (Status::Deferred, QUEUE.to_owned());
        job.after_group = Some(GROUP.to_owned());
        let keys = &stage.keys;
        assert_eq!(send(stage, &await_group(keys, GROUP, &job), twice), Awaited::Waits);
        send(stage, &note_open(keys, GROUP, &id, &Cursor::default()), twice);
        send(stage, &let_end(keys, GROUP, &id), twice);
        self.waits = Some(id);
    }

    /// A worker looks whether a member has ended; all that ended was told of.
    pub(super) fn look(&self, stage: &Stage, twice: bool) {
        for group in send(stage, &take(&stage.keys, AHEAD_MS), false) {
            let found = send(stage, &look(&stage.keys, &group, &Cursor::default(), AHEAD_MS), twice).found;
            assert_eq!((found.ended, found.gone_on), (0, 0));
        }
    }

    /// `open` are the jobs that have not ended.
    pub(super) fn check(&mut self, dump: &Keys, open: &BTreeSet<String>) {
        if open.is_empty() {
            self.went_on.extend(self.waits.take());
        }
        let noted = |key: &str| -> BTreeSet<String> {
            let Some(Value::SortedSet(members)) = dump.get(key).map(|key| &key.value) else {
                return BTreeSet::new();
            };
            members.iter().map(|(member, _)| member.as_str().to_owned()).collect()
        };
        let (expected_open, expected_deferred) = match &self.waits {
            Some(id) => (open.clone(), BTreeSet::from([id.clone()])),
            None => (BTreeSet::new(), BTreeSet::new()),
        };
        assert_eq!(noted("rq:group_open:g"), expected_open, "who is noted as open");
        assert_eq!(noted("rq:deferred:last"), expected_deferred, "who waits for the end");
        let queued: Vec<&str> = match dump.get("rq:queue:last").map(|key| &key.value) {
            Some(Value::List(ids)) => ids.iter().map(Bytes::as_str).collect(),
            _ => Vec::new(),
        };
        assert_eq!(queued, self.went_on, "who went on, each once");
    }
}

fn send<T>(stage: &Stage, step: &Step<T>, twice: bool) -> T {
    let answer = stage.take(step);
    if twice {
        stage.take(step);
    }
    answer
}
