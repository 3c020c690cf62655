//! Why ours differs from Python's.

/// What differs in all rows that have it, for the reasons of docs/differences.md.
pub(super) const ALWAYS: &[&str] = &[
    "rq:job:* .execution",
    "rq:job:* .settled",
    "rq:job:* .requeued",
    "rq:worker:* .process",
    "rq:results:* ttl",
    "rq:claims:*",
    "rq:leases *",
    "rq:maintained*",
    "rq:clean_groups *",
    "rq:cron_entries *",
    "rq:cron_entry:*",
    "rq:cron_scheduler:* .shares_ticks",
    "rq:job:* .cron",
    "rq:job:* .cron_due",
    // Written beside what the worker does, sooner or later.
    "rq:scheduler:*",
    "rq:scheduler-lock:*",
];

// What is said
pub(super) const HELP: &str = "Help has words and examples of its own.";
pub(super) const SENTENCE: &str = "What went wrong is said in a sentence that names the way on.";
pub(super) const UNREACHABLE: &str =
    "Where Redis cannot be reached it is named, on standard error, with the way on.";
pub(super) const SUGGESTION: &str = "The nearest option alone is suggested.";
pub(super) const FIRST_EXTRA: &str = "The first argument that is too many is named alone.";

pub(super) const ERROR_WORD: &str = "All errors begin with `Error:`.";
pub(super) const SINGULAR: &str = "One job and one second are singular.";
pub(super) const DEBUG: &str = "At DEBUG each program tells what goes on within it.";
pub(super) const FAILURE: &str =
    "A failure is told with the call and the error; there is no traceback of Python's.";
pub(super) const POOL_LEVEL: &str = "What is to be logged counts for a worker from its first line on.";
pub(super) const POOL_FORMAT: &str = "All lines of a pool have the format that was asked for, its own, too.";
pub(super) const POOL_AWAY: &str =
    "Where Redis cannot be reached each worker says a sentence in place of a traceback.";
pub(super) const CONFIG_OPTIONAL: &str =
    "CONFIG_PATH may be left out, for the entries of the program or of rq.toml.";
pub(super) const CONFIG_READ: &str =
    "A configuration is read and never executed, and nothing is enqueued where a part of it is wrong.";
pub(super) const CRON_AWAY: &str = "A scheduler that cannot reach Redis does not say that it starts.";
pub(super) const HORSE: &str =
    "The worker writes all lines of its log. Python's work horse writes those of its job.";
pub(super) const FORMATS: &str =
    "A format that cannot be written is refused at the start, and not with each line.";
pub(super) const SCHEDULER: &str =
    "The scheduler is a part of the worker, and no process that is started and stopped.";
pub(super) const IDLE_STOP: &str = "A worker that was asked to stop says so when it leaves, idle or not.";
pub(super) const CLIENT_NAME: &str = "A worker of any name that Redis takes is named to it.";

// What is refused
pub(super) const SENSELESS: &str =
    "What makes no sense is refused, as a usage error, before anything is done.";
pub(super) const EMPTY_NAME: &str =
    "An empty name is a mistake of a script, such as a variable that is not set.";
pub(super) const NO_NUMBER: &str =
    "A number that means nothing, such as a time of less than a second, is refused.";
pub(super) const TOGETHER: &str = "Options that contradict each other are a usage error.";
pub(super) const COMMA: &str = "A comma parts the names of queues in a worker's record.";
pub(super) const NEVER_RUN: &str = "What no worker could run, or nobody could find again, is not enqueued.";
pub(super) const TAKEN_ID: &str = "A job that waits or runs is not overwritten, and no id is queued twice.";

// What is Python's
pub(super) const CLASSES: &str = "Classes of Python's cannot be loaded. A name stands for RQ's own class, or for what the program has registered under it.";
pub(super) const NO_JOBS_RUN: &str =
    "This command runs no jobs: which class would run them is not looked at.";
pub(super) const SETTINGS: &str =
    "A settings file is read and never executed; what cannot be read is named with its line.";
pub(super) const ENVIRONMENT_FIRST: &str =
    "What the environment of a process says counts before what its file says (docs/settings.md).";
pub(super) const PATHS: &str = "No Python is imported, so its search path is not needed; a note says so.";
pub(super) const CODECS: &str =
    "A serializer is one of pickle, json and bincode; a word for another is refused by all commands.";

pub(super) const ANY_CODEC: &str = "Workers read each payload in the serializer that it was written in.";
pub(super) const WORKER_CLASSES: &str =
    "How jobs run is chosen with -w, and RQ's own classes stand for the nearest way, which a note names.";
pub(super) const PYTHONS_JOBS: &str =
    "Where Python finds jobs is of no use to a Rust program, which has its own.";
pub(super) const HANDLERS: &str =
    "Exception handlers are functions that the program has registered under a name.";
pub(super) const SENTRY: &str = "RQ 1.16's options of Sentry are there still.";

// What is done
pub(super) const REQUEUED_TTL: &str =
    "A requeued job lives until it has run. Python's expires when its failure would have.";
pub(super) const GOES_ON: &str =
    "The jobs that can be requeued are, and the others are named with their reasons.";
pub(super) const TWICE: &str = "A job that is named twice is requeued once.";
