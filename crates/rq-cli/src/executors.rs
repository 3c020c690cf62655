//! [`Executors`]: the executors that `-w` can name.

use std::fmt;
use std::rc::Rc;

use rq_worker::{ExecutorOptions, Launch, Options, PreparedWorker, Program, WorkerError};

use crate::pieces;
use crate::rqs_worker::RqsWorker;

/// The executors that `-w` can name, the default one first.
#[derive(Debug, Default)]
pub(crate) struct Executors {
    all: Vec<NamedExecutor>,
}

/// One executor: its name for `-w`, its options, and the worker that uses it.
#[derive(Clone)]
pub(crate) struct NamedExecutor {
    pub(crate) name: String,
    options: Vec<OwnOption>,
    make: Make,
    /// Whether it is known to run nothing but a program's handlers.
    pub(crate) needs_handlers: bool,
}

/// Makes what prepares a worker, with what is given of the executor's options.
type Make = Rc<dyn Fn(&[Given]) -> Result<Prepare, Invalid>>;

/// Prepares a worker, which runs until it is told to stop.
pub(crate) type Prepare = Box<dyn FnOnce(Program, Options) -> Result<PreparedWorker, WorkerError>>;

/// An option that some executors have, and not all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OwnOption {
    /// Without dashes before it.
    pub(crate) name: &'static str,
    pub(crate) value_name: &'static str,
    pub(crate) help: &'static str,
}

/// A value that was given for such an option.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Given {
    pub(crate) name: &'static str,
    pub(crate) value: String,
}

/// What is wrong with a value that was given.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Invalid {
    /// The executor has no such option.
    Option(&'static str),
    /// The option takes no such value; why.
    Value(&'static str, String),
}

impl NamedExecutor {
    fn new<L: Launch>(name: String, defaults: L::Options) -> NamedExecutor {
        let options = L::Options::ALL.iter().map(|option| OwnOption {
            name: option.name,
            value_name: option.value_name,
            help: option.help,
        });
        let make = move |given: &[Given]| {
            let own = with_given(defaults.clone(), given)?;
            let prepare: Prepare =
                Box::new(move |program, options| rq_worker::prepare::<L>(program, options, own));
            Ok(prepare)
        };
        NamedExecutor { name, options: options.collect(), make: Rc::new(make), needs_handlers: false }
    }

    /// What prepares a worker, with what was given of this executor's options.
    pub(crate) fn make(&self, given: &[Given]) -> Result<Prepare, Invalid> {
        (self.make)(given)
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|known| known.name == option)
    }
}

fn with_given<O: ExecutorOptions>(mut own: O, given: &[Given]) -> Result<O, Invalid> {
    for Given { name, value } in given {
        // clap takes the options of all executors; which of them this one has is asked here.
        let option = O::ALL.iter().find(|option| option.name == *name).ok_or(Invalid::Option(name))?;
        (option.set)(&mut own, value).map_err(|reason| Invalid::Value(name, reason))?;
    }
    Ok(own)
}

impl fmt::Debug for NamedExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Executors {
    /// The executors whose features are on.
    pub(crate) fn built_in() -> Executors {
        #[allow(unused_mut, reason = "all features may be off")]
        let mut executors = Executors::default();
        // The first is the default one, and `fork` is RQ's own way.
        #[cfg(feature = "fork")]
        executors.add_built_in::<rq_worker_fork::Fork>();
        #[cfg(feature = "thread")]
        executors.add_built_in::<rq_worker_thread::Thread>();
        #[cfg(feature = "green")]
        executors.add_built_in::<rq_worker_green::Green>();
        executors
    }

    #[cfg(any(feature = "fork", feature = "thread", feature = "green"))]
    fn add_built_in<L: Launch>(&mut self) {
        let executor = NamedExecutor::new::<L>(L::NAME.to_owned(), L::Options::default());
        self.all.push(NamedExecutor { needs_handlers: true, ..executor });
    }

    /// Adds an executor under a name, with defaults for its options; it takes the place of one of the same name.
    pub(crate) fn add<L: Launch>(&mut self, name: String, defaults: L::Options) {
        let executor = NamedExecutor::new::<L>(name, defaults);
        match self.all.iter_mut().find(|known| known.name == executor.name) {
            // In its place, since the first of all is the default.
            Some(known) => *known = executor,
            None => self.all.push(executor),
        }
    }

