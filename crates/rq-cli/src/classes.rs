//! [`Classes`] and [`WorkerClasses`]: the options that name pieces of a program. In RQ they name classes of Python.

use crate::chosen::{Chosen, NamedMiddleware};
use crate::executors::{Given, Invalid};
use crate::pieces::{Pieces, QueueClass, Registered};
use crate::refusal::Refusal;
use crate::settings::origin::Origin;

/// Where they stand in help.
const HEADING: &str = "Pieces of this program";

/// RQ's own classes, which mean nothing special.
const RQS_JOBS: [&str; 2] = ["rq.job.Job", "rq.Job"];
const RQS_QUEUES: [&str; 2] = ["rq.Queue", "rq.queue.Queue"];
/// redis-py's own: what they connect to is the URL's to say, and that a server is one of a cluster is found out.
const CONNECTIONS: [&str; 6] = [
    "redis.Redis",
    "redis.client.Redis",
    "redis.StrictRedis",
    "redis.client.StrictRedis",
    "redis.RedisCluster",
    "redis.cluster.RedisCluster",
];
/// What RQ had before 1.0 to file failures, and does ever since.
const RQS_HANDLERS: [&str; 1] = ["rq.handlers.move_to_failed_queue"];
/// What RQ has time limits by.
const RQS_PENALTIES: [&str; 2] = ["rq.timeouts.UnixSignalDeathPenalty", "rq.timeouts.TimerDeathPenalty"];

/// The options of all commands that name pieces of a program.
#[derive(Debug, Default, clap::Args)]
#[command(next_help_heading = HEADING)]
pub(crate) struct Classes {
    /// Have middleware of this program's around each job; only workers heed it.
    ///
    /// Without it: RQ_JOB_CLASS. RQ's own rq.job.Job means nothing special.
    #[arg(short, long, value_name = "NAME", hide_short_help = true)]
    job_class: Option<String>,
    /// Use a kind of queue of this program's; only `enqueue` heeds it.
    ///
    /// Without it: RQ_QUEUE_CLASS. RQ's own rq.Queue means nothing special.
    #[arg(long, value_name = "NAME", hide_short_help = true)]
    queue_class: Option<String>,
    /// A Python class: refused, unless it is redis-py's own. What others set up a URL can say.
    ///
    /// Without it: RQ_CONNECTION_CLASS.
    #[arg(long, value_name = "CLASS", help_heading = "For Python's rq only", hide_short_help = true)]
    connection_class: Option<String>,
}

/// The options that name pieces of a program, of commands that run jobs or start who does.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct WorkerClasses {
    /// How jobs run: fork (a process for each), thread (a pool of them) or green (coroutines, for many that wait)
    /// [default: the setting EXECUTOR, else fork].
    ///
    /// Without it: RQ_WORKER_CLASS, else the setting EXECUTOR. RQ's own classes are understood: rq.Worker as fork, rq.SimpleWorker as thread, and the
    /// others as what does the same.
    #[arg(short = 'w', long, visible_alias = "worker-class", value_name = "EXECUTOR")]
    executor: Option<String>,
    /// Call an exception handler of this program's for each failure, behind those that it always calls. May be given several
    /// times.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    exception_handler: Vec<String>,
    /// Arm a death penalty of this program's for each job, behind those that it always arms. May be given several times.
    #[arg(long, value_name = "NAME", help_heading = HEADING)]
    death_penalty: Vec<String>,
}

