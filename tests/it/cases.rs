//! What rigs whose cases have names share: [`Selection`], which of them are run; and how those that failed are told.

use std::fmt::{self, Display};

use crate::dice::{self, RIG, SEED};

/// How many failed cases are told with all that their workers wrote.
const REPORTS_MAX: usize = 3;

/// Which cases are run.
#[derive(Debug)]
pub(crate) enum Selection {
    /// Some.
    Sample { seed: u64 },
    /// All.
    Full,
    /// Those whose names begin so.
    Named(Vec<String>),
}

impl Selection {
    /// What the environment asks for: `full`, or the beginnings of names (`retry`, `retry:17`) with commas between; a
    /// sample if it does not.
    pub(crate) fn from_env() -> Self {
        match std::env::var(RIG).as_deref() {
            Err(_) | Ok("") => Self::Sample { seed: dice::seed() },
            Ok("full") => Self::Full,
            Ok(names) => Self::Named(names.split(',').map(str::to_string).collect()),
        }
    }

    pub(crate) fn is_sample(&self) -> bool {
        matches!(self, Self::Sample { .. })
    }

    /// Panics where it comes to no case at all.
    pub(crate) fn check(&self, cases: &[impl Sized]) {
        assert!(!cases.is_empty(), "no case is called that: {self}");
    }
}

impl Display for Selection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sample { seed } => write!(f, "a sample ({SEED}={seed} repeats it)"),
            Self::Full => write!(f, "all cases"),
            Self::Named(names) => write!(f, "the cases {}", names.join(", ")),
        }
    }
}

/// Whether a case called `case`, such as `retry:17:cut-after`, is meant by one of `names`, which are its beginning.
pub(crate) fn is_named(case: &str, names: &[String]) -> bool {
    let begins = |name: &String| {
        case.strip_prefix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(':'))
    };
    names.iter().any(begins)
}

/// What is said of cases that failed: a word on each, and a report on the first ones.
pub(crate) fn told<T: Display>(failed: &[&T], report: impl Fn(&T) -> String) -> String {
    let lines = failed.iter().map(ToString::to_string);
    let reports = failed.iter().take(REPORTS_MAX).map(|outcome| report(outcome));
    lines.chain(reports).collect::<Vec<_>>().join("\n")
}
