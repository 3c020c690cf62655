//! What a worker needs of its user: which commands, on which keys, over which channel.

use std::collections::BTreeSet;

use redis::Value as Reply;

use crate::error::Error;
use crate::link::{Answers, Step};
use crate::scripts;
use crate::steps::worker::Identity;
use crate::steps::{exactly, read};

/// The commands that a worker sends itself and cannot do without; the scripts name theirs.
const SENT: &[&str] = &["EVAL", "EVALSHA", "HGETALL", "SUBSCRIBE"];

/// The commands that a worker can do without; what is lost then is in docs/operations.md.
pub const OPTIONAL: &[&str] = &[
    "ACL|WHOAMI",
    "BLMOVE",
    "CLIENT|INFO",
    "CLIENT|SETNAME",
    "CLIENT|TRACKING",
    "CONFIG|GET",
    "INFO",
    "LLEN",
    "PING",
    "PUBSUB|NUMSUB",
];

/// What follows a command and its key so that running it changes nothing: it fails by this, or finds nothing.
const HARMLESS: &[(&str, &[&str])] = &[
    ("DEL", &[]),
    ("EXISTS", &[]),
    ("EXPIRE", &["1"]),
    ("GET", &[]),
    ("HEXISTS", &["f"]),
    ("HGET", &["f"]),
    ("HGETALL", &[]),
    ("HINCRBY", &["f", "x"]),
    ("HINCRBYFLOAT", &["f", "x"]),
    ("HMGET", &["f"]),
    ("HSET", &["f", "v", "g"]),
    ("LPOP", &[]),
    ("LPOS", &["e"]),
    ("LRANGE", &["0", "0"]),
    ("LREM", &["0", "e"]),
    ("PERSIST", &[]),
    ("PTTL", &[]),
    ("SCARD", &[]),
    ("SET", &["v", "EX", "x"]),
    ("SISMEMBER", &["m"]),
    ("SMEMBERS", &[]),
    ("SPOP", &[]),
    ("SREM", &["m"]),
    ("SSCAN", &["0"]),
    ("TTL", &[]),
    ("XADD", &["MAXLEN", "~", "x", "*", "f", "v"]),
    ("XREVRANGE", &["+", "-", "COUNT", "1"]),
    ("ZADD", &["x", "m"]),
    ("ZCARD", &[]),
    ("ZCOUNT", &["0", "1"]),
    ("ZMSCORE", &["m"]),
    ("ZPOPMIN", &[]),
    ("ZRANGE", &["0", "0"]),
    ("ZRANGEBYSCORE", &["0", "1"]),
    ("ZREM", &["m"]),
    ("ZSCAN", &["0"]),
    ("ZSCORE", &["m"]),
    // These write into a key that nobody else has, which the script deletes.
    ("LPUSH", &["e"]),
    ("RPUSH", &["e"]),
    ("SADD", &["m"]),
];

/// What a worker may not use and needs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Lack {
    /// A command that its user may not run.
    Command(String),
    /// A command that the server does not have, or has renamed.
    Unknown(String),
    /// A key that its user may not read and write.
    Key(String),
    /// A channel that its user may not listen to.
    Channel(String),
}

/// What a worker's user lacks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permissions {
    /// Who it is; `None` where Redis does not say.
    pub user: Option<String>,
    /// What it lacks.
    pub lacks: BTreeSet<Lack>,
    /// Whether the server tells scripts who may do what (Redis 7). Where it does not, nobody has asked for the channel.
    pub is_complete: bool,
}

/// What one question is about.
#[derive(Clone, Copy)]
enum About {
    Command,
    Key,
    Channel,
}

struct Question {
    about: About,
    words: Vec<String>,
}

/// The commands that a worker cannot do without: those that its scripts name, and those that it sends.
pub fn needed() -> BTreeSet<&'static str> {
    scripts::commands_of_workers().into_iter().chain(SENT.iter().copied()).collect()
}

/// The commands of the script of that name; `None` where there is none.
pub fn of_script(name: &str) -> Option<BTreeSet<&'static str>> {
    scripts::commands_of(name)
}

fn questions(who: &Identity, queues: &[String], scratch: &str) -> Vec<Question> {
    let commands = needed().into_iter().map(|command| question_of(who, command, scratch));
    // Reads and writes, and fails by its arguments where it is run.
    let keys = keys(who, queues).into_iter().map(|key| {
        let words = ["SET", &key, "v", "EX", "x"].map(str::to_owned).to_vec();
        Question { about: About::Key, words }
    });
    commands.chain(keys).collect()
}

