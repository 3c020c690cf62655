//! The messages between worker, fork server and horses, in bincode.
//!
//! Worker and server exchange packets over one socket; worker and horse exchange frames, each with its length before
//! it, over a socket of their own, which the server has passed on and closed.

use std::borrow::Cow;
use std::io::{self, IoSliceMut, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::sys::socket::{ControlMessageOwned, MsgFlags, recvmsg};
use rq_core::panics::Panic;
use rq_core::{CallbackKind, End, EndFailure, EndValue, Failure, Retry, Task};
use rq_process::Exit;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_bytes::{ByteBuf, Bytes};

use crate::descriptors;

/// The largest frame: a job's record and its result have their own limits below this.
pub(crate) const FRAME_BYTES_MAX: usize = 512 << 20;
/// The largest packet from worker to server.
pub(crate) const REQUEST_BYTES_MAX: usize = 64;
/// The largest packet from server to worker.
pub(crate) const REPORT_BYTES_MAX: usize = 4096;
/// How many deaths are in one report at most: they fit into [`REPORT_BYTES_MAX`].
pub(crate) const DEATHS_MAX: usize = 64;

/// The name of a horse, never used twice by one worker.
pub(crate) type HorseId = u64;

/// Worker to server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ServerRequest {
    /// Fork a horse that serves the socket which comes with this.
    Fork(HorseId),
    /// Send the process group of this horse this signal, if it still lives.
    Signal(HorseId, i32),
}

/// Server to worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report<'a> {
    /// The preloads are done; horses can be forked.
    Ready,
    /// The preloads have failed, for this reason, and the server ends.
    Unready(String),
    /// A horse could not be forked, for this reason.
    Refused(HorseId, String),
    /// These horses have ended.
    Ended(Cow<'a, [(HorseId, Death)]>),
}

/// How a process ended, and what it had used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Death {
    pub(crate) exit: Exit,
    /// Whether the system has killed it because the memory of its control group was used up, by the system's own count.
    pub(crate) of_memory: bool,
    /// How much it and the processes that it had started held, where the server has ended it for that.
    pub(crate) held_bytes: Option<u64>,
    pub(crate) peak_rss_bytes: u64,
    pub(crate) cpu: Duration,
}

impl From<rq_process::Reaped> for Death {
    fn from(reaped: rq_process::Reaped) -> Death {
        let rq_process::Reaped { exit, peak_rss_bytes, cpu } = reaped;
        Death { exit, of_memory: false, held_bytes: None, peak_rss_bytes, cpu }
    }
}

impl Death {
    /// Whether it died for want of memory: the system or the server has killed it, or an allocator that got none.
    pub(crate) fn is_for_memory(&self) -> bool {
        self.of_memory || self.held_bytes.is_some() || self.exit == Exit::Signal(libc::SIGABRT)
    }
}

/// Worker to horse.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum HorseOrder<'a> {
    /// Run this job.
    Run(ExecutionFrame<'a>),
    /// The job has to end.
    Stop,
}

/// One execution, as a horse needs it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct ExecutionFrame<'a> {
    pub(crate) job_id: Cow<'a, str>,
    pub(crate) x: Cow<'a, str>,
    /// The job's `data`; it may be large.
    pub(crate) data: Cow<'a, Bytes>,
    /// The rest of its hash.
    pub(crate) fields: Vec<(ByteBuf, ByteBuf)>,
    pub(crate) limit: Option<Duration>,
    pub(crate) task: TaskFrame<'a>,
}

/// What an execution runs.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum TaskFrame<'a> {
    Job,
    /// Rare, and large.
    Callback(Box<CallbackFrame<'a>>),
}

/// A callback that is run alone.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct CallbackFrame<'a> {
    kind: CallbackKind,
    name: Cow<'a, str>,
    end: EndFrame<'a>,
    limit: Option<Duration>,
}

/// How a job ended, as its callback sees it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum EndFrame<'a> {
    Finished { codec: Cow<'a, str>, bytes: Option<Cow<'a, Bytes>> },
    Failed { kind: Cow<'a, str>, text: Cow<'a, str> },
    Stopped,
}

impl<'a> From<&'a Task> for TaskFrame<'a> {
    fn from(task: &'a Task) -> TaskFrame<'a> {
        match task {
            Task::Callback { kind, name, end, limit } => {
                let callback =
                    CallbackFrame { kind: *kind, name: name.into(), end: end.into(), limit: *limit };
                TaskFrame::Callback(Box::new(callback))
            }
            _ => TaskFrame::Job,
        }
    }
}

impl From<TaskFrame<'_>> for Task {
    fn from(task: TaskFrame<'_>) -> Task {
        match task {
            TaskFrame::Job => Task::Job,
            TaskFrame::Callback(callback) => {
                let CallbackFrame { kind, name, end, limit } = *callback;
                Task::Callback { kind, name: name.into_owned(), end: end.into(), limit }
            }
        }
    }
}

