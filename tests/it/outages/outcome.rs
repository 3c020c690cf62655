//! [`Outcome`]: how a case ended.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::case::Case;

/// How a case ended.
pub(crate) struct Outcome {
    pub(crate) case: Case,
    /// From the end of the trouble until all had come in, and a new job had run; none when that did not come.
    pub(crate) recovery: Option<Duration>,
    /// What is wrong, and in words.
    pub(crate) faults: Vec<(Fault, String)>,
    /// What the workers wrote, and what Redis held, if the case is not good.
    pub(crate) evidence: String,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    Lost,
    Twice,
    Failed,
    Slow,
    Cpu,
    Lines,
    Exit,
    Other,
}

impl Fault {
    pub(crate) const ALL: [Self; 8] =
        [Self::Lost, Self::Twice, Self::Failed, Self::Slow, Self::Cpu, Self::Lines, Self::Exit, Self::Other];

    /// Its letter in the table.
    pub(crate) fn letter(self) -> char {
        match self {
            Self::Lost => 'l',
            Self::Twice => 't',
            Self::Failed => 'f',
            Self::Slow => 's',
            Self::Cpu => 'c',
            Self::Lines => 'w',
            Self::Exit => 'e',
            Self::Other => 'o',
        }
    }

    pub(crate) fn meaning(self) -> &'static str {
        match self {
            Self::Lost => {
                "lost: a job or its outcome is in no book, or will never be in the right one; or a webhook or callback"
            }
            Self::Twice => "twice: a job has run again, or a webhook was sent or a callback called again",
            Self::Failed => "failed: a job is filed as failed that has not",
            Self::Slow => "slow: not all works 5 s after the trouble (15 s where connections died silently)",
            Self::Cpu => "CPU: a worker used more than 1 % of a core during the trouble",
            Self::Lines => "words: a worker wrote more than a line a second during the trouble",
            Self::Exit => "exit: a worker did not leave when told to, or not with 0",
            Self::Other => "other: see the report",
        }
    }
}

impl Outcome {
    pub(crate) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }

    /// What it takes to understand it.
    pub(crate) fn report(&self) -> String {
        format!("\n== {}\n{}", self.case.name(), self.evidence)
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        /// How many words of one kind of fault are printed.
        const SHOWN: usize = 3;
        writeln!(f, "cargo xtask rig outages {}", self.case.name())?;
        let mut by_kind: BTreeMap<Fault, Vec<&str>> = BTreeMap::new();
        self.faults.iter().for_each(|(fault, what)| by_kind.entry(*fault).or_default().push(what));
        for what in by_kind.values() {
            what.iter().take(SHOWN).try_for_each(|what| writeln!(f, "    {what}"))?;
            if what.len() > SHOWN {
                writeln!(f, "    and {} more of this kind", what.len() - SHOWN)?;
            }
        }
        Ok(())
    }
}

/// How several ended, in a few words: `15 cases, 2 failed (ft), recovered in 0.3 s`.
pub(crate) fn summary(outcomes: &[Outcome]) -> String {
    let failed = outcomes.iter().filter(|outcome| !outcome.is_good()).count();
    let letters = letters(outcomes.iter());
    let verdict = if failed == 0 { "all good".to_owned() } else { format!("{failed} failed ({letters})") };
    let slowest = match slowest(outcomes.iter()) {
        Some(slowest) => format!("recovered within {:.1} s", slowest.as_secs_f64()),
        None => "not all recovered".to_owned(),
    };
    format!("{} cases, {verdict}, {slowest}", outcomes.len())
}

/// The letters of all that is wrong with these.
pub(crate) fn letters<'a>(outcomes: impl Iterator<Item = &'a Outcome> + Clone) -> String {
    let has =
        |fault: &Fault| outcomes.clone().flat_map(|outcome| &outcome.faults).any(|(found, _)| found == fault);
    Fault::ALL.iter().filter(|fault| has(fault)).map(|fault| fault.letter()).collect()
}

/// The slowest recovery, where all have recovered.
pub(crate) fn slowest<'a>(mut outcomes: impl Iterator<Item = &'a Outcome>) -> Option<Duration> {
    outcomes.try_fold(Duration::ZERO, |slowest, outcome| Some(slowest.max(outcome.recovery?)))
}
