//! [`Notices`]: the socket at which executed children tell how they fare, by sd_notify.
//!
//! | line | says |
//! |---|---|
//! | `READY=1` | that it serves |
//! | `STOPPING=1` | that it leaves |
//! | `WATCHDOG=1` | that it lives |
//! | `STATUS=...` | what it does, for people |
//! | `X_RQ_REQUESTS=<n>` | how many requests it has done |
//! | `X_RQ_BASELINE_BYTES=<n>` | what it held in memory, with all it had started, before its first one |
//! | `X_RQ_CAUSE=<word>` | why it leaves |

use std::env;
use std::fs::{self, Permissions};
use std::io::{self, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};

use nix::cmsg_space;
use nix::errno::Errno;
use nix::sys::socket::sockopt::PassCred;
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, MsgFlags, SockFlag, SockType, UnixAddr, UnixCredentials, bind,
    recvmsg, setsockopt, socket,
};
use nix::unistd::{Pid, close, mkdtemp};

use crate::owned_path::OwnedPath;
use crate::shown;

/// How many messages are taken in one turn of the loop: who sends without a pause must not hold it up.
pub(crate) const NOTICES_PER_TURN_MAX: usize = 256;
/// The longest message; a longer one is dropped.
const NOTICE_BYTES_MAX: usize = 4096;
/// How much is kept of what a child says of itself.
const STATUS_CHARS_MAX: usize = 500;
/// The longest word of a cause.
const CAUSE_BYTES_MAX: usize = 64;
/// How many descriptors one message can bring (the system's `SCM_MAX_FD`).
const DESCRIPTORS_MAX: usize = 253;

/// What a child has told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Notice {
    pub(crate) is_ready: bool,
    pub(crate) is_stopping: bool,
    /// That it lives.
    pub(crate) is_beat: bool,
    /// What it does, for people; harmless on a terminal. Empty where it has nothing to say any more.
    pub(crate) status: Option<String>,
    /// How many requests it has done.
    pub(crate) requests: Option<u64>,
    /// What it held in memory, with all it had started, before its first one.
    pub(crate) baseline_bytes: Option<u64>,
    /// Why it leaves: letters, digits and `_`.
    pub(crate) cause: Option<String>,
}

impl Notice {
    /// Reads a message. What it does not know, and values that make no sense, it leaves out.
    fn parse(message: &[u8]) -> Notice {
        let mut notice = Notice::default();
        for line in String::from_utf8_lossy(message).lines() {
            match line.split_once('=') {
                Some(("READY", "1")) => notice.is_ready = true,
                Some(("STOPPING", "1")) => notice.is_stopping = true,
                Some(("WATCHDOG", "1")) => notice.is_beat = true,
                Some(("STATUS", text)) => notice.status = Some(shown::line(text, STATUS_CHARS_MAX)),
                Some(("X_RQ_REQUESTS", count)) => notice.requests = count.parse().ok(),
                Some(("X_RQ_BASELINE_BYTES", count)) => notice.baseline_bytes = count.parse().ok(),
                Some(("X_RQ_CAUSE", word)) => notice.cause = is_word(word).then(|| word.to_owned()),
                _ => {}
            }
        }
        notice
    }
}

fn is_word(text: &str) -> bool {
    let is_part = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
    !text.is_empty() && text.len() <= CAUSE_BYTES_MAX && text.bytes().all(is_part)
}

/// What the folder's name begins with, and what the socket in it is called.
const FOLDER: &str = "rq-manager-";
const SOCKET: &str = "notify";
/// How many folders are looked at that Managers may have left.
const STALE_MAX: usize = 1000;

/// A datagram socket in a folder of its own, which only this user and root can reach.
#[derive(Debug)]
pub(crate) struct Notices {
    socket: OwnedFd,
    // Removed in this order.
    file: OwnedPath,
    _folder: OwnedPath,
}

impl Notices {
    /// Makes the socket: below `RUNTIME_DIRECTORY` or `XDG_RUNTIME_DIR`, or else where temporary files are.
    pub(crate) fn bind() -> io::Result<Notices> {
        let mut result = Err(io::ErrorKind::NotFound.into());
        for place in places() {
            result = Notices::bind_below(&place);
            if result.is_ok() {
                break;
            }
        }
        result
    }

