//! [`Proxy`]: a TCP proxy before Redis that counts requests and breaks something at one of them.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream, ToSocketAddrs};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::killpg;
use nix::unistd::Pid;
use redis::{ConnectionAddr, IntoConnectionInfo};
use rq_core::steps::script_name;

use crate::Signal;
use crate::resp::{Splitter, is_reply, words};

/// How long a fault waits for the answers to what was sent before. Only a command that blocks takes longer.
const ANSWERS_LIMIT: Duration = Duration::from_secs(5);
/// How long a fault waits to be told whom it kills.
const VICTIM_LIMIT: Duration = Duration::from_secs(5);
/// How often it looks.
const LOOK_EVERY: Duration = Duration::from_millis(1);
/// How much is read at once.
const CHUNK_BYTES: usize = 64 << 10;
/// How the name of a command begins that waits for something to happen: its connection counts no more.
const WAITING: [&str; 8] =
    ["BL", "BR", "BZ", "SUBSCRIBE", "PSUBSCRIBE", "SSUBSCRIBE", "XREAD", "CLIENT TRACKING"];

/// A proxy between a program and Redis.
///
/// It counts the requests of all connections, from 1 on. A request is one command: where a pipeline is cut by the reads
/// of a proxy differs from run to run, where a command ends does not; and a real connection may well deliver half a
/// pipeline. The commands of a connection that waits for something (a notifier, a subscription) are no requests, since when
/// they come is up to the clock.
///
/// While a fault happens all other requests stand still. Dropping the proxy closes all connections.
pub struct Proxy {
    address: SocketAddr,
    url: String,
    shared: Arc<Shared>,
}

/// What breaks at a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// The connection, before Redis has seen the request.
    CutBefore,
    /// The connection, once Redis has answered and before the program reads it.
    CutAfter,
    /// The program (SIGKILL to its process group), before Redis has seen the request.
    KillBefore,
    /// The program, once Redis has answered and before it reads that.
    KillAfter,
}

impl Fault {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CutBefore, Self::CutAfter, Self::KillBefore, Self::KillAfter];

    /// Its name: `cut-before`.
    pub fn name(self) -> &'static str {
        match self {
            Self::CutBefore => "cut-before",
            Self::CutAfter => "cut-after",
            Self::KillBefore => "kill-before",
            Self::KillAfter => "kill-after",
        }
    }

    /// Whether the program dies of it.
    pub fn kills(self) -> bool {
        matches!(self, Self::KillBefore | Self::KillAfter)
    }

    /// Whether Redis has applied the request.
    pub fn is_after(self) -> bool {
        matches!(self, Self::CutAfter | Self::KillAfter)
    }
}

impl Proxy {
    /// A proxy before the Redis at `url`, with what is to break at which request. With nothing, it counts.
    ///
    /// # Panics
    /// When `url` is not plain TCP.
    pub fn new(url: &str, faults: impl IntoIterator<Item = (usize, Fault)>) -> Self {
        Self::with(url, faults.into_iter().collect(), None)
    }

    /// A proxy where something breaks at the first request of this name, such as `EVALSHA settle`.
    ///
    /// # Panics
    /// When `url` is not plain TCP.
    pub fn at_first(url: &str, name: &'static str, fault: Fault) -> Self {
        Self::with(url, BTreeMap::new(), Some((name, fault)))
    }

    fn with(url: &str, faults: BTreeMap<usize, Fault>, at_first: Option<(&'static str, Fault)>) -> Self {
        let upstream = address_of(url);
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        let address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            upstream,
            faults,
            at_first,
            requests: Mutex::default(),
            struck: Mutex::default(),
            victim: OnceLock::new(),
            streams: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || for_thread.accept(&listener));
        Self { address, url: url_at(url, address), shared }
    }

    /// How a program reaches it.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Says whom a fault kills: the leader of a process group of its own. A fault that comes earlier waits for this.
    pub fn aim_at(&self, process_id: u32) {
        let process_id = i32::try_from(process_id).expect("process ids fit");
        self.shared.victim.get_or_init(|| Pid::from_raw(process_id));
    }

    /// What was requested so far: command names, with the name of the script for `EVALSHA`.
    pub fn requests(&self) -> Vec<String> {
        lock(&self.shared.requests).clone()
    }

