//! [`Outcome`]: how a case ended.

use std::fmt;
use std::time::Duration;

use rq_tests::Violation;

use super::case::Case;

/// How a case ended.
pub(crate) struct Outcome {
    pub(crate) case: Case,
    /// All that the first worker requested.
    pub(crate) requests: Vec<String>,
    /// Whether the request came at which something was to break.
    pub(crate) struck: bool,
    /// What is wrong with the books.
    pub(crate) violations: Vec<Violation>,
    /// What would be if the fault excused nothing.
    pub(crate) facts: Vec<Violation>,
    /// What else the workers did wrong.
    pub(crate) complaints: Vec<String>,
    /// From the end of the first worker until nothing was left to do.
    pub(crate) recovery: Duration,
    /// What the workers wrote, and what Redis held, if the case is not good.
    pub(crate) evidence: String,
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.violations.is_empty() && self.complaints.is_empty()
    }

    /// What it takes to understand it.
    pub(crate) fn report(&self) -> String {
        format!("\n== {}\n{}", self.case.name(), self.evidence)
    }

    /// The request at which something broke.
    fn request(&self) -> &str {
        match self.case.fault {
            Some((number, _)) => self.requests.get(number - 1).map_or("not reached", String::as_str),
            None => "no fault",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "cargo xtask rig sweep {}  # {}", self.case.name(), self.request())?;
        let violations = self.violations.iter().map(ToString::to_string);
        violations.chain(self.complaints.iter().cloned()).try_for_each(|what| writeln!(f, "    {what}"))
    }
}