    fn bind_below(place: &Path) -> io::Result<Notices> {
        remove_stale(place);
        let folder = OwnedPath::new(mkdtemp(&place.join(format!("{FOLDER}XXXXXX")))?)?;
        let path = folder.path().join(SOCKET);
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Datagram, flags, None)?;
        // Before there is anybody who could send.
        setsockopt(&socket, PassCred, &true)?;
        bind(socket.as_raw_fd(), &UnixAddr::new(&path)?)?;
        let file = OwnedPath::new(path)?;
        // Whatever the umask.
        fs::set_permissions(file.path(), Permissions::from_mode(0o600))?;
        Ok(Notices { socket, file, _folder: folder })
    }

    /// Whether it is still there for those who send: folders of temporary files are tidied up.
    pub(crate) fn is_there(&self) -> bool {
        self.file.is_there()
    }

    /// What children find in `NOTIFY_SOCKET`.
    pub(crate) fn address(&self) -> &Path {
        self.file.path()
    }

    /// What can be read from when a message has come.
    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }

    /// The messages that have come, with the processes that have sent them, by the system's word. What is left for the
    /// next turn keeps the [descriptor](Notices::descriptor) readable.
    pub(crate) fn take(&mut self) -> Vec<(Pid, Notice)> {
        let mut notices = Vec::new();
        for _ in 0..NOTICES_PER_TURN_MAX {
            match self.receive() {
                Ok(notice) => notices.extend(notice),
                Err(Errno::EINTR) => {}
                Err(_) => break,
            }
        }
        notices
    }

    /// Receives a message; `None` is one that is not to be had.
    fn receive(&self) -> nix::Result<Option<(Pid, Notice)>> {
        let mut message = [0; NOTICE_BYTES_MAX];
        let mut parts = [IoSliceMut::new(&mut message)];
        let mut space = cmsg_space!(UnixCredentials, [RawFd; DESCRIPTORS_MAX]);
        let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_CMSG_CLOEXEC;
        let received = recvmsg::<()>(self.socket.as_raw_fd(), &mut parts, Some(&mut space), flags)?;
        let is_cut = received.flags.contains(MsgFlags::MSG_TRUNC);
        let (bytes, mut sender) = (received.bytes, None);
        for control in received.cmsgs().into_iter().flatten() {
            match control {
                ControlMessageOwned::ScmCredentials(credentials) => sender = Some(credentials.pid()),
                // Who asks for a barrier waits until they are closed.
                ControlMessageOwned::ScmRights(descriptors) => descriptors.into_iter().for_each(|one| {
                    let _ = close(one);
                }),
                _ => {}
            }
        }
        let sender = sender.filter(|_| !is_cut).map(Pid::from_raw);
        Ok(sender.map(|sender| (sender, Notice::parse(&message[..bytes]))))
    }
}

/// Where the socket may be, the best first.
/// Removes what Managers have left that were killed: folders with a socket that belongs to nobody any more.
fn remove_stale(place: &Path) {
    let entries = fs::read_dir(place).into_iter().flatten().flatten();
    let folders = entries.filter(|entry| entry.file_name().to_string_lossy().starts_with(FOLDER));
    for folder in folders.take(STALE_MAX) {
        let socket = folder.path().join(SOCKET);
        // Another user's says that this is forbidden; that of one which begins is not there yet.
        let is_stale = UnixDatagram::unbound()
            .and_then(|asker| asker.connect(&socket))
            .is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused);
        if is_stale {
            // What cannot be removed is left for others to try.
            let _ = fs::remove_file(&socket).and_then(|()| fs::remove_dir(folder.path()));
        }
    }
}

