//! [`Trouble`]: what befalls a Redis for a while, by real means.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use redis::{Connection, FromRedisValue, RedisResult};

use crate::{Clock, Gateway, PrivateRedis, Signal, eventually};

/// What can befall a Redis, or the way to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Trouble {
    /// It is made the replica of a master that is not there: `READONLY`.
    ReadOnly,
    /// The same, where it may not answer from what it has: `MASTERDOWN`, even to `PING`.
    MasterDown,
    /// It cannot write its snapshots: `MISCONF`.
    Misconf,
    /// It wants a replica that it does not have: `NOREPLICAS`.
    NoReplicas,
    /// The workers' user may not write any more: `NOPERM`, and `ERR` for what a script does.
    NoPerm,
    /// The workers' password is another one, and they have to log in again: `WRONGPASS`.
    WrongPass,
    /// Everybody needs a password all at once, and has to connect again: `NOAUTH`.
    NoAuth,
    /// It was restarted, and the workers' user is created later: `WRONGPASS`.
    NoUser,
    /// It is full: `OOM`. What scripts of workers write is allowed all the same.
    Full,
    /// Somebody's script runs without end: `BUSY`.
    Busy,
    /// It was killed, and reads what it has kept: `LOADING`.
    Loading,
    /// It does not answer, and connections to it are made all the same (`SIGSTOP`).
    Frozen,
    /// It was killed, and is restarted at the end with all it has kept.
    Killed,
    /// Nothing gets through to it, and nobody is told. At the end new connections work; those that were open never do.
    Partition,
    /// Another one has become the master, and it is that one's replica: `READONLY`. Its name leads to the new master at the
    /// end; connections that are open stay with the old one.
    Failover,
    /// Its clock jumps ahead by 15 s, at the beginning and at the end.
    Clock,
}

/// Whoever the workers are. Tests are another user, who may do everything at any time.
const WORKER: &str = "worker";
const PASSWORD: &str = "secret";
/// Options that make the users; `default` needs no password.
const USER_TESTS: &[&str] = &["--user", "tests", "on", ">tests", "~*", "&*", "+@all"];
const USER_WORKER: &[&str] = &["--user", WORKER, "on", ">secret", "~*", "&*", "+@all"];
/// Where nothing is.
const NO_MASTER: &[&str] = &["REPLICAOF", "127.0.0.1", "1"];

/// How long Redis may take for what it was asked.
const SOON: Duration = Duration::from_secs(10);
/// How far a clock jumps: beyond the default lease.
const JUMP: Duration = Duration::from_secs(15);
/// After how long a script makes a Redis busy, and after how long it does usually.
const BUSY_AFTER_MS: &str = "10";
const BUSY_AFTER_USUALLY_MS: &str = "5000";
/// Its name since 2.6; servers since 7.0 have another one besides.
const BUSY_AFTER: &str = "lua-time-limit";
/// What takes a Redis long to load: keys each of which takes so long. It answers after so many bytes.
const SLOWLY: &[&str] = &["--key-load-delay", "100000"];
const ANSWER_AFTER: &str = "loading-process-events-interval-bytes";
const ANSWER_AFTER_BYTES: &str = "1024";
/// How many, and how long ones: longer than those bytes, so that it answers between two of them, for 100 s.
const FILLERS: (usize, usize) = (1_000, 1_200);
/// The same for a Redis before 7.0, which answers after 2 MiB, whatever it is told: after every third of them, for 6 s.
const LARGE_FILLERS: (usize, usize) = (60, 700_000);

impl Trouble {
    /// All there are.
    pub const ALL: [Self; 16] = [
        Self::ReadOnly,
        Self::MasterDown,
        Self::Misconf,
        Self::NoReplicas,
        Self::NoPerm,
        Self::WrongPass,
        Self::NoAuth,
        Self::NoUser,
        Self::Full,
        Self::Busy,
        Self::Loading,
        Self::Frozen,
        Self::Killed,
        Self::Partition,
        Self::Failover,
        Self::Clock,
    ];

