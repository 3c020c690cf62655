//! [`Book`]: queues and registries, where an id may be (docs/wire.md §2, §3.2).

use rq_core::Status;

use crate::fixture::{Bytes, Key, Value};

/// Where an id may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Book {
    Queue,
    Intermediate,
    Wip,
    Ready,
    Scheduled,
    Deferred,
    RateLimited,
    Finished,
    Failed,
    Canceled,
}

/// One id in one book. An id that a list holds twice has two.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) book: Book,
    pub(super) key: String,
    pub(super) id: String,
}

impl Book {
    /// The book that a key is, by its name.
    pub(super) fn of(name: &str) -> Option<Self> {
        let (family, rest) = name.strip_prefix("rq:")?.split_once(':')?;
        Some(match family {
            // When maintenance first saw an id in the intermediate list.
            "queue" if rest.contains(":intermediate:") => return None,
            "queue" if rest.ends_with(":intermediate") => Self::Intermediate,
            "queue" => Self::Queue,
            "wip" => Self::Wip,
            "ready" => Self::Ready,
            "scheduled" => Self::Scheduled,
            "deferred" => Self::Deferred,
            "rl" if rest.ends_with(":rate_limited") => Self::RateLimited,
            "finished" => Self::Finished,
            "failed" => Self::Failed,
            "canceled" => Self::Canceled,
            _ => return None,
        })
    }

    /// Whether what is there will not run by itself.
    pub(super) fn is_final(self) -> bool {
        matches!(self, Self::Finished | Self::Failed | Self::Canceled)
    }

    /// Whether a final book is the one for a status.
    pub(super) fn agrees_with(self, status: &str) -> bool {
        match Status::parse(status) {
            Some(Status::Finished) => self == Self::Finished,
            Some(Status::Failed | Status::Stopped) => self == Self::Failed,
            Some(Status::Canceled) => self == Self::Canceled,
            _ => false,
        }
    }

    /// Whether it is kept in a value of this type.
    pub(super) fn is_kept_in(self, value: &Value) -> bool {
        match self {
            Self::Queue | Self::Intermediate => matches!(value, Value::List(_)),
            _ => matches!(value, Value::SortedSet(_)),
        }
    }
}

/// The ids in a key, where it is a book.
pub(super) fn entries(name: &str, key: &Key) -> Vec<Entry> {
    let Some(book) = Book::of(name) else { return vec![] };
    let members: Vec<String> = match &key.value {
        Value::List(ids) => ids.iter().map(lossy).collect(),
        Value::SortedSet(members) => members.iter().map(|(member, _)| lossy(member)).collect(),
        _ => vec![],
    };
    let id_of = |member: String| match (book, member.rsplit_once(':')) {
        (Book::Wip, Some((id, _))) => id.to_string(),
        _ => member,
    };
    members.into_iter().map(|member| Entry { book, key: name.to_string(), id: id_of(member) }).collect()
}

pub(super) fn lossy(bytes: &Bytes) -> String {
    String::from_utf8_lossy(bytes.as_bytes()).into_owned()
}
