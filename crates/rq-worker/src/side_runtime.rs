//! [`SideRuntime`]: what drives the I/O of async handlers.

use std::fmt;
use std::sync::{OnceLock, mpsc};

use rq_core::{BoxError, Failure};
use tokio::runtime::Runtime;

/// How many threads it has; the handlers themselves are polled where jobs run.
const THREADS: usize = 2;

/// What drives the I/O of async handlers, beside the dispatcher's runtime. Made for the first such handler; one for all
/// of a process, so that what handlers share keeps running between them.
#[derive(Default)]
pub struct SideRuntime {
    made: OnceLock<Result<Runtime, String>>,
}

impl SideRuntime {
    /// The runtime, or why it could not be made.
    pub fn get(&self) -> Result<&Runtime, Failure> {
        let made = self.made.get_or_init(|| {
            let mut builder = tokio::runtime::Builder::new_multi_thread();
            let runtime = builder.worker_threads(THREADS).thread_name("rq-async").enable_all().build();
            runtime.map_err(|error| error.to_string())
        });
        made.as_ref().map_err(|error| {
            Failure::Executor(format!("the runtime for async jobs could not start: {error}"))
        })
    }
}

impl SideRuntime {
    /// Blocks this thread, which may be in a runtime, until `future` has ended on this one.
    pub(crate) fn wait_for<T: Send + 'static>(
        &self,
        future: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, BoxError> {
        let runtime = self.get().map_err(|failure| failure.text())?;
        let (sender, ended) = mpsc::channel();
        runtime.spawn(async move {
            // The receiver waits for it.
            let _ = sender.send(future.await);
        });
        Ok(ended.recv()?)
    }
}

impl Drop for SideRuntime {
    /// Does not wait for the threads: the caller may be in another runtime, which forbids that.
    fn drop(&mut self) {
        if let Some(Ok(runtime)) = self.made.take() {
            runtime.shutdown_background();
        }
    }
}

impl fmt::Debug for SideRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SideRuntime").field("made", &self.made.get().is_some()).finish()
    }
}