    /// Its name: `readonly`.
    pub fn name(self) -> &'static str {
        match self {
            Self::ReadOnly => "readonly",
            Self::MasterDown => "masterdown",
            Self::Misconf => "misconf",
            Self::NoReplicas => "noreplicas",
            Self::NoPerm => "noperm",
            Self::WrongPass => "wrongpass",
            Self::NoAuth => "noauth",
            Self::NoUser => "nouser",
            Self::Full => "full",
            Self::Busy => "busy",
            Self::Loading => "loading",
            Self::Frozen => "frozen",
            Self::Killed => "killed",
            Self::Partition => "partition",
            Self::Failover => "failover",
            Self::Clock => "clock",
        }
    }

    /// Whether workers can do nothing with Redis while it lasts.
    pub fn stops_work(self) -> bool {
        !matches!(self, Self::Full | Self::Clock)
    }

    /// A Redis that it can befall. Nothing ails it yet.
    ///
    /// # Panics
    /// As [`PrivateRedis::start`].
    pub fn redis(self) -> TroubledRedis {
        let users =
            if self == Self::NoUser { USER_TESTS.to_vec() } else { [USER_TESTS, USER_WORKER].concat() };
        let options = |more: &[&'static str]| [&users, more].concat();
        let clock = (self == Self::Clock).then(Clock::new);
        let server = match self {
            Self::Clock => PrivateRedis::with_clock(clock.as_ref().expect("it was made"), &options(&[])),
            Self::Killed | Self::NoUser => PrivateRedis::lasting(&options(&[])),
            Self::Loading => PrivateRedis::lasting(&options(&["--rdbcompression", "no"])),
            Self::Failover => PrivateRedis::start(&options(&["--repl-diskless-sync-delay", "0"])),
            _ => PrivateRedis::start(&options(&[])),
        };
        let gateway = matches!(self, Self::Partition | Self::Failover).then(|| Gateway::to(server.address()));
        let heir = (self == Self::Failover).then(|| heir_of(&server, &users));
        let redis = TroubledRedis { trouble: self, server, gateway, heir, clock, script: None };
        if self == Self::NoUser {
            redis.create_worker();
        }
        redis
    }
}

/// A replica that has all its master has.
fn heir_of(master: &PrivateRedis, users: &[&str]) -> PrivateRedis {
    let (host, port) = (master.address().ip().to_string(), master.address().port().to_string());
    let heir = PrivateRedis::start(&[users, &["--replicaof", &host, &port]].concat());
    eventually("the replica to be in step", SOON, || {
        info(&mut master.connection(), "replication").contains("state=online").then_some(())
    });
    heir
}

/// A Redis and its trouble. Dropping it ends both.
pub struct TroubledRedis {
    trouble: Trouble,
    server: PrivateRedis,
    gateway: Option<Gateway>,
    heir: Option<PrivateRedis>,
    clock: Option<Clock>,
    /// What runs the script without end.
    script: Option<JoinHandle<()>>,
}

impl TroubledRedis {
    /// How tests reach it. For [`Scratch::on`](crate::Scratch::on): it leads to wherever the data is.
    pub fn url(&self) -> String {
        format!("redis://tests:tests@{}/", self.address())
    }

    /// How workers, and whoever else suffers from the trouble, reach it.
    pub fn worker_url(&self) -> String {
        match self.trouble {
            Trouble::NoAuth => format!("redis://{}/", self.address()),
            _ => format!("redis://{WORKER}:{PASSWORD}@{}/", self.address()),
        }
    }

    /// Does what takes time and no effect yet, so that the trouble then begins at once.
    pub fn prepare(&mut self) {
        match self.trouble {
            Trouble::Loading => self.fill(),
            Trouble::Misconf => fs::create_dir(self.snapshot()).expect("a server's folder can be written to"),
            _ => {}
        }
    }

