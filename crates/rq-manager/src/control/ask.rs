//! [`ask`]: sends a Manager an order, and waits for its answer.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::CLIENT_TIME_MAX;
use super::address::connect_to;
use crate::order::{Answer, Order};

/// The longest answer: some 100,000 slots.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How much is read at once.
const PIECE_BYTES: usize = 64 << 10;
/// How long who asks pauses while others are before it.
const CONNECT_PAUSE: Duration = Duration::from_millis(10);

/// Why a Manager could not be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlError {
    /// Nobody listens there.
    #[error("no Manager listens at {0}")]
    NobodyThere(PathBuf),
    /// It is another user's.
    #[error("the Manager at {0} is another user's: ask it as that user")]
    Forbidden(PathBuf),
    /// It has not answered, or not as a Manager does.
    #[error("the Manager at {path} does not answer: {reason}")]
    NoAnswer {
        /// The socket.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// Sends an order to the Manager whose control socket is at `path`, and waits up to 5 s for its answer.
pub fn ask(path: &Path, order: &Order) -> Result<Answer, ControlError> {
    let no_answer = |reason: String| ControlError::NoAnswer { path: path.to_owned(), reason };
    let by = Instant::now() + CLIENT_TIME_MAX;
    let mut stream = connect(path, by).map_err(|error| match error {
        Errno::ENOENT | Errno::ENOTDIR | Errno::ECONNREFUSED => ControlError::NobodyThere(path.to_owned()),
        Errno::EACCES | Errno::EPERM => ControlError::Forbidden(path.to_owned()),
        Errno::EAGAIN => no_answer("it is asked by too many at once".to_owned()),
        error => no_answer(error.desc().to_owned()),
    })?;
    let answer = exchange(&mut stream, order, by).map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            no_answer(format!("{} s are over", CLIENT_TIME_MAX.as_secs()))
        }
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => {
            no_answer("it has closed the connection".to_owned())
        }
        _ => no_answer(error.to_string()),
    })?;
    serde_json::from_slice(&answer).map_err(|error| no_answer(format!("that is no answer: {error}")))
}

/// Waits, where others are before it.
fn connect(path: &Path, by: Instant) -> nix::Result<UnixStream> {
    loop {
        match connect_to(path) {
            Err(Errno::EAGAIN | Errno::EINTR) if Instant::now() < by => sleep(CONNECT_PAUSE),
            other => return other,
        }
    }
}

fn exchange(stream: &mut UnixStream, order: &Order, by: Instant) -> io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(order)?;
    line.push(b'\n');
    stream.set_nonblocking(false)?;
    stream.set_write_timeout(Some(left(by)?))?;
    // A Manager that has not read all of it has answered why, perhaps.
    let sent = stream.write_all(&line);
    match receive(stream, by) {
        Err(_) if sent.is_err() => Err(sent.err().unwrap_or(io::ErrorKind::BrokenPipe.into())),
        received => received,
    }
}

/// Reads a line.
fn receive(stream: &mut UnixStream, by: Instant) -> io::Result<Vec<u8>> {
    let mut received = Vec::new();
    let mut piece = vec![0; PIECE_BYTES];
    while received.len() <= ANSWER_BYTES_MAX {
        stream.set_read_timeout(Some(left(by)?))?;
        let count = match stream.read(&mut piece) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        match piece[..count].iter().position(|byte| *byte == b'\n') {
            Some(end) => {
                received.extend_from_slice(&piece[..end]);
                return Ok(received);
            }
            None => received.extend_from_slice(&piece[..count]),
        }
    }
    Err(io::Error::other(format!("its answer has more than {ANSWER_BYTES_MAX} bytes")))
}

/// How long there is until `by`.
fn left(by: Instant) -> io::Result<Duration> {
    let left = by.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}
