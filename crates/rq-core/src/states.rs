//! [`States`]: what a program's jobs share, made where they run.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::fmt;
use std::sync::OnceLock;

type Made = Box<dyn Any + Send + Sync>;

/// What a program's jobs share, one value a type: connection pools, models, clients.
///
/// A value is made when a job first asks for it, once in each process that runs jobs: a connection opened by the
/// worker would not survive a fork.
#[derive(Default)]
pub struct States {
    by_type: HashMap<TypeId, State>,
}

struct State {
    name: &'static str,
    make: Box<dyn Fn() -> Made + Send + Sync>,
    made: OnceLock<Made>,
}

impl States {
    /// Adds a constructor for `T`; it replaces an earlier one.
    pub fn insert<T: Send + Sync + 'static>(&mut self, make: impl Fn() -> T + Send + Sync + 'static) {
        let state =
            State { name: type_name::<T>(), make: Box::new(move || Box::new(make())), made: OnceLock::new() };
        self.by_type.insert(TypeId::of::<T>(), state);
    }

    /// The `T`, made now if this is the first time.
    ///
    /// # Panics
    /// If no constructor for `T` was added.
    pub fn get<T: Send + Sync + 'static>(&self) -> &T {
        let Some(state) = self.by_type.get(&TypeId::of::<T>()) else {
            panic!(
                "no state of type `{}`; add it with `.state(..)` on `rq_cli::App` or on the worker",
                type_name::<T>()
            );
        };
        let made = state.made.get_or_init(|| (state.make)());
        match made.downcast_ref::<T>() {
            Some(value) => value,
            None => unreachable!("the constructor stored under a type makes that type"),
        }
    }
}

impl fmt::Debug for States {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.by_type.values().map(|state| state.name)).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_state_is_made_once_and_late() {
        let made = Arc::new(AtomicUsize::new(0));
        let mut states = States::default();
        let count = Arc::clone(&made);
        states.insert(move || count.fetch_add(1, Ordering::Relaxed));
        assert_eq!(made.load(Ordering::Relaxed), 0);
        assert_eq!((states.get::<usize>(), states.get::<usize>()), (&0, &0));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    #[should_panic(expected = "no state of type `alloc::string::String`")]
    fn an_unknown_state_names_its_type() {
        States::default().get::<String>();
    }
}