    /// The requests at which something broke.
    pub fn struck(&self) -> Vec<usize> {
        lock(&self.shared.struck).clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect(self.address);
        for stream in lock(&self.shared.streams).drain(..) {
            close(&stream);
        }
    }
}

struct Shared {
    upstream: SocketAddr,
    faults: BTreeMap<usize, Fault>,
    /// What breaks at the first request of a name.
    at_first: Option<(&'static str, Fault)>,
    /// Held during a fault, so that nothing else is requested meanwhile.
    requests: Mutex<Vec<String>>,
    struck: Mutex<Vec<usize>>,
    victim: OnceLock<Pid>,
    streams: Mutex<Vec<TcpStream>>,
    ended: AtomicBool,
}

impl Shared {
    fn accept(self: &Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            // A client that is gone already, or a Redis that is, is what the program has to cope with.
            let Ok(client) = client else { continue };
            let Ok(connection) = Connection::open(client, self.upstream) else { continue };
            lock(&self.streams).extend(connection.streams());
            let connection = Arc::new(connection);
            let (shared, up) = (Arc::clone(self), Arc::clone(&connection));
            thread::spawn(move || up.carry_requests(&shared));
            thread::spawn(move || connection.carry_replies());
        }
    }

    /// What breaks at the last of these requests, and its number.
    fn fault_at_last(&self, requests: &[String]) -> Option<(usize, Fault)> {
        let (last, before) = requests.split_last()?;
        let is_first = |name: &str| last == name && !before.iter().any(|request| request == name);
        let of_name = self.at_first.filter(|(name, _)| is_first(name)).map(|(_, fault)| fault);
        let fault = of_name.or_else(|| self.faults.get(&requests.len()).copied())?;
        Some((requests.len(), fault))
    }

    /// Ends the program and all in its group.
    fn kill(&self) {
        let deadline = Instant::now() + VICTIM_LIMIT;
        while self.victim.get().is_none() && Instant::now() < deadline {
            thread::sleep(LOOK_EVERY);
        }
        let victim = *self.victim.get().expect("a fault that kills was aimed at a program");
        match killpg(victim, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(error) => panic!("SIGKILL for the group {victim}: {error}"),
        }
    }
}

/// One connection of the program's, and ours to Redis for it.
struct Connection {
    client: TcpStream,
    redis: TcpStream,
    replies: Mutex<Replies>,
    replied: Condvar,
}

#[derive(Default)]
struct Replies {
    /// How many have come.
    seen: usize,
    /// Which one is kept from the program, the first being 1.
    withheld: Option<usize>,
    ended: bool,
}

impl Connection {
    fn open(client: TcpStream, upstream: SocketAddr) -> std::io::Result<Self> {
        let redis = TcpStream::connect(upstream)?;
        client.set_nodelay(true)?;
        redis.set_nodelay(true)?;
        Ok(Self { client, redis, replies: Mutex::default(), replied: Condvar::new() })
    }

    /// Both, to close them from outside.
    fn streams(&self) -> impl Iterator<Item = TcpStream> {
        [self.client.try_clone(), self.redis.try_clone()].into_iter().flatten()
    }

    fn carry_requests(&self, shared: &Shared) {
        let (mut splitter, mut sent, mut waits) = (Splitter::default(), 0, false);
        while let Some(bytes) = read(&self.client) {
            splitter.feed(&bytes);
            while let Some(command) = splitter.next_message() {
                let name = name_of(&command);
                waits |= WAITING.iter().any(|start| name.starts_with(start));
                if waits {
                    send(&self.redis, &command);
                    continue;
                }
                let mut requests = lock(&shared.requests);
                requests.push(name);
                if let Some((number, fault)) = shared.fault_at_last(&requests) {
                    lock(&shared.struck).push(number);
                    return self.break_at(fault, &command, sent, shared);
                }
                drop(requests);
                send(&self.redis, &command);
                sent += 1;
            }
        }
        close(&self.redis);
    }

    /// Lets a fault happen at `command`, the first one after `sent` others.
    fn break_at(&self, fault: Fault, command: &[u8], sent: usize, shared: &Shared) {
        let mut replies = lock(&self.replies);
        let mut awaited = sent;
        if fault.is_after() {
            awaited += 1;
            replies.withheld = Some(awaited);
            send(&self.redis, command);
        }
        // Whatever Redis got before has happened by then: what is left there does not depend on who is faster.
        let is_due = |replies: &mut Replies| replies.seen < awaited && !replies.ended;
        drop(self.replied.wait_timeout_while(replies, ANSWERS_LIMIT, is_due));
        if fault.kills() {
            shared.kill();
        }
        close(&self.client);
        close(&self.redis);
    }

