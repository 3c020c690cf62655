//! [`Violation`]: what can be wrong with the books.

use std::fmt;

use super::record::OUTBOX;

/// Something that must not be, as a value to count and as a sentence to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Violation {
    /// A job is in no book, and was not deleted because it is done.
    Lost {
        /// The job.
        id: String,
        /// What its record says; empty where there is none.
        status: String,
    },
    /// A job is in two books, or twice in one.
    InTwoPlaces {
        /// The job.
        id: String,
        /// The keys of the books.
        places: Vec<String>,
    },
    /// A job has stopped halfway.
    NotEnded {
        /// The job.
        id: String,
        /// The key of the book it is in.
        place: String,
    },
    /// A job ended otherwise than it must.
    WrongEnd {
        /// The job.
        id: String,
        /// The key of the book it is in.
        place: String,
        /// Whether it is filed as failed although the journal has its end.
        ran_to_its_end: bool,
    },
    /// A job's record contradicts the book it is in.
    StatusDisagrees {
        /// The job.
        id: String,
        /// What its record says.
        status: String,
        /// The key of the book.
        place: String,
    },
    /// A job has more or less than one final result.
    FinalResults {
        /// The job.
        id: String,
        /// How many it has.
        count: usize,
    },
    /// A job has failed for no stated reason.
    NoCause {
        /// The job.
        id: String,
    },
    /// A job has ended and did not run for it.
    NeverRan {
        /// The job.
        id: String,
    },
    /// A job ran more often than is explained.
    RanAgain {
        /// The job.
        id: String,
        /// How often it began.
        runs: usize,
        /// How often it might.
        allowed: usize,
    },
    /// A job began before all had ended that it waits for.
    TooEarly {
        /// The job.
        id: String,
        /// One that began or ended after it.
        other: String,
    },
    /// A book holds an id that nobody has enqueued.
    Stranger {
        /// The id.
        id: String,
        /// The key of the book.
        place: String,
    },
    /// A key says that something runs, or is to be done, and nobody does.
    LeftOver {
        /// The key.
        key: String,
        /// What it holds.
        content: String,
    },
    /// A key cannot be read by every program.
    Unreadable {
        /// The key.
        key: String,
        /// Why.
        why: String,
    },
}

impl Violation {
    /// Whether it is something that waits in the outbox: that is due again only when its time has come.
    pub fn is_of_outbox(&self) -> bool {
        matches!(self, Self::LeftOver { key, .. } if key.starts_with(OUTBOX))
    }

    /// Whether it may be gone a moment later, where a worker still works.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Lost { .. } | Self::InTwoPlaces { .. } | Self::NotEnded { .. } | Self::LeftOver { .. } => {
                true
            }
            Self::WrongEnd { .. }
            | Self::StatusDisagrees { .. }
            | Self::FinalResults { .. }
            | Self::NoCause { .. }
            | Self::NeverRan { .. }
            | Self::RanAgain { .. }
            | Self::TooEarly { .. }
            | Self::Stranger { .. }
            | Self::Unreadable { .. } => false,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Lost { id, status } if status.is_empty() => {
                write!(f, "job {id} is in no book; it has no record")
            }
            Self::Lost { id, status } => write!(f, "job {id} is in no book; its record says {status}"),
            Self::InTwoPlaces { id, places } => write!(f, "job {id} is in {} at once", places.join(" and ")),
            Self::NotEnded { id, place } => write!(f, "job {id} has not ended: it is in {place}"),
            Self::WrongEnd { id, place, ran_to_its_end: true } => {
                write!(f, "job {id} is in {place} although it ran to its end")
            }
            Self::WrongEnd { id, place, ran_to_its_end: false } => {
                write!(f, "job {id} is in {place}, where it must not end")
            }
            Self::StatusDisagrees { id, status, place } if status.is_empty() => {
                write!(f, "job {id} is in {place}, but it has no status")
            }
            Self::StatusDisagrees { id, status, place } => {
                write!(f, "job {id} is in {place}, but its record says {status}")
            }
            Self::FinalResults { id, count } => write!(f, "job {id} has {count} final results"),
            Self::NoCause { id } => write!(f, "job {id} failed, and nothing says why"),
            Self::NeverRan { id } => write!(f, "job {id} is filed as ended, but never ran to its end"),
            Self::RanAgain { id, runs, allowed } => {
                write!(f, "job {id} began {runs} times, which is more than {allowed}")
            }
            Self::TooEarly { id, other } => {
                write!(f, "job {id} began before job {other} had ended, for which it waits")
            }
            Self::Stranger { id, place } => write!(f, "{place} holds {id}, which nobody has enqueued"),
            Self::LeftOver { key, content } => write!(f, "{key} is left over: {content}"),
            Self::Unreadable { key, why } => write!(f, "{key} {why}"),
        }
    }
}
