//! A Redis for trying things, and for tests: what `rq dev`, `cargo xtask demo` and the test harness start.
//!
//! | noun | is |
//! |---|---|
//! | [`Server`] | a Redis of one's own, from whatever this machine has: a program on `PATH`, or an image of Docker's |
//! | [`RedisProcess`] | such a server as a child process, with options of one's choice |
//! | [`Leash`] | what ends a process when its starter ends, by whatever death |
//! | [`docker`] | whether Docker answers, and which images it has |
//! | [`program`] | programs on `PATH` |
//!
//! Every server is on loopback and keeps its data in memory. Nothing is installed here: where there is no server,
//! [`StartError::NoServer`] names the command that installs one.

pub mod docker;
mod install;
mod leash;
mod process;
pub mod program;
mod scratch_file;
mod server;

pub use leash::{AtEnd, Leash};
pub use process::{IN_MEMORY, READY_LIMIT, RedisProcess};
pub use server::{Server, StartError};