    /// Begins the trouble, once it was [prepared](TroubledRedis::prepare); it is felt when this returns.
    pub fn begin(&mut self) {
        match self.trouble {
            Trouble::ReadOnly => self.tell(&[NO_MASTER]),
            Trouble::MasterDown => {
                self.tell(&[&["CONFIG", "SET", "replica-serve-stale-data", "no"], NO_MASTER])
            }
            Trouble::Misconf => {
                self.tell(&[&["CONFIG", "SET", "save", "3600 1000000"], &["BGSAVE"]]);
                self.wait_for("persistence", "rdb_last_bgsave_status:err");
            }
            Trouble::NoReplicas => self.tell(&[&["CONFIG", "SET", "min-replicas-to-write", "1"]]),
            Trouble::NoPerm => self.tell(&[&["ACL", "SETUSER", WORKER, "-@write"]]),
            Trouble::WrongPass => self.tell(&[
                &["ACL", "SETUSER", WORKER, "resetpass", ">another"],
                &["CLIENT", "KILL", "USER", WORKER],
            ]),
            Trouble::NoAuth => self
                .tell(&[&["CONFIG", "SET", "requirepass", PASSWORD], &["CLIENT", "KILL", "USER", "default"]]),
            Trouble::NoUser => self.server.restart(),
            Trouble::Full => self.tell(&[&["CONFIG", "SET", "maxmemory", "1"]]),
            Trouble::Busy => self.run_endless_script(),
            Trouble::Loading => self.restart_slowly(),
            Trouble::Frozen => self.server.signal(Signal::SIGSTOP),
            Trouble::Killed => self.server.kill(),
            Trouble::Partition => {
                self.gateway().lead_nowhere();
                self.gateway().silence();
            }
            Trouble::Failover => {
                self.tell(&[&["FAILOVER"]]);
                self.wait_for("replication", "role:slave");
                self.wait_for_heir();
            }
            Trouble::Clock => self.clock().jump(JUMP),
        }
    }

    /// Ends it: Redis takes everything again when this returns.
    pub fn end(&mut self) {
        match self.trouble {
            Trouble::ReadOnly => self.tell(&[&["REPLICAOF", "NO", "ONE"]]),
            Trouble::MasterDown => self
                .tell(&[&["REPLICAOF", "NO", "ONE"], &["CONFIG", "SET", "replica-serve-stale-data", "yes"]]),
            Trouble::Misconf => {
                fs::remove_dir(self.snapshot()).expect("it was made at the beginning");
                self.tell(&[&["BGSAVE"]]);
                self.wait_for("persistence", "rdb_last_bgsave_status:ok");
                self.tell(&[&["CONFIG", "SET", "save", ""]]);
            }
            Trouble::NoReplicas => self.tell(&[&["CONFIG", "SET", "min-replicas-to-write", "0"]]),
            Trouble::NoPerm => self.tell(&[&["ACL", "SETUSER", WORKER, "+@write"]]),
            Trouble::WrongPass => self.tell(&[&["ACL", "SETUSER", WORKER, "resetpass", ">secret"]]),
            Trouble::NoAuth => self.tell(&[&["CONFIG", "SET", "requirepass", ""]]),
            Trouble::NoUser => {
                self.wait_until_ready();
                self.create_worker();
            }
            Trouble::Full => self.tell(&[&["CONFIG", "SET", "maxmemory", "0"]]),
            Trouble::Busy => self.end_script(),
            Trouble::Loading => {
                // A Redis before 7.0 takes no settings while it loads; it is done soon.
                let told =
                    ask::<redis::Value>(&mut self.connection(), &["CONFIG", "SET", "key-load-delay", "0"]);
                drop(told);
                self.wait_until_ready();
            }
            Trouble::Frozen => self.server.signal(Signal::SIGCONT),
            Trouble::Killed => {
                self.server.restart();
                self.wait_until_ready();
            }
            Trouble::Partition => self.gateway().lead_to(self.server.address()),
            Trouble::Failover => {
                let heir = self.heir.as_ref().expect("it was started with the master");
                self.gateway().lead_to(heir.address());
            }
            Trouble::Clock => self.clock().jump(JUMP),
        }
    }

    fn address(&self) -> SocketAddr {
        self.gateway.as_ref().map_or(self.server.address(), Gateway::address)
    }

    fn gateway(&self) -> &Gateway {
        self.gateway.as_ref().expect("this trouble is on the way to the server")
    }

    fn clock(&self) -> &Clock {
        self.clock.as_ref().expect("this trouble is one of the clock")
    }

    /// A connection of the tests' to the server itself.
    fn connection(&self) -> Connection {
        crate::scratch::connect(&format!("redis://tests:tests@{}/", self.server.address()))
    }

    fn tell(&self, commands: &[&[&str]]) {
        let mut connection = self.connection();
        for words in commands {
            let told = ask::<redis::Value>(&mut connection, words);
            told.unwrap_or_else(|error| panic!("{}: {error}", words.join(" ")));
        }
    }

    fn wait_for(&self, section: &str, part: &str) {
        let mut connection = self.connection();
        eventually(part, SOON, || info(&mut connection, section).contains(part).then_some(()));
    }

