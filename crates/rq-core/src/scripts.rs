//! The scripts: one file a transition, each atomic, fenced, and safe to send twice.
//!
//! Every `.lua` file begins with its contract: KEYS, ARGV, effect and result. What several transitions do in the same
//! way is a *part* (`scripts/parts`), put before the scripts that name it: a library of all parts would be loaded with
//! each. The functions here and in [`steps`](crate::steps) are the only callers.
//!
//! What its user may not run, a script says before its first write (the part `permission`): before most of them stands a
//! question for each command they name; those that run for each job ask for less, themselves.
//!
//! The first write of a script is a `redis.call`, or goes through `write` of the part `refusal`. A server that takes no
//! writes refuses that one, and the script fails as a whole, with Redis' own error, and has done nothing. What belongs to
//! one job is a `redis.pcall`, so that a key of a wrong type harms that job alone. An execution that `rq:wip` does not
//! hold is lost only if the part `fence` says so, too.
//!
//! The keys a script is told are those of the step, and in a cluster one more at their end, which no script looks at
//! (`sentry_of`). Most keys a script works with it makes itself: they share the slot of those it was told.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::sync::OnceLock;

use redis::Cmd;

use crate::keys::has_hash_tag;

/// What a sentry's name ends with: no key of RQ's does.
const SENTRY: &str = ":!sentry";

/// How every text begins. Scripts find keys in what they read, such as the dependents of a job, and the keys of all that
/// belongs to one are not known beforehand; Dragonfly lets only a script do so that says it there. To Redis and Valkey it
/// is a comment.
const DRAGONFLY: &str = "--!df flags=allow-undeclared-keys\n";

/// A script and what Redis knows it by.
pub(crate) struct Script {
    #[cfg(test)]
    name: &'static str,
    /// Its parts, in an order in which each comes after those that it needs.
    parts: &'static [&'static str],
    source: &'static str,
    whole: OnceLock<Whole>,
}

/// A script with its parts before it, and the digest of both.
struct Whole {
    text: String,
    digest: String,
}

macro_rules! parts {
    ($($constant:ident = $name:literal,)+) => {
        $(
            // Some are parts of workers' scripts alone.
            #[cfg_attr(not(feature = "worker"), allow(dead_code))]
            const $constant: &str = include_str!(concat!("scripts/parts/", $name, ".lua"));
        )+
    };
}

parts! {
    PERMISSION = "permission",
    REFUSAL = "refusal",
    FENCE = "fence",
    HISTORY = "history",
    LIFETIME = "lifetime",
    OVER = "over",
    PLACE = "place",
    RATE_LIMIT = "rate_limit",
    GROUP = "group",
    RELEASING = "release",
    REMOVE = "remove",
    LIFE = "life",
    CONCLUDE = "conclude",
    POST = "post",
    UNWRITTEN = "unwritten",
    WITHDRAW = "withdraw",
}

macro_rules! scripts {
    ($all:ident: $($constant:ident = $name:literal [$($part:ident),*],)+) => {
        $(pub(crate) static $constant: Script = Script {
            #[cfg(test)]
            name: $name,
            parts: &[$($part),*],
            source: include_str!(concat!("scripts/", $name, ".lua")),
            whole: OnceLock::new(),
        };)+
        static $all: &[&Script] = &[$(&$constant,)+];
    };
}

scripts! { OF_PRODUCERS:
    AWAIT_GROUP = "await_group" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, REMOVE, GROUP],
    CANCEL = "cancel" [REFUSAL, LIFETIME, OVER, PLACE, RATE_LIMIT, RELEASING, REMOVE, GROUP, WITHDRAW],
    DELETE = "delete" [REFUSAL, LIFETIME, OVER, PLACE, RATE_LIMIT, RELEASING, REMOVE, GROUP, WITHDRAW],
    EMPTY = "empty" [],
    ENQUEUE = "enqueue" [PERMISSION, LIFETIME, OVER],
    FILL_SLOTS = "fill_slots" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT],
    LET_END = "let_end" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, REMOVE, GROUP],
    NOTE_OPEN = "note_open" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, REMOVE, GROUP],
    RELEASE = "release" [REFUSAL, LIFETIME, OVER, PLACE, RATE_LIMIT, RELEASING, REMOVE],
    REQUEUE = "requeue" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, GROUP],
    SETTLE = "settle" [PERMISSION, REFUSAL, FENCE, LIFETIME, OVER, PLACE, RATE_LIMIT, RELEASING, REMOVE, GROUP, LIFE, CONCLUDE, POST],
    TIDY_GROUP = "tidy_group" [],
    WRITE_META = "write_meta" [],
}

