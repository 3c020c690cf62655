//! `cargo xtask rig`: tests that take longer than `cargo xtask test` may, of which that runs a sample.

use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Result, bail};
use clap::Args;

use crate::process::{Program, say};
use crate::servers;
use crate::setting::Setting;

/// Runs a rig: tests that take longer than those of every day. Without a name, lists them.
///
/// `cargo xtask rig sweep` breaks a connection, or kills a worker, at each request that a worker sends to Redis, and looks
/// whether a job was lost, doubled or stuck, or a webhook or callback of one. `cargo xtask rig outages` has Redis refuse,
/// freeze, die and move while workers are at work, in the same manner. These two have named cases. One that fails is
/// printed with what repeats it alone, such as `cargo xtask rig sweep two-queues:9:cut-after` and
/// `cargo xtask rig outages readonly:12:running:fork`.
/// `cargo xtask rig servers` runs the core of the tests on other servers: Redis 6.2 and 8.2, Valkey 8.1 and 9.1.
#[derive(Args)]
pub(crate) struct Options {
    /// The rig
    name: Option<String>,
    /// Which of its cases, by the beginning of their names: `retry`, `retry:17`, `retry:17:cut-after`; all without
    cases: Vec<String>,
}

/// Some of the tests, run as far as they go.
struct Rig {
    name: &'static str,
    does: &'static str,
    /// The integration tests that it is.
    tests: &'static str,
}

const RIGS: [Rig; 13] = [
    Rig {
        name: "sweep",
        does: "one fault at each request of a worker, in each scenario: jobs, webhooks, callbacks",
        tests: "sweep::no_single_fault",
    },
    Rig {
        name: "outages",
        does: "each trouble of a Redis, for 0.3, 12 and 60 s, at each step of a worker",
        tests: "outages::no_outage",
    },
    Rig {
        name: "schedulers",
        does: "two schedulers paused and killed at random, 100,000 due jobs",
        tests: "two_schedulers",
    },
    Rig {
        name: "fleet",
        does: "5,000 jobs that use everything, by producers and workers of Python 3.0 and 2.12 and ours on one Redis",
        tests: "fleet::a_mixed_fleet",
    },
    Rig {
        name: "cron",
        does: "two cron schedulers and their Redis paused and killed at random, 20,000 ticks",
        tests: "two_cron_schedulers",
    },
    Rig {
        name: "lives",
        does: "12,000 lives of a few ids, by Python's producer, over workers that die and one of Python's",
        tests: "lives::every_life",
    },
    Rig {
        name: "model",
        does: "1,000 random sequences of operations on jobs and the outbox against a model",
        tests: "model::every_sequence",
    },
    Rig {
        name: "groups",
        does: "the end of a group of 10,000 jobs, over 40 workers that are cut off and killed",
        tests: "groups::rig",
    },
    Rig {
        name: "fork-kills",
        does: "100 times kill -9 of a worker, its fork server or a horse, under load",
        tests: "fork_kills::nothing_is_lost",
    },
    Rig {
        name: "manager",
        does: "1,000 times kill -9 of random subsets of a Manager, its workers, servers and horses; 200 idle workers",
        tests: "manager_",
    },
    Rig {
        name: "permissions",
        does: "each command denied to a worker's user, from the start and while it runs",
        tests: "permissions::denied",
    },
    Rig {
        name: "starved",
        does: "workers short of descriptors, processes, memory, and disk for the log",
        tests: "starved::",
    },
    Rig {
        name: "green-wait",
        does: "10,000 jobs that wait 10 s each at once, in coroutines: time and memory",
        tests: "green::thousands_of_jobs_wait_at_once",
    },
];

/// What tells the tests how far to go; `tests/it/dice.rs` names it, too.
const RIG: &str = "RQ_RIG";
const ALL: &str = "full";

/// Runs the rig, or lists them.
pub(crate) fn run(options: &Options) -> Result<ExitCode> {
    let Some(name) = &options.name else {
        list();
        return Ok(ExitCode::SUCCESS);
    };
    if name == servers::NAME {
        return servers::run(&options.cases);
    }
    let Some(rig) = RIGS.iter().find(|rig| rig.name == name) else {
        list();
        bail!("There is no rig {name}.");
    };
    let began = Instant::now();
    let program = Setting::prepare()?.given_to(rig.command(&options.cases));
    let line = program.to_string();
    let status = program.status()?;
    say(format_args!("The rig {name} took {} s.", began.elapsed().as_secs()));
    if !status.success() {
        bail!("The rig {name} failed: `{line}`");
    }
    Ok(ExitCode::SUCCESS)
}

impl Rig {
    fn command(&self, cases: &[String]) -> Program {
        let cases = if cases.is_empty() { ALL.to_string() } else { cases.join(",") };
        let line = "test --package rq-tests --all-features --test it --";
        Program::cargo(line).args([self.tests, "--nocapture"]).env(RIG, cases)
    }
}

fn list() {
    println!("cargo xtask rig NAME [CASES]..");
    for rig in &RIGS {
        println!("  {:<10} {}", rig.name, rig.does);
    }
    println!("  {:<10} {}", servers::NAME, servers::DOES);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cases_reach_the_tests() {
        let check = |cases: &[&str], expected: &str| {
            let cases: Vec<String> = cases.iter().map(ToString::to_string).collect();
            assert_eq!(
                RIGS[0].command(&cases).to_string(),
                format!(
                    "RQ_RIG={expected} cargo test --package rq-tests --all-features --test it -- \
                     sweep::no_single_fault --nocapture"
                )
            );
        };
        check(&[], "full");
        check(&["retry:1", "two-queues"], "retry:1,two-queues");
    }
}
