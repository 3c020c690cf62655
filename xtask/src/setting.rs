//! [`Setting`]: what the tests find in their environment.

use anyhow::Result;

use crate::process::{Program, say};
use crate::{python, redis};

/// Variables by which a person has chosen the tests' Redis already.
const CHOSEN_BY_HAND: [&str; 2] = ["RQ_TEST_REDIS_URL", "RQ_TEST_REDIS"];

/// What the tests find in their environment.
pub(crate) struct Setting {
    /// Their Redis, in words.
    pub(crate) redis: String,
    variables: Vec<(&'static str, String)>,
}

impl Setting {
    /// A Redis.
    pub(crate) fn prepare() -> Result<Self> {
        let mut variables = Vec::new();
        let redis = match CHOSEN_BY_HAND.iter().find(|name| std::env::var_os(name).is_some()) {
            Some(name) => format!("what {name} names"),
            None => {
                let redis = redis::ForTests::prepare()?;
                variables.push(("RQ_TEST_REDIS", redis.variable()));
                redis.description()
            }
        };
        say(format_args!("Redis for the tests: {redis}."));
        Ok(Self { redis, variables })
    }

    /// A Redis, and Python RQ.
    pub(crate) fn with_python() -> Result<Self> {
        let python = python_variable()?;
        let [rq_2, rq_1] = python::older_interpreters()?;
        let dashboards = python::dashboards()?;
        let mut setting = Self::prepare()?;
        setting.variables.push(python);
        setting.variables.push(("RQ_TEST_PYTHON_2", rq_2.display().to_string()));
        setting.variables.push(("RQ_TEST_PYTHON_1", rq_1.display().to_string()));
        setting.variables.push(("RQ_TEST_PYTHON_DASHBOARDS", dashboards.display().to_string()));
        Ok(setting)
    }

    /// `program` in this setting.
    pub(crate) fn given_to(&self, program: Program) -> Program {
        self.variables.iter().fold(program, |program, (name, value)| program.env(name, value))
    }
}

/// What names Python RQ to the tests.
pub(crate) fn python_variable() -> Result<(&'static str, String)> {
    let python = python::interpreter()?;
    say(format_args!("Python RQ for the tests: {}.", python.display()));
    Ok(("RQ_TEST_PYTHON", python.display().to_string()))
}
