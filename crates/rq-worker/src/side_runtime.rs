//! [`SideRuntime`]: what drives the I/O of async handlers.

use std::fmt;
use std::sync::{Mutex, OnceLock, PoisonError, mpsc};

use rq_core::{BlockOnError, Blocked, BoxError, Want, panics};
use tokio::runtime::{Handle, Runtime};

use crate::want::want;

/// How many threads it has; the handlers themselves are polled where jobs run.
const THREADS: usize = 2;
const WHAT: &str = "the runtime for async jobs could not start";

/// What drives the I/O of async handlers, beside the dispatcher's runtime. Made for the first such handler; one for all
/// of a process, so that what handlers share keeps running between them.
#[derive(Default)]
pub struct SideRuntime {
    made: OnceLock<Runtime>,
    /// Held while it is made.
    making: Mutex<()>,
    /// How async code is run to its end here, and whether it must not be; by default it blocks the thread.
    drive: OnceLock<(Drive, IsPolled)>,
}

/// Runs async code to its end in the place where jobs run, while the runtime drives its I/O.
pub type Drive = fn(&Runtime, Blocked<'_>);

/// Whether the caller is itself polled, so that it must not wait.
pub type IsPolled = fn() -> bool;

impl SideRuntime {
    /// The runtime. One that could not be made is tried again by the next call.
    ///
    /// # Errors
    /// What is short, where it could not be made.
    pub fn get(&self) -> Result<&Runtime, Want> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(THREADS).thread_name("rq-async").enable_all();
        // tokio panics where it cannot have its first thread.
        let made = panics::catch(|| builder.build());
        let runtime = made
            .map_err(|panic| Want::new(format!("{WHAT}: {}", panic.message)))?
            .map_err(|error| want(WHAT, &error))?;
        Ok(self.made.get_or_init(|| runtime))
    }
}

impl SideRuntime {
    /// Has `drive` run the async code that sync code of jobs waits for, where their threads must not be blocked, unless
    /// `is_polled`. Called before the first job; a second call changes nothing.
    pub fn drive_by(&self, drive: Drive, is_polled: IsPolled) {
        self.drive.get_or_init(|| (drive, is_polled));
    }

    /// Runs async code to its end, for sync code of a job that waits for it here.
    pub(crate) fn block_on(&self, future: Blocked<'_>) -> Result<(), BlockOnError> {
        let (drive, is_polled) = *self.drive.get_or_init(|| (block_thread, in_runtime));
        // tokio panics there, and a coroutine that polls must not wait.
        if is_polled() {
            return Err(BlockOnError::InAsyncCode);
        }
        let runtime = self.get().map_err(|want| BlockOnError::Short { reason: want.to_string() })?;
        drive(runtime, future);
        Ok(())
    }

    /// Blocks this thread, which may be in a runtime, until `future` has ended on this one.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, BoxError> {
        let runtime = self.get().map_err(|want| want.to_string())?;
        let (sender, ended) = mpsc::channel();
        runtime.spawn(async move {
            // The receiver waits for it.
            let _ = sender.send(future.await);
        });
        Ok(ended.recv()?)
    }
}

fn block_thread(runtime: &Runtime, future: Blocked<'_>) {
    runtime.block_on(future);
}

/// Whether this thread is in a runtime. tokio does not say whether it polls there, or has only entered it.
pub fn in_runtime() -> bool {
    Handle::try_current().is_ok()
}

impl Drop for SideRuntime {
    /// Does not wait for the threads: the caller may be in another runtime, which forbids that.
    fn drop(&mut self) {
        if let Some(runtime) = self.made.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for SideRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SideRuntime").field("made", &self.made.get().is_some()).finish()
    }
}
