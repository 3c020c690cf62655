//! `cargo xtask ci`: everything that must hold before a change lands. Stops at the first failure.

use std::fmt;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use clap::Args;
use rq_dev::program;

use crate::process::{Program, say};

/// Checks all that must hold before a change lands: format, lints, docs, tests, dependencies, the demo.
#[derive(Args)]
pub(crate) struct Options {}

/// One thing that must hold.
struct Step {
    name: &'static str,
    /// What it runs, and what one types to repeat it: `cargo` with its arguments, perhaps after `NAME=VALUE`s.
    command: &'static str,
    /// What it takes beforehand.
    needs: fn() -> Result<Ready>,
}

/// Whether a step can run here.
enum Ready {
    Yes,
    /// No, for this reason, which is nobody's fault.
    No(String),
}

enum Outcome {
    Passed(Duration),
    Skipped(String),
}

const STEPS: [Step; 10] = [
    Step { name: "format", command: "cargo fmt --all --check", needs: nothing },
    Step {
        name: "lints",
        command: "cargo clippy --workspace --all-features --all-targets -- -D warnings",
        needs: nothing,
    },
    Step {
        name: "docs",
        command: "RUSTDOCFLAGS=-Dwarnings cargo doc --workspace --all-features --no-deps",
        needs: nothing,
    },
    Step { name: "tests", command: "cargo xtask test", needs: nothing },
    // As a producer builds them: without default features, and without what workers are made of.
    Step {
        name: "lints alone",
        command: "cargo clippy -p rq-wire -p rq-core --no-default-features --all-targets -- -D warnings",
        needs: nothing,
    },
    Step {
        name: "tests alone",
        command: "cargo test -p rq-wire -p rq-core --no-default-features",
        needs: nothing,
    },
    Step { name: "dependencies", command: "cargo deny check bans licenses sources", needs: cargo_deny },
    Step {
        name: "advisories",
        command: "cargo deny check --disable-fetch advisories",
        needs: advisory_database,
    },
    Step { name: "demo", command: "cargo xtask demo --pages 30 --drain 2000", needs: nothing },
    // Whether it measures at all: a machine that does other things as well says nothing about speed.
    Step {
        name: "bench",
        command: "cargo xtask bench --quick --rounds 1 --only enqueue,drain,ends,waits,wake-up --no-python",
        needs: nothing,
    },
];

/// The version that `deny.toml` is written for.
const CARGO_DENY: &str = "install cargo-deny --locked --version 0.20.2";
/// Built from source, on a slow machine.
const CARGO_DENY_LIMIT: Duration = Duration::from_secs(30 * 60);
const ADVISORIES_LIMIT: Duration = Duration::from_secs(60);

/// Runs every step in turn.
pub(crate) fn run(_: &Options) -> Result<ExitCode> {
    let mut outcomes = Vec::with_capacity(STEPS.len());
    for step in &STEPS {
        say(format_args!("\n== {} ==", step.name));
        let result = step.run();
        outcomes
            .push((step.name, result.as_ref().map_or_else(|_| "FAILED".to_string(), ToString::to_string)));
        if let Err(error) = result {
            print_table(&outcomes);
            bail!("{error:#}\nThe step {} failed. Repeat it with: {}", step.name, step.command);
        }
    }
    print_table(&outcomes);
    Ok(ExitCode::SUCCESS)
}

impl Step {
    fn run(&self) -> Result<Outcome> {
        let began = Instant::now();
        let outcome = match (self.needs)()? {
            Ready::No(reason) => Outcome::Skipped(reason),
            Ready::Yes => {
                self.program()?.run()?;
                Outcome::Passed(began.elapsed())
            }
        };
        say(format_args!("{}: {outcome}", self.name));
        Ok(outcome)
    }

    fn program(&self) -> Result<Program> {
        let Some((variables, line)) = self.command.split_once("cargo ") else {
            bail!("the step {} runs no cargo", self.name);
        };
        let variables = variables.split_whitespace().filter_map(|variable| variable.split_once('='));
        Ok(variables.fold(Program::cargo(line), |program, (name, value)| program.env(name, value)))
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Passed(took) => write!(f, "passed in {:.1} s", took.as_secs_f64()),
            Self::Skipped(reason) => write!(f, "skipped: {reason}"),
        }
    }
}

fn nothing() -> Result<Ready> {
    Ok(Ready::Yes)
}

/// Installs `cargo deny` once a machine.
fn cargo_deny() -> Result<Ready> {
    if program::find("cargo-deny").is_none() {
        say("Installing cargo-deny, once on this machine; it takes some minutes.");
        Program::cargo(CARGO_DENY).limit(CARGO_DENY_LIMIT).output()?;
    }
    Ok(Ready::Yes)
}

/// Fetches the advisories. A machine that cannot reach them skips the step; their absence is no fault of a change.
fn advisory_database() -> Result<Ready> {
    cargo_deny()?;
    match Program::cargo("deny fetch db").limit(ADVISORIES_LIMIT).output() {
        Ok(_) => Ok(Ready::Yes),
        Err(_) => Ok(Ready::No("the advisory database cannot be fetched from here".to_string())),
    }
}

fn print_table(outcomes: &[(&str, String)]) {
    say("\nstep             result");
    for (name, outcome) in outcomes {
        say(format_args!("{name:<16} {outcome}"));
    }
}
