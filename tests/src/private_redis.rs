//! A Redis for one test alone: to configure, fill, freeze, kill and bring back.

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::Path;

use nix::sys::signal::kill;
use nix::unistd::Pid;
use rq_dev::RedisProcess;

use crate::Signal;
use crate::clock::Clock;
use crate::folder::Folder;

/// How a server keeps what it has answered, be it killed at any instant. It writes before it answers; that the disk has
/// it, too, matters where a machine dies.
const LASTING: [&str; 4] = ["--appendonly", "yes", "--appendfsync", "no"];

/// A server of this test's own, as a child process. Dropping it kills it.
///
/// It keeps nothing on disk, and comes back empty when it was killed, unless it is [lasting](PrivateRedis::lasting).
pub struct PrivateRedis {
    /// The program, and what stands before it.
    program: Vec<OsString>,
    options: Vec<String>,
    address: SocketAddr,
    process: Option<RedisProcess>,
    /// What it keeps.
    _folder: Option<Folder>,
}

impl PrivateRedis {
    /// Starts one with more options, as on the command line of `redis-server`: `&["--maxmemory", "2mb"]`.
    ///
    /// # Panics
    /// When there is no server on `PATH`, or it does not start; the message ends with its log.
    pub fn start(options: &[&str]) -> Self {
        Self::start_program(vec![program()], options, None)
    }

    /// Starts one that keeps its data: what it had answered before it was killed is there when it comes back.
    ///
    /// # Panics
    /// As [`PrivateRedis::start`].
    pub fn lasting(options: &[&str]) -> Self {
        let folder = Folder::new("redis");
        let path =
            folder.path().to_str().expect("the folder for temporary files has a plain name").to_owned();
        Self::start_program(
            vec![program()],
            &[&LASTING[..], &["--dir", &path], options].concat(),
            Some(folder),
        )
    }

    /// Starts one that goes by a clock of the test's.
    ///
    /// # Panics
    /// As [`PrivateRedis::start`].
    pub fn with_clock(clock: &Clock, options: &[&str]) -> Self {
        let words = clock.prefix().into_iter().chain([program()]);
        Self::start_program(words.collect(), options, None)
    }

    /// Starts one with a file of settings before the options.
    ///
    /// # Panics
    /// As [`PrivateRedis::start`].
    pub fn with_settings(settings: &Path, options: &[&str]) -> Self {
        Self::start_program(vec![program(), settings.into()], options, None)
    }

    /// Starts one at a place of the caller's choice, which somebody may have taken.
    ///
    /// # Panics
    /// When there is no server on `PATH`.
    pub fn start_at(address: SocketAddr, options: &[&str]) -> io::Result<Self> {
        let program = vec![program()];
        let process = Some(RedisProcess::start_at(address, &program, options)?);
        let options = options.iter().map(ToString::to_string).collect();
        Ok(Self { program, options, address, process, _folder: None })
    }

    fn start_program(program: Vec<OsString>, options: &[&str], folder: Option<Folder>) -> Self {
        let process = RedisProcess::start(&program, options).unwrap_or_else(|error| panic!("{error}"));
        let options = options.iter().map(ToString::to_string).collect();
        Self { program, options, address: process.address(), process: Some(process), _folder: folder }
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

    /// Kills it, as a crash would: all connections break, all data is lost that it does not keep.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again where it was, as it was started; kills it first if it still runs.
    ///
    /// It answers then, be it that it is loading what it has kept.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart(&mut self) {
        self.restart_with(&[]);
    }

    /// [`PrivateRedis::restart`] with more options, this time.
    ///
    /// # Panics
    /// When it does not start.
    pub fn restart_with(&mut self, more: &[&str]) {
        self.kill();
        let options: Vec<&str> =
            self.options.iter().map(String::as_str).chain(more.iter().copied()).collect();
        let process = RedisProcess::start_at(self.address, &self.program, &options);
        self.process = Some(process.unwrap_or_else(|error| panic!("{error}")));
    }
}

fn program() -> OsString {
    let found = crate::server::program();
    let found = found.unwrap_or_else(|reason| {
        panic!("this test starts a redis-server: {reason}. `cargo xtask test` installs one.")
    });
    found.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOADED_WITHIN: std::time::Duration = std::time::Duration::from_secs(10);

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

    #[test]
    fn a_lasting_one_comes_back_with_all_it_has_answered() {
        let mut server = PrivateRedis::lasting(&[]);
        redis::cmd("SET").arg("k").arg(1).exec(&mut server.connection()).unwrap();
        server.restart();
        let mut connection = server.connection();
        let kept = crate::eventually("what it has kept to be loaded", LOADED_WITHIN, || {
            redis::cmd("GET").arg("k").query::<Option<u64>>(&mut connection).ok()
        });
        assert_eq!(kept, Some(1));
    }

    #[test]
    fn one_with_a_clock_goes_by_it() {
        let clock = Clock::new();
        let server = PrivateRedis::with_clock(&clock, &[]);
        let mut connection = server.connection();
        let mut time = |script: bool| -> u64 {
            let mut command = redis::cmd(if script { "EVAL" } else { "TIME" });
            if script {
                command.arg("return redis.call('TIME')").arg(0);
            }
            command.query::<(u64, u64)>(&mut connection).unwrap().0
        };
        let now_s = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs();
        assert!(time(false).abs_diff(now_s) <= 2);
        clock.jump(std::time::Duration::from_secs(1000));
        for script in [false, true] {
            assert!(time(script).abs_diff(now_s + 1000) <= 2, "in a script: {script}");
        }
    }
}
