//! [`WorkerError`]: why a worker did not start, or ended before it should; [`LaunchError`]: why its executor did not.

use std::io;

/// Why a worker did not start, or ended before it should.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WorkerError {
    /// The program brings no handlers, and the executor runs nothing else.
    #[error(
        "this program has no job handlers, so a worker could run nothing. Ways on:\n  \
         * make your program an rq:  fn main() -> ExitCode {{ rq_cli::main(handlers![add, fetch]) }}\n  \
         * let this rq run it:       rq worker --app ./my-jobs"
    )]
    NoHandlers,
    /// The executor could not be launched.
    #[error("the {executor} executor could not start: {source}")]
    Launch {
        /// Its word for `-w`.
        executor: &'static str,
        /// What went wrong.
        source: LaunchError,
    },
    /// A worker that blocks its thread was started in an async runtime.
    #[error(
        "a worker cannot block a thread of an async runtime; await `run_until(..)` there, or call `run`, or `rq_cli::main`, \
         from a `main` that is not async"
    )]
    InsideRuntime,
    /// This process was executed to help another of its program's workers, which the program did not get to prepare.
    #[error(
        "this process was started to help another worker of its program; prepare all workers first in `main`, in the same order \
         each time"
    )]
    Bystander,
    /// Something the worker needs from the system could not be had.
    #[error("{what}: {source}")]
    System {
        /// What it was.
        what: &'static str,
        /// What went wrong.
        source: io::Error,
    },
    /// A step in Redis failed and trying again does not help.
    #[error(transparent)]
    Redis(#[from] rq_core::Error),
    /// The server cannot do what RQ needs.
    #[error("{server} is too old: RQ needs Redis 6.2 or Valkey 7.2, or newer; upgrade the server")]
    ServerTooOld {
        /// What it calls itself.
        server: String,
    },
    /// The server is a node of a cluster, where the keys would be of many slots.
    #[error(
        "this Redis is a cluster, and the keys begin with {prefix}: set RQ_KEY_PREFIX to a prefix with a hash tag, such as {{app}}:rq, for producers and workers alike"
    )]
    PrefixWithoutTag {
        /// The prefix.
        prefix: String,
    },
    /// A living worker has the name.
    #[error(
        "There exists an active worker named '{name}' already; choose another --name, or wait until it is gone"
    )]
    NameTaken {
        /// The name.
        name: String,
    },
    /// All workers are suspended.
    #[error("RQ is currently suspended, to resume job execution run \"rq resume\"")]
    Suspended,
    /// Redis refuses what the worker sends, and somebody has to allow it first.
    #[error("redis still does not take what this worker sends, so it leaves: {source}")]
    Refused {
        /// What Redis says.
        source: rq_core::Error,
    },
    /// The worker had to leave before Redis took what became of its jobs.
    #[error(
        "redis was never told what became of {}; other workers take these jobs for abandoned once their leases are over",
        described(outcomes)
    )]
    OutcomesNotTaken {
        /// Per job its id, and in a word what became of it: `finished`.
        outcomes: Vec<(String, &'static str)>,
    },
    /// The executor can take no more work; a supervisor should start a fresh worker.
    #[error("{reason}; exiting so that a supervisor can start a fresh worker")]
    Exhausted {
        /// Why.
        reason: String,
    },
}

/// How many outcomes an error names.
const NAMED_MAX: usize = 20;

fn described(outcomes: &[(String, &str)]) -> String {
    let named = outcomes.iter().take(NAMED_MAX).map(|(id, outcome)| format!("{id} ({outcome})"));
    let mut text = named.collect::<Vec<_>>().join(", ");
    if outcomes.len() > NAMED_MAX {
        text.push_str(&format!(" and {} more", outcomes.len() - NAMED_MAX));
    }
    text
}

/// Why an executor could not be launched.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LaunchError {
    /// The program brings no handlers, and this executor runs nothing else.
    #[error("the program has no job handlers")]
    NoHandlers,
    /// The executor cannot do what the options ask, or not here; a sentence fragment that says what can be done.
    #[error("{0}")]
    Refused(String),
    /// Something it needs from the system could not be had.
    #[error(transparent)]
    System(#[from] io::Error),
}