#[cfg(feature = "worker")]
scripts! { OF_WORKERS:
    ABANDON = "abandon" [REFUSAL, FENCE, LIFETIME, OVER, PLACE, RATE_LIMIT, RELEASING, REMOVE, GROUP, LIFE, CONCLUDE, POST],
    BEGIN = "begin" [PERMISSION, REFUSAL, FENCE],
    BIRTH = "birth" [],
    BURY = "bury" [REFUSAL, FENCE],
    CLAIM = "claim" [PERMISSION, REFUSAL, LIFETIME, PLACE, REMOVE],
    DEATH = "death" [REFUSAL],
    DELIVER = "deliver" [REFUSAL],
    DUE = "due" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, UNWRITTEN],
    EXPIRE = "expire" [],
    FREE_SLOTS = "free_slots" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT],
    HEARTBEAT = "heartbeat" [REFUSAL, FENCE],
    LEAVE = "leave" [],
    LOOK_AT_GROUP = "look_at_group" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, REMOVE, GROUP],
    PERMISSIONS = "permissions" [PERMISSION],
    PICK_UP = "pick_up" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, REMOVE],
    PRUNE = "prune" [LIFETIME, UNWRITTEN],
    PUSH_READY = "push_ready" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT],
    PUT_BACK = "put_back" [REFUSAL, FENCE, LIFETIME, PLACE, REMOVE, LIFE],
    RENEW = "renew" [REFUSAL, FENCE],
    SAVE_META = "save_meta" [REFUSAL, FENCE, LIFETIME, PLACE, REMOVE, LIFE],
    TAKE = "take" [REFUSAL],
    TAKE_GROUPS = "take_groups" [REFUSAL, LIFETIME, PLACE, RATE_LIMIT, REMOVE, GROUP],
    TAKE_ROUND = "take_round" [],
    UNDEFER = "undefer" [REFUSAL, LIFETIME, OVER, PLACE, RATE_LIMIT, RELEASING],
}
#[cfg(not(feature = "worker"))]
static OF_WORKERS: &[&Script] = &[];

// Apart from those of workers: a worker without a cron is not to ask for what they need.
#[cfg(feature = "worker")]
scripts! { OF_CRON:
    ANNOUNCE = "announce" [],
    PAUSE = "pause" [],
    TICK = "tick" [LIFETIME, HISTORY],
    TRIGGER = "trigger" [LIFETIME, HISTORY],
}
#[cfg(not(feature = "worker"))]
static OF_CRON: &[&Script] = &[];

/// All scripts that this program may run.
fn all() -> impl Iterator<Item = &'static Script> {
    OF_PRODUCERS.iter().chain(OF_WORKERS).chain(OF_CRON).copied()
}

impl Script {
    /// The command that runs it with `keys`; arguments are added to it.
    pub(crate) fn invoke(&self, keys: &[impl AsRef<str>]) -> Cmd {
        let sentry = keys.first().and_then(|key| sentry_of(key.as_ref()));
        let keys = keys.iter().map(AsRef::as_ref).chain(sentry.as_deref());
        // The digest alone: the text goes over once, when Redis answers that it does not know the script
        // (`link/step.rs`).
        let mut cmd = redis::cmd("EVALSHA");
        cmd.arg(&self.whole().digest).arg(keys.clone().count());
        for key in keys {
            cmd.arg(key);
        }
        cmd
    }

    /// The commands that it may run, with those of its parts.
    fn commands(&self) -> BTreeSet<&'static str> {
        self.parts.iter().chain([&self.source]).flat_map(|text| commands_in(text)).collect()
    }

    /// A script begins with its name.
    #[cfg(any(feature = "worker", test))]
    fn own_name(&self) -> Option<&'static str> {
        self.source.strip_prefix("-- ")?.split(':').next()
    }

    /// What asks for all of them before anything else is done; nothing where the script asks itself.
    fn preflight(&self) -> String {
        let mut text = String::new();
        if self.parts.contains(&PERMISSION) {
            return text;
        }
        text.push_str(PERMISSION);
        for command in self.commands() {
            // Which key does not matter: a user has a command or lacks it.
            let _ = writeln!(text, "need('{command}', KEYS[1])");
        }
        text
    }

    fn whole(&self) -> &Whole {
        self.whole.get_or_init(|| {
            let text = [DRAGONFLY, &self.preflight(), &self.parts.concat(), self.source].concat();
            let digest = redis::Script::new(&text).get_hash().to_owned();
            Whole { text, digest }
        })
    }
}

/// A key in the slot of `key` that never is there; none where the keys have no hash tag, as they then cannot be a cluster's.
///
/// While a slot moves to another node, its node runs a script whose keys it has, and refuses one that names a key it lacks
/// (`ASK`, `TRYAGAIN`). A script that was let in fails halfway, at the first key of its own making that has moved already.
/// With this key among its keys none is let in until all have moved.
fn sentry_of(key: &str) -> Option<String> {
    has_hash_tag(key).then(|| format!("{key}{SENTRY}"))
}

/// The commands of all scripts that workers run.
#[cfg(feature = "worker")]
pub(crate) fn commands_of_workers() -> BTreeSet<&'static str> {
    let shared = [&LET_END, &NOTE_OPEN, &RELEASE, &SETTLE, &TIDY_GROUP];
    OF_WORKERS.iter().copied().chain(shared).flat_map(Script::commands).collect()
}

/// The commands of the script of that name; `None` where there is none.
#[cfg(feature = "worker")]
pub(crate) fn commands_of(name: &str) -> Option<BTreeSet<&'static str>> {
    all().find(|script| script.own_name() == Some(name)).map(Script::commands)
}

