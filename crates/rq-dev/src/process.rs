//! A Redis server as a child of ours: a free port on loopback, nothing kept on disk, gone when we are.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::leash::{AtEnd, Leash};

/// What every server of ours is told: it lives in memory, and may be asked from outside its container.
pub const IN_MEMORY: [&str; 6] = ["--save", "", "--appendonly", "no", "--protected-mode", "no"];
/// How long a server may take until it answers.
pub const READY_LIMIT: Duration = Duration::from_secs(20);
/// How often a starting server is asked whether it answers.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// How long one such question may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Somebody may take the free port before the server does; then another is tried.
const PORTS_TRIED: usize = 3;
const LOG_NAME: &str = "redis.log";

/// A running server of our own.
pub struct RedisProcess {
    leash: Leash,
    address: SocketAddr,
}

impl RedisProcess {
    /// Starts `program` (a `redis-server` or `valkey-server`, behind what is to stand before it: `env NAME=value`) with more
    /// options, as on its command line, and waits until it answers.
    ///
    /// # Errors
    /// When it cannot be started or does not answer in time; the message ends with its log.
    pub fn start(program: &[OsString], options: &[&str]) -> io::Result<Self> {
        let mut failure = None;
        for _ in 0..PORTS_TRIED {
            match Self::start_at(free_address()?, program, options) {
                Ok(server) => return Ok(server),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| unreachable!("at least one port is tried")))
    }

    /// As [`RedisProcess::start`], at a given address: for a server that comes back where it was.
    ///
    /// # Errors
    /// As [`RedisProcess::start`].
    pub fn start_at(address: SocketAddr, program: &[OsString], options: &[&str]) -> io::Result<Self> {
        let directory = Self::make_directory(address)?;
        let log = directory.join(LOG_NAME);
        let command = command(program, address, &directory, options);
        let leash = Leash::start(&command, File::create(&log)?, &AtEnd::RemoveDirectory(directory))?;
        let mut server = Self { leash, address };
        server.wait_until_ready().map_err(|error| with_log(program, &error, &log))?;
        Ok(server)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The server's process id.
    pub fn process_id(&self) -> u32 {
        self.leash.process_id()
    }

    /// What keeps it alive, and whoever else should.
    pub fn leash(&self) -> &Leash {
        &self.leash
    }

    pub(crate) fn leash_mut(&mut self) -> &mut Leash {
        &mut self.leash
    }

    fn wait_until_ready(&mut self) -> io::Result<()> {
        let leash = &mut self.leash;
        wait_until_answers(self.address, || leash.has_ended())?;
        // What answered may have been another server, the one that took our port.
        if self.leash.has_ended()? { Err(io::Error::other("it ended at once")) } else { Ok(()) }
    }

    fn make_directory(address: SocketAddr) -> io::Result<PathBuf> {
        /// A server that comes back at its old port must not share a directory with its own removal.
        static MADE: AtomicU32 = AtomicU32::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let name = format!("rq-redis-{}-{}-{number}", std::process::id(), address.port());
        let directory = std::env::temp_dir().join(name);
        fs::create_dir_all(&directory)?;
        Ok(directory)
    }
}

/// Waits until a Redis answers at `address`, or `has_ended` says that it never will.
pub(crate) fn wait_until_answers(
    address: SocketAddr,
    mut has_ended: impl FnMut() -> io::Result<bool>,
) -> io::Result<()> {
    let deadline = Instant::now() + READY_LIMIT;
    while !answers(address) {
        if has_ended()? {
            return Err(io::Error::other("it ended at once"));
        }
        if Instant::now() > deadline {
            return Err(io::Error::other(format!("it does not answer at {address} after {READY_LIMIT:?}")));
        }
        std::thread::sleep(ASK_EVERY);
    }
    Ok(())
}

/// An address on loopback that was free a moment ago.
pub(crate) fn free_address() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

fn command(program: &[OsString], address: SocketAddr, directory: &Path, options: &[&str]) -> Vec<OsString> {
    let mut command = program.to_vec();
    let (host, port) = (address.ip().to_string(), address.port().to_string());
    command.extend(["--bind", &host, "--port", &port].map(OsString::from));
    command.extend([OsString::from("--dir"), directory.into()]);
    command.extend(IN_MEMORY.iter().chain(options).map(OsString::from));
    command
}

/// Whether a Redis answers PING, be it with an error: one that wants a password is up too.
fn answers(address: SocketAddr) -> bool {
    let ask = || -> io::Result<u8> {
        let mut connection = TcpStream::connect_timeout(&address, ANSWER_LIMIT)?;
        connection.set_read_timeout(Some(ANSWER_LIMIT))?;
        connection.write_all(b"PING\r\n")?;
        let mut first = [0];
        connection.read_exact(&mut first)?;
        Ok(first[0])
    };
    ask().is_ok_and(|first| matches!(first, b'+' | b'-'))
}

fn with_log(program: &[OsString], error: &io::Error, log: &Path) -> io::Error {
    let program = program.last().map_or(OsStr::new("nothing"), OsString::as_os_str);
    let log = fs::read_to_string(log).unwrap_or_default();
    io::Error::other(format!("{} did not start: {error}\n{}", program.display(), log.trim_end()))
}
