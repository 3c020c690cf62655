//! [`Connection`]: Redis for jobs in coroutines.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::ToSocketAddrs;
use std::time::Duration;

use may::net::TcpStream;
use may::os::unix::net::UnixStream;
use redis::{
    Cmd, ConnectionAddr, ConnectionLike, ErrorKind, IntoConnectionInfo, Parser, Pipeline,
    RedisConnectionInfo, RedisError, RedisResult, Value,
};

use crate::current_job::while_waiting;

/// How long connecting to one address may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// How long an answer may take by default.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an answer may be.
pub const ANSWER_BYTES_MAX: usize = 64 << 20;

/// A connection to Redis that gives the thread to other coroutines while it waits, with all commands of
/// [`redis::Commands`] and pipelines.
///
/// ```no_run
/// # fn example(ctx: &rq_core::Context) -> rq_core::Result<()> {
/// use redis::Commands as _;
/// let mut redis = rq_worker_green::redis::Connection::open("redis://127.0.0.1/")?;
/// redis.incr::<_, _, ()>("visits", 1)?;
/// # Ok(())
/// # }
/// ```
///
/// It belongs to one coroutine at a time. One that was cut off in the middle of an answer is closed: later commands
/// fail. TLS is not offered.
pub struct Connection {
    stream: Stream,
    parser: Parser,
    db: i64,
    open: bool,
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Connection {
    /// Connects to a URL such as `redis://user:password@host:6379/1` or `unix:///path?db=1`, logs in and selects the
    /// database.
    pub fn open(place: impl IntoConnectionInfo) -> RedisResult<Connection> {
        let info = place.into_connection_info()?;
        let stream = match info.addr() {
            ConnectionAddr::Tcp(host, port) => Stream::Tcp(connect(host, *port)?),
            ConnectionAddr::Unix(path) => Stream::Unix(while_waiting(|| UnixStream::connect(path))?),
            _ => {
                return Err((ErrorKind::InvalidClientConfig, "only TCP without TLS, and Unix sockets").into());
            }
        };
        let settings = info.redis_settings();
        let mut connection = Connection { stream, parser: Parser::new(), db: settings.db(), open: true };
        // Before the login, which is an exchange like any other and shall end.
        connection.set_answer_timeout(Some(ANSWER_TIMEOUT))?;
        connection.stream.set_write_timeout(ANSWER_TIMEOUT)?;
        introduction(settings).exec(&mut connection)?;
        Ok(connection)
    }

    /// How long an answer may take, by default 10 s; `None` for commands that block for long.
    pub fn set_answer_timeout(&self, longest: Option<Duration>) -> RedisResult<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.set_read_timeout(longest)?,
            Stream::Unix(stream) => stream.set_read_timeout(longest)?,
        }
        Ok(())
    }

    /// Sends commands and reads so many answers. After an error or an unwinding on the way the connection is closed, as
    /// an answer that nobody has read would be taken for that of the next command.
    fn exchange(&mut self, commands: &[u8], answers: usize) -> RedisResult<Vec<Value>> {
        // Closed for as long as it lasts: an unwinding from the wait, which runs no line behind it, leaves it so.
        if !std::mem::replace(&mut self.open, false) {
            return Err(RedisError::from(io::Error::from(io::ErrorKind::NotConnected)));
        }
        let Connection { stream, parser, .. } = self;
        let read = while_waiting(|| {
            stream.write_all(commands)?;
            (0..answers).map(|_| answer(stream, parser)).collect::<RedisResult<Vec<Value>>>()
        })?;
        self.open = true;
        Ok(read)
    }
}

fn connect(host: &str, port: u16) -> RedisResult<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in (host, port).to_socket_addrs()? {
        match while_waiting(|| TcpStream::connect_timeout(&address, CONNECT_TIMEOUT)) {
            Ok(stream) => {
                // Commands are small and wait for their answer: Nagle's algorithm would hold them back.
                stream.set_nodelay(true)?;
                return Ok(stream);
            }
            Err(error) => failure = error,
        }
    }
    Err(failure.into())
}

/// The commands that log in and select the database.
fn introduction(settings: &RedisConnectionInfo) -> Pipeline {
    let mut commands = redis::pipe();
    let (username, password) = (settings.username(), settings.password());
    // RESP3 logs in with `HELLO`; Redis knows a password without a user as that of `default`.
    if settings.protocol() == redis::ProtocolVersion::RESP3 {
        commands.cmd("HELLO").arg(3);
        if let Some(password) = password {
            commands.arg("AUTH").arg(username.unwrap_or("default")).arg(password);
        }
    } else if let Some(password) = password {
        commands.cmd("AUTH");
        if let Some(username) = username {
            commands.arg(username);
        }
        commands.arg(password);
    }
    if settings.db() != 0 {
        commands.cmd("SELECT").arg(settings.db());
    }
    commands
}

/// The next answer; pushes of the server in between are dropped.
fn answer(stream: &mut Stream, parser: &mut Parser) -> RedisResult<Value> {
    let mut bounded = Bounded { stream, left: ANSWER_BYTES_MAX };
    loop {
        match parser.parse_value(&mut bounded)? {
            // With RESP3 the server may send them between two answers; none is the answer of a command.
            Value::Push { .. } => {}
            value => return Ok(value),
        }
    }
}

/// Reads so much and no more.
struct Bounded<'a> {
    stream: &'a mut Stream,
    left: usize,
}

impl Read for Bounded<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(format!("an answer has more than {ANSWER_BYTES_MAX} bytes")));
        }
        let longest = buffer.len().min(self.left);
        let read = match self.stream {
            Stream::Tcp(stream) => stream.read(&mut buffer[..longest])?,
            Stream::Unix(stream) => stream.read(&mut buffer[..longest])?,
        };
        self.left -= read;
        Ok(read)
    }
}

impl Stream {
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.write_all(bytes),
            Stream::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn set_write_timeout(&self, longest: Duration) -> io::Result<()> {
        match self {
            Stream::Tcp(stream) => stream.set_write_timeout(Some(longest)),
            Stream::Unix(stream) => stream.set_write_timeout(Some(longest)),
        }
    }
}

impl ConnectionLike for Connection {
    fn req_packed_command(&mut self, command: &[u8]) -> RedisResult<Value> {
        let mut answers = self.exchange(command, 1)?;
        answers.pop().ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof).into())
    }

    fn req_command(&mut self, command: &Cmd) -> RedisResult<Value> {
        if command.is_no_response() {
            self.exchange(&command.get_packed_command(), 0)?;
            return Ok(Value::Nil);
        }
        self.req_packed_command(&command.get_packed_command())
    }

    fn req_packed_commands(
        &mut self,
        commands: &[u8],
        offset: usize,
        count: usize,
    ) -> RedisResult<Vec<Value>> {
        // All are read, whoever wants them: one left behind would be taken for the next command's.
        let mut answers = self.exchange(commands, offset + count)?;
        let kept = answers.split_off(offset);
        // The answers before `offset` are those of a transaction's commands; an error among them is the transaction's.
        let refused = answers.into_iter().find(|answer| matches!(answer, Value::ServerError(_)));
        match refused {
            Some(refused) => {
                Err(refused.extract_error().err().unwrap_or_else(|| io::Error::other("refused").into()))
            }
            None => Ok(kept),
        }
    }

    fn get_db(&self) -> i64 {
        self.db
    }

    fn check_connection(&mut self) -> bool {
        redis::cmd("PING").exec(self).is_ok()
    }

    fn is_open(&self) -> bool {
        self.open
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("db", &self.db).field("open", &self.open).finish_non_exhaustive()
    }
}
