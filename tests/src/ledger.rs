//! [`Ledger`]: in which book every job is, and what is wrong with that.
//!
//! | file | holds |
//! |---|---|
//! | `ledger/acknowledged.rs` | what producers were told, and what a death excuses |
//! | `ledger/book.rs` | queues and registries: where an id may be |
//! | `ledger/record.rs` | all other keys: which can be read, which must be gone |
//! | `ledger/violation.rs` | what can be wrong |

mod acknowledged;
mod book;
mod record;
mod violation;

use std::collections::BTreeSet;

use rq_core::{JobResult, Status};

use crate::fixture::{Fields, Keys, Value};
use crate::journal::{Line, Runs};
use crate::{Journal, Scratch};
use acknowledged::End;
use book::{Book, Entry};

pub use acknowledged::{Acknowledged, Excuse};
pub use violation::Violation;

/// Everything in a key space at one moment, to be compared with what producers were told and with what jobs did.
///
/// It is read key by key, so it is one moment's only where nobody works. While somebody does, a job on its way from one
/// book to another may seem to be in none or in two: see [`Violation::may_pass`].
pub struct Ledger {
    keys: Keys,
    entries: Vec<Entry>,
}

impl Ledger {
    /// What is in the key space now.
    pub fn read(scratch: &Scratch) -> Self {
        Self::of(scratch.dump())
    }

    fn of(keys: Keys) -> Self {
        let entries = keys.iter().flat_map(|(name, key)| book::entries(name, key)).collect();
        Self { keys, entries }
    }

    /// All that is wrong, given that nobody has anything left to do. `jobs` are all that were ever enqueued.
    pub fn check(&self, jobs: &[Acknowledged], journal: &Journal, excuse: Excuse) -> Vec<Violation> {
        self.check_lines(jobs, &journal.lines(), excuse)
    }

    fn check_lines(&self, jobs: &[Acknowledged], lines: &[Line], excuse: Excuse) -> Vec<Violation> {
        let mut violations = Vec::new();
        for job in jobs {
            let runs = Runs::of(&job.id, lines);
            violations.extend(self.check_place(job, &runs, excuse));
            violations.extend(self.check_runs(job, &runs, excuse));
            violations.extend(check_order(job, lines));
        }
        violations.extend(self.check_strangers(jobs));
        violations.extend(self.check_leftovers());
        violations.extend(self.check_records());
        violations
    }

    /// Each job is in one book, and it is that of its end.
    fn check_place(&self, job: &Acknowledged, runs: &Runs, excuse: Excuse) -> Vec<Violation> {
        let id = job.id.clone();
        match self.entries_of(&job.id)[..] {
            [] if self.is_deleted(job, runs) => vec![],
            [] => vec![Violation::Lost { id, status: self.status(&job.id) }],
            [entry] if entry.book.is_final() => self.check_end(job, entry, runs, excuse),
            [entry] if entry.book == Book::Deferred && self.waits_in_vain(job) => vec![],
            [entry] => vec![Violation::NotEnded { id, place: entry.key.clone() }],
            ref more => {
                vec![Violation::InTwoPlaces {
                    id,
                    places: more.iter().map(|entry| entry.key.clone()).collect(),
                }]
            }
        }
    }

    /// It ended as it should, and all that is written about that agrees.
    fn check_end(&self, job: &Acknowledged, at: &Entry, runs: &Runs, excuse: Excuse) -> Vec<Violation> {
        let (id, place) = (|| job.id.clone(), || at.key.clone());
        let mut violations = Vec::new();
        let is_excused = at.book == Book::Failed && job.may_fail(excuse);
        if job.end.book() != Some(at.book) && !is_excused {
            let ran_to_its_end = at.book == Book::Failed && runs.ended > 0;
            violations.push(Violation::WrongEnd { id: id(), place: place(), ran_to_its_end });
        }
        let status = self.status(&job.id);
        if !at.book.agrees_with(&status) {
            violations.push(Violation::StatusDisagrees { id: id(), status, place: place() });
        }
        let results = self.final_results(&job.id);
        // Where a worker dies, an earlier life may end before it gives the id another one.
        let fewest = if excuse == Excuse::None { job.lives } else { 1 };
        if !(fewest..=job.lives).contains(&results.len()) {
            violations.push(Violation::FinalResults { id: id(), count: results.len() });
        }
        let tells_why =
            |result: &JobResult| result.failure_text.as_deref().is_some_and(|text| !text.is_empty());
        // The last life's end is the one that is filed.
        if at.book == Book::Failed && !results.last().is_none_or(tells_why) {
            violations.push(Violation::NoCause { id: id() });
        }
        violations
    }

