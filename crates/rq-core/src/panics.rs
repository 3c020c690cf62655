//! [`Panic`]: catching a job's panic, with the place where it happened.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::future::poll_fn;
use std::panic::{self, AssertUnwindSafe};
use std::pin::pin;
use std::sync::OnceLock;
use std::task::Poll;

/// A panic of a job, or of a callback of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// `file:line:column`, where known: see [`record_locations`].
    pub location: Option<String>,
    /// The name of the callback, if it was one.
    pub callback: Option<String>,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.callback {
            Some(name) => write!(f, "callback {name} panicked")?,
            None => f.write_str("job panicked")?,
        }
        if let Some(location) = &self.location {
            write!(f, " at {location}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What the hook has noted of the latest panic within a [`catch`]. Outside of one there is no memory, and a panic is
/// reported as ever.
#[derive(Debug, Default)]
pub struct Memory(Option<Option<String>>);

/// Puts a memory in the place of the running job's, and returns that.
pub type Swap = fn(Memory) -> Memory;

thread_local! {
    static OF_THIS_THREAD: RefCell<Memory> = const { RefCell::new(Memory(None)) };
}

static SWAP: OnceLock<Swap> = OnceLock::new();

/// Has memories kept by `swap`, for jobs that move from thread to thread: by default each thread keeps its own.
///
/// Called before the first job; a second call changes nothing.
#[cfg(feature = "worker")]
pub fn remember_by(swap: Swap) {
    SWAP.get_or_init(|| swap);
}

fn swap(memory: Memory) -> Memory {
    match SWAP.get() {
        Some(swap) => swap(memory),
        None => OF_THIS_THREAD.replace(memory),
    }
}

/// Runs `f`, turning a panic into an error.
///
/// The caller must not look at state that `f` may have left half changed; jobs share none with their worker.
pub fn catch<T>(f: impl FnOnce() -> T) -> Result<T, Panic> {
    // A job may catch panics itself, inside of this: what was noted so far is put aside, and comes back behind.
    let outer = swap(Memory(Some(None)));
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    let location = swap(outer).0.flatten();
    result.map_err(|payload| Panic { message: message(payload.as_ref()), location, callback: None })
}

/// [`catch`] for a future: a panic in any of its polls ends it.
pub async fn catch_async<F: Future>(future: F) -> Result<F::Output, Panic> {
    let mut future = pin!(future);
    // Around each poll, not around all: between two of them the job may go on on another thread, with another memory.
    poll_fn(|cx| match catch(|| future.as_mut().poll(cx)) {
        Ok(poll) => poll.map(Ok),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

/// Makes [`catch`] know where a panic happened, and keeps caught panics off standard error.
///
/// It puts a hook before the program's own, which still sees every panic outside of jobs. Workers call it; a
/// library that only enqueues does not.
#[cfg(any(feature = "worker", test))]
pub fn record_locations() {
    static INSTALLED: std::sync::Once = std::sync::Once::new();
    INSTALLED.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // Only by `swap` can be seen whether there is a memory, since it may be a coroutine's. Where there is
            // none, the empty one that was put in is the same as before.
            let caught = swap(Memory::default()).0.is_some();
            if caught {
                swap(Memory(Some(info.location().map(ToString::to_string))));
            } else {
                previous(info);
            }
        }));
    });
}

fn message(payload: &(dyn Any + Send)) -> String {
    match payload.downcast_ref::<&str>() {
        Some(text) => (*text).to_owned(),
        None => match payload.downcast_ref::<String>() {
            Some(text) => text.clone(),
            None => "a value that is no text".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_and_location_are_kept() {
        record_locations();
        let panic = catch(|| panic!("boom {}", 1)).unwrap_err();
        assert_eq!(panic.message, "boom 1");
        assert!(panic.location.as_deref().unwrap().contains("panics.rs:"), "{panic}");
        assert_eq!(catch(|| 3), Ok(3));
    }

    #[test]
    fn a_caught_panic_inside_a_job_leaves_the_jobs_own_one_in_place() {
        record_locations();
        let panic = catch(|| {
            let inner = catch(|| panic!("inner"));
            assert!(inner.is_err());
            panic!("outer")
        })
        .unwrap_err();
        assert_eq!(panic.message, "outer");
    }
}
