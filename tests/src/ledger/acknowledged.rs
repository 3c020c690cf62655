//! [`Acknowledged`]: what producers were told, and how it must end.

use super::book::Book;

/// A job whose producer was told that it is enqueued, and how it must end.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    pub(super) id: String,
    pub(super) end: End,
    pub(super) runs: usize,
    pub(super) parent: Option<String>,
    /// The jobs that have ended when it begins, well or not.
    pub(super) ended_before: Vec<String>,
    /// How many lives its id is given, each of which has a result.
    pub(super) lives: usize,
    spare_retries: usize,
}

/// How a job must end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Finished,
    Failed,
    /// Finished, and deleted at once.
    Deleted,
}

/// What the death of a worker excuses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Excuse {
    /// Nothing: none died, or none that may have begun a job.
    #[default]
    None,
    /// One more run of a job for each death after it began.
    Rerun,
    /// That a job is filed as failed, with the cause; but no second run.
    Failure,
}

impl Acknowledged {
    /// It must finish, after one run.
    pub fn finishes(id: &str) -> Self {
        Self {
            id: id.to_string(),
            end: End::Finished,
            runs: 1,
            spare_retries: 0,
            parent: None,
            ended_before: vec![],
            lives: 1,
        }
    }

    /// It must fail, after one run.
    pub fn fails(id: &str) -> Self {
        Self { end: End::Failed, ..Self::finishes(id) }
    }

    /// It must finish and leave nothing, as with a `result_ttl` of 0.
    pub fn leaves_nothing(id: &str) -> Self {
        Self { end: End::Deleted, ..Self::finishes(id) }
    }

    /// It takes so many runs, since the first ones fail.
    pub fn after_runs(self, runs: usize) -> Self {
        Self { runs, ..self }
    }

    /// Its id is enqueued anew while it runs, so often that it has so many lives; each takes one run.
    pub fn with_lives(self, lives: usize) -> Self {
        Self { lives, runs: lives, ..self }
    }

    /// It may be retried so often beyond that: the death of a worker is then a reason to retry it, not to fail it.
    pub fn with_spare_retries(self, spare_retries: usize) -> Self {
        Self { spare_retries, ..self }
    }

    /// It waits for another job to finish; where that one fails, it waits for ever.
    pub fn after_job(self, parent: &str) -> Self {
        Self { parent: Some(parent.to_string()), ..self }
    }

    /// It waits for others to end, well or not: none of them begins after it has.
    pub fn after_all(self, ids: &[&str]) -> Self {
        Self { ended_before: ids.iter().map(ToString::to_string).collect(), ..self }
    }

    pub(super) fn may_rerun(&self, excuse: Excuse) -> bool {
        excuse == Excuse::Rerun || (excuse == Excuse::Failure && self.spare_retries > 0)
    }

    pub(super) fn may_fail(&self, excuse: Excuse) -> bool {
        excuse == Excuse::Failure && self.spare_retries == 0
    }
}

impl End {
    /// Where jobs are that ended so.
    pub(super) fn book(self) -> Option<Book> {
        match self {
            Self::Finished => Some(Book::Finished),
            Self::Failed => Some(Book::Failed),
            Self::Deleted => None,
        }
    }
}
