//! The integration harness: what a test needs around the programs it tests.
//!
//! | noun | is |
//! |---|---|
//! | [`Server`] | the Redis that all tests of one test program share; [`server()`] starts it |
//! | [`PrivateRedis`] | a Redis for one test alone, to configure, kill and bring back |
//! | [`Cluster`] | several of them as a Redis Cluster |
//! | [`Watched`] | two of them, watched by sentinels |
//! | [`Scratch`] | a key space for one test, on either of them |
//! | [`Child`] | a program under test: its lines, its signals, its end |
//! | [`Process`] | what runs on a `Scratch`, wherever it has gone |
//! | [`Python`] | Python RQ, on a `Scratch` |
//! | [`jobs`] | what our test worker can run |
//! | [`Folder`] | a folder for one test's files |
//! | [`Gate`] | where a job waits until the test lets it go on |
//! | [`Journal`] | what jobs did, as a witness that is not Redis |
//! | [`Ledger`] | in which book every job is, and what is wrong with that |
//! | [`Proxy`] | what breaks between a program and Redis, at a request of one's choice |
//! | [`Gateway`] | the name by which a Redis is known, which may lead elsewhere, or nowhere |
//! | [`HookServer`] | who receives webhooks, and answers as it is told |
//! | [`Authority`] | who vouches for servers and clients of secured connections |
//! | [`Sim`] | a time that runs faster, and the cron entries that are due in it |
//! | [`Clock`] | the clock of a `PrivateRedis`, for a test to set |
//! | [`Trouble`] | what befalls a Redis for a while, by real means |
//! | [`eventually()`] | waiting for what can only be asked for |
//! | [`fixture`] | what the real Python RQ left in Redis, scenario by scenario |
//!
//! Everything here panics when it cannot do its part, with a sentence that says why: in a test that is the report.
//! Everything it starts is gone when the test program is, however that ends.

mod authority;
mod child;
mod clock;
mod cluster;
#[cfg(feature = "docker")]
mod container;
mod eventually;
pub mod fixture;
mod folder;
mod gate;
mod gateway;
mod hook_server;
pub mod jobs;
mod journal;
mod ledger;
mod private_redis;
mod process;
mod proxy;
mod python;
mod resp;
mod scratch;
mod server;
mod sim;
mod told;
mod trouble;
mod watched;

pub use authority::{Authority, named};
pub use child::{Child, Signal, Stream};
pub use clock::Clock;
pub use cluster::{Cluster, Migration};
pub use eventually::eventually;
pub use folder::Folder;
pub use gate::Gate;
pub use gateway::Gateway;
pub use hook_server::{Answer, HookServer, Received};
pub use journal::{Journal, Line, Runs};
pub use ledger::{Acknowledged, Excuse, Ledger, Violation};
pub use private_redis::PrivateRedis;
pub use process::{Process, cpu_of};
pub use proxy::{Fault, Proxy};
pub use python::{Python, PythonRq};
pub use scratch::Scratch;
pub use server::{Server, server};
pub use sim::Sim;
pub use told::Told;
pub use trouble::{Trouble, TroubledRedis};
pub use watched::Watched;
