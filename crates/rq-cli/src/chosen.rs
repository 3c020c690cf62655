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
use crate::told::Told;

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
        let lines = self.lines(program);
        if !lines.is_empty() {
            program.observers.push(Arc::new(Told(lines)));
        }
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

    /// What the worker's log says at its start: which pieces were named, and who decides in the place of time limits, where
    /// somebody does. `program` is without the pieces yet.
    fn lines(&self, program: &Program) -> Vec<String> {
        let handlers = self.exception_handlers.iter().map(|(name, _)| name.as_str());
        let penalties = self.death_penalties.iter().map(|(name, _)| name.as_str());
        let pieces = [
            named("exception handler", handlers),
            named("death penalty", penalties),
            named("job class", self.job_class.iter().map(|(name, _)| name.as_str())),
        ];
        let pieces = pieces.into_iter().flatten().collect::<Vec<_>>().join("; ");
        let pieces = (!pieces.is_empty()).then(|| format!("jobs run with {pieces}"));
        let own = program.replaces_limits().then_some("a death penalty of this program");
        let replacing = self.death_penalties.iter().filter(|(_, penalty)| penalty.replaces_limit());
        let deciding: Vec<&str> = own.into_iter().chain(replacing.map(|(name, _)| name.as_str())).collect();
        let deciding =
            (!deciding.is_empty()).then(|| format!("time limits are decided by {}", deciding.join(", ")));
        pieces.into_iter().chain(deciding).collect()
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

/// `exception handler report, audit`; nothing where nothing was named.
fn named<'a>(what: &str, names: impl Iterator<Item = &'a str>) -> Option<String> {
    let names: Vec<&str> = names.collect();
    (!names.is_empty()).then(|| format!("{what} {}", names.join(", ")))
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

    struct Limits(bool);

    impl DeathPenalty for Limits {
        fn arm(&self, _: &rq_core::Context, _: Option<std::time::Duration>) -> Box<dyn rq_core::Guard> {
            Box::new(())
        }

        fn replaces_limit(&self) -> bool {
            self.0
        }
    }

    #[test]
    fn a_log_says_which_pieces_there_are_and_who_decides() {
        let check = |own: Option<bool>, penalties: &[(&str, bool)], has_class: bool, expected: &[&str]| {
            let mut program = Program::new(Handlers::new());
            own.into_iter().for_each(|replaces| program.death_penalties.push(Arc::new(Limits(replaces))));
            let mut chosen = chosen("fork");
            for (name, replaces) in penalties {
                chosen.death_penalties.push(((*name).to_owned(), Arc::new(Limits(*replaces))));
            }
            let around = |_: &rq_core::Context, next: rq_core::Next<'_>| next.run();
            chosen.job_class = has_class.then(|| ("app.jobs.Tx".to_owned(), Arc::new(around) as _));
            assert_eq!(chosen.lines(&program), expected);
        };
        check(None, &[], false, &[]);
        check(Some(false), &[("cpu", false)], false, &["jobs run with death penalty cpu"]);
        check(Some(true), &[], false, &["time limits are decided by a death penalty of this program"]);
        let both = [
            "jobs run with death penalty cpu, app.penalties.Twice; job class app.jobs.Tx",
            "time limits are decided by a death penalty of this program, app.penalties.Twice",
        ];
        check(Some(true), &[("cpu", false), ("app.penalties.Twice", true)], true, &both);
    }
}
