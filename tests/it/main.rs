//! All integration tests, in one program: they share one Redis.

mod bad_input;
mod cli;
mod codec_interop;
mod conformance;
mod drain;
mod golden;
mod interop;
mod queue;
mod rq_test;
mod scripts;
