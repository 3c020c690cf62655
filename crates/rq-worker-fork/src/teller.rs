//! [`Teller`]: how a horse reports to its worker.

use std::io;
use std::os::unix::net::UnixStream;
use std::sync::{Arc, Mutex, PoisonError};

use rq_core::Failure;

use crate::frames::{HorseReport, Outcome, RemoteFailure, write};

/// How a horse reports to its worker. Its job may have several threads: one reports at a time.
pub(crate) struct Teller {
    socket: Mutex<Arc<UnixStream>>,
}

impl Teller {
    pub(crate) fn new(socket: Arc<UnixStream>) -> Teller {
        Teller { socket: Mutex::new(socket) }
    }

    /// Reports how the job ended, or what happens to it; where its outcome is too large for a frame, a failure that says so.
    pub(crate) fn tell(&self, report: &HorseReport) -> io::Result<()> {
        let socket = self.socket.lock().unwrap_or_else(PoisonError::into_inner);
        match (write(&mut &**socket, report), report) {
            // A frame is made whole before it is written, so nothing of the one that is too large has been sent.
            (Err(error), HorseReport::Ended(Outcome { ran, called_back, .. }))
                if error.kind() == io::ErrorKind::InvalidData =>
            {
                let failure =
                    Failure::Executor(format!("the outcome of the job could not be passed on: {error}"));
                let outcome = Outcome {
                    outcome: Err(RemoteFailure::from(failure)),
                    ran: *ran,
                    called_back: *called_back,
                };
                write(&mut &**socket, &HorseReport::Ended(outcome))
            }
            (told, _) => told,
        }
    }
}
