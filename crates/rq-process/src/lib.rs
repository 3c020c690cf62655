//! Processes of Linux, as workers and their supervisors need them: they fork, say whom they die with, count and reap what is
//! below them, and leave nothing of it behind.
//!
//! Start at [`fork`] and [`SingleThreaded`]; [`leave_keeper_behind`] and [`end_descendants`] see to it that a whole tree of
//! processes ends, whatever ends its root.
//!
//! This crate knows neither Redis nor a runtime, and starts no thread.

mod descendants;
mod keeper;
mod listing;
pub mod memory;
mod notify_socket;
mod oom;
mod reaped;
mod single_threaded;
mod system;

pub use descendants::end_descendants;
pub use keeper::{Kept, leave_init_behind, leave_keeper_behind};
pub use listing::{Children, children_of, name_and_fields, threads};
pub use nix::sys::signal::Signal;
pub use nix::unistd::Pid;
pub use notify_socket::NotifySocket;
pub use oom::OomKills;
pub use reaped::{Exit, Reaped};
pub use single_threaded::SingleThreaded;
pub use system::{
    Forked, Inherited, SharedWords, TITLE_BYTES_MAX, Title, adopt_orphans, die_with, dies_with_this_process,
    end, ended_child, forget_variable, fork, name_process, reap, set_variable, take_termination,
    take_terminations_when_nudged,
};
