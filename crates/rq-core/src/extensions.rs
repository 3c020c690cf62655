//! [`Extensions`]: values that belong to one run of a job.

use std::any::{Any, TypeId};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Values that belong to one run of a job, one a type: what middleware hands to the job, and code further down.
/// [`Context::extensions`](crate::Context::extensions) has those of its run.
///
/// All clones of the context share them, the callbacks that are called where the job ran see them too, and they are dropped
/// when the run is over. What all jobs share is a state ([`Context::state`](crate::Context::state)).
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

    /// Drops all, the last one first. Where jobs run, it is called as a run is over.
    #[cfg(feature = "worker")]
    pub fn clear(&self) {
        let all = std::mem::take(&mut *self.locked());
        all.into_iter().rev().for_each(drop);
    }

    fn locked(&self) -> MutexGuard<'_, Vec<(TypeId, Extension)>> {
        self.by_type.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Extensions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extensions").field("count", &self.locked().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::Context;

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
