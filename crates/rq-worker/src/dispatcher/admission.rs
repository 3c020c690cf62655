//! [`Admission`]: jobs whose payloads are large begin when there is room for them, one after the other.
//!
//! A payload of 60 KB may inflate to 60 MB, and so may those of all other slots at the same time. So what jobs of this
//! process hold of inflated payloads has a sum, from before they are inflated until the jobs end. Whoever finds no room
//! waits for its turn, in the slot that it has, and its time limit does not run; what is small passes by.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use rq_core::{Codec, Ended, Execution, ExecutionId, Failure, Job, panics, zlib};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Dispatcher;
use super::running::Cause;

/// How many bytes of inflated payloads the jobs of one process, or under `-w fork` of one worker, hold at once, beside
/// those that are small. No payload has more.
pub const INFLATED_BYTES_MAX: usize = 128 << 20;
/// What is as small as this is not looked at. Deflated a thousand times at best, it may inflate to four times of what
/// passes by.
const UNSEEN_BYTES: usize = 256;
/// What inflates to no more than this passes by.
const SMALL_BYTES: usize = 64 << 10;
/// In which unit room is counted.
const UNIT_BYTES: usize = 1 << 10;

const _: () = assert!(Codec::MAX_PAYLOAD_BYTES <= INFLATED_BYTES_MAX, "any payload must be possible");

static ROOM: LazyLock<Arc<Semaphore>> =
    LazyLock::new(|| Arc::new(Semaphore::new(INFLATED_BYTES_MAX / UNIT_BYTES)));
/// One at a time is counted: that keeps a thread busy.
static COUNTING: Semaphore = Semaphore::const_new(1);

/// A part of the room, given back when it is dropped.
pub(super) type Room = Arc<OwnedSemaphorePermit>;

/// The executions that wait for room, each with its queue's name.
#[derive(Default)]
pub(super) struct Admission {
    waiting: HashMap<ExecutionId, (Execution, String)>,
}

impl Admission {
    /// How many wait.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Whether a payload inflates to little, by a look that takes no time.
fn is_small(data: &[u8]) -> bool {
    data.len() <= UNSEEN_BYTES
        || data.len() <= SMALL_BYTES && zlib::inflated_len(data, SMALL_BYTES + 1) <= SMALL_BYTES
}

/// Waits for room for a job's payload.
async fn room_for(job: Arc<Job>) -> Option<Room> {
    let bytes = {
        let _one_at_a_time = COUNTING.acquire().await;
        let count = move || zlib::inflated_len(&job.data, Codec::MAX_PAYLOAD_BYTES);
        // tokio panics where it cannot have its first thread; then it counts as much as a payload may.
        match panics::catch(|| tokio::task::spawn_blocking(count)) {
            Ok(counting) => counting.await.unwrap_or(Codec::MAX_PAYLOAD_BYTES),
            Err(_) => Codec::MAX_PAYLOAD_BYTES,
        }
    };
    // In the order of the calls, so that a large one is not passed by for ever.
    let units = u32::try_from(bytes.div_ceil(UNIT_BYTES)).unwrap_or(u32::MAX);
    Arc::clone(&ROOM).acquire_many_owned(units).await.ok().map(Arc::new)
}

impl Dispatcher {
    /// Hands an execution to the executor, once there is room for its payload.
    pub(super) fn admit(&mut self, execution: Execution, queue: String) {
        if is_small(&execution.job.data) {
            return self.start(execution, &queue);
        }
        let (id, room) = (execution.id.clone(), room_for(Arc::clone(&execution.job)));
        self.admission.waiting.insert(id.clone(), (execution, queue));
        self.beside(room, move |worker, room| worker.on_admitted(&id, room));
    }

    fn on_admitted(&mut self, id: &ExecutionId, room: Option<Room>) {
        // It may have been stopped meanwhile: then its room is the next one's.
        if let Some((execution, queue)) = self.admission.waiting.remove(id) {
            self.running.on_admitted(id, room);
            self.start(execution, &queue);
        }
    }

    /// Ends an execution that waits for room; `false` if it does not. It has not begun: if it was stopped its job is
    /// stopped, else it goes back.
    pub(super) fn stop_waiting(&mut self, id: &ExecutionId, cause: Cause) -> bool {
        if self.admission.waiting.remove(id).is_none() {
            return false;
        }
        match cause {
            Cause::Asked => {
                let outcome = Err(Failure::Stopped);
                self.on_ended(id, Ended { outcome, ran: std::time::Duration::ZERO, called_back: false });
            }
            Cause::ShutDown => {
                self.give_back(id);
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_small_passes_by() {
        let deflated = |bytes: usize| zlib::deflate(&vec![b'x'; bytes]);
        assert!(is_small(&deflated(10)) && is_small(&deflated(SMALL_BYTES)));
        let hidden = deflated(60 << 20);
        assert!(hidden.len() < SMALL_BYTES && !is_small(&hidden));
        // As it is, without compression.
        assert!(is_small(&vec![b'x'; SMALL_BYTES]) && !is_small(&vec![b'x'; SMALL_BYTES + 1]));
    }
}
