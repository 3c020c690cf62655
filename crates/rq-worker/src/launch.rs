//! [`Launch`]: what an executor does before there is a runtime, and what can be decided about it.

use std::fmt;

use rq_core::Executor;

use crate::error::LaunchError;
use crate::options::Options;
use crate::program::Program;

/// Makes an executor. Implemented by one type in each executor's crate.
pub trait Launch: 'static {
    /// What it is called in a worker's log; of those that are built into `rq`, their word for `-w`, too.
    const NAME: &'static str;

    /// What can be decided about this executor alone; `()` for nothing.
    type Options: ExecutorOptions;

    /// Starts what runs the jobs.
    ///
    /// An executor that forks is launched before any runtime or thread exists, and refuses to be launched later. The
    /// options have a name by now. The executor takes the program's handlers, states, preloads and death penalties;
    /// exception handlers and observers stay with the worker.
    fn launch(
        program: Program,
        options: &Options,
        own: Self::Options,
    ) -> Result<Box<dyn Executor>, LaunchError>;
}

/// What can be decided about one executor alone, beside [`Options`], and how each of it is called where it stands in
/// text: on the command line, in a file.
pub trait ExecutorOptions: Clone + Default + fmt::Debug + Send + 'static {
    /// All there is to decide.
    const ALL: &'static [ExecutorOption<Self>];
}

/// Nothing to decide.
impl ExecutorOptions for () {
    const ALL: &'static [ExecutorOption<()>] = &[];
}

/// One thing that can be decided about an executor of options `O`.
#[derive(Debug)]
pub struct ExecutorOption<O> {
    /// Its name, without dashes before it: `job-memory`.
    pub name: &'static str,
    /// What a value is called in help: `MB`.
    pub value_name: &'static str,
    /// A sentence for help, which also says what holds where nothing is said.
    pub help: &'static str,
    /// Sets it; or says what is wrong with the text, in words that follow the option's name.
    pub set: fn(&mut O, &str) -> Result<(), String>,
}

/// Set for a program that one of its workers has executed anew to help it, and which is no worker itself: it serves its
/// parent from [`Launch::launch`] on. Its value is that worker's [`helper_mark`](Options::helper_mark).
pub const HELPER_VARIABLE: &str = "RQ_WORKER_HELPER";

/// The worker that this process was executed to help.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Helper {
    /// Which of those that its program prepares, from 0.
    pub(crate) ordinal: usize,
    /// That worker's name.
    pub(crate) worker: String,
}

impl Helper {
    pub(crate) fn of_this_process() -> Option<Helper> {
        Helper::parse(&std::env::var(HELPER_VARIABLE).ok()?)
    }

    fn parse(mark: &str) -> Option<Helper> {
        // The first colon ends the number; a worker's name may hold some itself.
        let (ordinal, worker) = mark.split_once(':')?;
        Some(Helper { ordinal: ordinal.parse().ok()?, worker: worker.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_helper_knows_whom_it_helps() {
        let mut options = Options::default();
        (options.ordinal, options.name) = (3, Some("a:b".to_owned()));
        let helper = Helper { ordinal: 3, worker: "a:b".to_owned() };
        assert_eq!(Helper::parse(&options.helper_mark()), Some(helper));
        assert_eq!(Helper::parse("w"), None);
    }
}
