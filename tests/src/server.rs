//! The Redis that all tests of one test program share.
//!
//! Sharing is safe because each test keeps to a key prefix of its own, see [`Scratch`](crate::Scratch). Whoever needs to
//! configure, fill or kill a server takes a [`PrivateRedis`](crate::PrivateRedis).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rq_dev::{RedisProcess, docker, program};

/// Names a server that is there already: its URL.
const GIVEN: &str = "RQ_TEST_REDIS_URL";
/// Says how to start one: `docker:<image>`, `child` or `child:<program>`. `cargo xtask` sets it.
const KIND: &str = "RQ_TEST_REDIS";
const CHILD: &str = "child";

/// The tests' Redis. See [`server()`].
#[derive(Debug)]
pub struct Server {
    url: String,
    description: String,
}

/// The tests' Redis, started by the first test that asks, and gone when this process is.
///
/// It is the one that `RQ_TEST_REDIS_URL` names; else what `RQ_TEST_REDIS` says (`docker:<image>`, `child`,
/// `child:<program>`); else a child process if there is a `redis-server` on `PATH`, else a container. Which it became is written to stderr once.
///
/// # Panics
/// When there is no way to have a Redis here.
pub fn server() -> &'static Server {
    static SERVER: OnceLock<Server> = OnceLock::new();
    SERVER.get_or_init(|| {
        let server = start().unwrap_or_else(|reason| {
            panic!("no Redis for the tests: {reason}. `cargo xtask test` sets one up.");
        });
        // Straight to stderr, since what goes through `eprintln!` is shown for failed tests only; without one, to nobody.
        let _ = writeln!(std::io::stderr(), "Redis: {}", server.description);
        server
    })
}

impl Server {
    /// How a client reaches it: `redis://host:port/`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// What it is, in words.
    pub fn description(&self) -> &str {
        &self.description
    }
}

fn start() -> Result<Server, String> {
    if let Ok(url) = std::env::var(GIVEN) {
        return Ok(Server { description: format!("the one that {GIVEN} names"), url });
    }
    let kind = std::env::var(KIND).ok();
    match kind.as_deref() {
        None => match program::find_redis_server() {
            Some(program) => start_child(&program),
            None => start_container(docker::IMAGE),
        },
        Some(kind) if kind.split(':').next() == Some(CHILD) => start_child(&program()?),
        Some(kind) => match kind.strip_prefix("docker:") {
            Some(image) => start_container(image),
            None => Err(format!(
                "{KIND} is {kind:?}, which is none of `child`, `child:<program>` and `docker:<image>`"
            )),
        },
    }
}

/// The program for servers that are child processes: the one that `RQ_TEST_REDIS=child:<program>` names, else one on
/// `PATH`.
pub(crate) fn program() -> Result<PathBuf, String> {
    let kind = std::env::var(KIND).unwrap_or_default();
    match kind.strip_prefix("child:") {
        Some(program) => Ok(program.into()),
        None => program::find_redis_server().ok_or_else(|| "there is no redis-server on PATH".to_owned()),
    }
}

fn start_child(program: &Path) -> Result<Server, String> {
    let process = RedisProcess::start(&[program.into()], &[]).map_err(|error| error.to_string())?;
    let server = Server {
        url: format!("redis://{}/", process.address()),
        description: format!("{} on {}", program.display(), process.address()),
    };
    // Its leash ends it with this process: there is no later moment at which a shared server could be dropped.
    std::mem::forget(process);
    Ok(server)
}

#[cfg(feature = "docker")]
fn start_container(image: &str) -> Result<Server, String> {
    let address = crate::container::start(image)?;
    Ok(Server {
        url: format!("redis://{address}/"),
        description: format!("a container of {image} on {address}"),
    })
}

#[cfg(not(feature = "docker"))]
fn start_container(image: &str) -> Result<Server, String> {
    Err(format!("a container of {image} takes the feature `docker` of rq-tests"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shared_server_answers_and_is_the_same_for_all() {
        let first = server();
        let mut connection = redis::Client::open(first.url()).unwrap().get_connection().unwrap();
        assert_eq!(redis::cmd("PING").query::<String>(&mut connection).unwrap(), "PONG");
        assert_eq!(std::thread::spawn(|| server().url()).join().unwrap(), first.url());
    }
}
