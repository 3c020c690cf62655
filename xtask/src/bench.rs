//! `cargo xtask bench`: measures what RQ takes and gives, beside what Redis could do at best and beside Python RQ.
//!
//! This part provides a Redis, Python RQ and the programs; `bench/` measures.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{ExitCode, Stdio};

use anyhow::{Context, Result, bail};
use clap::Args;
use rq_dev::Server;

use crate::process::Program;
use crate::{python, redis, target};

/// Measures workers, enqueueing and latencies on a Redis of its own, and compares them.
///
/// Prints the figures, and how far the goals are met; writes them as JSON and as a picture. A whole run takes twenty minutes,
/// replaces `bench/results.json`, `bench/results.svg` and the tables in `bench/RESULTS.md`. A quick one takes five minutes and
/// writes below the target directory. Close other programs meanwhile.
#[derive(Args)]
pub(crate) struct Options {
    /// Within five minutes: fewer rounds, fewer jobs
    #[arg(long)]
    quick: bool,
    /// How often everything is measured
    #[arg(long, value_name = "N")]
    rounds: Option<usize>,
    /// Measure these alone, such as `drain,fork`; of `bench/RESULTS.md` only tables of this very command are replaced then
    #[arg(long, value_name = "SECTIONS")]
    only: Option<String>,
    /// Measure other job queues too; they are installed from Python's package index
    #[arg(long)]
    peers: bool,
    /// Do not compare with Python RQ
    #[arg(long)]
    no_python: bool,
    /// Print JSON in place of tables
    #[arg(long)]
    json: bool,
}

/// Measures; exits as the measuring program does.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let redis = redis::start_private()?;
    Program::cargo("build --release -p rq-bench --bin rq-bench --bin bench-worker").run()?;
    let status = command(options, &redis)?.status()?;
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn command(options: &Options, redis: &Server) -> Result<Program> {
    let bench = Program::new(target::release_binary("rq-bench")?).args(["--url", &redis.url()]);
    let mut bench = bench.stdin(Stdio::null()).arg("--worker").arg(target::release_binary("bench-worker")?);
    if !options.no_python {
        bench = bench.arg("--python").arg(python::interpreter()?);
    }
    if options.peers {
        let programs = directory()?.join("peers");
        bench = bench.arg("--peers").arg(python::with(&programs.join("requirements.txt"))?);
        bench = bench.arg("--peer-programs").arg(programs);
    }
    bench = bench.args(["--command", &typed(options)]).arg("--out");
    // Only what all rounds have measured is worth being kept, and as JSON and picture only a whole run.
    let is_short = options.quick || options.rounds.is_some();
    let is_whole = !is_short && options.only.is_none();
    bench = bench.arg(if is_whole { directory()? } else { target::directory()?.join("bench") });
    if !is_short {
        bench = bench.arg("--tables").arg(root()?.join("bench/RESULTS.md"));
    }
    if let Some(rounds) = options.rounds {
        bench = bench.args(["--rounds", &rounds.to_string()]);
    }
    if let Some(sections) = &options.only {
        bench = bench.args(["--only", sections]);
    }
    let flags = [("--quick", options.quick), ("--json", options.json)];
    Ok(flags.iter().filter(|(_, on)| *on).fold(bench, |bench, (flag, _)| bench.arg(OsStr::new(flag))))
}

/// What a person types for the same.
fn typed(options: &Options) -> String {
    let mut typed = "cargo xtask bench".to_string();
    for (flag, on) in
        [(" --quick", options.quick), (" --peers", options.peers), (" --no-python", options.no_python)]
    {
        if on {
            typed += flag;
        }
    }
    if let Some(rounds) = options.rounds {
        typed += &format!(" --rounds {rounds}");
    }
    if let Some(sections) = &options.only {
        typed += &format!(" --only {sections}");
    }
    typed
}

/// `bench/`, from wherever in the workspace this was called.
fn directory() -> Result<PathBuf> {
    let bench = root()?.join("bench");
    if !bench.is_dir() {
        bail!("{} is not there: this program was built in another place.", bench.display());
    }
    Ok(bench)
}

/// Where the workspace is.
fn root() -> Result<PathBuf> {
    let ours = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    Ok(ours.parent().context("the workspace is a directory")?.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_names_what_was_typed() {
        let options = Options {
            quick: true,
            rounds: Some(2),
            only: Some("drain,fork".to_string()),
            peers: false,
            no_python: true,
            json: false,
        };
        assert_eq!(typed(&options), "cargo xtask bench --quick --no-python --rounds 2 --only drain,fork");
    }
}
