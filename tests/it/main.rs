//! All integration tests, in one program: they share one Redis.

#![allow(clippy::unwrap_used, reason = "a test may unwrap: its panic is its report")]

mod bad_input;
mod cli;
mod codec_interop;
mod conformance;
mod drain;
mod golden;
mod interop;
mod maintenance;
mod queue;
mod rq_test;
mod scripts;
