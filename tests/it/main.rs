//! All integration tests, in one program: they share one Redis.

#![allow(clippy::unwrap_used, reason = "a test may unwrap: its panic is its report")]

mod bad_input;
mod cases;
mod cli;
mod cli_manage;
mod cli_worker;
mod codec_interop;
mod conformance;
mod connections;
mod declared;
mod deployments;
mod dev;
mod dice;
mod documents;
mod drain;
mod embedded;
mod first_process;
mod fleet;
mod fork;
mod fork_kills;
mod golden;
mod green;
mod interop;
mod interop_management;
mod lives;
mod maintenance;
mod management;
mod memory_group;
mod model;
mod names;
mod operators;
mod outages;
mod permissions;
mod programs;
mod python_tools;
mod queue;
mod reading;
mod rq_test;
mod schedule;
mod scripts;
mod shown;
mod starved;
mod sweep;
mod unconfirmed;
mod zoo;
