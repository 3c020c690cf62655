//! Why ours differs from Python's.

/// What differs in all rows that have it, for the reasons of docs/differences.md.
pub(super) const ALWAYS: &[&str] = &[
    "rq:job:* .execution",
    "rq:job:* .settled",
    "rq:job:* .requeued",
    "rq:claims:*",
    "rq:leases *",
    "rq:maintained*",
    "rq:clean_groups *",
];

// What is said
pub(super) const HELP: &str = "Help has words and examples of its own.";
pub(super) const SENTENCE: &str = "What went wrong is said in a sentence that names the way on.";
pub(super) const UNREACHABLE: &str =
    "Where Redis cannot be reached it is named, on standard error, with the way on.";
pub(super) const SUGGESTION: &str = "The nearest option alone is suggested.";
pub(super) const FIRST_EXTRA: &str = "The first argument that is too many is named alone.";

// What is refused
pub(super) const SENSELESS: &str =
    "What makes no sense is refused, as a usage error, before anything is done.";
pub(super) const EMPTY_NAME: &str =
    "An empty name is a mistake of a script, such as a variable that is not set.";
pub(super) const NEVER_RUN: &str = "What no worker could run, or nobody could find again, is not enqueued.";
pub(super) const TAKEN_ID: &str = "A job that waits or runs is not overwritten, and no id is queued twice.";

// What is Python's
pub(super) const CLASSES: &str =
    "Classes of Python's cannot be loaded, but for RQ's own, which change nothing.";
pub(super) const NO_JOBS_RUN: &str =
    "This command runs no jobs: which class would run them is not looked at.";
pub(super) const CLASS_VARIABLES: &str =
    "Variables that name classes, but for RQ_WORKER_CLASS, are not read.";
pub(super) const SETTINGS: &str = "A settings module is Python, which is not run.";
pub(super) const PATHS: &str = "No Python is imported, so its search path is not needed; a note says so.";
pub(super) const CODECS: &str =
    "A serializer is one of pickle, json and bincode; a word for another is refused by all commands.";

// What is done
pub(super) const REQUEUED_TTL: &str =
    "A requeued job lives until it has run. Python's expires when its failure would have.";
pub(super) const GOES_ON: &str =
    "The jobs that can be requeued are, and the others are named with their reasons.";
pub(super) const TWICE: &str = "A job that is named twice is requeued once.";
