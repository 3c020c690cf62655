//! `cargo xtask test`: sets up what the tests need, then runs them all.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{Program, say};
use crate::setting::Setting;
use crate::{python, servers};

/// Sets up what the tests need (a Redis, Python RQ) and runs all of them.
///
/// Redis runs in a container where Docker answers (from an image made here when there is none), else as a child process.
/// A few tests, others each time, run on another server besides: see `cargo xtask rig servers`.
/// Set RQ_TEST_REDIS_URL to test against a server of yours instead; the tests then use key prefixes of their own in it.
#[derive(Args)]
pub(crate) struct Options {
    /// Arguments for `cargo test`: `-- -p rq-tests`, `-- -- --nocapture`
    #[arg(last = true)]
    cargo: Vec<String>,
}

/// How many tests run at once. Most of the time they wait, so that there are three for two cores.
const THREADS: &str = "RUST_TEST_THREADS";

/// Tests that ran, added up over all test programs.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) skipped: u64,
}

/// Runs the tests; exits as `cargo test` does.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let began = Instant::now();
    let setting = Setting::with_python()?;
    let mut tally = Tally::default();
    let mut tests = setting.given_to(command(&options.cargo));
    if std::env::var_os(THREADS).is_none() {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        tests = tests.env(THREADS, (cores * 3).div_ceil(2).to_string());
    }
    let line = tests.to_string();
    let mut succeeded = tests.status_seeing(|line| tally.add(line))?.success();
    if options.cargo.is_empty() {
        succeeded &= servers::sample(&mut tally)?;
    }
    say(format_args!(
        "\nTested in {} s against {} and Python RQ ({}).",
        began.elapsed().as_secs(),
        setting.redis,
        python::PINNED.join(", ")
    ));
    println!("{} passed, {} failed, {} skipped", tally.passed, tally.failed, tally.skipped);
    if !succeeded {
        bail!("Tests failed: `{line}`");
    }
    Ok(ExitCode::SUCCESS)
}

impl Tally {
    /// Reads libtest's closing lines: `test result: ok. 5 passed; 0 failed; 1 ignored; ...`.
    pub(crate) fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result:").and_then(|rest| rest.split_once(". "))
        else {
            return;
        };
        for (count, what) in counts.split(';').filter_map(|part| part.trim().split_once(' ')) {
            let count: u64 = count.parse().unwrap_or(0);
            match what {
                "passed" => self.passed += count,
                "failed" => self.failed += count,
                "ignored" => self.skipped += count,
                _ => {}
            }
        }
    }
}

/// `cargo test` with every feature: of the whole workspace, unless the arguments choose packages.
fn command(arguments: &[String]) -> Program {
    let for_cargo = arguments.iter().take_while(|argument| *argument != "--");
    let chooses =
        for_cargo.clone().any(|argument| argument.starts_with("-p") || argument.starts_with("--package"));
    let line = if chooses { "test --all-features" } else { "test --workspace --all-features" };
    Program::cargo(line).args(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn closing_lines_are_added_up() {
        let mut tally = Tally::default();
        for line in [
            "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.01s\n",
            "test result: FAILED. 2 passed; 4 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.00s\n",
            "test a::test ... ok\n",
        ] {
            tally.add(line);
        }
        assert_eq!(tally, Tally { passed: 7, failed: 4, skipped: 1 });
    }

    #[test]
    fn the_workspace_is_tested_unless_packages_are_chosen() {
        let check = |arguments: &[&str], expected: &str| {
            let arguments: Vec<String> = arguments.iter().map(ToString::to_string).collect();
            assert_eq!(command(&arguments).to_string(), expected);
        };
        check(&[], "cargo test --workspace --all-features");
        check(&["-p", "rq-core"], "cargo test --all-features -p rq-core");
        check(&["--", "-p"], "cargo test --workspace --all-features -- -p");
    }
}
