//! [`Place`]: where the Manager is that a command asks.

use std::path::PathBuf;

use super::super::manager::file;
use crate::manager::config::read_own;
use crate::manager::socket::Folders;
use crate::output::note;
use crate::refusal::Refusal;
use crate::text::text;

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
        // A file that cannot be read any more is no reason to lose sight of the Manager that was started with it.
        match read_own(&file) {
            Ok(own) if own.socket.is_some() => Ok(own.socket.into_iter().collect()),
            Ok(_) => Folders::of_environment().places(&file),
            Err(refusal) => {
                let why = refusal.reason().unwrap_or_default();
                note(text!(
                    "{why}; the Manager is looked for as if it named no socket, else --socket PATH does"
                ));
                Folders::of_environment().places(&file)
            }
        }
    }
}