    /// It ran as often as it should.
    fn check_runs(&self, job: &Acknowledged, runs: &Runs, excuse: Excuse) -> Option<Violation> {
        let id = job.id.clone();
        let allowed = job.runs + if job.may_rerun(excuse) { runs.cut_off } else { 0 };
        if runs.began > allowed {
            return Some(Violation::RanAgain { id, runs: runs.began, allowed });
        }
        let is_in = |book| self.entries_of(&job.id).iter().any(|entry| entry.book == book);
        if job.lives > 1 && excuse == Excuse::None && runs.began < job.runs {
            return Some(Violation::NeverRan { id });
        }
        let fails_unrun = is_in(Book::Failed) && runs.began == 0 && !job.may_fail(excuse);
        let finishes_unrun = is_in(Book::Finished) && runs.ended == 0;
        (fails_unrun || finishes_unrun).then_some(Violation::NeverRan { id })
    }

    /// No book holds an id that nobody has enqueued.
    fn check_strangers(&self, jobs: &[Acknowledged]) -> impl Iterator<Item = Violation> {
        let known: BTreeSet<&str> = jobs.iter().map(|job| job.id.as_str()).collect();
        let strangers = self.entries.iter().filter(move |entry| !known.contains(entry.id.as_str()));
        strangers.map(|entry| Violation::Stranger { id: entry.id.clone(), place: entry.key.clone() })
    }

    /// Nothing says that something still runs, or waits for what has happened.
    fn check_leftovers(&self) -> impl Iterator<Item = Violation> {
        let is_left = |name: &str| {
            let released = record::parent_waited_for(name)
                .is_some_and(|parent| self.status(parent) == Status::Finished.as_str());
            released || record::is_of_something_running(name, &self.keys[name])
        };
        let left = self.keys.iter().filter(move |(name, _)| is_left(name));
        left.map(|(name, key)| Violation::LeftOver { key: name.clone(), content: record::content(key) })
    }

    /// Every program can read everything.
    fn check_records(&self) -> impl Iterator<Item = Violation> {
        let keys = self.keys.iter().filter_map(|(name, key)| Some((name, record::check(name, key).err()?)));
        let without_job = self.entries.iter().filter(|entry| self.hash(&entry.id).is_none());
        let without_job =
            without_job.map(|entry| (&entry.key, format!("names the job {}, which has no record", entry.id)));
        keys.chain(without_job).map(|(key, why)| Violation::Unreadable { key: key.clone(), why })
    }

    fn entries_of(&self, id: &str) -> Vec<&Entry> {
        self.entries.iter().filter(|entry| entry.id == id).collect()
    }

    fn hash(&self, id: &str) -> Option<&Fields> {
        match &self.keys.get(&format!("rq:job:{id}"))?.value {
            Value::Hash(fields) => Some(fields),
            _ => None,
        }
    }

    /// As the record says; empty where there is none.
    fn status(&self, id: &str) -> String {
        let status = self.hash(id).and_then(|fields| fields.get("status"));
        status.map_or(String::new(), book::lossy)
    }

    /// Those that can be read: what cannot is a violation of its own.
    fn final_results(&self, id: &str) -> Vec<JobResult> {
        let Some(Value::Stream(stream)) = self.keys.get(&format!("rq:results:{id}")).map(|key| &key.value)
        else {
            return vec![];
        };
        let results =
            stream.iter().filter_map(|(_, entry)| JobResult::from_fields(record::fields(entry)).ok());
        results.filter(|result| result.kind.is_final()).collect()
    }

    /// Whether it is gone because it ran and keeps nothing.
    fn is_deleted(&self, job: &Acknowledged, runs: &Runs) -> bool {
        job.end == End::Deleted && self.hash(&job.id).is_none() && runs.ended > 0
    }