impl<'a> From<&'a End> for EndFrame<'a> {
    fn from(end: &'a End) -> EndFrame<'a> {
        match end {
            End::Finished(value) => EndFrame::Finished {
                codec: value.codec().name().into(),
                bytes: value.bytes().map(|bytes| Cow::Borrowed(Bytes::new(bytes))),
            },
            End::Failed(failure) => {
                EndFrame::Failed { kind: failure.kind().into(), text: failure.text().into() }
            }
            _ => EndFrame::Stopped,
        }
    }
}

impl From<EndFrame<'_>> for End {
    fn from(end: EndFrame<'_>) -> End {
        match end {
            EndFrame::Finished { codec, bytes } => {
                // Written by the same program, which knows its codecs.
                let codec = codec.parse().unwrap_or_default();
                End::Finished(EndValue::new(codec, bytes.map(|bytes| bytes.into_owned().into_vec())))
            }
            EndFrame::Failed { kind, text } => End::Failed(EndFailure::new(kind, text)),
            EndFrame::Stopped => End::Stopped,
        }
    }
}
/// Horse to worker.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum HorseReport {
    /// Its job has returned or failed, and a callback of this kind begins, which may take `limit`.
    CallsBack { kind: CallbackKind, limit: Option<Duration> },
    /// A death penalty has said that the time of its job, or callback, is up, which was `limit`.
    TimedOut { limit: Duration },
    /// Its job has ended.
    Ended(Outcome),
    /// Its job has not begun and will not, as something is short, for this reason.
    Unbegun(String),
}

/// How a job ended.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) outcome: Result<Option<ByteBuf>, RemoteFailure>,
    pub(crate) ran: Duration,
    pub(crate) called_back: bool,
}

/// A failure as it passes between processes. Those that the worker decides by keep their fields, the rest is text.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum RemoteFailure {
    Retry { max: u32, pauses_s: Vec<u64>, at_front: bool },
    Panic { message: String, location: Option<String>, callback: Option<String> },
    Timeout { limit: Duration },
    Stopped,
    Other { kind: String, text: String },
}

impl From<Failure> for RemoteFailure {
    fn from(failure: Failure) -> RemoteFailure {
        match failure {
            Failure::Retry(retry) => RemoteFailure::Retry {
                max: retry.max(),
                pauses_s: retry.intervals().to_vec(),
                at_front: retry.is_at_front(),
            },
            Failure::Panic(Panic { message, location, callback }) => {
                RemoteFailure::Panic { message, location, callback }
            }
            Failure::Timeout { limit } => RemoteFailure::Timeout { limit },
            Failure::Stopped => RemoteFailure::Stopped,
            other => RemoteFailure::Other { kind: other.kind().to_owned(), text: other.text() },
        }
    }
}

impl From<RemoteFailure> for Failure {
    fn from(told: RemoteFailure) -> Failure {
        match told {
            RemoteFailure::Retry { max, pauses_s, at_front } => {
                let retry = Retry::up_to(max).after(pauses_s.into_iter().map(Duration::from_secs));
                Failure::Retry(if at_front { retry.at_front() } else { retry })
            }
            RemoteFailure::Panic { message, location, callback } => {
                Failure::Panic(Panic { message, location, callback })
            }
            RemoteFailure::Timeout { limit } => Failure::Timeout { limit },
            RemoteFailure::Stopped => Failure::Stopped,
            RemoteFailure::Other { kind, text } => Failure::Remote { kind, text },
        }
    }
}

/// The bytes of a packet, or of a frame without its length.
pub(crate) fn encode(message: &impl Serialize) -> io::Result<Vec<u8>> {
    let mut packet = Vec::new();
    encode_in(&mut packet, message)?;
    Ok(packet)
}

/// [`encode`] in the place of what `packet` held.
pub(crate) fn encode_in(packet: &mut Vec<u8>, message: &impl Serialize) -> io::Result<()> {
    packet.clear();
    let config = bincode::config::standard();
    bincode::serde::encode_into_std_write(message, packet, config).map_err(io::Error::other)?;
    Ok(())
}

/// Reads what [`encode`] has written.
pub(crate) fn decode<T: DeserializeOwned>(bytes: &[u8]) -> io::Result<T> {
    let config = bincode::config::standard().with_limit::<FRAME_BYTES_MAX>();
    match bincode::serde::decode_from_slice(bytes, config) {
        Ok((message, _)) => Ok(message),
        Err(error) => Err(io::Error::new(io::ErrorKind::InvalidData, error)),
    }
}

