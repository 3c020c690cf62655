//! How a control socket comes to its path, and who is there already.

use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::socket::{AddressFamily, Backlog, SockFlag, SockType, UnixAddr, bind, connect, listen, socket};

use crate::owned_path::OwnedPath;

/// How many clients may wait to be accepted.
const BACKLOG: i32 = 16;
/// How long another Manager may take to bind in the same folder, and how often that is looked at.
const LOCK_TIME_MAX: Duration = Duration::from_secs(2);
const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// Listens at `path`, without waiting for anybody. The reason why not is a sentence.
pub(super) fn listen_at(path: &Path) -> Result<(UnixListener, OwnedPath), String> {
    let address = UnixAddr::new(path).map_err(|error| match error {
        Errno::ENAMETOOLONG => "its path is longer than the 107 bytes that a socket's may have".to_owned(),
        error => error.desc().to_owned(),
    })?;
    let folder = folder_of(path)?;
    // Until it is closed, behind this.
    lock(&folder)?;
    make_room(path)?;
    let open = || {
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
        bind(socket.as_raw_fd(), &address)?;
        let file = OwnedPath::new(path.to_owned())?;
        // Whatever the umask. Nobody has got in before: until it listens, the system refuses all.
        fs::set_permissions(path, Permissions::from_mode(0o600))?;
        listen(&socket, Backlog::new(BACKLOG)?)?;
        Ok((UnixListener::from(socket), file))
    };
    open().map_err(|error: io::Error| error.to_string())
}

/// Connects to who listens at `path`, without waiting: where too many wait there already, that is `EAGAIN`.
pub(super) fn connect_to(path: &Path) -> nix::Result<UnixStream> {
    let address = UnixAddr::new(path)?;
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    connect(socket.as_raw_fd(), &address)?;
    Ok(UnixStream::from(socket))
}

/// The folder of `path`, which is made, for this user alone, where there is none.
fn folder_of(path: &Path) -> Result<File, String> {
    let folder = match path.parent() {
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
        None => return Err("that is no path of a file".to_owned()),
    };
    let made = match DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        made => made,
    };
    made.and_then(|()| File::open(folder)).map_err(|error| format!("its folder: {error}"))
}

/// Of two Managers that start at once, one might else take the other's socket for a stale one before that listens.
fn lock(folder: &File) -> Result<(), String> {
    let by = Instant::now() + LOCK_TIME_MAX;
    while let Err(error) = folder.try_lock() {
        if Instant::now() >= by {
            return Err(format!("its folder is locked by another process: {error}"));
        }
        sleep(LOCK_PAUSE);
    }
    Ok(())
}

/// Removes a socket that nobody listens at any more.
fn make_room(path: &Path) -> Result<(), String> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error.to_string()),
        Ok(there) => there,
    };
    if !there.file_type().is_socket() {
        return Err("there is something that is no socket: remove it, or choose another path".to_owned());
    }
    match connect_to(path) {
        Ok(_) | Err(Errno::EAGAIN) => {
            Err("another Manager listens there: stop it, or choose another path".to_owned())
        }
        Err(Errno::ECONNREFUSED) => fs::remove_file(path).map_err(|error| error.to_string()),
        Err(error) => Err(format!("there is a socket that may be in use: {}", error.desc())),
    }
}