    /// Whether there is one of this name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.all.iter().any(|executor| executor.name == name)
    }

    /// All options that some executors have, each once, with the names of those.
    pub(crate) fn options(&self) -> Vec<(OwnOption, String)> {
        let mut options: Vec<(OwnOption, String)> = Vec::new();
        for executor in &self.all {
            for option in &executor.options {
                match options.iter_mut().find(|(known, _)| known.name == option.name) {
                    // clap takes a name once; in help it stands under all that have it.
                    Some((_, names)) => *names = format!("{names} or {}", executor.name),
                    None => options.push((*option, executor.name.clone())),
                }
            }
        }
        options
    }

    /// The message for an option that `chosen` does not have.
    pub(crate) fn option_refusal(&self, option: &str, chosen: &NamedExecutor) -> String {
        let having = self.all.iter().filter(|executor| executor.has(option));
        let having: Vec<String> = having.map(|executor| format!("-w {}", executor.name)).collect();
        format!("No such option '--{option}' with -w {}; it is one of {}.", chosen.name, having.join(", "))
    }

    /// The executor that `word` names, the default where there is no word; an error message for an unknown word.
    pub(crate) fn choose(&self, word: Option<&str>) -> Result<ChosenExecutor, String> {
        let Some(default) = self.all.first() else {
            return Err(
                "no executor is built into this program; build it with the cargo feature `fork`".to_owned()
            );
        };
        let named = |name: &str| self.all.iter().find(|executor| executor.name == name);
        let Some(word) = word else { return Ok(default.clone().into()) };
        // Before RQ's classes: a program may have one of its own that is called as RQ's.
        if let Some(executor) = named(word) {
            return Ok(executor.clone().into());
        }
        let rqs = RqsWorker::named(word).ok_or_else(|| self.refusal(word))?;
        // A script that names RQ's class asks for a worker rather than an executor: another will do, and is named.
        let executor = named(rqs.like_it).unwrap_or(default);
        let remark = rqs.remark(word, &executor.name);
        Ok(ChosenExecutor { executor: executor.clone(), in_place_of: Some((rqs, remark)) })
    }

    fn refusal(&self, word: &str) -> String {
        let names = self.listed();
        let meant = pieces::meant(word, self.all.iter().map(|executor| executor.name.as_str()));
        match word {
            // Names that documents have, so they are no typing error: a cargo feature is missing.
            "fork" | "thread" | "green" => {
                format!("the {word} executor is not built into this program, which has: {names}")
            }
            // What an RQ user's own worker class is for: its hooks are pieces of other kinds here.
            dotted if dotted.contains('.') => format!(
                "'{dotted}' is a Python class, which cannot be loaded here. -w takes how jobs run; this program has: {names}.{meant} \
                 What a worker class of your own does in its hooks, perform_job or handle_exception say, is a job class \
                 (--job-class), an exception handler (--exception-handler) or a death penalty (--death-penalty) here, which a \
                 program in Rust registers, as it does an executor by App::executor: docs/cli.md §10.10"
            ),
            _ => format!(
                "'{word}' is no executor.{meant} -w takes how jobs run; this program has: {names}. One in Rust registers more by \
                 App::executor"
            ),
        }
    }

    fn listed(&self) -> String {
        let names: Vec<&str> = self.all.iter().map(|executor| executor.name.as_str()).collect();
        names.join(", ")
    }

    /// A sentence for help: which there are.
    pub(crate) fn help(&self) -> String {
        match self.all.is_empty() {
            true => "This program has none".to_owned(),
            false => format!("This program has: {}", self.listed()),
        }
    }
}

/// The executor that a worker is to have.
#[derive(Debug)]
pub(crate) struct ChosenExecutor {
    pub(crate) executor: NamedExecutor,
    /// RQ's class that was named, and a remark on what is used in its place.
    pub(crate) in_place_of: Option<(&'static RqsWorker, String)>,
}

impl From<NamedExecutor> for ChosenExecutor {
    fn from(executor: NamedExecutor) -> ChosenExecutor {
        ChosenExecutor { executor, in_place_of: None }
    }
}

#[cfg(test)]
mod tests {
    use rq_worker::{ExecutorOption, LaunchError, number};

    use super::*;

    macro_rules! launch {
        ($name:ident = $word:literal, $options:ty) => {
            struct $name;

            impl Launch for $name {
                const NAME: &'static str = $word;

                type Options = $options;

                fn launch(
                    _: Program,
                    _: &Options,
                    _: $options,
                ) -> Result<Box<dyn rq_core::Executor>, LaunchError> {
                    Err(LaunchError::Refused("not in this test".to_owned()))
                }
            }
        };
    }
    launch!(Fork = "fork", Depth);
    launch!(Thread = "thread", ());
    launch!(Own = "own", Depth);
    launch!(Other = "other", ());

    #[derive(Clone, Debug, Default)]
    struct Depth(u64);

