//! A key space for one test.

use std::collections::hash_map::RandomState;
use std::fmt::Display;
use std::hash::{BuildHasher, Hasher};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::{Connection, FromRedisValue};

use crate::fixture::{Bytes, Key, Keys, Score, Value};

/// How long a connection of the harness waits for Redis.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How many keys one SCAN looks at.
const SCAN_COUNT: usize = 1000;

/// Fields of a hash or of a stream entry, as Redis answers.
type RawFields = Vec<(String, Vec<u8>)>;

/// A key prefix that nobody else has, on some Redis. Dropping it deletes its keys.
pub struct Scratch {
    url: String,
    prefix: String,
}

impl Scratch {
    /// On the server that all tests share.
    ///
    /// # Panics
    /// When there is no way to have a Redis here.
    #[expect(clippy::new_without_default, reason = "each is another: a default would hide that")]
    pub fn new() -> Self {
        Self::on(crate::server().url())
    }

    /// On another server, such as a [`PrivateRedis`](crate::PrivateRedis).
    pub fn on(url: &str) -> Self {
        static COUNT: AtomicUsize = AtomicUsize::new(1);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let random = RandomState::new().build_hasher().finish() as u32;
        Self { url: url.to_string(), prefix: format!("t{number}-{random:08x}") }
    }

    /// On another server, under the prefix `rq`: the one that Python RQ has before 3.0, whatever it is told.
    pub fn unprefixed_on(url: &str) -> Self {
        Self { url: url.to_owned(), prefix: "rq".to_owned() }
    }

    /// On the server that all tests share, under a prefix that holds a hash tag, as Redis Cluster needs it.
    ///
    /// # Panics
    /// When there is no way to have a Redis here.
    pub fn tagged() -> Self {
        Self::new().with_tag()
    }

    /// As [`Scratch::tagged`], on another server.
    pub fn tagged_on(url: &str) -> Self {
        Self::on(url).with_tag()
    }

    /// The same key space as another server has it.
    pub fn seen_by(scratch: &Self, url: &str) -> Self {
        Self { url: url.to_owned(), prefix: scratch.prefix.clone() }
    }

    fn with_tag(mut self) -> Self {
        self.prefix = format!("{{{}}}:rq", self.prefix);
        self
    }

    /// How a client reaches its server.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What stands in for `rq` in front of every key, without the colon.
    pub fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The whole name of a key: `key("queue:default")`.
    pub fn key(&self, name: impl Display) -> String {
        format!("{}:{name}", self.prefix)
    }

    /// What a child process is told so that it works here: `RQ_REDIS_URL` and `RQ_KEY_PREFIX`. Our `rq` and Python's (from
    /// 3.0 on) read both.
    pub fn env(&self) -> [(&'static str, &str); 2] {
        [("RQ_REDIS_URL", &self.url), ("RQ_KEY_PREFIX", &self.prefix)]
    }

    /// A program about to run that works here.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.envs(self.env());
        command
    }

    /// A new connection for looking and tinkering.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn connection(&self) -> Connection {
        connect(&self.url)
    }

    /// Runs one command: `query("LLEN", [scratch.key("queue:default")])`.
    ///
    /// # Panics
    /// When Redis answers with an error, or with another type than asked for.
    pub fn query<T: FromRedisValue>(
        &self,
        command: &str,
        args: impl IntoIterator<Item = impl redis::ToRedisArgs>,
    ) -> T {
        query(&mut self.connection(), command, args)
    }

    /// Everything under the prefix, as a fixture holds it: wherever a key name stands (also as a member of a set), the
    /// prefix reads `rq`, so that it compares to what Python RQ left.
    pub fn dump(&self) -> Keys {
        let connection = &mut self.connection();
        let names = self.names(connection).unwrap_or_else(|error| panic!("SCAN: {error}"));
        names.iter().filter_map(|name| Some((self.as_rq(name), self.read(connection, name)?))).collect()
    }

    /// [`Scratch::dump`] as the JSON of a fixture, to look at or to put into a message.
    pub fn dump_json(&self) -> String {
        serde_json::to_string_pretty(&self.dump()).expect("a dump is plain data")
    }

    fn names(&self, connection: &mut Connection) -> redis::RedisResult<Vec<String>> {
        let (pattern, mut cursor, mut names) = (self.key("*"), 0_u64, Vec::new());
        loop {
            let mut scan = redis::cmd("SCAN");
            scan.arg(cursor).arg("MATCH").arg(&pattern).arg("COUNT").arg(SCAN_COUNT);
            let (next, found): (u64, Vec<String>) = scan.query(connection)?;
            names.extend(found);
            cursor = next;
            if cursor == 0 {
                names.sort();
                names.dedup();
                return Ok(names);
            }
        }
    }

    /// One key, or nothing if it went away meanwhile.
    fn read(&self, connection: &mut Connection, name: &str) -> Option<Key> {
        let kind: String = query(connection, "TYPE", [name]);
        let ttl_s: i64 = query(connection, "TTL", [name]);
        let text = |bytes: Vec<u8>| self.text(bytes);
        let value = match kind.as_str() {
            "string" => Value::String(text(query(connection, "GET", [name]))),
            "list" => Value::List(query_all(connection, "LRANGE", &[name, "0", "-1"], text)),
            "set" => Value::Set(query_all(connection, "SMEMBERS", &[name], text).into_iter().collect()),
            "hash" => Value::Hash(fields(query(connection, "HGETALL", [name]), text)),
            "zset" => {
                let members = query_all(connection, "ZRANGE", &[name, "0", "-1", "WITHSCORES"], text);
                Value::SortedSet(members.chunks_exact(2).map(scored).collect())
            }
            "stream" => {
                let entries: Vec<(String, RawFields)> = query(connection, "XRANGE", [name, "-", "+"]);
                Value::Stream(entries.into_iter().map(|(id, entry)| (id, fields(entry, text))).collect())
            }
            "none" => return None,
            other => panic!("{name} is a {other}, which RQ does not use"),
        };
        Some(Key { ttl_s, value })
    }

    fn as_rq(&self, name: &str) -> String {
        name.strip_prefix(&self.key("")).map_or_else(|| name.to_string(), |rest| format!("rq:{rest}"))
    }

    fn text(&self, bytes: Vec<u8>) -> Bytes {
        match String::from_utf8(bytes) {
            Ok(text) => Bytes(self.as_rq(&text).into_bytes()),
            Err(binary) => Bytes(binary.into_bytes()),
        }
    }

    fn delete_keys(&self) -> redis::RedisResult<()> {
        let mut connection = open(&self.url)?;
        let names = self.names(&mut connection)?;
        if names.is_empty() { Ok(()) } else { redis::cmd("UNLINK").arg(names).exec(&mut connection) }
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // A private server may be gone by now, and its keys with it, or be in trouble.
        let _ = self.delete_keys();
    }
}

