//! [`Origin`]: where a setting comes from.

use std::fmt;
use std::path::PathBuf;

use rq_core::Shown;

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    /// An option of the command.
    Flag(&'static str),
    /// A variable of the environment.
    Variable(&'static str),
    File {
        path: PathBuf,
        line: usize,
    },
    /// Nobody has said anything.
    Default,
}

impl Origin {
    pub(crate) fn is_variable(&self) -> bool {
        matches!(self, Origin::Variable(_))
    }

    pub(crate) fn is_file(&self) -> bool {
        matches!(self, Origin::File { .. })
    }

    /// Whether Python's `rq` reads it, too, where it is a file.
    pub(crate) fn is_python(&self) -> bool {
        matches!(self, Origin::File { path, .. } if path.extension().is_some_and(|extension| extension == "py"))
    }
}

/// As people read it: `--url`, `REDIS_URL`, `settings.py, line 3`.
impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Origin::Flag(option) => f.write_str(option),
            Origin::Variable(name) => f.write_str(name),
            Origin::File { path, line } => write!(f, "{}, line {line}", Shown::name(path.display())),
            Origin::Default => f.write_str("default"),
        }
    }
}
