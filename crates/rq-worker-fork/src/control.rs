//! [`Control`]: the worker's way to the fork server, and [`HorseHandle`]: its way to a horse.

use std::collections::HashMap;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use nix::errno::Errno;
use nix::sys::signal::Signal;
use nix::sys::socket::{ControlMessage, MsgFlags, recv, sendmsg};
use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::UnixStream;
use tokio::sync::oneshot;

use crate::descriptors;
use crate::frames::{
    Death, HorseId, HorseReport, REPORT_BYTES_MAX, Report, ServerRequest, decode, encode, frame_len,
};

/// The next horse's name: no other horse of this worker ever has it, whichever server forks it.
static NEXT_HORSE: AtomicU64 = AtomicU64::new(0);

/// The worker's way to the fork server. Cloning is cheap.
#[derive(Clone)]
pub(crate) struct Control {
    connection: Arc<ServerSocket>,
}

struct ServerSocket {
    socket: AsyncFd<OwnedFd>,
    /// The tasks that wait for the end of a horse, by its id.
    horses: Mutex<HashMap<HorseId, oneshot::Sender<Result<Death, String>>>>,
    is_gone: AtomicBool,
}

impl Control {
    /// Begins to read what the server reports. `gone` is called when it has died.
    pub(crate) fn open(socket: OwnedFd, gone: impl FnOnce() + Send + 'static) -> io::Result<Control> {
        let socket = descriptors::register(socket)?;
        let connection =
            Arc::new(ServerSocket { socket, horses: Mutex::default(), is_gone: AtomicBool::new(false) });
        let received = read_reports(Arc::clone(&connection));
        tokio::spawn(async move {
            received.await;
            gone();
        });
        Ok(Control { connection })
    }

    /// Whether the server has died.
    pub(crate) fn is_gone(&self) -> bool {
        self.connection.is_gone.load(Ordering::Acquire)
    }

    /// Whether a horse has not ended yet, by what the server has reported.
    pub(crate) fn has(&self, horse: HorseId) -> bool {
        self.connection.horses().contains_key(&horse)
    }

    /// Has the server fork a horse.
    pub(crate) async fn fork(&self) -> io::Result<HorseHandle> {
        let (ours, theirs) = StdUnixStream::pair()?;
        // tokio takes a socket as it is, and a blocking one would hold up the loop.
        ours.set_nonblocking(true)?;
        let id = NEXT_HORSE.fetch_add(1, Ordering::Relaxed);
        let (sender, ended) = oneshot::channel();
        // Before the request is sent: the end of a horse may be told before this task runs again.
        self.connection.horses().insert(id, sender);
        self.connection.send(&ServerRequest::Fork(id), Some(&theirs)).await?;
        // `theirs` is closed at the end of this function: held open here, it would hide that the horse is gone.
        Ok(HorseHandle { id, stream: UnixStream::from_std(ours)?, received: Vec::new(), ended, jobs_run: 0 })
    }

    /// Has the server signal a horse and its process group. The server signals only horses it has not reaped, so the
    /// signal cannot hit another process with the same id.
    pub(crate) async fn signal(&self, horse: HorseId, signal: Signal) {
        // A server that cannot be reached is gone, and its horses with it.
        let _ = self.connection.send(&ServerRequest::Signal(horse, signal as i32), None).await;
    }
}

impl ServerSocket {
    fn horses(&self) -> MutexGuard<'_, HashMap<HorseId, oneshot::Sender<Result<Death, String>>>> {
        self.horses.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn send(&self, request: &ServerRequest, descriptor: Option<&StdUnixStream>) -> io::Result<()> {
        let packet = encode(request)?;
        let descriptors: Vec<_> = descriptor.iter().map(|descriptor| descriptor.as_raw_fd()).collect();
        let rights = [ControlMessage::ScmRights(&descriptors)];
        let rights = if descriptors.is_empty() { &rights[..0] } else { &rights[..] };
        let send = |socket: &OwnedFd| {
            // The descriptor itself blocks; and a server that is gone is an error here, not a signal to the worker.
            let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
            sendmsg::<()>(socket.as_raw_fd(), &[IoSlice::new(&packet)], rights, flags, None)
                .map_err(io::Error::from)
        };
        self.socket.async_io(Interest::WRITABLE, send).await.map(drop)
    }