pub(crate) fn connect(url: &str) -> Connection {
    open(url).unwrap_or_else(|error| panic!("no connection to {url}: {error}"))
}

fn open(url: &str) -> redis::RedisResult<Connection> {
    let connection = redis::Client::open(url)?.get_connection_with_timeout(ANSWER_LIMIT)?;
    connection.set_read_timeout(Some(ANSWER_LIMIT))?;
    Ok(connection)
}

fn query<T: FromRedisValue>(
    connection: &mut Connection,
    command: &str,
    args: impl IntoIterator<Item = impl redis::ToRedisArgs>,
) -> T {
    let mut asked = redis::cmd(command);
    for arg in args {
        asked.arg(arg);
    }
    asked.query(connection).unwrap_or_else(|error| panic!("{command}: {error}"))
}

fn query_all(
    connection: &mut Connection,
    command: &str,
    args: &[&str],
    text: impl Fn(Vec<u8>) -> Bytes,
) -> Vec<Bytes> {
    query::<Vec<Vec<u8>>>(connection, command, args).into_iter().map(text).collect()
}

fn fields<T: FromIterator<(String, Bytes)>>(fields: RawFields, text: impl Fn(Vec<u8>) -> Bytes) -> T {
    fields.into_iter().map(|(name, value)| (name, text(value))).collect()
}

fn scored(member_and_score: &[Bytes]) -> (Bytes, Score) {
    let score = member_and_score[1].as_str().parse().expect("Redis prints scores as numbers");
    (member_and_score[0].clone(), Score(score))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_up(scratch: &Scratch) {
        let key = |name: &str| scratch.key(name);
        scratch.query::<()>("SADD", [key("queues"), key("queue:default")]);
        scratch.query::<()>("RPUSH", [key("queue:default"), "b".into(), "a".into()]);
        scratch.query::<()>("SET", [key("clean_groups"), "1".into(), "EX".into(), "600".into()]);
        scratch.query::<()>("HSET", [key("job:a"), "status".into(), "queued".into()]);
        scratch.query::<()>("HSET", [key("job:a").into_bytes(), b"data".to_vec(), b"x\x9c\x00".to_vec()]);
        scratch.query::<()>("ZADD", [key("wip:default"), "1.5".into(), "a".into(), "inf".into(), "b".into()]);
        scratch.query::<()>("XADD", [key("results:a"), "7-0".into(), "type".into(), "1".into()]);
    }

    #[test]
    fn a_dump_reads_like_a_fixture() {
        let scratch = Scratch::new();
        set_up(&scratch);
        let expected = r#"{
            "rq:clean_groups": {"type": "string", "ttl": 600, "value": "1"},
            "rq:job:a": {"type": "hash", "ttl": -1, "value": {"status": "queued", "data": {"base64": "eJwA"}}},
            "rq:queue:default": {"type": "list", "ttl": -1, "value": ["b", "a"]},
            "rq:queues": {"type": "set", "ttl": -1, "value": ["rq:queue:default"]},
            "rq:results:a": {"type": "stream", "ttl": -1, "value": [["7-0", {"type": "1"}]]},
            "rq:wip:default": {"type": "zset", "ttl": -1, "value": [["a", 1.5], ["b", "inf"]]}
        }"#;
        let expected: Keys = serde_json::from_str(expected).unwrap();
        assert_eq!(scratch.dump(), expected);
        assert_eq!(serde_json::from_str::<Keys>(&scratch.dump_json()).unwrap(), expected);
    }

    #[test]
    fn two_scratches_do_not_see_each_other_and_leave_nothing() {
        let (one, other) = (Scratch::new(), Scratch::new());
        set_up(&one);
        assert!(other.dump().is_empty());
        let left = one.key("queues");
        drop(one);
        assert_eq!(other.query::<u64>("EXISTS", [left]), 0);
    }
}
