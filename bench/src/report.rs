//! [`Report`]: what a run has measured, and on what.

use anyhow::Result;
use rq_core::Timestamp;
use serde::Serialize;
use serde_json::json;

use crate::figures::{Figure, Figures};
use crate::goals::{self, Outcome};
use crate::machine::Machine;

/// What a run has measured.
pub(crate) struct Report {
    figures: Figures,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) machine: Machine,
    pub(crate) command: String,
    pub(crate) rounds: usize,
    pub(crate) day: String,
}

/// A goal in `results.json`.
#[derive(Serialize)]
struct GoalEntry {
    what: &'static str,
    median: f64,
    min: f64,
    max: f64,
    goal: String,
    met: bool,
}

impl Report {
    pub(crate) fn new(figures: Figures, machine: Machine, command: &str, rounds: usize) -> Report {
        let outcomes = goals::outcomes(&figures);
        let day = Timestamp::now().to_string().chars().take_while(|&c| c != 'T').collect();
        Report { figures, outcomes, machine, command: command.to_owned(), rounds, day }
    }

    pub(crate) fn figures(&self) -> &[Figure] {
        self.figures.all()
    }

    pub(crate) fn to_json(&self) -> Result<String> {
        let goals: Vec<GoalEntry> = self.outcomes.iter().map(GoalEntry::of).collect();
        let report = json!({
            "command": self.command,
            "day": self.day,
            "machine": self.machine,
            "rounds": self.rounds,
            "goals": goals,
            "figures": self.figures(),
        });
        Ok(serde_json::to_string_pretty(&report)? + "\n")
    }

    /// In one sentence.
    pub(crate) fn headline(&self) -> String {
        let met = self.outcomes.iter().filter(|outcome| outcome.met).count();
        let goals = match self.outcomes.len() {
            0 => "Medians".to_owned(),
            goals => format!("{met} of {goals} goals met, medians"),
        };
        let (rounds, command, day) = (self.rounds, &self.command, &self.day);
        format!("{goals} of {rounds} rounds by `{command}` on {day}: {}.", self.machine.line())
    }
}

impl GoalEntry {
    fn of(outcome: &Outcome) -> GoalEntry {
        let value = outcome.value;
        GoalEntry {
            what: outcome.goal.what,
            median: value.median,
            min: value.min,
            max: value.max,
            goal: outcome.goal.bound.to_string(),
            met: outcome.met,
        }
    }
}
