//! [`Place`]: where the Manager is that a command asks.

use std::path::PathBuf;
use std::time::Duration;

use super::super::manager::file;
use crate::manager::config::read_own;
use crate::manager::socket::Folders;
use crate::refusal::Refusal;

/// How long a Manager waits for its workers, unless its file says otherwise: as `rq-manager` has it.
const WAIT_TIME_DEFAULT: Duration = Duration::from_secs(25);

/// Where the Manager is.
#[derive(Debug, clap::Args)]
pub(super) struct Place {
    /// The file that the Manager was started with [default: rq.toml].
    #[arg(short, long, value_name = "FILE", conflicts_with = "socket")]
    config: Option<PathBuf>,
    /// Its socket, by the path.
    #[arg(long, value_name = "PATH")]
    socket: Option<PathBuf>,
}

impl Place {
    /// Where it may listen.
    pub(super) fn sockets(&self, command: &str) -> Result<Vec<PathBuf>, Refusal> {
        if let Some(socket) = &self.socket {
            return Ok(vec![socket.clone()]);
        }
        let file = file(self.config.as_ref(), command, ", and no --socket was named")?;
        match read_own(&file)?.socket {
            Some(socket) => Ok(vec![socket]),
            None => Folders::of_environment().places(&file),
        }
    }

    /// How long it waits for its workers, as far as its file tells: not at all, where they take as long as they take.
    pub(super) fn wait_time(&self) -> Option<Duration> {
        let file = file(self.config.as_ref(), "", "").ok().filter(|_| self.socket.is_none())?;
        read_own(&file).ok()?.wait_time.unwrap_or(Some(WAIT_TIME_DEFAULT))
    }
}