    /// Waits until the heir has taken over.
    fn wait_for_heir(&self) {
        let mut connection = self.heir.as_ref().expect("it was started with the master").connection();
        eventually("the replica to be the master", SOON, || {
            let info = ["replication", "persistence"].map(|section| info(&mut connection, section)).concat();
            (info.contains("role:master") && info.contains("loading:0")).then_some(())
        });
    }

    fn wait_until_ready(&self) {
        let mut connection = self.connection();
        eventually("a server that is ready", SOON, || ask::<String>(&mut connection, &["PING"]).ok());
    }

    fn create_worker(&self) {
        self.tell(&[&["ACL", "SETUSER", WORKER, "on", ">secret", "~*", "&*", "+@all"]]);
    }

    /// Where it writes its snapshot, unless something is in the way.
    fn snapshot(&self) -> PathBuf {
        let asked = ask::<[String; 2]>(&mut self.connection(), &["CONFIG", "GET", "dir"]);
        let [_, folder] = asked.expect("CONFIG GET dir");
        PathBuf::from(folder).join("dump.rdb")
    }

    /// Gives it a lot to load.
    fn fill(&self) {
        let (count, bytes) = if self.answers_when_told() { FILLERS } else { LARGE_FILLERS };
        let mut connection = self.connection();
        let mut fillers = redis::pipe();
        for number in 0..count {
            fillers.set(format!("filler:{number}"), vec![b'x'; bytes]).ignore();
        }
        fillers.exec(&mut connection).expect("it takes writes");
        // What is loaded slowly is a file of this format, not the log of commands.
        self.tell(&[&["BGREWRITEAOF"]]);
        eventually("a compact file", SOON, || {
            let info = info(&mut connection, "persistence");
            let is_done = ["aof_rewrite_in_progress:0", "aof_rewrite_scheduled:0"];
            is_done.iter().all(|part| info.contains(part)).then_some(())
        });
    }

    fn restart_slowly(&mut self) {
        let told = [&format!("--{ANSWER_AFTER}"), ANSWER_AFTER_BYTES];
        let told = if self.answers_when_told() { &told[..] } else { &[] };
        self.server.restart_with(&[SLOWLY, told].concat());
    }

    /// Whether it can be told how often it is to answer while it loads.
    fn answers_when_told(&self) -> bool {
        let option: Vec<String> =
            ask(&mut self.connection(), &["CONFIG", "GET", ANSWER_AFTER]).expect("CONFIG GET");
        !option.is_empty()
    }

    fn run_endless_script(&mut self) {
        self.tell(&[&["CONFIG", "SET", BUSY_AFTER, BUSY_AFTER_MS]]);
        let mut connection = self.connection();
        connection.set_read_timeout(None).expect("no limit is a good one");
        self.script = Some(thread::spawn(move || {
            // It ends with an error: when it is killed, or the server is.
            let _ = ask::<redis::Value>(&mut connection, &["EVAL", "while true do end", "0"]);
        }));
        let mut connection = self.connection();
        eventually("a busy server", SOON, || ask::<String>(&mut connection, &["PING"]).err());
    }

    fn end_script(&mut self) {
        self.tell(&[&["SCRIPT", "KILL"]]);
        self.wait_until_ready();
        self.tell(&[&["CONFIG", "SET", BUSY_AFTER, BUSY_AFTER_USUALLY_MS]]);
        if let Some(script) = self.script.take() {
            script.join().expect("it only sends a command");
        }
    }
}

fn ask<T: FromRedisValue>(connection: &mut Connection, words: &[&str]) -> RedisResult<T> {
    redis::cmd(words[0]).arg(&words[1..]).query(connection)
}