    fn report_end(&self, horse: HorseId, end: Result<Death, String>) {
        if let Some(waiter) = self.horses().remove(&horse) {
            // Nobody waits for a horse whose job has ended.
            let _ = waiter.send(end);
        }
    }

    async fn receive(&self) -> io::Result<Option<Report<'static>>> {
        let mut packet = [0; REPORT_BYTES_MAX];
        let mut receive = |socket: &OwnedFd| {
            recv(socket.as_raw_fd(), &mut packet, MsgFlags::MSG_DONTWAIT).map_err(io::Error::from)
        };
        let received = match self.socket.async_io(Interest::READABLE, &mut receive).await {
            // A server that dies with requests unread resets the socket. That is told once, before what it has said last.
            Err(error) if error.raw_os_error() == Some(Errno::ECONNRESET as i32) => {
                self.socket.async_io(Interest::READABLE, &mut receive).await
            }
            received => received,
        };
        match received? {
            0 => Ok(None),
            length => decode(&packet[..length]).map(Some),
        }
    }
}

/// Passes on what the server reports, until the server is gone.
async fn read_reports(connection: Arc<ServerSocket>) {
    loop {
        match connection.receive().await {
            Ok(Some(Report::Ready)) => {}
            Ok(Some(Report::Unready(reason))) => tracing::error!("the fork server could not start: {reason}"),
            Ok(Some(Report::Refused(horse, reason))) => connection.report_end(horse, Err(reason)),
            Ok(Some(Report::Ended(deaths))) => {
                deaths.iter().for_each(|(horse, death)| connection.report_end(*horse, Ok(*death)));
            }
            Ok(None) => break,
            Err(error) => {
                tracing::error!("the fork server cannot be understood and is given up: {error}");
                break;
            }
        }
    }
    // The flag first: to clear the list wakes all that wait for a horse, and who asks then must see it.
    connection.is_gone.store(true, Ordering::Release);
    connection.horses().clear();
}

/// What has become of a horse that is gone.
pub(crate) enum Gone {
    /// It has ended like this.
    Dead(Death),
    /// The system refused to fork it, for this reason.
    NeverForked(String),
    /// It died with its server, which alone could tell how.
    WithServer,
}

/// The worker's way to a horse.
pub(crate) struct HorseHandle {
    pub(crate) id: HorseId,
    stream: UnixStream,
    /// Bytes that have come and are no whole frame yet.
    received: Vec<u8>,
    ended: oneshot::Receiver<Result<Death, String>>,
    pub(crate) jobs_run: usize,
}

impl HorseHandle {
    /// Sends an [order](crate::frames::HorseOrder), framed.
    pub(crate) async fn send(&mut self, order: &[u8]) -> io::Result<()> {
        self.stream.write_all(order).await
    }

    /// What the horse reports of its job; `None` when it has closed its socket without a report. Cancel-safe.
    ///
    /// # Errors
    /// One of the kind `ConnectionReset` when the horse is gone and had not read all that was sent to it.
    pub(crate) async fn receive(&mut self) -> io::Result<Option<HorseReport>> {
        loop {
            if let Some((head, body)) = self.received.split_first_chunk::<4>() {
                let length = frame_len(*head)?;
                if body.len() >= length {
                    let report = decode(&body[..length])?;
                    self.received.drain(..4 + length);
                    return Ok(Some(report));
                }
            }
            // Straight into what is kept: a wait that is dropped here loses nothing of a frame.
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Ok(None);
            }
        }
    }

    /// What has become of the horse, once it is gone.
    pub(crate) async fn ended(self) -> Gone {
        match self.ended.await {
            Ok(Ok(death)) => Gone::Dead(death),
            Ok(Err(reason)) => Gone::NeverForked(reason),
            Err(_) => Gone::WithServer,
        }
    }
}