    fn carry_replies(&self) {
        let mut splitter = Splitter::default();
        while let Some(bytes) = read(&self.redis) {
            splitter.feed(&bytes);
            while let Some(message) = splitter.next_message() {
                if is_reply(&message) && self.note_reply() {
                    return;
                }
                send(&self.client, &message);
            }
        }
        lock(&self.replies).ended = true;
        self.replied.notify_all();
        close(&self.client);
    }

    /// Counts a reply. Whether it is the one to keep.
    fn note_reply(&self) -> bool {
        let mut replies = lock(&self.replies);
        replies.seen += 1;
        self.replied.notify_all();
        replies.withheld == Some(replies.seen)
    }
}

/// What a command is called in reports.
fn name_of(command: &[u8]) -> String {
    let words = words(command);
    let text = |at: usize| words.get(at).map(|word| String::from_utf8_lossy(word).to_uppercase());
    let name = text(0).unwrap_or_default();
    match name.as_str() {
        "EVALSHA" => format!("EVALSHA {}", script_name(words.get(1).unwrap_or(&&b""[..])).unwrap_or("?")),
        "CLIENT" | "SCRIPT" | "CONFIG" => format!("{name} {}", text(1).unwrap_or_default()),
        _ => name,
    }
}

/// What can be read now; nothing at the end.
pub(crate) fn read(mut stream: &TcpStream) -> Option<Vec<u8>> {
    let mut chunk = vec![0; CHUNK_BYTES];
    loop {
        match stream.read(&mut chunk) {
            Ok(0) => return None,
            Ok(length) => {
                chunk.truncate(length);
                return Some(chunk);
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(_) => return None,
        }
    }
}

/// A side that is gone is noticed when it is read from.
pub(crate) fn send(mut stream: &TcpStream, bytes: &[u8]) {
    let _ = stream.write_all(bytes);
}

/// Fails only for one that is closed.
pub(crate) fn close(stream: &TcpStream) {
    let _ = stream.shutdown(Shutdown::Both);
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn address_of(url: &str) -> SocketAddr {
    let info = url.into_connection_info().unwrap_or_else(|error| panic!("{url}: {error}"));
    let ConnectionAddr::Tcp(host, port) = info.addr() else { panic!("{url} is not plain TCP") };
    let mut found = (host.as_str(), *port).to_socket_addrs().unwrap_or_else(|error| panic!("{url}: {error}"));
    found.next().unwrap_or_else(|| panic!("{url}: no address"))
}

/// `url` with another host and port.
fn url_at(url: &str, address: SocketAddr) -> String {
    let (scheme, rest) = url.split_once("://").expect("a URL has a scheme");
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let user = rest[..end].rsplit_once('@').map_or(String::new(), |(user, _)| format!("{user}@"));
    format!("{scheme}://{user}{address}{}", &rest[end..])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Child, Scratch};

    const LIMIT: Duration = Duration::from_secs(10);

    fn connect(proxy: &Proxy) -> redis::Connection {
        redis::Client::open(proxy.url()).unwrap().get_connection().unwrap()
    }

    /// What it takes to connect, before the first command of one's own.
    fn greetings(scratch: &Scratch) -> usize {
        let proxy = Proxy::new(scratch.url(), []);
        drop(connect(&proxy));
        proxy.requests().len()
    }

    fn count(connection: &mut redis::Connection, key: &str) -> redis::RedisResult<u64> {
        redis::cmd("INCR").arg(key).query(connection)
    }

    #[test]
    fn requests_are_passed_on_and_counted() {
        let scratch = Scratch::new();
        let proxy = Proxy::new(scratch.url(), []);
        let greetings = greetings(&scratch);
        let mut connection = connect(&proxy);
        let key = scratch.key("k");
        let sum: (u64, u64) =
            redis::pipe().cmd("INCR").arg(&key).cmd("INCR").arg(&key).query(&mut connection).unwrap();
        assert_eq!(sum, (1, 2));
        assert_eq!(proxy.requests()[greetings..], ["INCR", "INCR"]);
        assert!(proxy.struck().is_empty());
    }

    #[test]
    fn a_cut_is_before_or_after_and_new_connections_work() {
        for (fault, applied) in [(Fault::CutBefore, 1), (Fault::CutAfter, 2)] {
            let scratch = Scratch::new();
            let number = greetings(&scratch) + 2;
            let proxy = Proxy::new(scratch.url(), [(number, fault)]);
            let key = scratch.key("k");
            let mut connection = connect(&proxy);
            assert_eq!(count(&mut connection, &key), Ok(1));
            let error = count(&mut connection, &key).unwrap_err();
            assert!(error.is_connection_dropped() || error.is_io_error(), "{error}");
            assert_eq!(scratch.query::<u64>("GET", [&key]), applied, "{}", fault.name());
            assert_eq!(count(&mut connect(&proxy), &key), Ok(applied + 1));
            assert_eq!(proxy.struck(), [number]);
        }
    }

    #[test]
    fn a_pipeline_is_cut_inside() {
        for (fault, applied) in [(Fault::CutBefore, 2), (Fault::CutAfter, 3)] {
            let scratch = Scratch::new();
            let proxy = Proxy::new(scratch.url(), [(greetings(&scratch) + 3, fault)]);
            let key = scratch.key("k");
            let mut pipeline = redis::pipe();
            for _ in 0..5 {
                pipeline.cmd("INCR").arg(&key);
            }
            pipeline.query::<Vec<u64>>(&mut connect(&proxy)).unwrap_err();
            assert_eq!(scratch.query::<u64>("GET", [&key]), applied, "{}", fault.name());
        }
    }

    #[test]
    fn a_kill_is_before_or_after_and_takes_the_whole_group() {
        use std::os::unix::process::CommandExt;
        for (fault, applied) in [(Fault::KillBefore, None), (Fault::KillAfter, Some(1))] {
            let scratch = Scratch::new();
            let proxy = Proxy::new(scratch.url(), [(greetings(&scratch) + 1, fault)]);
            let key = scratch.key("k");
            let script = "echo $$; sleep 60 & echo $!; wait";
            let mut victim =
                Child::spawn(std::process::Command::new("sh").args(["-c", script]).process_group(0));
            let pids = victim.wait_for_lines("", 2, LIMIT);
            proxy.aim_at(victim.id());
            count(&mut connect(&proxy), &key).unwrap_err();
            assert_eq!(scratch.query::<Option<u64>>("GET", [&key]), applied, "{}", fault.name());
            assert!(!victim.wait(LIMIT).success());
            let grandchild = Pid::from_raw(pids[1].parse().unwrap());
            // Gone, or dead and not collected yet: then it holds no file.
            crate::eventually("the grandchild to be gone", LIMIT, || {
                let alive = std::fs::read_dir(format!("/proc/{grandchild}/fd"))
                    .is_ok_and(|mut files| files.next().is_some());
                (!alive).then_some(())
            });
        }
    }

    #[test]
    fn a_connection_that_waits_counts_no_more() {
        let scratch = Scratch::new();
        let proxy = Proxy::new(scratch.url(), []);
        let mut connection = connect(&proxy);
        let before = proxy.requests().len();
        let key = scratch.key("list");
        scratch.query::<()>("RPUSH", [&key, &"x".to_string()]);
        redis::cmd("BLMOVE").arg(&[&key, &key, "LEFT", "LEFT", "1"]).exec(&mut connection).unwrap();
        redis::cmd("LLEN").arg(&key).exec(&mut connection).unwrap();
        assert_eq!(proxy.requests().len(), before);
    }

    #[test]
    fn requests_have_names() {
        let check = |command: &[u8], name: &str| assert_eq!(name_of(command), name);
        check(b"*2\r\n$3\r\nget\r\n$1\r\nk\r\n", "GET");
        check(b"*3\r\n$6\r\nCLIENT\r\n$7\r\nsetinfo\r\n$1\r\nx\r\n", "CLIENT SETINFO");
        check(b"*2\r\n$7\r\nEVALSHA\r\n$4\r\n0000\r\n", "EVALSHA ?");
    }

    #[test]
    fn urls_keep_all_but_the_place() {
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 7));
        for (url, expected) in [
            ("redis://host:6379/", "redis://127.0.0.1:7/"),
            ("redis://:p%40@host/2?protocol=resp3", "redis://:p%40@127.0.0.1:7/2?protocol=resp3"),
            ("redis://host", "redis://127.0.0.1:7"),
        ] {
            assert_eq!(url_at(url, address), expected);
        }
    }
}