/// A section of what the server says of itself; empty while it says nothing.
fn info(connection: &mut Connection, section: &str) -> String {
    ask(connection, &["INFO", section]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch;

    /// What a worker sends, and what it is answered.
    #[derive(Debug, PartialEq)]
    struct Answers {
        write: String,
        write_in_script: String,
        read: String,
    }

    /// How long an answer may take that comes.
    const ANSWER_LIMIT: Duration = Duration::from_millis(500);

    fn answers(redis: &TroubledRedis) -> Answers {
        let ask = |words: &[&str]| {
            let ask = || -> RedisResult<redis::Value> {
                let client = redis::Client::open(redis.worker_url())?;
                let mut connection = client.get_connection_with_timeout(ANSWER_LIMIT)?;
                connection.set_read_timeout(Some(ANSWER_LIMIT))?;
                ask(&mut connection, words)
            };
            match ask() {
                Ok(_) => "ok".to_owned(),
                Err(error) if refused_in_script(&error).is_some() => {
                    refused_in_script(&error).unwrap_or_default()
                }
                Err(error) if error.code().is_some() => error.code().unwrap_or_default().to_owned(),
                Err(error) if error.is_timeout() => "timeout".to_owned(),
                Err(error) if error.is_io_error() => "broken".to_owned(),
                Err(error) => format!("{:?}", error.kind()),
            }
        };
        let write = ask(&["SET", "k", "v"]);
        if write == "timeout" {
            // Nothing else is answered, either.
            return Answers { write: write.clone(), write_in_script: write.clone(), read: write };
        }
        let write_in_script = ask(&["EVAL", "return redis.call('SET', 'k', 'v')", "0"]);
        Answers { write, write_in_script, read: ask(&["GET", "k"]) }
    }

    /// The code of what a script's command was answered, which a Redis before 7.0 wraps up: `ERR Error running script (..):
    /// @user_script:1: @user_script: 1: -OOM ..`.
    fn refused_in_script(error: &redis::RedisError) -> Option<String> {
        let (_, refused) = error.detail()?.split_once("@user_script: 1: -")?;
        refused.split(' ').next().map(str::to_owned)
    }

    fn check(trouble: Trouble, write: &str, write_in_script: &str, read: &str) {
        let mut redis = trouble.redis();
        let answer = |text: &str| text.to_owned();
        let good = Answers { write: answer("ok"), write_in_script: answer("ok"), read: answer("ok") };
        assert_eq!(answers(&redis), good, "{} before", trouble.name());
        let mut witness = scratch::connect(&redis.url());
        ask::<()>(&mut witness, &["SET", "before", "1"]).unwrap();
        redis.prepare();
        assert_eq!(answers(&redis), good, "{} when prepared", trouble.name());
        redis.begin();
        let expected =
            Answers { write: answer(write), write_in_script: answer(write_in_script), read: answer(read) };
        assert_eq!(answers(&redis), expected, "{}", trouble.name());
        redis.end();
        assert_eq!(answers(&redis), good, "{} after", trouble.name());
        let kept: Option<u64> = ask(&mut scratch::connect(&redis.url()), &["GET", "before"]).unwrap();
        assert_eq!(kept, Some(1), "{}", trouble.name());
    }

    macro_rules! troubles {
        ($($name:ident: $trouble:ident, $write:literal, $script:literal, $read:literal;)+) => {
            $(#[test]
            fn $name() {
                check(Trouble::$trouble, $write, $script, $read);
            })+
        };
    }

    troubles! {
        readonly: ReadOnly, "READONLY", "READONLY", "ok";
        masterdown: MasterDown, "READONLY", "MASTERDOWN", "MASTERDOWN";
        misconf: Misconf, "MISCONF", "MISCONF", "ok";
        noreplicas: NoReplicas, "NOREPLICAS", "NOREPLICAS", "ok";
        noperm: NoPerm, "NOPERM", "ERR", "ok";
        wrongpass: WrongPass, "AuthenticationFailed", "AuthenticationFailed", "AuthenticationFailed";
        noauth: NoAuth, "NOAUTH", "NOAUTH", "NOAUTH";
        nouser: NoUser, "AuthenticationFailed", "AuthenticationFailed", "AuthenticationFailed";
        full: Full, "OOM", "OOM", "ok";
        busy: Busy, "BUSY", "BUSY", "BUSY";
        loading: Loading, "LOADING", "LOADING", "LOADING";
        frozen: Frozen, "timeout", "timeout", "timeout";
        killed: Killed, "broken", "broken", "broken";
        partition: Partition, "timeout", "timeout", "timeout";
        failover: Failover, "READONLY", "READONLY", "ok";
        clock: Clock, "ok", "ok", "ok";
    }

    #[test]
    fn names_are_of_one_trouble_each() {
        let names: std::collections::BTreeSet<_> =
            Trouble::ALL.iter().map(|trouble| trouble.name()).collect();
        assert_eq!(names.len(), Trouble::ALL.len());
    }
}
