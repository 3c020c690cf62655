//! What users of Redis need who may do little: docs/operations.md has their rules, and each of them is needed.
//!
//! | file | asks |
//! |---|---|
//! | `permissions/denied.rs` | what a worker does that lacks one command, from its start or all at once |
//! | `permissions/least.rs` | that the documented rules are enough, and no more than that |
//!
//! `cargo xtask rig permissions` takes each command away while a worker runs; `cargo test` a sample of them.

mod denied;
mod least;

use rq_tests::{PrivateRedis, Scratch};

/// The password of all users here.
const PASSWORD: &str = "secret";

/// A Redis with users who may do little. Tests are another one, who may do all.
struct Guarded {
    server: PrivateRedis,
}

impl Guarded {
    fn new() -> Self {
        Self { server: PrivateRedis::start(&[]) }
    }

    fn scratch(&self) -> Scratch {
        Scratch::on(&self.server.url())
    }

    /// Makes a user, by what follows its name in `ACL SETUSER`. False where the server does not know these rules: Redis
    /// before 7 has fewer.
    fn user(&self, name: &str, rules: &[&str]) -> bool {
        self.set(name, &[&["reset", "on", ">secret"], rules].concat()).is_ok()
    }

    /// Changes what a user may do.
    #[track_caller]
    fn change(&self, name: &str, rules: &[&str]) {
        self.set(name, rules).unwrap_or_else(|error| panic!("{name} {rules:?}: {error}"));
    }

    fn set(&self, name: &str, rules: &[&str]) -> redis::RedisResult<()> {
        redis::cmd("ACL").arg("SETUSER").arg(name).arg(rules).exec(&mut self.server.connection())
    }

    /// Whether it tells scripts who may do what (Redis 7).
    fn tells_scripts(&self) -> bool {
        let ask = redis::cmd("EVAL").arg("return redis.acl_check_cmd and 1").arg(0).to_owned();
        ask.query::<Option<u8>>(&mut self.server.connection()).unwrap().is_some()
    }

    /// How that user reaches it.
    fn url(&self, name: &str) -> String {
        format!("redis://{name}:{PASSWORD}@{}/", self.server.address())
    }
}
