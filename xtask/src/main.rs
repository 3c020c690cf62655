//! `cargo xtask`: the project's chores, one file each.
//!
//! Written in Rust so that a machine with Rust and a C compiler is enough; whatever else a chore needs (a Redis, Python
//! RQ, `cargo-deny`) it finds, makes or installs, and says so.

mod bench;
mod ci;
mod demo;
mod docker;
mod packages;
mod pages;
mod process;
mod python;
mod redis;
mod rig;
mod servers;
mod setting;
mod target;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's chores.
#[derive(Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
struct Arguments {
    #[command(subcommand)]
    chore: Chore,
}

#[derive(Subcommand)]
enum Chore {
    Demo(demo::Options),
    Test(test::Options),
    Rig(rig::Options),
    Bench(bench::Options),
    Ci(ci::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().chore) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(chore: Chore) -> Result<ExitCode> {
    match chore {
        Chore::Demo(options) => demo::run(&options),
        Chore::Test(options) => test::run(&options),
        Chore::Rig(options) => rig::run(&options),
        Chore::Bench(options) => bench::run(&options),
        Chore::Ci(options) => ci::run(&options),
    }
}
