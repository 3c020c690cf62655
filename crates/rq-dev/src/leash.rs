//! A process on a leash ends when ours does, however ours ends: return, panic, Ctrl-C or SIGKILL.
//!
//! The leash is a pipe. A small shell beside the process reads it; we hold the other end and never write. When the
//! last holder is gone, by whatever death, the kernel closes the pipe, and the shell kills the process and tidies up.
//! (A parent-death signal would need `unsafe` and Linux, and cannot remove a container.)

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};

/// `$1`..`$4` are what to do at the end; the rest, if any, is the process. `exec` makes this shell *become* the process,
/// so that its id is the child's; `$$` in the background half is that same id.
const SCRIPT: &str = r#"
exec 3<&0
(
    while read -r _ <&3; do :; done
    [ $# -gt 4 ] && kill -KILL $$
    "$1" "$2" "$3" "$4"
) >/dev/null 2>&1 &
shift 4
[ $# -gt 0 ] || exit 0
exec "$@" </dev/null 3<&-
"#;

/// A process that ends with us. Dropping it ends it at once.
pub struct Leash {
    process: Child,
    held: Option<ChildStdin>,
}

/// What to tidy up once the process has been killed.
pub enum AtEnd {
    /// Its directory and all that is in it.
    RemoveDirectory(PathBuf),
    /// A container, by name or id, through the `docker` command.
    RemoveContainer(String),
}

impl Leash {
    /// Starts `command` (program and arguments), its output going to `log`.
    ///
    /// # Errors
    /// When there is no shell, or no more processes can be started.
    pub fn start(command: &[OsString], log: File, at_end: &AtEnd) -> io::Result<Self> {
        let error_log = log.try_clone()?;
        Self::spawn(command, log.into(), error_log.into(), at_end)
    }

    /// Starts nothing, and tidies up when we end.
    ///
    /// # Errors
    /// As [`Leash::start`].
    pub fn at_end(at_end: &AtEnd) -> io::Result<Self> {
        Self::spawn(&[], Stdio::null(), Stdio::null(), at_end)
    }

    /// The process's id, good for signals as long as this value lives.
    pub fn process_id(&self) -> u32 {
        self.process.id()
    }

    /// Whether the process has ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.process.try_wait()?.is_some())
    }

    /// A second holder, to be the stdin of a child of ours: the process then lives until we *and* that child (with the
    /// children that inherit its stdin) are gone, so that it can end in good order after a Ctrl-C took us away.
    ///
    /// # Errors
    /// When no more files can be opened.
    pub fn second_holder(&self) -> io::Result<Stdio> {
        match &self.held {
            Some(held) => Ok(Stdio::from(held.as_fd().try_clone_to_owned()?)),
            None => Ok(Stdio::null()),
        }
    }

    fn spawn(command: &[OsString], out: Stdio, err: Stdio, at_end: &AtEnd) -> io::Result<Self> {
        let mut shell = Command::new("sh");
        shell.args(["-c", SCRIPT, "leash"]).args(at_end.words()).args(command);
        shell.stdin(Stdio::piped()).stdout(out).stderr(err);
        // A process group of its own: Ctrl-C in the terminal is ours to act on.
        let mut process = shell.process_group(0).spawn()?;
        let held = process.stdin.take();
        Ok(Self { process, held })
    }
}

impl Drop for Leash {
    fn drop(&mut self) {
        // Lets go first: the shell kills the process while nobody has collected it, so its id cannot be another's yet.
        self.held = None;
        // Fails only for a process collected before.
        let _ = self.process.wait();
    }
}

impl AtEnd {
    fn words(&self) -> [&OsStr; 4] {
        let (words, object): ([&str; 3], &OsStr) = match self {
            Self::RemoveDirectory(path) => (["rm", "-r", "-f"], path.as_os_str()),
            Self::RemoveContainer(name) => (["docker", "rm", "--force"], name.as_ref()),
        };
        [words[0].as_ref(), words[1].as_ref(), words[2].as_ref(), object]
    }
}
