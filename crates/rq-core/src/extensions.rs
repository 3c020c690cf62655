//! [`Extensions`]: values that belong to one run of a job.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::context::Context;
use crate::failure::Failure;
use crate::handlers::JobOutcome;
use crate::panics::{self, Panic};

/// Values that belong to one run of a job, one a type: what middleware hands to the job, and code further down.
/// [`Context::extensions`](crate::Context::extensions) has those of its run.
///
/// All clones of the context share them. They are dropped when the job has ended, behind its middleware and within its time
/// limit: its callbacks do not see them, and may keep their own. Where a `Drop` panics, a job that had ended well has failed
/// by that; of any other the log tells. What all jobs share is a state ([`Context::state`](crate::Context::state)).
///
/// ```
/// use rq_core::{Context, job};
///
/// struct Tenant(String);
///
/// #[job("invoices.send")]
/// fn send(ctx: &Context) -> rq_core::Result<String> {
///     let tenant = ctx.extensions().get::<Tenant>().ok_or("no tenant")?;
///     Ok(format!("sent for {}", tenant.0))
/// }
///
/// let ctx = Context::for_test();
/// ctx.extensions().insert(Tenant("acme".to_owned()));
/// assert_eq!(send(&ctx).map_err(|failure| failure.text()), Ok("sent for acme".to_owned()));
/// ```
#[derive(Default)]
pub struct Extensions {
    /// Few: a search is as fast as a hash, and none takes no memory.
    by_type: Mutex<Vec<(TypeId, Extension)>>,
}

type Extension = Arc<dyn Any + Send + Sync>;

impl Extensions {
    /// Keeps `value`, in the place of another `T`, which is returned.
    pub fn insert<T: Send + Sync + 'static>(&self, value: T) -> Option<Arc<T>> {
        let (id, value) = (TypeId::of::<T>(), Arc::new(value));
        let mut by_type = self.locked();
        let before = match by_type.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => Some(std::mem::replace(known, value)),
            None => {
                by_type.push((id, value));
                None
            }
        };
        // Its destructor may ask for others.
        drop(by_type);
        before?.downcast().ok()
    }

    /// The `T` that was inserted; `None` where none was.
    pub fn get<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let id = TypeId::of::<T>();
        let value = self.locked().iter().find(|(known, _)| *known == id).map(|(_, value)| Arc::clone(value));
        value?.downcast().ok()
    }

    /// The same, which is kept no longer.
    pub fn remove<T: Send + Sync + 'static>(&self) -> Option<Arc<T>> {
        let id = TypeId::of::<T>();
        let mut by_type = self.locked();
        let at = by_type.iter().position(|(known, _)| *known == id)?;
        by_type.swap_remove(at).1.downcast().ok()
    }

    /// Drops all, the last one first, and returns the panics of those that panic.
    fn clear(&self) -> impl Iterator<Item = Panic> + use<> {
        let all = std::mem::take(&mut *self.locked());
        // Each by itself: a second panic while the first one unwinds would abort the process.
        all.into_iter().rev().filter_map(|(_, value)| panics::catch(|| drop(value)).err())
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(TypeId, Extension)>> {
        self.by_type.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Extensions {
    /// What was inserted behind the job's end, by its threads or its callbacks.
    fn drop(&mut self) {
        self.clear().for_each(|panic| log(&panic));
    }
}

impl Context {
    /// Drops the extensions of what has ended like this. Returns how it has ended with that: a panic is the failure of what
    /// had ended well. Called where jobs run, behind middleware.
    pub fn drop_extensions(&self, outcome: JobOutcome) -> JobOutcome {
        self.enter(|| {
            self.extensions().clear().fold(outcome, |outcome, panic| match outcome {
                Ok(_) => Err(Failure::Panic(panic)),
                // A wanted retry, or the job's own error, says more.
                Err(failure) => {
                    log(&panic);
                    Err(failure)
                }
            })
        })
    }
}

fn log(panic: &Panic) {
    tracing::error!("a value among the extensions of a job panicked as it was dropped: {}", panic.message);
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("count", &self.locked().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::retry::Retry;

    static DROPPED: Mutex<Vec<u8>> = Mutex::new(Vec::new());

    /// Says that it is dropped, and panics.
    struct Breaks<const N: u8>;

    impl<const N: u8> Drop for Breaks<N> {
        fn drop(&mut self) {
            DROPPED.lock().unwrap().push(N);
            panic!("{N} breaks");
        }
    }

    #[test]
    fn each_that_panics_as_it_is_dropped_panics_alone_and_fails_only_what_had_ended_well() {
        let check = |outcome: JobOutcome, kind: &str, says: &str| {
            let context = Context::for_test();
            context.extensions().insert(Breaks::<1>);
            context.extensions().insert(Breaks::<2>);
            let failure = context.drop_extensions(outcome).unwrap_err();
            assert_eq!(failure.kind(), kind);
            assert!(failure.text().contains(says), "{}", failure.text());
            assert_eq!(*DROPPED.lock().unwrap(), [2, 1]);
            // What comes behind the end, and goes with the context.
            context.extensions().insert(Breaks::<3>);
            context.extensions().insert(Breaks::<4>);
            drop(context);
            assert_eq!(std::mem::take(&mut *DROPPED.lock().unwrap()), [2, 1, 4, 3]);
        };
        check(Ok(None), "Panic", "2 breaks");
        check(Err("its own error".into()), "Error", "its own error");
        check(Err(Failure::Panic(panics::catch(|| panic!("its own")).unwrap_err())), "Panic", "its own");
        let context = Context::for_test();
        context.extensions().insert(Breaks::<5>);
        let retry = || Failure::Retry(Retry::up_to(3));
        assert!(matches!(context.drop_extensions(Err(retry())), Err(Failure::Retry(_))));
    }

    #[test]
    fn clones_of_a_context_share_one_value_of_each_type() {
        let context = Context::for_test();
        let clone = context.clone();
        assert!(context.extensions().insert(7_u8).is_none());
        context.extensions().insert("text");
        assert_eq!(clone.extensions().insert(8_u8).as_deref(), Some(&7));
        assert_eq!(context.extensions().get::<u8>().as_deref(), Some(&8));
        assert_eq!(context.extensions().remove::<u8>().as_deref(), Some(&8));
        assert!(clone.extensions().get::<u8>().is_none());
        assert_eq!(clone.extensions().get::<&str>().as_deref(), Some(&"text"));
        assert!(Context::for_test().extensions().get::<&str>().is_none(), "those of another run");
    }
}