    impl ExecutorOptions for Depth {
        const ALL: &'static [ExecutorOption<Depth>] = &[ExecutorOption {
            name: "depth",
            value_name: "INTEGER",
            help: "How deep",
            set: |depth, text| {
                depth.0 = number::count(text)?;
                Ok(())
            },
        }];
    }

    fn add<L: Launch>(executors: &mut Executors, name: &str) {
        executors.add::<L>(name.to_owned(), L::Options::default());
    }

    fn choose(word: Option<&str>) -> Result<(String, bool), String> {
        let mut executors = Executors::default();
        add::<Thread>(&mut executors, "thread");
        add::<Own>(&mut executors, "own");
        // In the place of the first, not behind it.
        add::<Other>(&mut executors, "thread");
        let chosen = executors.choose(word);
        chosen.map(|chosen| (chosen.executor.name, chosen.in_place_of.is_some()))
    }

    fn fork_and_thread() -> Executors {
        let mut executors = Executors::default();
        add::<Fork>(&mut executors, "fork");
        add::<Thread>(&mut executors, "thread");
        executors
    }

    #[test]
    fn words_for_w() {
        let found = |name: &str, is_rqs| Ok((name.to_owned(), is_rqs));
        assert_eq!(choose(None), found("thread", false));
        assert_eq!(choose(Some("thread")), found("thread", false));
        assert_eq!(choose(Some("own")), found("own", false));
        // Where `fork` is not built in, the default stands in.
        assert_eq!(choose(Some("rq.Worker")), found("thread", true));
        for (word, told) in [
            ("green", "the green executor is not built into this program, which has: thread, own"),
            (
                "rq.worker.BaseWorker",
                "is a Python class, which cannot be loaded here. -w takes how jobs run; this program",
            ),
            ("rq.RandomWorker", "is a Python class, which cannot be loaded here"),
            ("Worker", "'Worker' is no executor."),
            (
                "threads",
                "'threads' is no executor. Did you mean 'thread'? -w takes how jobs run; this program has: thread",
            ),
            (
                "app.workers.Audited",
                "(--job-class), an exception handler (--exception-handler) or a death penalty",
            ),
        ] {
            let refusal = choose(Some(word)).unwrap_err();
            assert!(refusal.contains(told), "{refusal}");
        }
    }

    #[test]
    fn rqs_classes_have_the_executor_that_does_the_same() {
        let executors = fork_and_thread();
        for (word, name) in [
            ("rq.Worker", "fork"),
            ("rq.SimpleWorker", "thread"),
            ("rq.SpawnWorker", "fork"),
            ("rq.worker.RoundRobinWorker", "fork"),
            ("rq.worker.RandomWorker", "fork"),
            ("rq.worker.HerokuWorker", "fork"),
        ] {
            let chosen = executors.choose(Some(word)).unwrap();
            assert_eq!(chosen.executor.name, name, "{word}");
            assert!(chosen.in_place_of.unwrap().1.contains(word));
        }
    }

    #[test]
    fn a_program_may_have_an_executor_twice_and_under_the_name_of_a_class() {
        let mut executors = fork_and_thread();
        for (name, depth) in [("deep", 7), ("deeper", 8), ("rq.Worker", 9)] {
            executors.add::<Own>(name.to_owned(), Depth(depth));
        }
        for name in ["deep", "deeper", "rq.Worker"] {
            let chosen = executors.choose(Some(name)).unwrap();
            assert_eq!((chosen.executor.name.as_str(), chosen.in_place_of.is_none()), (name, true));
        }
        assert_eq!(executors.help(), "This program has: fork, thread, deep, deeper, rq.Worker");
        let options = executors.options();
        assert_eq!(options[0].1, "fork or deep or deeper or rq.Worker");
    }

    #[test]
    fn a_program_without_executors_says_so() {
        assert!(
            Executors::default().choose(None).unwrap_err().contains("no executor is built into this program")
        );
    }

    #[test]
    fn options_belong_to_their_executor() {
        let mut executors = fork_and_thread();
        add::<Own>(&mut executors, "own");
        let made = |word, value: &str| {
            let given = [Given { name: "depth", value: value.to_owned() }];
            executors.choose(Some(word)).unwrap().executor.make(&given).map(drop)
        };
        assert_eq!(made("fork", "3"), Ok(()));
        assert_eq!(made("fork", "0"), Err(Invalid::Value("depth", "it must be at least 1".to_owned())));
        assert_eq!(made("thread", "3"), Err(Invalid::Option("depth")));
        let thread = executors.choose(Some("thread")).unwrap().executor;
        let refusal = executors.option_refusal("depth", &thread);
        assert_eq!(refusal, "No such option '--depth' with -w thread; it is one of -w fork, -w own.");
        let options = executors.options();
        let options: Vec<_> = options.iter().map(|(option, names)| (option.name, names.as_str())).collect();
        assert_eq!(options, [("depth", "fork or own")]);
    }
}
