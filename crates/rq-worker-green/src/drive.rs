//! [`drive`]: polls an async handler in the coroutine of its job.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use may::coroutine::{self, Coroutine};
use rq_core::Blocked;
use rq_worker::in_runtime;
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

/// Whether what calls [`block_on`] must not wait, for it is polled. Of a coroutine its thread says nothing: another job may have
/// left that in a runtime.
pub(crate) fn is_polled() -> bool {
    if coroutine::is_coroutine() { is_polling() } else { in_runtime() }
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

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::carriers::Carriers;
    use crate::options::JOB_STACK_KB_DEFAULT;

    /// What `call` returns in a coroutine.
    fn in_coroutine<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, returned) = mpsc::channel();
        let carriers = Carriers::start(JOB_STACK_KB_DEFAULT).unwrap();
        let (coroutine, _) = carriers.spawn(Box::new(move || drop(sender.send(call())))).unwrap();
        coroutine.join().unwrap();
        returned.recv().unwrap()
    }

    #[test]
    fn a_coroutine_on_a_thread_that_is_in_a_runtime_is_polled_only_where_it_polls() {
        let runtime = || tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (entered, own) = (runtime(), runtime());
        let polled = in_coroutine(move || {
            // As another job may have left the thread.
            let _entered = entered.enter();
            [is_polled(), drive(&own, async { is_polled() }), is_polled()]
        });
        assert_eq!(polled, [false, true, false]);
        assert!(!is_polled());
        assert!(runtime().block_on(async { is_polled() }), "a thread beside the carriers");
    }
}
