//! [`Pieces`]: what a program has registered under names, for its command line to name.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use rq_core::blocking::Queue;
use rq_core::{DeathPenalty, ExceptionHandler, JobMiddleware};

use crate::executors::Executors;

/// The options that may be given several times.
const SEVERAL: [&str; 2] = ["--exception-handler", "--death-penalty"];

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

    /// What to say of a name that was looked for in vain where it belongs to a piece of another kind.
    pub(crate) fn of_another_kind(&self, name: &str) -> Option<String> {
        let kinds = [
            ("an executor", "-w", self.executors.has(name)),
            ("an exception handler", self.exception_handlers.option, self.exception_handlers.has(name)),
            ("a death penalty", self.death_penalties.option, self.death_penalties.has(name)),
            ("a job class", self.job_classes.option, self.job_classes.has(name)),
            ("a queue class", self.queue_classes.option, self.queue_classes.has(name)),
        ];
        let (what, option, _) = kinds.into_iter().find(|(_, _, has_it)| *has_it)?;
        Some(format!("'{name}' is registered as {what} in this program: {option} {name}"))
    }
}

/// Nothing at all.
impl Default for Pieces {
    fn default() -> Pieces {
        Pieces {
            executors: Executors::default(),
            exception_handlers: Registered::new(
                "exception handler",
                "--exception-handler",
                "App::exception_handler_named",
            ),
            death_penalties: Registered::new("death penalty", "--death-penalty", "App::death_penalty_named"),
            job_classes: Registered::new("job class", "--job-class", "App::job_class"),
            queue_classes: Registered::new("queue class", "--queue-class", "App::queue_class"),
        }
    }
}

/// The pieces of one kind, each with its name, in the order in which they were registered.
pub(crate) struct Registered<T> {
    /// What one is called in messages.
    what: &'static str,
    /// The option that names one.
    option: &'static str,
    /// The function that registers one.
    by: &'static str,
    all: Vec<(String, T)>,
}

impl<T: Clone> Registered<T> {
    fn new(what: &'static str, option: &'static str, by: &'static str) -> Registered<T> {
        Registered { what, option, by, all: Vec::new() }
    }

    fn has(&self, name: &str) -> bool {
        self.all.iter().any(|(known, _)| known == name)
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
        let Registered { what, option, by, .. } = self;
        let listed = self.listed().unwrap_or_else(|| "none".to_owned());
        let each: Vec<String> = each_of(name).map(|name| format!("{option} {name}")).collect();
        if SEVERAL.contains(option) && each.len() > 1 {
            let each = each.join(" ");
            return format!(
                "'{name}' is taken for one name; give the option once for each: {each}. This program has: {listed}"
            );
        }
        let reason = match name.contains('.') {
            true => format!(
                "'{name}' is not loaded, as no Python runs here, and this program has no {what} of that name"
            ),
            false => format!("this program has no {what} '{name}'"),
        };
        let meant = meant(name, self.all.iter().map(|(known, _)| known.as_str()));
        format!("{reason}.{meant} It has: {listed}. A program in Rust registers one by {by}")
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

/// The names in `a,b`.
fn each_of(name: &str) -> impl Iterator<Item = &str> {
    name.split([',', ' ']).filter(|name| !name.is_empty())
}

/// ` Did you mean 'report'?` for a name that is nearly one of the `known`, else nothing. Of a dotted path the last part counts:
/// what is before it is alike anyway.
pub(crate) fn meant<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let last = |path: &'a str| path.rsplit('.').next().unwrap_or_default();
    let known: Vec<&str> = known.into_iter().collect();
    let nearest =
        rq_config::nearest(name.rsplit('.').next().unwrap_or_default(), known.iter().map(|path| last(path)));
    let nearest = nearest.and_then(|nearest| known.iter().find(|path| last(path) == nearest));
    nearest.map(|nearest| format!(" Did you mean '{nearest}'?")).unwrap_or_default()
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
        let mut registered =
            Registered::new("exception handler", "--exception-handler", "App::exception_handler_named");
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

    #[test]
    fn slips_are_told_what_was_meant() {
        let mut registered = Registered::new("exception handler", "--exception-handler", "App::x");
        registered.add("report".to_owned(), 1);
        registered.add("app.handlers.page".to_owned(), 1);
        let check = |name: &str, told: &str| {
            let refusal = registered.find(name).unwrap_err();
            assert!(refusal.contains(told), "{name}: {refusal}");
        };
        check("reprot", "handler 'reprot'. Did you mean 'report'? It has: report, app.handlers.page.");
        check("app.handler.page", "of that name. Did you mean 'app.handlers.page'? It has:");
        check("page", "Did you mean 'app.handlers.page'?");
        check("app.handlers.mail", "of that name. It has:");
        check(
            "report,page",
            "'report,page' is taken for one name; give the option once for each: --exception-handler report \
             --exception-handler page. This program has: report, app.handlers.page",
        );
    }

    #[test]
    fn a_piece_of_another_kind_is_named_by_another_option() {
        let mut pieces = Pieces::built_in();
        pieces.queue_classes.add("urgent".to_owned(), Rc::new(|queue| queue));
        pieces.job_classes.add(
            "app.jobs.TxJob".to_owned(),
            Arc::new(|_: &rq_core::Context, next: rq_core::Next<'_>| next.run()),
        );
        let told = |name: &str| pieces.of_another_kind(name);
        let expected =
            "'app.jobs.TxJob' is registered as a job class in this program: --job-class app.jobs.TxJob";
        assert_eq!(told("app.jobs.TxJob").as_deref(), Some(expected));
        let expected = "'urgent' is registered as a queue class in this program: --queue-class urgent";
        assert_eq!(told("urgent").as_deref(), Some(expected));
        assert_eq!(told("app.jobs.Tx"), None);
    }
}
