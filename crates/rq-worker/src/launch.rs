//! [`Launch`]: what an executor does before there is a runtime.

use std::io;

use rq_core::Executor;

use crate::options::Options;
use crate::program::Program;

/// Set, to the worker's name, for a program that its worker has executed anew to help it, and which is no worker itself: it
/// serves its parent from [`Launch::launch`] on.
pub const HELPER_VARIABLE: &str = "RQ_WORKER_HELPER";

/// Makes an executor. Implemented by one type in each executor's crate.
///
/// Called before any runtime exists: an executor that forks has to do so now.
pub trait Launch {
    /// The word for `-w`.
    const NAME: &'static str;

    /// Starts what runs the jobs.
    ///
    /// The options have a name by now. The executor takes the program's handlers, states, preloads and death penalties;
    /// exception handlers stay with the worker.
    fn launch(program: Program, options: &Options) -> io::Result<Box<dyn Executor>>;
}