fn places() -> Vec<PathBuf> {
    // A service manager may name several.
    let runtime = env::var_os("RUNTIME_DIRECTORY").and_then(|all| env::split_paths(&all).next());
    let users = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let named = runtime.into_iter().chain(users).filter(|place| place.is_absolute());
    named.chain([env::temp_dir()]).collect()
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use nix::sys::socket::{ControlMessage, sendmsg};

    use super::*;
    use crate::scratch::Scratch;

    fn own_pid() -> Pid {
        Pid::this()
    }

    fn sender(notices: &Notices) -> UnixDatagram {
        let sender = UnixDatagram::unbound().unwrap();
        sender.connect(notices.address()).unwrap();
        sender
    }

    #[test]
    fn what_a_killed_manager_has_left_is_removed() {
        let scratch = Scratch::new();
        let mut stale = Notices::bind_below(&scratch.path("")).unwrap();
        let left = stale.address().to_owned();
        stale.file.leave();
        stale._folder.leave();
        drop(stale);
        assert!(left.exists());
        let one = Notices::bind_below(&scratch.path("")).unwrap();
        assert!(!left.exists() && !left.parent().unwrap().exists());
        let _other = Notices::bind_below(&scratch.path("")).unwrap();
        assert!(one.address().exists());
    }

    #[test]
    fn messages_are_read() {
        let all = "READY=1\nSTOPPING=1\nWATCHDOG=1\nSTATUS=at work\nX_RQ_REQUESTS=12\nX_RQ_BASELINE_BYTES=4096\nX_RQ_CAUSE=max_requests\n";
        let expected = Notice {
            is_ready: true,
            is_stopping: true,
            is_beat: true,
            status: Some("at work".to_owned()),
            requests: Some(12),
            baseline_bytes: Some(4096),
            cause: Some("max_requests".to_owned()),
        };
        assert_eq!(Notice::parse(all.as_bytes()), expected);
        assert_eq!(Notice::parse(b"STATUS=a=b\nSTATUS=").status.as_deref(), Some(""));
    }

    #[test]
    fn what_makes_no_sense_is_left_out() {
        for odd in [
            &b""[..],
            b"\n\n=\n=1\nREADY\nREADY=\nREADY=0\nREADY=11\n READY=1\nready=1\nWATCHDOG=trigger\nSTOPPING= 1",
            b"X_RQ_REQUESTS=-1\nX_RQ_CAUSE=two words",
            b"X_RQ_REQUESTS=99999999999999999999\nX_RQ_CAUSE=",
            b"X_RQ_REQUESTS=\xff\nX_RQ_CAUSE=\x1b[2J",
            b"MAINPID=1\nFDSTORE=1\nEXTEND_TIMEOUT_USEC=5\0READY=1",
            &[b"X_RQ_CAUSE=".to_vec(), b"x".repeat(65)].concat(),
        ] {
            assert_eq!(Notice::parse(odd), Notice::default(), "{}", String::from_utf8_lossy(odd));
        }
        let status = |text: &[u8]| Notice::parse(&[b"STATUS=", text].concat()).status.unwrap();
        assert_eq!(status(b"\x1b[2J\rx\xff"), "\\x1b[2J\\rx\u{fffd}");
        assert_eq!(status("é".repeat(600).as_bytes()), "é".repeat(500) + "…");
    }

    #[test]
    fn who_has_sent_a_message_is_known() {
        let mut notices = Notices::bind().unwrap();
        assert_eq!(notices.take(), []);
        let child = Command::new(env::current_exe().unwrap())
            .args(["--ignored", "--exact", "notices::tests::a_child_that_is_ready"])
            .env("NOTIFY_SOCKET", notices.address())
            .spawn();
        let mut child = child.unwrap();
        let pid = Pid::from_raw(child.id().try_into().unwrap());
        assert!(child.wait().unwrap().success());
        sender(&notices).send(b"WATCHDOG=1").unwrap();
        let ready = Notice { is_ready: true, ..Notice::default() };
        let beat = Notice { is_beat: true, ..Notice::default() };
        assert_eq!(notices.take(), [(pid, ready), (own_pid(), beat)]);
        assert_eq!(notices.take(), []);
    }

    #[test]
    #[ignore = "started by who_has_sent_a_message_is_known"]
    fn a_child_that_is_ready() {
        sd_notify::notify(&[sd_notify::NotifyState::Ready]).unwrap();
    }

    #[test]
    fn what_is_too_long_is_dropped() {
        let mut notices = Notices::bind().unwrap();
        let sender = sender(&notices);
        let padded = |bytes: usize| format!("{:<bytes$}", "READY=1\n").into_bytes();
        sender.send(&padded(NOTICE_BYTES_MAX + 1)).unwrap();
        sender.send(&padded(NOTICE_BYTES_MAX)).unwrap();
        sender.send(b"").unwrap();
        let taken: Vec<bool> = notices.take().into_iter().map(|(_, notice)| notice.is_ready).collect();
        assert_eq!(taken, [true, false]);
    }

    #[test]
    fn a_flood_is_taken_turn_by_turn() {
        let mut notices = Notices::bind().unwrap();
        let flooder = sender(&notices);
        let flood = std::thread::spawn(move || {
            for _ in 0..NOTICES_PER_TURN_MAX * 3 {
                flooder.send(b"WATCHDOG=1").unwrap();
            }
        });
        let mut taken = 0;
        while taken < NOTICES_PER_TURN_MAX * 3 {
            let turn = notices.take().len();
            assert!(turn <= NOTICES_PER_TURN_MAX);
            taken += turn;
        }
        flood.join().unwrap();
    }

    #[test]
    fn descriptors_that_come_along_are_closed() {
        let mut notices = Notices::bind().unwrap();
        let sender = sender(&notices);
        let (reader, writer) = io::pipe().unwrap();
        let parts = [io::IoSlice::new(b"READY=1")];
        let all = [writer.as_raw_fd(); DESCRIPTORS_MAX];
        let sent = sendmsg::<()>(
            sender.as_raw_fd(),
            &parts,
            &[ControlMessage::ScmRights(&all)],
            MsgFlags::empty(),
            None,
        );
        sent.unwrap();
        drop(writer);
        assert!(notices.take().iter().all(|(pid, notice)| *pid == own_pid() && notice.is_ready));
        // The end of the pipe comes when nobody has its other end any more.
        assert_eq!(io::read_to_string(reader).unwrap(), "");
    }

    #[test]
    fn its_folder_is_private_and_goes_with_it() {
        let notices = Notices::bind().unwrap();
        let (file, folder) = (notices.address().to_owned(), notices._folder.path().to_owned());
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&file), mode(&folder)), (0o600, 0o700));
        drop(notices);
        assert!(!folder.exists());
    }
}
