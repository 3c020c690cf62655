//! [`States`]: what a program's jobs share, made where they run.

use std::any::{Any, TypeId, type_name};
use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt::{self, Write as _};
use std::pin::Pin;
use std::sync::{Mutex, OnceLock, PoisonError};

use crate::block_on::{BlockOn, BlockOnError, Blocked};
use crate::failure::BoxError;
use crate::panics;

/// A value of any type that jobs may share.
pub type Made = Box<dyn Any + Send + Sync>;
/// The making of a state that waits.
pub type Making = Pin<Box<dyn Future<Output = Result<Made, BoxError>> + Send>>;
/// Drives the making of a state to its end, on a runtime that goes on beside the jobs.
pub type DriveMaking = Box<dyn Fn(Making) -> Result<Made, BoxError> + Send + Sync>;

/// What a program's jobs share, one value a type: connection pools, models, clients.
///
/// A value is made when a job first asks for it, once in each process that runs jobs: a connection opened by the
/// worker would not survive a fork. What was [preloaded](States::insert_preloaded) is made before the first job, once for
/// all of them. A constructor that fails is called again when a job next asks.
#[derive(Default)]
pub struct States {
    by_type: HashMap<TypeId, State>,
    /// Those that are made before the first job, in order.
    preloaded: Vec<TypeId>,
    drive: Option<DriveMaking>,
    block_on: Option<BlockOn>,
}

struct State {
    name: &'static str,
    make: Make,
    made: OnceLock<Made>,
    /// Held by whoever makes it: others wait.
    making: Mutex<()>,
}

enum Make {
    Now(Box<dyn Fn() -> Result<Made, BoxError> + Send + Sync>),
    Waiting(Box<dyn Fn() -> Making + Send + Sync>),
}

/// A state could not be made.
#[derive(Debug, thiserror::Error)]
#[error("the state `{name}` could not be made")]
pub struct StateError {
    /// Its type.
    name: &'static str,
    source: BoxError,
}

impl StateError {
    /// The error and its causes, in a line.
    pub fn told(&self) -> String {
        /// How many causes are told.
        const CAUSES_MAX: usize = 32;
        let mut told = self.to_string();
        let mut cause = self.source();
        for _ in 0..CAUSES_MAX {
            let Some(error) = cause else { break };
            // Writing to a string cannot fail.
            let _ = write!(told, ": {error}");
            cause = error.source();
        }
        told
    }
}

impl States {
    /// Adds a constructor for `T`; it replaces an earlier one.
    pub fn insert<T: Send + Sync + 'static>(&mut self, make: impl Fn() -> T + Send + Sync + 'static) {
        self.add::<T>(Make::Now(Box::new(move || Ok(Box::new(make())))));
    }

    /// [`insert`](States::insert) with a constructor that may fail.
    pub fn insert_fallible<T, E>(&mut self, make: impl Fn() -> Result<T, E> + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        E: Into<BoxError>,
    {
        let make = move || make().map(|value| Box::new(value) as Made).map_err(Into::into);
        self.add::<T>(Make::Now(Box::new(make)));
    }

    /// [`insert`](States::insert) with a constructor that may fail, and that waits.
    pub fn insert_async<T, E, F>(&mut self, make: impl Fn() -> F + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        E: Into<BoxError>,
        F: Future<Output = Result<T, E>> + Send + 'static,
    {
        let make = move || -> Making {
            let making = make();
            Box::pin(async { making.await.map(|value| Box::new(value) as Made).map_err(Into::into) })
        };
        self.add::<T>(Make::Waiting(Box::new(make)));
    }

    /// [`insert`](States::insert) with a constructor that may fail, and that is called before the first job.
    pub fn insert_preloaded<T, E>(&mut self, make: impl Fn() -> Result<T, E> + Send + Sync + 'static)
    where
        T: Send + Sync + 'static,
        E: Into<BoxError>,
    {
        self.insert_fallible(make);
        self.preloaded.push(TypeId::of::<T>());
    }

    fn add<T: 'static>(&mut self, make: Make) {
        let id = TypeId::of::<T>();
        let state = State { name: type_name::<T>(), make, made: OnceLock::new(), making: Mutex::default() };
        self.by_type.insert(id, state);
        self.preloaded.retain(|preloaded| *preloaded != id);
    }

    /// Has constructors that wait be driven by `drive`; without, they fail.
    #[cfg(feature = "worker")]
    pub fn drive_with(&mut self, drive: DriveMaking) {
        self.drive = Some(drive);
    }

    /// Has async code that sync code of jobs waits for be run by `block_on`; without, it fails.
    #[cfg(feature = "worker")]
    pub fn block_on_by(&mut self, block_on: BlockOn) {
        self.block_on = Some(block_on);
    }

    /// Runs `future` to its end, for sync code of a job.
    pub(crate) fn block_on(&self, future: Blocked<'_>) -> Result<(), BlockOnError> {
        self.block_on.as_ref().ok_or(BlockOnError::NoRuntime)?(future)
    }

    /// Makes those that are made before the first job, in the order in which they were added.
    #[cfg(any(feature = "worker", test))]
    pub fn preload(&self) -> Result<(), StateError> {
        let mut states = self.preloaded.iter().filter_map(|id| self.by_type.get(id));
        states.try_for_each(|state| state.get(self.drive.as_ref()).map(drop))
    }

    /// The `T`, made now if this is the first time.
    ///
    /// # Panics
    /// If no constructor for `T` was added, or it fails.
    #[track_caller]
    pub fn get<T: Send + Sync + 'static>(&self) -> &T {
        match self.try_get() {
            Ok(state) => state,
            Err(error) => panic!("{}", error.told()),
        }
    }

    /// [`get`](States::get), where the constructor may fail.
    ///
    /// # Panics
    /// If no constructor for `T` was added.
    #[track_caller]
    pub fn try_get<T: Send + Sync + 'static>(&self) -> Result<&T, StateError> {
        let Some(state) = self.by_type.get(&TypeId::of::<T>()) else {
            panic!(
                "no state of type `{}`; add it with `.state(..)` on `rq_cli::App` or on the worker",
                type_name::<T>()
            );
        };
        match state.get(self.drive.as_ref())?.downcast_ref::<T>() {
            Some(value) => Ok(value),
            None => unreachable!("the constructor stored under a type makes that type"),
        }
    }
}

