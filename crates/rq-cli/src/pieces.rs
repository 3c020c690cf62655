//! [`Pieces`]: what a program has registered under names, for its command line to name.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use rq_core::blocking::Queue;
use rq_core::{DeathPenalty, ExceptionHandler, JobMiddleware};

use crate::executors::Executors;

/// What a program has registered under names, for its command line to name: executors, and four kinds that nobody has until
/// they are named.
#[derive(Debug)]
pub(crate) struct Pieces {
    /// `-w`
    pub(crate) executors: Executors,
    pub(crate) exception_handlers: Registered<Arc<dyn ExceptionHandler>>,
    pub(crate) death_penalties: Registered<Arc<dyn DeathPenalty>>,
    /// Middleware around each job: what people write subclasses of `rq.job.Job` for.
    pub(crate) job_classes: Registered<Arc<dyn JobMiddleware>>,
    pub(crate) queue_classes: Registered<QueueClass>,
}

/// Gives a queue what those of a class have.
pub(crate) type QueueClass = Rc<dyn Fn(Queue) -> Queue>;

impl Pieces {
    /// The executors that were built in, and nothing else.
    pub(crate) fn built_in() -> Pieces {
        Pieces { executors: Executors::built_in(), ..Pieces::default() }
    }
}

/// Nothing at all.
impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            executors: Executors::default(),
            exception_handlers: Registered::new("exception handler", "App::exception_handler_named"),
            death_penalties: Registered::new("death penalty", "App::death_penalty_named"),
            job_classes: Registered::new("job class", "App::job_class"),
            queue_classes: Registered::new("queue class", "App::queue_class"),
        }
    }
}

/// The pieces of one kind, each with its name, in the order in which they were registered.
pub(crate) struct Registered<T> {
    /// What one is called in messages.
    what: &'static str,
    /// The function that registers one.
    by: &'static str,
    all: Vec<(String, T)>,
}

impl<T: Clone> Registered<T> {
    fn new(what: &'static str, by: &'static str) -> Registered<T> {
        Registered { what, by, all: Vec::new() }
    }

    /// Adds a piece; one of the same name is replaced.
    pub(crate) fn add(&mut self, name: String, piece: T) {
        match self.all.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => *known = piece,
            None => self.all.push((name, piece)),
        }
    }

    /// The piece of this name; an error message where there is none.
    pub(crate) fn find(&self, name: &str) -> Result<T, String> {
        let found = self.all.iter().find(|(known, _)| known == name);
        found.map(|(_, piece)| piece.clone()).ok_or_else(|| self.refusal(name))
    }

    fn refusal(&self, name: &str) -> String {
        let Registered { what, by, .. } = self;
        let reason = match name.contains('.') {
            true => format!(
                "'{name}' is not loaded, as no Python runs here, and this program has no {what} of that name"
            ),
            false => format!("this program has no {what} '{name}'"),
        };
        let listed = self.listed().unwrap_or_else(|| "none".to_owned());
        format!("{reason}. It has: {listed}. A program in Rust registers one by {by}")
    }

    /// The names, if there are any.
    fn listed(&self) -> Option<String> {
        let names: Vec<&str> = self.all.iter().map(|(name, _)| name.as_str()).collect();
        (!names.is_empty()).then(|| names.join(", "))
    }

    /// A sentence for help: which there are.
    pub(crate) fn help(&self) -> String {
        match self.listed() {
            Some(names) => format!("This program has: {names}"),
            None => format!("This program has none; one in Rust registers them by {}", self.by),
        }
    }
}

impl<T: Clone> fmt::Debug for Registered<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.all.iter().map(|(name, _)| name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_the_piece_that_was_registered_last() {
        let mut registered = Registered::new("exception handler", "App::exception_handler_named");
        assert_eq!(
            registered.help(),
            "This program has none; one in Rust registers them by App::exception_handler_named"
        );
        let refusal = registered.find("x").unwrap_err();
        assert_eq!(
            refusal,
            "this program has no exception handler 'x'. It has: none. A program in Rust registers one by \
             App::exception_handler_named"
        );
        for (name, piece) in [("report", 1), ("audit", 2), ("report", 3), ("app.handlers.page", 4)] {
            registered.add(name.to_owned(), piece);
        }
        assert_eq!(
            ["report", "audit", "app.handlers.page"].map(|name| registered.find(name)),
            [Ok(3), Ok(2), Ok(4)]
        );
        assert_eq!(registered.help(), "This program has: report, audit, app.handlers.page");
        let refusal = registered.find("app.handlers.mail").unwrap_err();
        assert_eq!(
            refusal,
            "'app.handlers.mail' is not loaded, as no Python runs here, and this program has no exception handler of \
             that name. It has: report, audit, app.handlers.page. A program in Rust registers one by \
             App::exception_handler_named"
        );
    }
}
