//! [`Watch`]: what an executor and a running job agree by who reports the job's end, where its code cannot be ended by
//! force.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use rq_core::{Failure, Interrupt, Interrupted};

/// How long a job that was asked to end may take before its executor gives it up, where its code cannot be ended.
pub const RETURN_GRACE: Duration = Duration::from_millis(500);

const RUNNING: u8 = 0;
const RETURNED: u8 = 1;
const GIVEN_UP: u8 = 2;

/// One running job, shared by its executor and the thread or coroutine that runs it.
///
/// Exactly one of the two reports how the job ended: the first to call [`returned`](Watch::returned) or
/// [`give_up`](Watch::give_up).
#[derive(Debug)]
pub struct Watch {
    limit: Option<Duration>,
    /// Made when the job begins, for then its time begins.
    interrupt: OnceLock<Arc<Interrupt>>,
    fate: AtomicU8,
}

impl Watch {
    /// For a job that may run so long once it begins.
    pub fn new(limit: Option<Duration>) -> Watch {
        Watch { limit, interrupt: OnceLock::new(), fate: AtomicU8::new(RUNNING) }
    }

    /// How the job learns that it has to end; its time begins with the first call.
    pub fn interrupt(&self) -> &Arc<Interrupt> {
        self.interrupt.get_or_init(|| Arc::new(Interrupt::new(self.limit)))
    }

    /// Asks the job to end.
    pub fn stop(&self) {
        self.interrupt().stop();
    }

    /// When the job is given up, where it has a limit and has begun.
    pub fn overdue_at(&self) -> Option<Instant> {
        Some(self.interrupt.get()?.deadline()? + RETURN_GRACE)
    }

    /// The thread or coroutine notes that the job has returned. `false`: too late, the executor has given it up.
    pub fn returned(&self) -> bool {
        // One exchange decides who reports the end: were it neither, the job's slot would stay taken for ever.
        self.fate.compare_exchange(RUNNING, RETURNED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// The executor gives the job up, and gets the failure, unless the job has returned meanwhile.
    pub fn give_up(&self) -> Option<Failure> {
        let given_up = self.fate.compare_exchange(RUNNING, GIVEN_UP, Ordering::AcqRel, Ordering::Acquire);
        given_up.is_ok().then(|| match self.interrupt().check() {
            Err(interrupted) => Failure::interrupted(interrupted),
            Ok(()) => Failure::interrupted(Interrupted::JobStopped),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_of_the_two_tells_the_end() {
        let watch = Watch::new(None);
        assert!(watch.returned());
        assert!(watch.give_up().is_none());
        let watch = Watch::new(Some(Duration::ZERO));
        assert!(matches!(watch.give_up(), Some(Failure::Timeout { .. })));
        assert!(!watch.returned());
    }
}
