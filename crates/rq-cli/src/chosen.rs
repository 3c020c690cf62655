//! [`Chosen`]: the pieces of a program that a command line has named for a worker.

use std::ffi::OsString;
use std::sync::Arc;

use rq_core::{DeathPenalty, ExceptionHandler, JobMiddleware};
use rq_worker::{DequeueStrategy, HELPER_VARIABLE, Options, Program};

use crate::executors::{ChosenExecutor, Prepare};
use crate::output::{note, say};
use crate::paint::{Colour, Paint};
use crate::refusal::Refusal;
use crate::rqs_worker::RqsWorker;
use crate::text::{Text, text};

/// Middleware with its name.
pub(crate) type NamedMiddleware = (String, Arc<dyn JobMiddleware>);

/// The pieces of a program that a command line has named for a worker, each with its name.
pub(crate) struct Chosen {
    /// The executor's name for `-w`.
    pub(crate) executor: String,
    /// Whether it is known to run nothing but a program's handlers.
    pub(crate) needs_handlers: bool,
    /// What prepares a worker that has it.
    pub(crate) prepare: Prepare,
    /// RQ's class that was named in its place.
    rqs: Option<&'static RqsWorker>,
    pub(crate) exception_handlers: Vec<(String, Arc<dyn ExceptionHandler>)>,
    pub(crate) death_penalties: Vec<(String, Arc<dyn DeathPenalty>)>,
    pub(crate) job_class: Option<NamedMiddleware>,
    /// The exception handler of RQ's that was named to file failures.
    pub(crate) files_failures_by: Option<String>,
    /// What is to be said of names that were understood, and are no pieces.
    pub(crate) remarks: Vec<String>,
}

impl Chosen {
    /// An executor, and no other pieces.
    pub(crate) fn new(found: ChosenExecutor, prepare: Prepare) -> Chosen {
        let ChosenExecutor { executor, in_place_of } = found;
        let (rqs, remark) = in_place_of.unzip();
        Chosen {
            executor: executor.name,
            needs_handlers: executor.needs_handlers,
            prepare,
            rqs,
            exception_handlers: Vec::new(),
            death_penalties: Vec::new(),
            job_class: None,
            files_failures_by: None,
            remarks: remark.into_iter().collect(),
        }
    }

    /// Says what RQ says of its deprecated classes, and where it does (docs/cli.md §2).
    pub(crate) fn warn(&self) -> Result<(), Refusal> {
        let Some((rqs, dequeue)) = self.rqs.and_then(|rqs| Some((rqs, rqs.dequeue?))) else { return Ok(()) };
        if is_helper() {
            return Ok(());
        }
        let warning = text!(
            "WARNING: {} is deprecated. Use `--dequeue-strategy {}` instead.",
            rqs.class,
            word(dequeue)
        );
        say(Paint::of_stdout().paint(Colour::Yellow, warning))
    }

    /// Says what stands for names of RQ's.
    pub(crate) fn remark(&self) {
        if is_helper() {
            return;
        }
        self.remarks.iter().for_each(|remark| note(Text::line(remark)));
        if let Some(name) = &self.files_failures_by {
            note(text!("--exception-handler {name} changes nothing: failures are filed anyway"));
        }
    }

    /// Gives a worker what was chosen for it, and yields what prepares it.
    pub(crate) fn complete(self, program: &mut Program, options: &mut Options) -> Prepare {
        program.exception_handlers.extend(self.exception_handlers.into_iter().map(|(_, handler)| handler));
        program.death_penalties.extend(self.death_penalties.into_iter().map(|(_, penalty)| penalty));
        program.middleware.extend(self.job_class.map(|(_, middleware)| middleware));
        if let Some(rqs) = self.rqs {
            // RQ's workers run one job at a time, whatever their class.
            options.concurrency.get_or_insert(1);
            options.stop_timeout = options.stop_timeout.or(rqs.stop_timeout);
            options.dequeue = rqs.dequeue.unwrap_or(options.dequeue);
        }
        self.prepare
    }

    /// The arguments by which an `rq worker` has the same.
    pub(crate) fn of_worker(&self) -> Vec<OsString> {
        let mut arguments = Vec::new();
        let mut add = |option: &str, value: &str| arguments.push(format!("--{option}={value}").into());
        add("executor", &self.executor);
        if let Some(rqs) = self.rqs {
            // RQ's workers run one job at a time, whatever their class.
            add("concurrency", "1");
            rqs.dequeue.iter().for_each(|dequeue| add("dequeue-strategy", word(*dequeue)));
            rqs.stop_timeout.iter().for_each(|timeout| add("stop-timeout", &timeout.as_secs().to_string()));
        }
        self.exception_handlers.iter().for_each(|(name, _)| add("exception-handler", name));
        self.death_penalties.iter().for_each(|(name, _)| add("death-penalty", name));
        self.job_class.iter().for_each(|(name, _)| add("job-class", name));
        arguments
    }
}

/// Whether this process was executed to help a worker, which has said all by then.
fn is_helper() -> bool {
    std::env::var_os(HELPER_VARIABLE).is_some()
}

/// RQ's word for an order.
fn word(dequeue: DequeueStrategy) -> &'static str {
    match dequeue {
        DequeueStrategy::Default => "default",
        DequeueStrategy::RoundRobin => "round_robin",
        DequeueStrategy::Random => "random",
    }
}

#[cfg(test)]
mod tests {
    use rq_core::Handlers;

    use super::*;
    use crate::executors::Executors;

    fn chosen(word: &str) -> Chosen {
        let found = Executors::built_in().choose(Some(word)).unwrap();
        let prepare = found.executor.make(&[]).unwrap();
        Chosen::new(found, prepare)
    }

    /// What an `rq worker` is given, and what a worker in this process has, come to the same.
    #[test]
    fn rqs_classes_are_options() {
        let check = |word: &str, arguments: &str, expected: (Option<usize>, DequeueStrategy, Option<u64>)| {
            let given: Vec<_> =
                chosen(word).of_worker().into_iter().map(|a| a.into_string().unwrap()).collect();
            assert_eq!(given.join(" "), arguments, "{word}");
            let (mut program, mut options) = (Program::new(Handlers::new()), Options::default());
            drop(chosen(word).complete(&mut program, &mut options));
            let timeout_s = options.stop_timeout.map(|timeout| timeout.as_secs());
            assert_eq!((options.concurrency, options.dequeue, timeout_s), expected, "{word}");
        };
        check("green", "--executor=green", (None, DequeueStrategy::Default, None));
        check(
            "rq.SimpleWorker",
            "--executor=thread --concurrency=1",
            (Some(1), DequeueStrategy::Default, None),
        );
        check(
            "rq.worker.RandomWorker",
            "--executor=fork --concurrency=1 --dequeue-strategy=random",
            (Some(1), DequeueStrategy::Random, None),
        );
        check(
            "rq.worker.HerokuWorker",
            "--executor=fork --concurrency=1 --stop-timeout=6",
            (Some(1), DequeueStrategy::Default, Some(6)),
        );
    }

    #[test]
    fn what_was_given_counts_before_what_a_class_has() {
        let mut options = Options::default();
        (options.concurrency, options.stop_timeout) = (Some(3), Some(std::time::Duration::from_secs(20)));
        drop(chosen("rq.worker.HerokuWorker").complete(&mut Program::new(Handlers::new()), &mut options));
        assert_eq!(options.concurrency, Some(3));
        assert_eq!(options.stop_timeout, Some(std::time::Duration::from_secs(20)));
    }
}
