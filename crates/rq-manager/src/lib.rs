//! Supervises processes: starts them, looks after them, ends and replaces them. It knows no Redis.
//!
//! A [`Kind`] says what a process does, how many there are and what each may use. A [`Manager`] has a *slot* for each of
//! them, called `Name-1`, `Name-2` and so on, and sees to it that in every slot one process, the *child*, runs.
//!
//! ```no_run
//! use std::time::Duration;
//! use rq_manager::{BoxError, Context, Kind, Manager, Process};
//!
//! struct Clock;
//!
//! impl Process for Clock {
//!     fn run(&mut self, context: &Context) -> Result<bool, BoxError> {
//!         tracing::info!("{} is at work", context.name());
//!         context.sleep(Duration::from_secs(1))?;
//!         Ok(true)
//!     }
//! }
//!
//! fn main() -> Result<(), rq_manager::ManagerError> {
//!     Manager::new([Kind::new("Clock", |_| Clock).count(2).max_requests(100)]).title("Clocks").start()
//! }
//! ```
//!
//! It logs by `tracing`, to the subscriber that the program has installed, or to a file ([`make_log`]).
//!
//! # Two sorts of children
//!
//! [`Kind::new`] forks: the child runs a [`Process`] of this program. [`Kind::command`] executes a program, which tells
//! how it fares by sd_notify, as to systemd (`rq worker` does).
//!
//! | | forked | executed |
//! |---|---|---|
//! | ready when | `init` has returned | `READY=1` came, or after 10 s |
//! | a request is | a `run` that returned `Ok(true)` | what it tells as `X_RQ_REQUESTS` |
//! | leaves by `max_requests` | by itself, behind the run that was the last | by itself, told by `RQ_MANAGED_MAX_REQUESTS` |
//! | a run over `timeout` | is asked to end, then ended with its process | the program's own concern |
//! | counts as hung | when a run is over its `timeout` | when it was [silent](Kind::silence) for too long |
//! | is replaced | when it has ended | when its successor is ready; it leaves then |
//!
//! # What is promised
//!
//! * Memory is that of a child and all it has started; of forked children 200 MB are the soft limit and 300 MB the hard one,
//!   unless a kind says otherwise. At the soft limit, over several looks, it is sent SIGTERM, finishes
//!   the run in hand, and is replaced; at the hard limit it is ended by force, if it has not left after a grace.
//! * Who dies is replaced after a pause, which grows from 0.1 s to 30 s; who fails five times to begin within a minute has its
//!   slot *parked*: it is told why, and it is tried again after about 30 s, then once a minute.
//! * Two seconds after the Manager is gone, whatever has ended it, no process is left that it or its children have
//!   started: [`Manager::start`] leaves a *keeper* behind, a process that has nothing to do but this.

mod backoff;
mod board;
mod cause;
mod child;
mod command;
mod context;
mod control;
mod ending;
mod error;
mod event;
mod kind;
mod log;
mod make_log;
mod manager;
mod memory;
mod notices;
mod order;
mod orders;
mod owned_path;
mod process;
mod run;
#[cfg(test)]
mod scratch;
mod shown;
mod slot;
mod slot_name;
mod status;
mod supervisor;
mod system;

pub use cause::Cause;
pub use command::Command;
pub use context::{Context, TimedOut};
pub use control::{ControlError, ask};
pub use error::{BoxError, ManagerError};
pub use event::{ManagerEvent, Observer};
pub use kind::Kind;
pub use log::Log;
pub use make_log::{LogFile, make_log};
pub use manager::{Handle, Manager};
pub use order::{Answer, Order};
pub use process::Process;
pub use slot_name::SlotName;
pub use status::{ChildStatus, KindStatus, SlotStatus, Status};