impl State {
    fn get(&self, drive: Option<&DriveMaking>) -> Result<&Made, StateError> {
        if let Some(made) = self.made.get() {
            return Ok(made);
        }
        // Nothing is left half done by whoever panicked with it.
        let _making = self.making.lock().unwrap_or_else(PoisonError::into_inner);
        match self.made.get() {
            Some(made) => Ok(made),
            None => {
                let made = self.make.call(drive);
                let made = made.map_err(|source| StateError { name: self.name, source })?;
                Ok(self.made.get_or_init(|| made))
            }
        }
    }
}

impl Make {
    fn call(&self, drive: Option<&DriveMaking>) -> Result<Made, BoxError> {
        match (self, drive) {
            (Make::Now(make), _) => make(),
            (Make::Waiting(make), Some(drive)) => {
                let making = make();
                // On a thread of the runtime, a panic would be lost with its task.
                drive(Box::pin(async { panics::catch_async(making).await.unwrap_or_else(|panic| Err(panic.to_string().into())) }))
            }
            (Make::Waiting(_), None) => {
                Err("it is made by async code, for which there is a runtime in workers alone; insert a value in its place".into())
            }
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
    use std::io;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn a_state_is_made_once_and_late() {
        let made = Arc::new(AtomicUsize::new(0));
        let mut states = States::default();
        let count = Arc::clone(&made);
        states.insert(move || count.fetch_add(1, Ordering::Relaxed));
        states.preload().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 0);
        assert_eq!((states.get::<usize>(), states.get::<usize>()), (&0, &0));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_preloaded_state_is_made_before_anybody_asks() {
        let made = Arc::new(AtomicUsize::new(0));
        let mut states = States::default();
        let count = Arc::clone(&made);
        states.insert_preloaded(move || Ok::<_, BoxError>(count.fetch_add(1, Ordering::Relaxed)));
        states.preload().unwrap();
        assert_eq!(made.load(Ordering::Relaxed), 1);
        assert_eq!(states.get::<usize>(), &0);
        // The constructor that replaces it is not.
        states.insert(|| 7_usize);
        states.preload().unwrap();
        assert_eq!(states.get::<usize>(), &7);
    }

    #[test]
    fn one_that_fails_says_why_and_is_tried_again() {
        let calls = AtomicUsize::new(0);
        let mut states = States::default();
        states.insert_fallible(move || match calls.fetch_add(1, Ordering::Relaxed) {
            0 => Err(io::Error::other("the disk is full")),
            _ => Ok("made".to_owned()),
        });
        let error = states.try_get::<String>().unwrap_err();
        assert_eq!(error.told(), "the state `alloc::string::String` could not be made: the disk is full");
        assert_eq!(states.get::<String>(), "made");
    }

    #[test]
    #[should_panic(expected = "no state of type `alloc::string::String`")]
    fn an_unknown_state_names_its_type() {
        States::default().get::<String>();
    }

    #[test]
    fn a_panic_names_the_line_that_asked() {
        panics::record_locations();
        let panic = panics::catch(|| States::default().get::<String>().len()).unwrap_err();
        let here = format!("{}:{}:", file!(), line!() - 1);
        assert!(panic.location.as_deref().unwrap().starts_with(&here), "{panic}");
    }
}
