//! [`drive`]: polls an async handler in the coroutine of its job.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use may::coroutine::{self, Coroutine};
use rq_core::Blocked;
use tokio::runtime::Runtime;

use crate::carriers::wake;
use crate::current_job::while_waiting;

may::coroutine_local!(static POLLING: Cell<bool> = Cell::new(false));

/// Polls a future to its end in this coroutine, which gives its thread to others while the future waits. The runtime
/// drives the future's I/O.
///
/// The coroutine enters the runtime for each poll and leaves it before it waits: which runtime is entered is noted with
/// the thread, and the coroutine may go on on another thread.
pub(crate) fn drive<T>(runtime: &Runtime, future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Alarm(coroutine::current())));
    loop {
        let polled = {
            let _polling = Polling::begin();
            let _entered = runtime.enter();
            future.as_mut().poll(&mut Context::from_waker(&waker))
        };
        match polled {
            Poll::Ready(value) => return value,
            // A wake before the park is not lost: `may` keeps it, and the park returns at once.
            Poll::Pending => while_waiting(coroutine::park),
        }
    }
}

/// [`drive`] for sync code of a job that waits for async code; a thread that the job has started is blocked.
pub(crate) fn block_on(runtime: &Runtime, future: Blocked<'_>) {
    if coroutine::is_coroutine() { drive(runtime, future) } else { runtime.block_on(future) }
}

/// Whether this coroutine polls a future: it must not wait then, as its thread is in a runtime.
pub(crate) fn is_polling() -> bool {
    POLLING.with(Cell::get)
}

struct Alarm(Coroutine);

impl Wake for Alarm {
    fn wake(self: Arc<Alarm>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Alarm>) {
        // Called from threads of the runtime, mostly, and then placed on a carrier that answers.
        wake(&self.0);
    }
}

struct Polling;

impl Polling {
    fn begin() -> Polling {
        POLLING.with(|polling| polling.set(true));
        Polling
    }
}

impl Drop for Polling {
    fn drop(&mut self) {
        POLLING.with(|polling| polling.set(false));
    }
}