    /// Whether what it waits for has failed.
    fn waits_in_vain(&self, job: &Acknowledged) -> bool {
        let parent = job.parent.as_deref().unwrap_or_default();
        self.entries_of(parent).iter().any(|entry| entry.book == Book::Failed)
    }
}

/// It began after all that it waits for.
fn check_order(job: &Acknowledged, lines: &[Line]) -> Option<Violation> {
    let began = lines.iter().position(|line| *line == Line::Began(job.id.clone()))?;
    let is_late = |other: &&String| {
        lines[began..].iter().any(|line| matches!(line, Line::Began(id) | Line::Ended(id) if id == *other))
    };
    let other = job.ended_before.iter().find(is_late)?;
    Some(Violation::TooEarly { id: job.id.clone(), other: other.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{Bytes, Key, Score};

    const TIME: &str = "2024-01-02T03:04:05.000006Z";
    /// A failure's text, as it is stored.
    const TEXT: &str = "eJzLz1DIywcABXsB1Q==";
    const SUCCESS: &[(&str, &str)] = &[("type", "1")];
    const FAILURE: &[(&str, &str)] = &[("type", "2"), ("exc_string", TEXT)];
    const RETRIED: &[(&str, &str)] = &[("type", "4")];

    /// What three jobs left: `a` has finished, `b` has failed, `c` has left nothing.
    struct Books {
        keys: Keys,
        lines: Vec<Line>,
        jobs: Vec<Acknowledged>,
    }

    impl Books {
        fn new() -> Self {
            let jobs =
                [Acknowledged::finishes("a"), Acknowledged::fails("b"), Acknowledged::leaves_nothing("c")];
            let mut books = Self { keys: Keys::new(), lines: vec![], jobs: jobs.into() };
            books.job("a", "finished").registry("rq:finished:q", &["a"]).results("a", &[SUCCESS]);
            books.job("b", "failed").registry("rq:failed:q", &["b"]).results("b", &[FAILURE]);
            books.hash("rq:worker:w", &[("birth", TIME), ("queues", "q")]);
            books.ran("a").began("b").ran("c");
            books
        }

        fn put(&mut self, name: &str, value: Value) -> &mut Self {
            self.keys.insert(name.to_string(), Key { ttl_s: -1, value });
            self
        }

        fn without(&mut self, name: &str) -> &mut Self {
            assert!(self.keys.remove(name).is_some(), "{name}");
            self
        }

        fn hash(&mut self, name: &str, fields: &[(&str, &str)]) -> &mut Self {
            self.put(name, Value::Hash(as_fields(fields)))
        }

        fn job(&mut self, id: &str, status: &str) -> &mut Self {
            let fields = [("data", "x"), ("status", status), ("created_at", TIME), ("origin", "q")];
            self.hash(&format!("rq:job:{id}"), &fields)
        }

        fn registry(&mut self, name: &str, ids: &[&str]) -> &mut Self {
            self.put(name, Value::SortedSet(ids.iter().map(|&id| (Bytes::from(id), Score(9.0))).collect()))
        }

        fn queue(&mut self, name: &str, ids: &[&str]) -> &mut Self {
            self.put(name, Value::List(ids.iter().map(|&id| Bytes::from(id)).collect()))
        }

        fn set(&mut self, name: &str) -> &mut Self {
            self.put(name, Value::Set([Bytes::from("m")].into()))
        }

        fn results(&mut self, id: &str, entries: &[&[(&str, &str)]]) -> &mut Self {
            let entries = entries.iter().map(|&entry| ("1-0".to_string(), as_fields(entry))).collect();
            self.put(&format!("rq:results:{id}"), Value::Stream(entries))
        }

        /// Files `a` as failed.
        fn a_failed(&mut self) -> &mut Self {
            self.without("rq:finished:q").registry("rq:failed:q", &["a", "b"]);
            self.job("a", "failed").results("a", &[FAILURE])
        }

        fn began(&mut self, id: &str) -> &mut Self {
            self.lines.push(Line::Began(id.to_string()));
            self
        }

        fn ran(&mut self, id: &str) -> &mut Self {
            self.began(id).lines.push(Line::Ended(id.to_string()));
            self
        }

        fn killed(&mut self) -> &mut Self {
            self.lines.push(Line::Killed);
            self
        }

        /// Takes a line out of the journal.
        fn forgetting(&mut self, line: usize) -> &mut Self {
            self.lines.remove(line);
            self
        }

        fn promise(&mut self, job: Acknowledged) -> &mut Self {
            self.jobs.retain(|other| other.id != job.id);
            self.jobs.push(job);
            self
        }
    }

    fn as_fields(fields: &[(&str, &str)]) -> Fields {
        fields.iter().map(|&(name, value)| (name.to_string(), Bytes::from(value))).collect()
    }

    #[track_caller]
    fn check(excuse: Excuse, expected: &[&str], change: impl FnOnce(&mut Books) -> &mut Books) {
        let mut books = Books::new();
        change(&mut books);
        let violations = Ledger::of(books.keys).check_lines(&books.jobs, &books.lines, excuse);
        assert_eq!(violations.iter().map(ToString::to_string).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn where_all_is_well_nothing_is_found() {
        for excuse in [Excuse::None, Excuse::Rerun, Excuse::Failure] {
            check(excuse, &[], |books| books);
        }
    }

    #[test]
    fn jobs_that_begin_too_early_are_found() {
        check(Excuse::None, &[], |b| b.promise(Acknowledged::leaves_nothing("c").after_all(&["a", "b"])));
        let early = "job a began before job c had ended, for which it waits";
        check(Excuse::None, &[early], |b| b.promise(Acknowledged::finishes("a").after_all(&["c"])));
    }

    #[test]
    fn jobs_in_the_wrong_place_are_found() {
        let check = |expected: &str, change: &dyn Fn(&mut Books) -> &mut Books| {
            check(Excuse::None, &[expected], change);
        };
        check("job a is in no book; its record says finished", &|b| b.without("rq:finished:q"));
        check("job c is in no book; its record says finished", &|b| b.job("c", "finished"));
        check("job a is in rq:finished:q and rq:queue:q at once", &|b| b.queue("rq:queue:q", &["a"]));
        check("rq:queue:q holds x, which nobody has enqueued", &|b| {
            b.queue("rq:queue:q", &["x"]).job("x", "queued")
        });
        for place in ["rq:queue:q", "rq:queue:q:intermediate"] {
            check(&format!("job a has not ended: it is in {place}"), &|b| {
                b.without("rq:finished:q").queue(place, &["a"])
            });
        }
        for place in ["rq:wip:q", "rq:ready:q", "rq:scheduled:q", "rq:deferred:q", "rq:rl:k:rate_limited"] {
            let member = if place == "rq:wip:q" { "a:1" } else { "a" };
            check(&format!("job a has not ended: it is in {place}"), &|b| {
                b.without("rq:finished:q").registry(place, &[member])
            });
        }
    }

    #[test]
    fn jobs_with_the_wrong_end_are_found() {
        let check = |expected: &str, change: &dyn Fn(&mut Books) -> &mut Books| {
            check(Excuse::None, &[expected], change);
        };
        check("job a is in rq:failed:q although it ran to its end", &|b| b.a_failed());
        check("job a is in rq:failed:q, where it must not end", &|b| b.a_failed().forgetting(1));
        check("job a is in rq:finished:q, but its record says queued", &|b| b.job("a", "queued"));
        check("job a has 2 final results", &|b| b.results("a", &[SUCCESS, RETRIED, SUCCESS]));
        check("job a has 0 final results", &|b| b.without("rq:results:a"));
        check("job b failed, and nothing says why", &|b| b.results("b", &[&[("type", "2")]]));
    }

    #[test]
    fn jobs_that_ran_too_often_or_never_are_found() {
        let check = |expected: &str, change: &dyn Fn(&mut Books) -> &mut Books| {
            check(Excuse::None, &[expected], change);
        };
        check("job a began 2 times, which is more than 1", &|b| b.ran("a"));
        check("job a began 2 times, which is more than 1", &|b| b.killed().ran("a"));
        check("job a is filed as ended, but never ran to its end", &|b| b.forgetting(1));
        check("job b is filed as ended, but never ran to its end", &|b| b.forgetting(2));
        check("job c is in no book; it has no record", &|b| b.forgetting(4));
    }

    #[test]
    fn what_other_programs_trip_over_is_found() {
        let check = |expected: &str, change: &dyn Fn(&mut Books) -> &mut Books| {
            check(Excuse::None, &[expected], change);
        };
        check("rq:job:x has no data", &|b| b.hash("rq:job:x", &[("status", "queued")]));
        check("rq:worker:v has no birth", &|b| b.hash("rq:worker:v", &[("state", "busy")]));
        check("rq:deferred:q is of the wrong type", &|b| b.set("rq:deferred:q"));
        check("rq:results:x cannot be read: field `type`: 9 is no kind of result", &|b| {
            b.results("x", &[&[("type", "9")]])
        });
        check("rq:job:x cannot be read: field `status`: \"lost\" is no status of RQ", &|b| {
            b.job("x", "lost")
        });
    }

    #[test]
    fn ids_without_a_record_are_found() {
        let expected = [
            "job a is in rq:finished:q, but it has no status",
            "rq:finished:q names the job a, which has no record",
        ];
        check(Excuse::None, &expected, |b| b.without("rq:job:a"));
    }

    #[test]
    fn what_is_left_over_is_found() {
        for key in [
            "rq:execution:a:1",
            "rq:executions:a",
            "rq:leases",
            "rq:worker:w:executions",
            "rq:rl:k:allowed",
            "rq:job:a:dependents",
            "rq:clean_registries:q",
            "rq:scheduler-lock:q",
        ] {
            let expected = format!(r#"{key} is left over: {{"type":"set","value":["m"]}}"#);
            check(Excuse::None, &[&expected], |b| b.set(key));
        }
        for (key, value) in [
            ("rq:outbox:webhooks", r#"{"type":"zset","value":[["m",9.0]]}"#),
            ("rq:outbox:callbacks:page", r#"{"type":"zset","value":[["m",9.0]]}"#),
        ] {
            check(Excuse::None, &[&format!("{key} is left over: {value}")], |b| b.registry(key, &["m"]));
        }
        let entry = r#"rq:outbox:entry:a:1:1 is left over: {"type":"hash","value":{"body":"x"}}"#;
        check(Excuse::None, &[entry], |b| b.hash("rq:outbox:entry:a:1:1", &[("body", "x")]));
        for passing in ["rq:clean_registries:q", "rq:job:b:dependents", "rq:claims:w"] {
            check(Excuse::None, &[], |b| {
                b.set(passing).keys.get_mut(passing).unwrap().ttl_s = 9;
                b
            });
        }
    }

    #[test]
    fn a_death_excuses_what_it_explains() {
        let again = "job a began 2 times, which is more than 1";
        check(Excuse::Rerun, &[], |b| b.killed().ran("a"));
        check(Excuse::Failure, &[again], |b| b.killed().ran("a"));
        check(Excuse::Rerun, &["job a began 3 times, which is more than 2"], |b| {
            b.killed().ran("a").ran("a")
        });

        let failed = "job a is in rq:failed:q although it ran to its end";
        check(Excuse::Failure, &[], |b| b.a_failed().killed());
        check(Excuse::Rerun, &[failed], |b| b.a_failed().killed());
        let retried = || Acknowledged::finishes("a").with_spare_retries(1);
        check(Excuse::Failure, &[failed], |b| b.a_failed().killed().promise(retried()));
        check(Excuse::Failure, &[], |b| b.killed().ran("a").promise(retried()));
    }

    #[test]
    fn retried_jobs_run_as_often_as_it_takes() {
        check(Excuse::None, &[], |b| b.ran("a").promise(Acknowledged::finishes("a").after_runs(2)));
    }

    #[test]
    fn a_dependent_may_wait_for_ever_for_a_job_that_failed() {
        for (parent, expected) in
            [("b", &[][..]), ("a", &["job d has not ended: it is in rq:deferred:q"][..])]
        {
            check(Excuse::None, expected, |b| {
                b.promise(Acknowledged::finishes("d").after_job(parent));
                b.registry("rq:deferred:q", &["d"]).job("d", "deferred")
            });
        }
    }
}
