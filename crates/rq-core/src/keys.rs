//! [`Keys`]: every Redis key RQ uses, under one prefix (docs/wire.md §2).

use std::sync::Arc;

use crate::shown::Shown;

/// The environment variable that replaces the prefix (docs/wire.md §1.1).
pub const PREFIX_VARIABLE: &str = "RQ_KEY_PREFIX";

/// What RQ's keys begin with by default.
pub const DEFAULT_PREFIX: &str = "rq";

/// The longest name we write; longer ones are still read.
pub const NAME_BYTES_MAX: usize = 200;

/// A name that must not be written to Redis.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{kind} \"{}\" cannot be used: {reason}", Shown::name(name))]
#[non_exhaustive]
pub struct NameError {
    /// What the name was for.
    pub kind: &'static str,
    /// The name as given.
    pub name: String,
    /// What it has to be instead.
    pub reason: &'static str,
}

/// Names every key, each beginning with the prefix and a colon.
///
/// Cloning is cheap. For Redis Cluster the prefix must hold a hash tag, as in `{app}:rq`, so that all keys share
/// one slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    prefix: Arc<str>,
}

/// Whether a cluster goes by a part of `key` alone, `{tag}`, for its slot.
pub(crate) fn has_hash_tag(key: &str) -> bool {
    key.split_once('{').and_then(|(_, tagged)| tagged.find('}')).is_some_and(|at| at > 0)
}

impl Default for Keys {
    fn default() -> Keys {
        Keys { prefix: DEFAULT_PREFIX.into() }
    }
}

impl Keys {
    /// Keys under `prefix`, which must match `[A-Za-z0-9_.:{}-]+`.
    pub fn new(prefix: &str) -> Result<Keys, NameError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "_.:{}-".contains(c);
        if prefix.is_empty() || !prefix.chars().all(legal) {
            return Err(NameError {
                kind: "key prefix",
                name: prefix.to_owned(),
                reason: "it must be made of letters, digits and `_.:{}-`",
            });
        }
        Ok(Keys { prefix: prefix.into() })
    }

    /// Keys under the prefix that `RQ_KEY_PREFIX` names, or under `rq` where it is unset or empty.
    pub fn from_env() -> Result<Keys, NameError> {
        match std::env::var(PREFIX_VARIABLE) {
            Ok(prefix) if !prefix.is_empty() => Keys::new(&prefix),
            _ => Ok(Keys::default()),
        }
    }

    /// The prefix without its colon.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// Whether the prefix has a hash tag, so that all keys share one slot of a Redis Cluster.
    pub fn share_a_slot(&self) -> bool {
        has_hash_tag(&self.prefix)
    }

    fn key(&self, parts: &[&str]) -> String {
        let length = self.prefix.len() + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut key = String::with_capacity(length);
        key.push_str(&self.prefix);
        for part in parts {
            key.push_str(part);
        }
        key
    }
}

