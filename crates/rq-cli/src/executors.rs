//! [`Executors`]: what `-w` can name.

use std::fmt;

use rq_worker::{Launch, Options, Program, WorkerError};

/// RQ's own worker classes, and which executor does as they do: the simple ones start no process for a job.
const PYTHON_CLASSES: [(&str, &str); 4] = [
    ("rq.Worker", "fork"),
    ("rq.worker.Worker", "fork"),
    ("rq.SimpleWorker", "thread"),
    ("rq.worker.SimpleWorker", "thread"),
];

/// What `-w` can name, the default one first.
#[derive(Debug, Default)]
pub(crate) struct Executors {
    all: Vec<Executor>,
}

/// One executor: its word, and the worker that uses it.
#[derive(Clone, Copy)]
pub(crate) struct Executor {
    pub(crate) name: &'static str,
    pub(crate) run: fn(Program, Options) -> Result<(), WorkerError>,
}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Executors {
    /// Those whose features are on.
    pub(crate) fn built_in() -> Executors {
        #[allow(unused_mut, reason = "all features may be off")]
        let mut executors = Executors::default();
        #[cfg(feature = "fork")]
        executors.add::<rq_worker_fork::Fork>();
        #[cfg(feature = "thread")]
        executors.add::<rq_worker_thread::Thread>();
        #[cfg(feature = "green")]
        executors.add::<rq_worker_green::Green>();
        executors
    }

    /// Adds one; it takes the place of one of the same name.
    pub(crate) fn add<L: Launch>(&mut self) {
        let executor = Executor { name: L::NAME, run: rq_worker::run::<L> };
        match self.all.iter_mut().find(|known| known.name == L::NAME) {
            Some(known) => *known = executor,
            None => self.all.push(executor),
        }
    }

    /// The one that `word` names, the default where there is no word; else why not.
    ///
    /// The word may be one of RQ's Python classes: the second value then says what is used in its place, the default where
    /// what does as they do is not built in.
    pub(crate) fn choose(&self, word: Option<&str>) -> Result<(Executor, Option<String>), String> {
        let Some(default) = self.all.first() else {
            return Err(
                "no executor is built into this program; build it with the cargo feature `fork`".to_owned()
            );
        };
        let Some(word) = word else { return Ok((*default, None)) };
        let named = |name: &str| self.all.iter().find(|executor| executor.name == name);
        if let Some((class, like_it)) = PYTHON_CLASSES.iter().find(|(class, _)| *class == word) {
            let executor = named(like_it).unwrap_or(default);
            let note =
                format!("-w {class} is a Python class; the {} executor runs the jobs instead", executor.name);
            return Ok((*executor, Some(note)));
        }
        named(word).map(|executor| (*executor, None)).ok_or_else(|| self.refusal(word))
    }

    fn refusal(&self, word: &str) -> String {
        let names: Vec<&str> = self.all.iter().map(|executor| executor.name).collect();
        let names = names.join(", ");
        match word {
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
    use std::io;

    use super::*;

    macro_rules! launch {
        ($name:ident = $word:literal) => {
            struct $name;

            impl Launch for $name {
                const NAME: &'static str = $word;

                fn launch(_: Program, _: &Options) -> io::Result<Box<dyn rq_core::Executor>> {
                    Err(io::Error::other("not in this test"))
                }
            }
        };
    }
    launch!(Fork = "fork");
    launch!(Thread = "thread");
    launch!(Own = "own");
    launch!(OwnThread = "thread");

    fn choose(word: Option<&str>) -> Result<(&'static str, bool), String> {
        let mut executors = Executors::default();
        executors.add::<Thread>();
        executors.add::<Own>();
        // In the place of the first, not behind it.
        executors.add::<OwnThread>();
        executors.choose(word).map(|(executor, note)| (executor.name, note.is_some()))
    }

    #[test]
    fn words_for_w() {
        assert_eq!(choose(None), Ok(("thread", false)));
        assert_eq!(choose(Some("thread")), Ok(("thread", false)));
        assert_eq!(choose(Some("own")), Ok(("own", false)));
        for (class, _) in PYTHON_CLASSES {
            // Without processes, the default has to do.
            assert_eq!(choose(Some(class)), Ok(("thread", true)), "{class}");
        }
        let mut executors = Executors::default();
        executors.add::<Fork>();
        executors.add::<Thread>();
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
}