/// What stands before the name of a command in a script.
const CALLERS: [&str; 5] = ["redis.call", "redis.pcall", "ask", "write", "need"];
/// The end of a name whose first letter is decided in the script.
const PUSH: &str = "'PUSH'";

/// The commands that a script names.
fn commands_in(text: &'static str) -> impl Iterator<Item = &'static str> {
    let named = text.match_indices("('").filter_map(|(at, opening)| {
        let is_called = CALLERS.iter().any(|caller| text[..at].ends_with(caller));
        let name = text[at + opening.len()..].split('\'').next()?;
        Some(name).filter(|_| is_called)
    });
    let pushes = if text.contains(PUSH) { &["LPUSH", "RPUSH"][..] } else { &[] };
    named.chain(pushes.iter().copied())
}

/// The text of the script that Redis knows by `digest`.
pub(crate) fn text_of(digest: &[u8]) -> Option<&'static str> {
    Some(&by_digest(digest)?.whole().text)
}

/// The command in a line, from 1, of the script that Redis knows by `digest`; both where the script decides between two.
pub(crate) fn command_at(digest: &[u8], line: usize) -> Option<String> {
    let commands: Vec<&str> = commands_in(text_of(digest)?.lines().nth(line.checked_sub(1)?)?).collect();
    Some(commands.join(" or ")).filter(|named| !named.is_empty())
}

/// The name of the script that Redis knows by `digest`.
#[cfg(any(feature = "worker", test))]
pub(crate) fn name_of(digest: &[u8]) -> Option<&'static str> {
    by_digest(digest)?.own_name()
}

fn by_digest(digest: &[u8]) -> Option<&'static Script> {
    all().find(|script| script.whole().digest.as_bytes() == digest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_script_states_its_contract_and_names_no_engine() {
        for script in all() {
            let header: Vec<&str> = script.source.lines().take_while(|line| line.starts_with("--")).collect();
            let header = header.join("\n");
            for part in [
                &format!("-- {}: ", script.name),
                "-- KEYS",
                "-- ARGV",
                "-- Effect",
                "-- Result",
                "-- Re-send",
            ] {
                assert!(header.contains(part), "{}.lua: no {part:?} in its header", script.name);
            }
            assert!(script.whole().text.starts_with("--!df "), "{}.lua", script.name);
            // A `#!lua` line is a syntax error before Redis 7 and makes scripts refused at maxmemory since.
            assert!(!script.whole().text.contains("#!"), "{}.lua", script.name);
        }
    }

    /// A command that is called in another way would be asked for by nobody.
    #[test]
    fn every_call_names_its_command() {
        let known =
            ["(...)", "(command, key, ...)", "(unpack(words))", "(side .. 'PUSH'", "(place .. 'PUSH'"];
        for script in all() {
            for text in script.parts.iter().chain([&script.source]) {
                for (at, call) in
                    ["redis.call", "redis.pcall"].iter().flat_map(|call| text.match_indices(call))
                {
                    let rest = &text[at + call.len()..];
                    let name = rest.strip_prefix("('").and_then(|rest| rest.split('\'').next());
                    let is_named = name.is_some_and(|name| script.commands().contains(name));
                    let in_prose = !rest.starts_with('(');
                    let is_known = known.iter().any(|known| rest.starts_with(known));
                    assert!(is_named || is_known || in_prose, "{}: {:.40}", script.name, rest);
                }
            }
        }
    }

    #[cfg(feature = "worker")]
    #[test]
    fn a_script_asks_for_all_that_it_runs_or_does_so_itself() {
        let due = DUE.preflight();
        assert!(due.contains("need('TIME', KEYS[1])") && due.contains("need('RPUSH', KEYS[1])"), "{due}");
        for script in [&BEGIN, &CLAIM, &ENQUEUE, &PERMISSIONS, &SETTLE] {
            assert_eq!(script.preflight(), "");
        }
    }

    #[test]
    fn only_keys_of_a_cluster_have_a_sentry() {
        for (key, expected) in [
            ("rq:queues", None),
            ("rq:job:{}", None),
            ("rq:job:a}b{c", None),
            ("{app}:rq:queues", Some("{app}:rq:queues:!sentry")),
        ] {
            assert_eq!(sentry_of(key).as_deref(), expected, "{key}");
        }
        let count = |key: &str| match ENQUEUE.invoke(&[key]).args_iter().nth(2) {
            Some(redis::Arg::Simple(count)) => count.to_vec(),
            _ => Vec::new(),
        };
        assert_eq!((count("rq:a"), count("{rq}:a")), (b"1".to_vec(), b"2".to_vec()));
    }

    #[test]
    fn a_script_is_known_by_its_digest() {
        for script in all() {
            let invocation = script.invoke(&["key"]);
            let Some(redis::Arg::Simple(digest)) = invocation.args_iter().nth(1) else { panic!("no digest") };
            assert_eq!(name_of(digest), Some(script.name));
        }
        assert_eq!(name_of(b"0000"), None);
    }
}