macro_rules! keys {
    ($($(#[$doc:meta])* $name:ident($($arg:ident),*) = $($part:expr),+;)+) => {
        impl Keys {
            $($(#[$doc])* pub fn $name(&self, $($arg: &str),*) -> String { self.key(&[$($part),+]) })+
        }
        #[cfg(test)]
        fn every_key(keys: &Keys) -> Vec<String> {
            vec![$({ $(let $arg = stringify!($arg);)* keys.$name($($arg),*) }),+]
        }
    };
}

keys! {
    /// Set of the full keys of all queues.
    queues() = ":queues";
    /// List of job ids; the head is next.
    queue(queue) = ":queue:", queue;
    /// List of ids that Python's single-queue workers popped and did not start yet.
    intermediate(queue) = ":queue:", queue, ":intermediate";
    /// When Python's maintenance first saw an id in the intermediate list.
    first_seen(queue, id) = ":queue:", queue, ":intermediate:first_seen:", id;
    /// Hash of one job.
    job(id) = ":job:", id;
    /// Set of the ids that wait for this job.
    dependents(id) = ":job:", id, ":dependents";
    /// Set of the ids this job waits for; the double colon is RQ's.
    dependencies(id) = ":job::", id, ":dependencies";
    /// Stream of the job's results.
    results(id) = ":results:", id;
    /// Sorted set of running executions, `<id>:<x>` by expiry.
    wip(queue) = ":wip:", queue;
    /// Sorted set of finished ids by expiry.
    finished(queue) = ":finished:", queue;
    /// Sorted set of failed and stopped ids by expiry.
    failed(queue) = ":failed:", queue;
    /// Sorted set of ids that wait for other jobs.
    deferred(queue) = ":deferred:", queue;
    /// Sorted set of ids whose dependencies are met and which Python 3.0 has not pushed yet.
    ready(queue) = ":ready:", queue;
    /// Sorted set of ids by the second they are due.
    scheduled(queue) = ":scheduled:", queue;
    /// Sorted set of canceled ids.
    canceled(queue) = ":canceled:", queue;
    /// Hash of one execution.
    execution(id, x) = ":execution:", id, ":", x;
    /// Sorted set of the executions of one job.
    executions(id) = ":executions:", id;
    /// Set of the full keys of all workers.
    workers() = ":workers";
    /// Set of the full keys of a queue's workers.
    queue_workers(queue) = ":workers:", queue;
    /// Hash of one worker.
    worker(name) = ":worker:", name;
    /// Set of the executions on one worker.
    worker_executions(name) = ":worker:", name, ":executions";
    /// Channel for a worker's commands.
    pubsub(name) = ":pubsub:", name;
    /// Present while all workers are suspended.
    suspended() = ":suspended";
    /// Maintenance lock of one queue.
    clean_registries(queue) = ":clean_registries:", queue;
    /// Maintenance window of the groups.
    clean_groups() = ":clean_groups";
    /// Which scheduler owns a queue.
    scheduler_lock(queue) = ":scheduler-lock:", queue;
    /// Hash of one scheduler.
    scheduler(name) = ":scheduler:", name;
    /// Sorted set of cron scheduler names.
    cron_schedulers() = ":cron_schedulers";
    /// Hash of one cron scheduler.
    cron_scheduler(name) = ":cron_scheduler:", name;
    /// Sorted set of the jobs one cron entry enqueued.
    cron_job(name) = ":cron_job:", name, ":jobs";
    /// Sorted set of cron entries by their last run.
    cron_jobs() = ":cron_jobs";
    /// Ours: set of the names of the cron entries that our schedulers have announced.
    cron_entries() = ":cron_entries";
    /// Ours: hash of one cron entry: its schedule, how far it has come, and the job it enqueues.
    cron_entry(name) = ":cron_entry:", name;
    /// Set of the ids in a group.
    group(name) = ":group:", name;
    /// Set of group names.
    groups() = ":groups";
    /// Set of rate-limit names.
    rate_limits() = ":rl-keys";
    /// Hash of one rate limit.
    rate_limit(name) = ":rl:", name;
    /// Sorted set of ids that hold a slot.
    rate_limit_allowed(name) = ":rl:", name, ":allowed";
    /// Sorted set of ids that wait for a slot.
    rate_limit_waiting(name) = ":rl:", name, ":rate_limited";
    /// Ours: the number and answer of a worker's last claim, so that a re-sent claim is answered, not repeated.
    claims(name) = ":claims:", name;
    /// Ours: set of the executions that a worker has claimed and not begun, `<id>:<x>`.
    unbegun(name) = ":unbegun:", name;
    /// Ours: sorted set of the executions our workers hold, `<id>:<x>` by the millisecond of Redis TIME until which
    /// their lease lasts.
    leases() = ":leases";
    /// Ours: sorted set of entries of the outbox, by the millisecond of Redis TIME when they are due. A box is `webhooks`,
    /// or `callbacks:<name>`.
    outbox(box_name) = ":outbox:", box_name;
    /// Ours: hash of one entry of the outbox.
    outbox_entry(name) = ":outbox:entry:", name;
    /// Ours: which job holds the lock of its arguments, `<id>:<token of its call>`.
    unique(digest) = ":unique:", digest;
    /// Ours: sorted set of the last starts of a pace, `<id>:<created_at>` by the millisecond of Redis TIME.
    pace(name) = ":pace:", name;
    /// Ours: sorted set of a group's members that have not ended, while a job waits for its end: ids by the millisecond when
    /// they were noted, and `hold:<id>` of declarations under way.
    group_open(name) = ":group_open:", name;
    /// Ours: set of the ids of jobs that wait for the end of a group.
    group_ends(name) = ":group_ends:", name;
    /// Ours: sorted set of the groups for whose end a job waits, by the millisecond of Redis TIME when a worker looks at them
    /// next.
    awaited_groups() = ":group_ends";
    /// Ours: which worker did a round of maintenance for a queue last, until the next one is due.
    maintained(queue) = ":maintained:", queue;
    /// Ours: the same for what belongs to no queue.
    maintained_at_large() = ":maintained";
}

/// Checks a job id that we are about to write: `[A-Za-z0-9_-]+`, as RQ has it since 2.8 (docs/wire.md §1.5).
pub fn check_job_id(id: &str) -> Result<(), NameError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    if id.is_empty() || !id.chars().all(legal) {
        return Err(NameError {
            kind: "job id",
            name: id.to_owned(),
            reason: "it must be made of letters, digits, `_` and `-`",
        });
    }
    check_length("job id", id)
}

/// Checks a queue name that we are about to write.
///
/// A comma would split it in the worker's hash, and names that end in `:intermediate` collide with another
/// queue's list (docs/wire.md §1.5).
pub fn check_queue_name(name: &str) -> Result<(), NameError> {
    const KIND: &str = "queue name";
    let refuse = |reason| Err(NameError { kind: KIND, name: name.to_owned(), reason });
    if name.is_empty() {
        return refuse("it must not be empty");
    }
    if name.contains(',') {
        return refuse("it must not hold a comma, which separates queues in the worker's record");
    }
    // Anywhere, not just at the end: the keys of `first_seen` go on behind it.
    if name.contains(":intermediate") {
        return refuse("it must not hold `:intermediate`, which names another queue's list");
    }
    if name.contains(['{', '}']) || name.chars().any(char::is_control) || name.trim() != name {
        return refuse("it must not hold braces, control characters, or white space at its ends");
    }
    check_length(KIND, name)
}

/// Checks the name of a group that we are about to write.
pub fn check_group_name(name: &str) -> Result<(), NameError> {
    const KIND: &str = "group name";
    let is_legal = !name.is_empty()
        && !name.contains(['{', '}'])
        && !name.chars().any(char::is_control)
        && name.trim() == name;
    if !is_legal {
        return Err(NameError {
            kind: KIND,
            name: name.to_owned(),
            reason: "it must not be empty, hold braces or control characters, or begin or end in white space",
        });
    }
    check_length(KIND, name)
}

/// Checks a worker name that we are about to write.
pub fn check_worker_name(name: &str) -> Result<(), NameError> {
    const KIND: &str = "worker name";
    // A name that ends in `:executions` would make its hash the key of another worker's set (docs/wire.md §21-17).
    if name.is_empty()
        || name.chars().any(char::is_control)
        || name.trim() != name
        || name.ends_with(":executions")
    {
        return Err(NameError {
            kind: KIND,
            name: name.to_owned(),
            reason: "it must not be empty, hold control characters, begin or end in white space, \
                     or end in `:executions`",
        });
    }
    check_length(KIND, name)
}

/// Checks the key of a rate limit, or of a pace, that we are about to write.
///
/// Names that end as RQ's keys for a rate limit do would be another limit's keys.
pub fn check_limit_key(key: &str) -> Result<(), NameError> {
    const KIND: &str = "limit key";
    if key.is_empty()
        || key.contains(['{', '}'])
        || key.chars().any(char::is_control)
        || key.trim() != key
        || [":allowed", ":rate_limited"].iter().any(|ending| key.ends_with(ending))
    {
        return Err(NameError {
            kind: KIND,
            name: key.to_owned(),
            reason: "it must not be empty, hold braces or control characters, begin or end in white space, \
                     or end in `:allowed` or `:rate_limited`",
        });
    }
    check_length(KIND, key)
}

/// Checks the name of a function that we are about to write: a dotted path of identifiers, `tasks.add`, whose last part
/// Python looks for in the module before it. Those of `#[job]` are the same.
pub fn check_function_name(name: &str) -> Result<(), NameError> {
    // Letters of any script, as Python has them in its identifiers.
    let is_identifier = |part: &str| {
        let mut chars = part.chars();
        chars.next().is_some_and(|c| c.is_alphabetic() || c == '_')
            && chars.all(|c| c.is_alphanumeric() || c == '_')
    };
    match name.split('.').all(is_identifier) {
        true => Ok(()),
        false => Err(NameError {
            kind: "function name",
            name: name.to_owned(),
            reason: "it must be a dotted path, such as tasks.add",
        }),
    }
}

fn check_length(kind: &'static str, name: &str) -> Result<(), NameError> {
    if name.len() > NAME_BYTES_MAX {
        return Err(NameError {
            kind,
            name: name.to_owned(),
            reason: "it must not be longer than 200 bytes",
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_those_of_the_wire_spec() {
        let keys = Keys::default();
        assert_eq!(keys.queue("default"), "rq:queue:default");
        assert_eq!(keys.dependencies("j1"), "rq:job::j1:dependencies");
        assert_eq!(keys.dependents("j1"), "rq:job:j1:dependents");
        assert_eq!(keys.first_seen("q", "j"), "rq:queue:q:intermediate:first_seen:j");
        assert_eq!(keys.worker_executions("w"), "rq:worker:w:executions");
        assert_eq!(keys.cron_job("n"), "rq:cron_job:n:jobs");
        assert_eq!(keys.rate_limit_waiting("k"), "rq:rl:k:rate_limited");
    }

    #[test]
    fn all_keys_share_the_prefix_and_none_collide() {
        let keys = Keys::new("{app}:rq").unwrap();
        let mut all = every_key(&keys);
        assert!(all.iter().all(|key| key.starts_with("{app}:rq:")));
        let count = all.len();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), count);
    }

    #[test]
    fn prefixes_are_checked() {
        assert!(Keys::new("a-b_c.d:{e}").is_ok());
        for bad in ["", "a b", "é", "a*"] {
            assert!(Keys::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn names_are_checked_before_they_are_written() {
        let long = "q".repeat(201);
        for (check, good, bad) in [
            (check_job_id as fn(&str) -> _, vec!["a", "A-1_b"], vec!["", "a:b", "a b", "é", &long]),
            (
                check_queue_name,
                vec!["default", "a:b", "日本"],
                vec!["", "a,b", "x:intermediate", " a", "a\n", "{a}", &long],
            ),
            (check_group_name, vec!["g-1", "a, b:c", "日本"], vec!["", "a{b}", " a", "a\n", &long]),
            (check_worker_name, vec!["w1", "a.b:c"], vec!["", "w:executions", "a\tb", &long]),
            (
                check_limit_key,
                vec!["api", "a.b:c d", "日本"],
                vec!["", " a", "a\n", "{a}", "a:allowed", "a:rate_limited", &long],
            ),
            (
                check_function_name,
                vec!["f", "a.b_2.C", "тест"],
                vec!["", "a b", ".a", "a.", "a-b", "1a", "a\x1b"],
            ),
        ] {
            for name in good {
                assert_eq!(check(name), Ok(()), "{name:?}");
            }
            for name in bad {
                assert!(check(name).is_err(), "{name:?}");
            }
        }
    }
}
