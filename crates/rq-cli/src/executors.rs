//! [`Executors`]: the executors that `-w` can name.

use std::fmt;
use std::rc::Rc;

use rq_worker::{ExecutorOptions, Launch, Options, PreparedWorker, Program, WorkerError};

/// RQ's own worker classes, each with the executor that does the same: the simple ones start no process for a job.
const PYTHON_CLASSES: [(&str, &str); 4] = [
    ("rq.Worker", "fork"),
    ("rq.worker.Worker", "fork"),
    ("rq.SimpleWorker", "thread"),
    ("rq.worker.SimpleWorker", "thread"),
];

/// The executors that `-w` can name, the default one first.
#[derive(Debug, Default)]
pub(crate) struct Executors {
    all: Vec<NamedExecutor>,
}

/// One executor: its name for `-w`, its options, and the worker that uses it.
#[derive(Clone)]
pub(crate) struct NamedExecutor {
    pub(crate) name: &'static str,
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
    fn new<L: Launch>(defaults: L::Options) -> NamedExecutor {
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
        NamedExecutor {
            name: L::NAME,
            options: options.collect(),
            make: Rc::new(make),
            needs_handlers: false,
        }
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
        f.write_str(self.name)
    }
}

impl Executors {
    /// The executors whose features are on.
    pub(crate) fn built_in() -> Executors {
        #[allow(unused_mut, reason = "all features may be off")]
        let mut executors = Executors::default();
        // The first is the default one, and `fork` is RQ's own way.
        #[cfg(feature = "fork")]
        executors.add::<rq_worker_fork::Fork>(Default::default());
        #[cfg(feature = "thread")]
        executors.add::<rq_worker_thread::Thread>(());
        #[cfg(feature = "green")]
        executors.add::<rq_worker_green::Green>(Default::default());
        executors.all.iter_mut().for_each(|executor| executor.needs_handlers = true);
        executors
    }

    /// Adds an executor, with defaults for its options; it takes the place of one of the same name.
    pub(crate) fn add<L: Launch>(&mut self, defaults: L::Options) {
        let executor = NamedExecutor::new::<L>(defaults);
        match self.all.iter_mut().find(|known| known.name == L::NAME) {
            // In its place, since the first of all is the default.
            Some(known) => *known = executor,
            None => self.all.push(executor),
        }
    }

    /// All options that some executors have, each once, with the names of those.
    pub(crate) fn options(&self) -> Vec<(OwnOption, String)> {
        let mut options: Vec<(OwnOption, String)> = Vec::new();
        for executor in &self.all {
            for option in &executor.options {
                match options.iter_mut().find(|(known, _)| known.name == option.name) {
                    // clap takes a name once; in help it stands under all that have it.
                    Some((_, names)) => *names = format!("{names} or {}", executor.name),
                    None => options.push((*option, executor.name.to_owned())),
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
    ///
    /// The word may be one of RQ's Python classes: the second value then is a remark that names the executor in its
    /// place, which is the default where the one that does the same is not built in.
    pub(crate) fn choose(&self, word: Option<&str>) -> Result<(NamedExecutor, Option<String>), String> {
        let Some(default) = self.all.first() else {
            return Err(
                "no executor is built into this program; build it with the cargo feature `fork`".to_owned()
            );
        };
        let Some(word) = word else { return Ok((default.clone(), None)) };
        let named = |name: &str| self.all.iter().find(|executor| executor.name == name);
        if let Some((class, like_it)) = PYTHON_CLASSES.iter().find(|(class, _)| *class == word) {
            // A script that names RQ's class asks for a worker rather than an executor: another will do, and is named.
            let executor = named(like_it).unwrap_or(default);
            let note =
                format!("-w {class} is a Python class; the {} executor runs the jobs instead", executor.name);
            return Ok((executor.clone(), Some(note)));
        }
        // After the classes: a program's own executor cannot be called what RQ's class is.
        named(word).map(|executor| (executor.clone(), None)).ok_or_else(|| self.refusal(word))
    }

    fn refusal(&self, word: &str) -> String {
        let names: Vec<&str> = self.all.iter().map(|executor| executor.name).collect();
        let names = names.join(", ");
        match word {
            // Names that documents have, so they are no typing error: a cargo feature is missing.
            "fork" | "thread" | "green" => {
                format!("the {word} executor is not built into this program, which has: {names}")
            }
            dotted if dotted.contains('.') => {
                format!(
                    "'{dotted}' is a Python class, which cannot be loaded here. -w takes how jobs run: fork, thread or \
                     green (built in: {names})"
                )
            }
            _ => format!("'{word}' is no executor. -w takes fork, thread or green (built in: {names})"),
        }
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
    launch!(OwnThread = "thread", ());

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

    fn choose(word: Option<&str>) -> Result<(&'static str, bool), String> {
        let mut executors = Executors::default();
        executors.add::<Thread>(());
        executors.add::<Own>(Depth::default());
        // In the place of the first, not behind it.
        executors.add::<OwnThread>(());
        executors.choose(word).map(|(executor, note)| (executor.name, note.is_some()))
    }

    fn fork_and_thread() -> Executors {
        let mut executors = Executors::default();
        executors.add::<Fork>(Depth::default());
        executors.add::<Thread>(());
        executors
    }

    #[test]
    fn words_for_w() {
        assert_eq!(choose(None), Ok(("thread", false)));
        assert_eq!(choose(Some("thread")), Ok(("thread", false)));
        assert_eq!(choose(Some("own")), Ok(("own", false)));
        for (class, _) in PYTHON_CLASSES {
            // Where `fork` is not built in, the default stands in.
            assert_eq!(choose(Some(class)), Ok(("thread", true)), "{class}");
        }
        let executors = fork_and_thread();
        for (class, like_it) in PYTHON_CLASSES {
            assert_eq!(executors.choose(Some(class)).unwrap().0.name, like_it, "{class}");
        }
        for (word, told) in [
            ("green", "the green executor is not built into this program, which has: thread, own"),
            ("rq.worker.HerokuWorker", "is a Python class, which cannot be loaded here"),
            ("threads", "'threads' is no executor. -w takes fork, thread or green"),
        ] {
            let refusal = choose(Some(word)).unwrap_err();
            assert!(refusal.contains(told), "{refusal}");
        }
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
        executors.add::<Own>(Depth::default());
        let made = |word, value: &str| {
            let given = [Given { name: "depth", value: value.to_owned() }];
            executors.choose(Some(word)).unwrap().0.make(&given).map(drop)
        };
        assert_eq!(made("fork", "3"), Ok(()));
        assert_eq!(made("fork", "0"), Err(Invalid::Value("depth", "it must be at least 1".to_owned())));
        assert_eq!(made("thread", "3"), Err(Invalid::Option("depth")));
        let thread = executors.choose(Some("thread")).unwrap().0;
        let refusal = executors.option_refusal("depth", &thread);
        assert_eq!(refusal, "No such option '--depth' with -w thread; it is one of -w fork, -w own.");
        let options = executors.options();
        let options: Vec<_> = options.iter().map(|(option, names)| (option.name, names.as_str())).collect();
        assert_eq!(options, [("depth", "fork or own")]);
    }
}
