//! [`Executor`]: runs executions somewhere and reports how they ended; talks to nobody else.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::callback::CallbackKind;
use crate::context::Host;
use crate::end::End;
use crate::execution::ExecutionId;
use crate::failure::Failure;
use crate::job::Job;

/// One run of one job, or of one callback of it, handed to an executor. The payload stays encoded: the executor decodes it where the job runs.
#[derive(Clone)]
#[non_exhaustive]
pub struct Execution {
    /// The run.
    pub id: ExecutionId,
    /// The record as it was claimed.
    pub job: Arc<Job>,
    /// How long it may run, from when it begins; `None` for no limit, and where death penalties [replace
    /// it](crate::DeathPenalty::replaces_limit).
    pub limit: Option<Duration>,
    /// Stores the meta that the running job saves. Executors that run jobs outside of this process bring their own.
    pub host: Arc<dyn Host>,
    /// What runs.
    pub task: Task,
}

/// What an execution runs.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Task {
    /// The job itself, and behind it those of its callbacks that the program has.
    Job,
    /// A callback alone, of a job that has ended.
    Callback {
        /// At which end it is called.
        kind: CallbackKind,
        /// Its name, which the program knows.
        name: String,
        /// How the job ended.
        end: End,
        /// Its own limit, which its death penalties are told.
        limit: Option<Duration>,
    },
}

impl Execution {
    /// A run of a job that has not begun. Workers make it.
    pub fn new(id: ExecutionId, job: Arc<Job>, limit: Option<Duration>, host: Arc<dyn Host>) -> Execution {
        Execution { id, job, limit, host, task: Task::Job }
    }

    /// A run of a callback that has not begun. Workers make it.
    pub fn callback(
        id: ExecutionId,
        job: Arc<Job>,
        limit: Option<Duration>,
        host: Arc<dyn Host>,
        kind: CallbackKind,
        name: impl Into<String>,
        end: End,
    ) -> Execution {
        Execution { id, job, limit, host, task: Task::Callback { kind, name: name.into(), end, limit } }
    }
}

impl fmt::Debug for Execution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Execution").field("id", &self.id).field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// How an execution ended.
#[derive(Debug)]
pub struct Ended {
    /// The value in the job's codec, `None` being Python's `None`; or why there is none. Of a callback alone: `None`, or its
    /// failure.
    pub outcome: Result<Option<Vec<u8>>, Failure>,
    /// How long the job itself ran, without its callbacks.
    pub ran: Duration,
    /// Whether its failure callback has begun where the job ran, so that nobody else must call one. Also where it was
    /// cut short.
    pub called_back: bool,
}

/// Why an execution did not begin, and will not: what it takes to run a job is short. Nothing of its job has run, so
/// that this is nobody's failure, and the worker gives the job back.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Want {
    reason: String,
}

impl Want {
    /// What was short, and where it helps what can be done, in words that stand alone.
    pub fn new(reason: impl Into<String>) -> Want {
        Want { reason: reason.into() }
    }
}

/// How to stop an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Ask: `ctx.check()` fails and sleeps wake.
    Ask,
    /// Ask, and end the job by all the executor can do if it does not end soon.
    Kill,
}

/// Runs executions somewhere the worker survives them. Part of the worker's loop: nothing here blocks.
#[async_trait]
pub trait Executor: Send {
    /// How many executions may run at once.
    fn slots(&self) -> usize;

    /// Begins an execution. Called only while fewer than [`slots`](Executor::slots) run.
    fn start(&mut self, execution: Execution);

    /// Stops an execution, which still reports how it ended. One that has ended already is ignored.
    fn stop(&mut self, id: &ExecutionId, how: Stop);

    /// Ends the process that runs an execution, as if it had crashed: RQ's `kill-horse`. `false` where it has none of
    /// its own.
    fn crash(&mut self, _id: &ExecutionId) -> bool {
        false
    }

    /// Whether the failure callback of an execution that runs has begun where its job ran, so that nobody else must call
    /// one should the worker not wait for its end. `false` where nothing is known of it.
    fn has_called_back(&self, _id: &ExecutionId) -> bool {
        false
    }

    /// Waits for an execution to end, or to turn out not to begin. Each one started is reported once. Cancel-safe: it
    /// stands in a `select!`.
    async fn ended(&mut self) -> (ExecutionId, Result<Ended, Want>);

    /// Why this executor should take no more work, if it should not: the worker then drains and exits for its
    /// supervisor to start a fresh one.
    fn exhausted(&self) -> Option<String> {
        None
    }
}