fn question_of(who: &Identity, command: &str, scratch: &str) -> Question {
    let channel = who.keys.pubsub(&who.name);
    let (about, args): (About, Vec<&str>) = match command {
        "EVAL" => (About::Command, vec!["return 1", "0"]),
        "EVALSHA" => (About::Command, vec!["0", "0"]),
        "TIME" => (About::Command, vec![]),
        "SUBSCRIBE" => (About::Channel, vec![&channel]),
        command => {
            let more = HARMLESS.iter().find(|(name, _)| *name == command).map_or(&[][..], |(_, more)| more);
            (About::Command, [&[scratch], more].concat())
        }
    };
    let words = [command].into_iter().chain(args).map(str::to_owned).collect();
    Question { about, words }
}

/// One of each kind of key that a worker uses.
fn keys(who: &Identity, queues: &[String]) -> Vec<String> {
    const ID: &str = "0";
    let (keys, name) = (&who.keys, who.name.as_str());
    let of_all = [
        keys.queues(),
        keys.job(ID),
        keys.dependents(ID),
        keys.dependencies(ID),
        keys.results(ID),
        keys.execution(ID, ID),
        keys.executions(ID),
        keys.workers(),
        keys.worker(name),
        keys.worker_executions(name),
        keys.claims(name),
        keys.unbegun(name),
        keys.suspended(),
        keys.leases(),
        keys.maintained_at_large(),
        keys.scheduler(name),
        keys.groups(),
        keys.group(ID),
        keys.rate_limits(),
        keys.rate_limit(ID),
        keys.rate_limit_allowed(ID),
        keys.rate_limit_waiting(ID),
        keys.outbox(ID),
        keys.outbox_entry(ID),
    ];
    let of_queues = queues.iter().flat_map(|queue| {
        [
            keys.queue(queue),
            keys.intermediate(queue),
            keys.wip(queue),
            keys.finished(queue),
            keys.failed(queue),
            keys.deferred(queue),
            keys.ready(queue),
            keys.scheduled(queue),
            keys.canceled(queue),
            keys.queue_workers(queue),
            keys.scheduler_lock(queue),
            keys.maintained(queue),
        ]
    });
    of_all.into_iter().chain(of_queues).collect()
}

/// Asks what the worker's user lacks. Nothing is changed.
pub fn permissions(who: &Identity, queues: &[String]) -> Step<Permissions> {
    const NAME: &str = "permissions";
    // Behind a key of the worker's own, so that whoever may use that one may use this one.
    let scratch = format!("{}:permissions", who.keys.worker(&who.name));
    let questions = questions(who, queues, &scratch);
    let mut cmd = scripts::PERMISSIONS.invoke(&[&scratch]);
    for Question { words, .. } in &questions {
        cmd.arg(words.len()).arg(words);
    }
    let mut pipeline = redis::pipe();
    pipeline.add_command(cmd);
    // A script cannot try this one, and it has run by then, or the one that is kept has.
    pipeline.cmd("EVAL").arg("return 1").arg(0);
    pipeline.cmd("ACL").arg("WHOAMI");
    Step::new(NAME, pipeline, move |answers: Answers| {
        let [answers, eval, user] = exactly(NAME, answers)?;
        let answers: Vec<String> = read(NAME, answers)?;
        let _: Reply = eval?;
        let is_complete = !answers.iter().any(|answer| answer == "unasked");
        let lacks = questions.iter().zip(answers).filter_map(|(question, answer)| question.lack(&answer));
        Ok(Permissions { user: read(NAME, user).ok(), lacks: lacks.collect(), is_complete })
    })
}

impl Question {
    fn lack(&self, answer: &str) -> Option<Lack> {
        let (command, of) = (self.words[0].clone(), || self.words[1].clone());
        match (self.about, answer) {
            (_, "unknown") => Some(Lack::Unknown(command)),
            (About::Command | About::Channel, "command") => Some(Lack::Command(command)),
            (About::Key, "key") => Some(Lack::Key(of())),
            (About::Channel, "channel") => Some(Lack::Channel(of())),
            // The question for the command, or the one for the key, tells.
            _ => None,
        }
    }
}

/// What is missing by the error with which Redis has refused a command of the worker's.
pub fn lack_in(error: &Error, who: &Identity) -> Option<Lack> {
    let Error::Redis(error) = error else { return None };
    let text = error.to_string();
    let refusal = text.strip_prefix("NOPERM")?;
    if refusal.contains("channel") {
        return Some(Lack::Channel(who.keys.pubsub(&who.name)));
    }
    if refusal.contains("access") {
        return Some(Lack::Key(format!("{}:*", who.keys.prefix())));
    }
    let name = refusal.split_once("the '")?.1.split_once("' command")?.0;
    Some(Lack::Command(name.replace('|', " ").to_uppercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_a_harmless_way_to_run_every_command() {
        let spelled_out = ["EVAL", "EVALSHA", "SUBSCRIBE", "TIME"];
        for command in needed() {
            let count = HARMLESS.iter().filter(|(name, _)| *name == command).count();
            assert_eq!(count + usize::from(spelled_out.contains(&command)), 1, "{command}");
        }
        for (command, _) in HARMLESS {
            assert!(needed().contains(command), "{command} is asked for and needed by nobody");
        }
    }
}