/// Receives a packet, and the descriptor that may come with it. `rights` is room for that.
pub(crate) fn receive(
    socket: &OwnedFd,
    packet: &mut [u8],
    rights: &mut [u8],
) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut slices = [IoSliceMut::new(packet)];
    // A program that a job starts must not hold a horse's socket open: nobody would learn that the horse is gone.
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut slices, Some(rights), flags)?;
    let mut descriptor = None;
    // An error says that the system had no room for the descriptor.
    for part in message.cmsgs().into_iter().flatten() {
        if let ControlMessageOwned::ScmRights(descriptors) = part {
            descriptor = descriptors.into_iter().map(descriptors::adopt).next_back();
        }
    }
    Ok((message.bytes, descriptor))
}

/// The bytes of a frame with its length before it.
pub(crate) fn frame(message: &impl Serialize) -> io::Result<Vec<u8>> {
    frame_in(Vec::new(), message)
}

/// [`frame`] in a buffer that has room for it, where it is large.
pub(crate) fn frame_in(mut frame: Vec<u8>, message: &impl Serialize) -> io::Result<Vec<u8>> {
    frame.extend([0; 4]);
    bincode::serde::encode_into_std_write(message, &mut frame, bincode::config::standard())
        .map_err(io::Error::other)?;
    let length = u32::try_from(frame.len() - 4).ok().filter(|&length| length as usize <= FRAME_BYTES_MAX);
    let length =
        length.ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "the frame is too large"))?;
    frame[..4].copy_from_slice(&length.to_le_bytes());
    Ok(frame)
}

/// The length that a frame begins with.
pub(crate) fn frame_len(head: [u8; 4]) -> io::Result<usize> {
    let length = u32::from_le_bytes(head) as usize;
    if length > FRAME_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a frame without end"));
    }
    Ok(length)
}

/// Writes a frame.
pub(crate) fn write(stream: &mut impl Write, message: &impl Serialize) -> io::Result<()> {
    stream.write_all(&frame(message)?)
}

/// Reads the next frame; `None` at the end of the stream.
///
/// Reads nothing beyond it: by what a horse has left unread the worker knows that a job has not begun.
pub(crate) fn read<T: DeserializeOwned>(stream: &mut impl Read) -> io::Result<Option<T>> {
    let mut head = [0; 4];
    match stream.read_exact(&mut head) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        read => read?,
    }
    let mut body = vec![0; frame_len(head)?];
    stream.read_exact(&mut body)?;
    decode(&body).map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_keep_what_is_decided_by() {
        let check = |failure: Failure| {
            let text = failure.text();
            let told: RemoteFailure = decode(&encode(&RemoteFailure::from(failure)).unwrap()).unwrap();
            let back = Failure::from(told);
            assert_eq!(back.text(), text);
            back
        };
        let retry = Retry::up_to(3).after([Duration::from_secs(1), Duration::from_secs(5)]).at_front();
        assert!(matches!(check(Failure::Retry(retry.clone())), Failure::Retry(back) if back == retry));
        assert!(matches!(check(Failure::Stopped), Failure::Stopped));
        let limit = Duration::from_millis(1500);
        assert!(matches!(check(Failure::Timeout { limit }), Failure::Timeout { limit: l } if l == limit));
        let panic = Panic {
            message: "boom".into(),
            location: Some("a.rs:1:2".into()),
            callback: Some("alerts.page".into()),
        };
        assert!(matches!(check(Failure::Panic(panic.clone())), Failure::Panic(back) if back == panic));
        let error = check(Failure::Error("boom".into()));
        assert_eq!((error.kind(), error.text()), ("Error", "Error: boom".to_owned()));
    }

    #[test]
    fn tasks_pass_as_they_are() {
        let value = EndValue::new(rq_core::Codec::Json, Some(b"[1]".to_vec()));
        let failure = EndFailure::new("Error", "Error: boom");
        let none = EndValue::new(rq_core::Codec::Pickle, None);
        let ends = [End::Finished(value), End::Finished(none), End::Failed(failure), End::Stopped];
        let callbacks = ends.map(|end| Task::Callback {
            kind: CallbackKind::Failure,
            name: "a.b".into(),
            end,
            limit: None,
        });
        for task in callbacks.into_iter().chain([Task::Job]) {
            let told: TaskFrame<'_> = decode(&encode(&TaskFrame::from(&task)).unwrap()).unwrap();
            assert_eq!(Task::from(told), task);
        }
    }

    #[test]
    fn frames_come_one_by_one() {
        let mut bytes = frame(&HorseOrder::Stop).unwrap();
        bytes.extend(frame(&HorseOrder::Stop).unwrap());
        bytes.extend([9, 0]);
        let mut stream = &bytes[..];
        assert!(matches!(read(&mut stream), Ok(Some(HorseOrder::Stop))));
        assert!(matches!(read(&mut stream), Ok(Some(HorseOrder::Stop))));
        assert!(matches!(read::<HorseOrder>(&mut stream), Ok(None)));
        assert!(frame_len([0xff; 4]).is_err());
    }
}