/// What help says of which pieces there are, by the options that name them.
pub(crate) fn help(pieces: &Pieces) -> [(&'static str, String); 5] {
    [
        ("executor", pieces.executors.help()),
        ("exception_handler", pieces.exception_handlers.help()),
        ("death_penalty", pieces.death_penalties.help()),
        ("job_class", pieces.job_classes.help()),
        ("queue_class", pieces.queue_classes.help()),
    ]
}

/// A name that was given, and where.
struct Named {
    name: String,
    place: Place,
}

/// Where a name was given.
enum Place {
    Option(&'static str),
    Variable(&'static str),
    File(Origin),
}

impl Named {
    fn by_option(option: &'static str, name: &str) -> Named {
        Named { name: name.to_owned(), place: Place::Option(option) }
    }

    /// What the option says, or else the variable, as in RQ. What is empty names nothing.
    fn of(option: &'static str, given: Option<&String>, variable: &'static str) -> Option<Named> {
        match given.filter(|name| !name.is_empty()) {
            Some(name) => Some(Named::by_option(option, name)),
            None => {
                let name = std::env::var_os(variable).filter(|name| !name.is_empty())?;
                let name = name.to_string_lossy().into_owned();
                Some(Named { name, place: Place::Variable(variable) })
            }
        }
    }

    fn refuse(&self, command: &str, reason: &str) -> Refusal {
        let usage = |place| Refusal::usage(command, format!("Invalid value for {place}: {reason}."));
        match &self.place {
            Place::Option(option) => usage(format!("'{option}'")),
            Place::Variable(variable) => usage(format!("the variable '{variable}'")),
            Place::File(origin) => Refusal::Failed(format!("{origin}: EXECUTOR cannot be used: {reason}.")),
        }
    }

    /// The piece of this name; `None` where it is one of RQ's that mean nothing special.
    fn find<T: Clone>(
        &self,
        command: &str,
        pieces: &Pieces,
        registered: &Registered<T>,
        rqs: &[&str],
    ) -> Result<Option<T>, Refusal> {
        match registered.find(&self.name) {
            Ok(piece) => Ok(Some(piece)),
            Err(_) if rqs.contains(&self.name.as_str()) => Ok(None),
            Err(reason) => Err(self.refuse(command, &pieces.of_another_kind(&self.name).unwrap_or(reason))),
        }
    }
}

impl Classes {
    /// Says what is wrong with them, whether or not `command` heeds them.
    pub(crate) fn check(&self, command: &str, pieces: &Pieces) -> Result<(), Refusal> {
        self.job_class(command, pieces)?;
        self.queue_class(command, pieces)?;
        match Named::of("--connection-class", self.connection_class.as_ref(), "RQ_CONNECTION_CLASS") {
            Some(named) if !CONNECTIONS.contains(&named.name.as_str()) => {
                Err(named.refuse(command, &connection_refusal(&named.name)))
            }
            _ => Ok(()),
        }
    }

    /// The middleware that is to be around each job, with its name.
    fn job_class(&self, command: &str, pieces: &Pieces) -> Result<Option<NamedMiddleware>, Refusal> {
        let Some(named) = Named::of("--job-class", self.job_class.as_ref(), "RQ_JOB_CLASS") else {
            return Ok(None);
        };
        let found = named.find(command, pieces, &pieces.job_classes, &RQS_JOBS)?;
        Ok(found.map(|middleware| (named.name, middleware)))
    }

    /// The kind of queue that is to be used.
    pub(crate) fn queue_class(&self, command: &str, pieces: &Pieces) -> Result<Option<QueueClass>, Refusal> {
        match Named::of("--queue-class", self.queue_class.as_ref(), "RQ_QUEUE_CLASS") {
            Some(named) => named.find(command, pieces, &pieces.queue_classes, &RQS_QUEUES),
            None => Ok(None),
        }
    }
}

fn connection_refusal(name: &str) -> String {
    match name.split('.').next() {
        Some("fakeredis") => format!(
            "'{name}' is no Redis that other processes reach, and workers and producers are some; `rq dev` starts a real one"
        ),
        _ => format!(
            "'{name}' is a Python class, which cannot be loaded here. What it sets up the URL can say: TLS (rediss://), a \
             socket (unix://), sentinels (redis+sentinel://), timeouts and more (docs/operations.md)"
        ),
    }
}

impl WorkerClasses {
    /// What a worker of `command` is to have by these options and by those of all commands, with what was given of its
    /// executor's. `of_file` is a settings file's word for `-w`.
    pub(crate) fn choose(
        &self,
        command: &str,
        pieces: &Pieces,
        classes: &Classes,
        of_file: Option<(&str, &Origin)>,
        own: &[Given],
    ) -> Result<Chosen, Refusal> {
        let mut chosen = self.executor(command, pieces, of_file, own)?;
        for name in &self.exception_handler {
            let named = Named::by_option("--exception-handler", name);
            match named.find(command, pieces, &pieces.exception_handlers, &RQS_HANDLERS)? {
                Some(handler) => chosen.exception_handlers.push((name.clone(), handler)),
                None => chosen.files_failures_by = Some(name.clone()),
            }
        }
        for name in &self.death_penalty {
            let named = Named::by_option("--death-penalty", name);
            match named.find(command, pieces, &pieces.death_penalties, &RQS_PENALTIES)? {
                Some(penalty) => chosen.death_penalties.push((name.clone(), penalty)),
                None => chosen.remarks.push(format!(
                    "--death-penalty {name} changes nothing: the {} executor ends jobs at their limits",
                    chosen.executor
                )),
            }
        }
        chosen.job_class = classes.job_class(command, pieces)?;
        Ok(chosen)
    }

    fn executor(
        &self,
        command: &str,
        pieces: &Pieces,
        of_file: Option<(&str, &Origin)>,
        own: &[Given],
    ) -> Result<Chosen, Refusal> {
        let executors = &pieces.executors;
        let of_file =
            of_file.map(|(name, origin)| Named { name: name.to_owned(), place: Place::File(origin.clone()) });
        let named = Named::of("-w", self.executor.as_ref(), "RQ_WORKER_CLASS").or(of_file);
        let word = named.as_ref().map(|named| named.name.as_str());
        let refuse = |reason: String| match &named {
            Some(named) => named.refuse(command, &reason),
            None => Refusal::usage(command, format!("{reason}.")),
        };
        let of_another_kind = |reason| word.and_then(|word| pieces.of_another_kind(word)).unwrap_or(reason);
        let found = executors.choose(word).map_err(|reason| refuse(of_another_kind(reason)))?;
        let prepare = found.executor.make(own).map_err(|invalid| {
            let message = match invalid {
                Invalid::Option(option) => executors.option_refusal(option, &found.executor),
                Invalid::Value(option, reason) => format!("Invalid value for '--{option}': {reason}."),
            };
            Refusal::usage(command, message)
        })?;
        Ok(Chosen::new(found, prepare))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn pieces() -> Pieces {
        let mut pieces = Pieces::built_in();
        pieces.queue_classes.add("urgent".to_owned(), std::rc::Rc::new(|queue| queue));
        pieces
            .job_classes
            .add("audited".to_owned(), Arc::new(|_: &rq_core::Context, next: rq_core::Next<'_>| next.run()));
        pieces
    }

    #[track_caller]
    fn check(job: &str, queue: &str, connection: &str, expected: Result<(), &str>) {
        let name = |name: &str| Some(name.to_owned()).filter(|name| !name.is_empty());
        let classes =
            Classes { job_class: name(job), queue_class: name(queue), connection_class: name(connection) };
        match (classes.check("info", &pieces()), expected) {
            (Ok(()), Ok(())) => {}
            (Err(Refusal::Usage { command, message }), Err(told)) => {
                assert_eq!(command.as_deref(), Some("info"));
                assert!(message.starts_with(told), "{message}");
            }
            (found, _) => panic!("{job} {queue} {connection}: {found:?}"),
        }
    }

    #[test]
    fn classes_are_a_programs_or_mean_nothing_special() {
        check("", "", "", Ok(()));
        for job in ["audited", "rq.job.Job", "rq.Job"] {
            check(job, "", "", Ok(()));
        }
        for queue in ["urgent", "rq.Queue", "rq.queue.Queue"] {
            check("", queue, "", Ok(()));
        }
        CONNECTIONS.iter().for_each(|connection| check("", "", connection, Ok(())));
        check(
            "my.Job",
            "",
            "",
            Err("Invalid value for '--job-class': 'my.Job' is not loaded, as no Python runs here"),
        );
        check(
            "",
            "urgnet",
            "",
            Err(
                "Invalid value for '--queue-class': this program has no queue class 'urgnet'. Did you mean 'urgent'? It has: \
                 urgent.",
            ),
        );
        check(
            "",
            "audited",
            "",
            Err(
                "Invalid value for '--queue-class': 'audited' is registered as a job class in this program: --job-class \
                 audited.",
            ),
        );
        check(
            "",
            "",
            "fakeredis.FakeStrictRedis",
            Err("Invalid value for '--connection-class': 'fakeredis.FakeStrictRedis' is no Redis"),
        );
        check(
            "",
            "",
            "my.Redis",
            Err("Invalid value for '--connection-class': 'my.Redis' is a Python class"),
        );
    }

    #[test]
    fn what_rq_does_anyway_is_remarked_on_or_counts_as_done() {
        let options = WorkerClasses {
            executor: Some("thread".to_owned()),
            exception_handler: vec![RQS_HANDLERS[0].to_owned()],
            death_penalty: RQS_PENALTIES.map(str::to_owned).to_vec(),
        };
        let chosen = options.choose("worker", &pieces(), &Classes::default(), None, &[]).unwrap();
        assert_eq!(chosen.files_failures_by.as_deref(), Some("rq.handlers.move_to_failed_queue"));
        let remark = "--death-penalty rq.timeouts.TimerDeathPenalty changes nothing: the thread executor ends jobs at their \
                      limits";
        assert_eq!(chosen.remarks[1], remark);
        assert!(chosen.exception_handlers.is_empty() && chosen.death_penalties.is_empty());
        let options =
            WorkerClasses { exception_handler: vec!["report".to_owned()], ..WorkerClasses::default() };
        let refusal =
            options.choose("worker", &pieces(), &Classes::default(), None, &[]).map(drop).unwrap_err();
        let told = "Invalid value for '--exception-handler': this program has no exception handler 'report'. It has: none.";
        assert!(refusal.reason().unwrap().starts_with(told), "{refusal:?}");
    }

    #[test]
    fn what_is_wrong_with_a_files_executor_has_its_line() {
        let origin = Origin::File { path: "settings.py".into(), line: 3 };
        let of_file = Some(("tasks.Worker", &origin));
        let refused = |options: WorkerClasses| {
            options.choose("worker", &pieces(), &Classes::default(), of_file, &[]).map(drop).err()
        };
        match refused(WorkerClasses::default()) {
            Some(Refusal::Failed(reason)) => {
                let told = "settings.py, line 3: EXECUTOR cannot be used: 'tasks.Worker' is a Python class";
                assert!(reason.starts_with(told), "{reason}");
            }
            other => panic!("{other:?}"),
        }
        let by_option = WorkerClasses { executor: Some("thread".to_owned()), ..WorkerClasses::default() };
        assert_eq!(refused(by_option), None);
    }
}
