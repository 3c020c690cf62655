//! A Redis for one test alone: to configure, fill, freeze, kill and bring back.

use std::net::SocketAddr;
use std::path::PathBuf;

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::redis_process::RedisProcess;
use crate::{Signal, search_path};

/// A server of this test's own, as a child process. Dropping it kills it.
///
/// It keeps nothing on disk: a server that was killed comes back empty.
pub struct PrivateRedis {
    program: PathBuf,
    options: Vec<String>,
    address: SocketAddr,
    process: Option<RedisProcess>,
}

impl PrivateRedis {
    /// Starts one with more options, as on the command line of `redis-server`: `&["--maxmemory", "2mb"]`.
    ///
    /// # Panics
    /// When there is no server on `PATH`, or it does not start; the message ends with its log.
    pub fn start(options: &[&str]) -> Self {
        let program = search_path::find_redis_server().unwrap_or_else(|| {
            panic!(
                "this test starts a redis-server, and there is none on PATH: `cargo xtask test` installs one."
            )
        });
        let process = RedisProcess::start(&program, options).unwrap_or_else(|error| panic!("{error}"));
        let options = options.iter().map(ToString::to_string).collect();
        Self { program, options, address: process.address(), process: Some(process) }
    }

    /// How a client reaches it: `redis://host:port/`. The same after a restart.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Where it listens. The same after a restart.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A new connection for looking and tinkering.
    ///
    /// # Panics
    /// When the server does not answer.
    pub fn connection(&self) -> redis::Connection {
        crate::scratch::connect(&self.url())
    }

    /// Sends the server a signal: `SIGSTOP` freezes it, `SIGCONT` lets it go on.
    ///
    /// # Panics
    /// When it has been killed.
    pub fn signal(&self, signal: Signal) {
        let process = self.process.as_ref().expect("the server was killed: restart it first");
        let id = i32::try_from(process.process_id()).expect("process ids fit");
        kill(Pid::from_raw(id), signal).expect("the server runs, so it takes signals");
    }

    /// Kills it, as a crash would: all connections break, all data is lost.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was, empty; kills it first if it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.kill();
        let options: Vec<&str> = self.options.iter().map(String::as_str).collect();
        let process = RedisProcess::start_at(self.address, &self.program, &options);
        self.process = Some(process.unwrap_or_else(|error| panic!("{error}")));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_reach_the_server() {
        let server = PrivateRedis::start(&["--maxmemory", "2mb"]);
        let get =
            redis::cmd("CONFIG").arg(&["GET", "maxmemory"]).query::<Vec<String>>(&mut server.connection());
        assert_eq!(get.unwrap(), ["maxmemory", "2097152"]);
    }

    #[test]
    fn a_bad_option_is_reported_with_the_servers_log() {
        let failed = std::panic::catch_unwind(|| PrivateRedis::start(&["--no-such-option", "1"]));
        let message = *failed.err().unwrap().downcast::<String>().unwrap();
        assert!(message.contains("did not start") && message.contains("no-such-option"), "{message}");
    }

    #[test]
    fn a_killed_server_comes_back_empty_at_the_same_place() {
        let mut server = PrivateRedis::start(&[]);
        let url = server.url();
        redis::cmd("SET").arg("k").arg(1).exec(&mut server.connection()).unwrap();
        server.kill();
        assert!(redis::Client::open(url.as_str()).unwrap().get_connection().is_err());
        server.restart();
        assert_eq!(server.url(), url);
        assert_eq!(redis::cmd("DBSIZE").query::<u64>(&mut server.connection()).unwrap(), 0);
    }
}
