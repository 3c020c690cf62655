//! [`BlockOnError`]: why async code cannot be run from sync code of a job.

use std::pin::Pin;

/// Runs async code to its end where a job runs, for sync code there.
pub type BlockOn = Box<dyn Fn(Blocked<'_>) -> Result<(), BlockOnError> + Send + Sync>;

/// What is run.
pub type Blocked<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Why [`Context::block_on`](crate::Context::block_on) has not run a future.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BlockOnError {
    /// There is no worker that would have a runtime: a unit test, or an inline job.
    #[error("this job runs without a runtime; its worker would give it one")]
    NoRuntime,
    /// The caller is itself polled by a runtime, which must not be blocked; or has entered one, which looks the same but for
    /// coroutines (docs/middleware.md).
    #[error("async code cannot block on other async code; use .await")]
    InAsyncCode,
    /// What a runtime takes is short.
    #[error("{reason}")]
    Short {
        /// What is short, in words that stand alone.
        reason: String,
    },
}
