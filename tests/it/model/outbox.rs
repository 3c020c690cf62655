//! [`Outbox`]: what must be in the outbox, who has it, and that it is so.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rq_core::ExecutionId;
use rq_core::steps::outbox::{OutBox, Post, Take, Taken, deliver, entry_name, take};
use rq_tests::fixture::{Keys, Value};

use crate::scripts::Stage;

/// For how long entries are taken, and put off: over only when the test says so.
const LONG: Duration = Duration::from_secs(100_000);
/// The score of an entry whose time has come.
const PASSED: &str = "1";

/// A kind of box, of which there is one each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Webhooks,
    Callbacks,
}

impl Kind {
    pub(super) const ALL: [Kind; 2] = [Kind::Webhooks, Kind::Callbacks];

    fn out(self) -> OutBox {
        match self {
            Kind::Webhooks => OutBox::Webhooks,
            Kind::Callbacks => OutBox::Callbacks("page".to_owned()),
        }
    }
}

/// All entries, by their names.
#[derive(Default)]
pub(super) struct Outbox {
    entries: BTreeMap<String, Entry>,
    /// The bodies of callbacks that were handed out, for each of which that may happen once.
    called: BTreeSet<String>,
    posted: usize,
}

struct Entry {
    kind: Kind,
    body: String,
    is_due: bool,
    attempts: u32,
    /// The token of who has it; of nobody.
    holder: Option<String>,
}

impl Outbox {
    /// What the end of an execution posts, each with a body of its own.
    pub(super) fn posts(&mut self, kinds: &[Kind]) -> Vec<Post> {
        let mut post = |kind: &Kind| {
            self.posted += 1;
            Post { to: kind.out(), body: format!("body {}", self.posted) }
        };
        kinds.iter().map(&mut post).collect()
    }

    /// The end was written, and this with it.
    pub(super) fn note(&mut self, execution: &ExecutionId, posts: Vec<Post>) {
        for (k, Post { to, body }) in posts.into_iter().enumerate() {
            let kind = if to == OutBox::Webhooks { Kind::Webhooks } else { Kind::Callbacks };
            let entry = Entry { kind, body, is_due: true, attempts: 0, holder: None };
            assert!(self.entries.insert(entry_name(execution, k), entry).is_none(), "{execution} ends twice");
        }
    }

    /// Somebody takes all there is of one kind, due or not.
    pub(super) fn take(&mut self, stage: &Stage, kind: Kind, twice: bool) -> Vec<Taken> {
        let names: Vec<String> = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.kind == kind)
            .map(|(name, _)| name.clone())
            .collect();
        let mut all = Vec::new();
        for names in names.chunks(rq_core::steps::BATCH_MAX) {
            let step = take(&stage.keys, &kind.out(), names, LONG);
            let takes = stage.take(&step);
            if twice {
                let had = |take: &Take| matches!(take, Take::Taken(_)).then(|| take.clone());
                let again = stage.take(&step);
                assert_eq!(
                    again.iter().map(had).collect::<Vec<_>>(),
                    takes.iter().map(had).collect::<Vec<_>>(),
                    "what a take sent twice has taken"
                );
            }
            for (name, take) in names.iter().zip(takes) {
                all.extend(self.on_take(name, take));
            }
        }
        all
    }

    fn on_take(&mut self, name: &str, take: Take) -> Option<Taken> {
        let entry = self.entries.get_mut(name).expect("it was asked for");
        let is_given_up = entry.is_due && entry.holder.is_some() && entry.kind == Kind::Callbacks;
        match take {
            Take::Nothing => assert!(!entry.is_due, "{name} was due"),
            Take::Gone => panic!("{name} is lost"),
            Take::GivenUp(body) => {
                assert!(is_given_up, "{name} was given up");
                assert_eq!(body, entry.body);
                self.entries.remove(name);
            }
            Take::Taken(taken) => {
                assert!(entry.is_due && !is_given_up, "{name} was taken");
                entry.attempts += 1;
                assert_eq!((&taken.body, taken.attempt), (&entry.body, entry.attempts), "{name}");
                (entry.is_due, entry.holder) = (false, Some(taken.token.clone()));
                // Unless whoever had it said that it has not begun.
                assert!(
                    entry.kind == Kind::Webhooks || self.called.insert(taken.body.clone()),
                    "{name} is called twice"
                );
                return Some(taken);
            }
        }
        None
    }

    /// Somebody has done what was taken, or puts it off, in which case it has not begun.
    pub(super) fn deliver(&mut self, stage: &Stage, taken: &Taken, is_done: bool, twice: bool) {
        let name = String::from_utf8_lossy(&taken.name).into_owned();
        let step = deliver(&stage.keys, taken, (!is_done).then_some(LONG));
        let delivered = stage.take(&step);
        if twice {
            assert!(!stage.take(&step), "a second sending finds {name} delivered");
        }
        let entry = self.entries.get_mut(&name);
        let holds = entry.as_ref().is_some_and(|entry| entry.holder.as_ref() == Some(&taken.token));
        assert_eq!(delivered, holds, "whether {name} could be delivered");
        match entry.filter(|_| holds) {
            Some(entry) if !is_done => {
                (entry.is_due, entry.holder) = (false, None);
                self.called.remove(&taken.body);
            }
            Some(_) => drop(self.entries.remove(&name)),
            None => {}
        }
    }

    /// Time passes: all that was put off or taken is due again.
    pub(super) fn pass_time(&mut self, stage: &Stage) {
        for (name, entry) in self.entries.iter_mut().filter(|(_, entry)| !entry.is_due) {
            stage.run(&format!("ZADD outbox:{} XX {PASSED} {name}", entry.kind.out().name()));
            entry.is_due = true;
        }
    }

    /// It is all there, and nothing else.
    pub(super) fn check(&self, dump: &Keys) {
        const BOX: &str = "rq:outbox:";
        let mut found = BTreeMap::new();
        for kind in Kind::ALL {
            let Some(key) = dump.get(&format!("{BOX}{}", kind.out().name())) else { continue };
            let Value::SortedSet(entries) = &key.value else { panic!("a box is a sorted set") };
            found.extend(entries.iter().map(|(name, due_ms)| (name.as_str().to_owned(), (kind, due_ms.0))));
        }
        let now_ms = rq_core::Timestamp::now().epoch_secs() as f64 * 1e3;
        let is_due = |due_ms: f64| due_ms < now_ms + LONG.as_millis() as f64 / 2.0;
        let found: Vec<_> =
            found.into_iter().map(|(name, (kind, due_ms))| (name, kind, is_due(due_ms))).collect();
        let expected: Vec<_> =
            self.entries.iter().map(|(name, entry)| (name.clone(), entry.kind, entry.is_due)).collect();
        assert_eq!(found, expected, "what is in the boxes, and due");
        let of_entries =
            dump.iter().filter_map(|(name, key)| Some((name.strip_prefix("rq:outbox:entry:")?, key)));
        let mut names = BTreeSet::new();
        for (name, key) in of_entries {
            names.insert(name.to_owned());
            let entry = self.entries.get(name).unwrap_or_else(|| panic!("{name} is left over"));
            let field = |field: &str| key.hash().get(field).map_or("", |value| value.as_str()).to_owned();
            let told = (field("body"), field("attempts"), field("holder"));
            let holder = entry.holder.clone().unwrap_or_default();
            assert_eq!(told, (entry.body.clone(), entry.attempts.to_string(), holder), "{name}");
        }
        assert_eq!(names, self.entries.keys().cloned().collect(), "entries that have something in Redis");
    }
}
