//! [`Row`]: a command line, what it begins with, and what may differ.

use rq_tests::Signal;

use super::start::Start;

/// A command line that both programs run.
pub(super) struct Row {
    /// As one types it behind `rq`: words between blanks, quotes as in a shell, variables of the environment in front.
    /// `{url}` is the Redis of the test, and `{folder}` the working directory.
    pub(super) line: String,
    pub(super) start: Start,
    pub(super) until: Until,
    /// Nothing where both do the same.
    pub(super) difference: Option<Difference>,
    /// What the document shows of it in the table of all commands, where it is one that all have.
    pub(super) of_all: Option<String>,
}

/// When a program is to end.
#[derive(Clone, Copy, Debug)]
pub(super) enum Until {
    /// By itself.
    End,
    /// By a signal, once it has printed a line with this text so many times.
    Said(&'static str, usize, Signal),
    /// By a signal, once so many workers are idle. What is in Redis is looked at before.
    Idle(usize, Signal),
    /// By a signal, once it has enqueued the job of a cron entry and waits for the next. Likewise.
    Ticked(Signal),
}

/// What differs, and why.
#[derive(Clone, Copy)]
pub(super) struct Difference {
    /// Patterns of what differs, in which `*` (one at most) stands for any text: `code`, `stdout`, `stderr`, `order` (of the jobs), `file NAME`, or a
    /// key and a fact of it, as in `rq:job:* .status`. Something fits each, and all that differs fits one.
    pub(super) at: &'static [&'static str],
    pub(super) theirs: Told,
    pub(super) ours: Told,
    /// One of the [`reasons`](super::reasons).
    pub(super) why: &'static str,
}

/// How a program takes a command line.
#[derive(Clone, Copy, Debug)]
pub(super) enum Told {
    /// A traceback whose last line has this, exit code 1.
    Raises(&'static str),
    /// A usage error with this, exit code 2.
    Refuses(&'static str),
    /// A message with this, exit code 1.
    Fails(&'static str),
    /// It says this, exit code 0.
    Says(&'static str),
    /// It does this, in words; exit code 0.
    Does(&'static str),
}

/// How both refuse what they refuse in other words.
pub(super) const MESSAGE: &[&str] = &["stderr"];
/// What a usage error in place of a traceback has.
pub(super) const CODE: &[&str] = &["code", "stderr"];
/// What one has that goes on where the other ends.
pub(super) const ALL: &[&str] = &["code", "stdout", "stderr"];
/// What a usage error has in place of an effect in Redis.
pub(super) const EFFECT: &[&str] = &["code", "stdout", "stderr", "rq:*"];

pub(super) fn same(line: impl Into<String>, start: Start) -> Row {
    Row { line: line.into(), start, until: Until::End, difference: None, of_all: None }
}

pub(super) fn differs(
    line: impl Into<String>,
    start: Start,
    at: &'static [&'static str],
    theirs: Told,
    ours: Told,
    why: &'static str,
) -> Row {
    Row { difference: Some(Difference { at, theirs, ours, why }), ..same(line, start) }
}

impl Row {
    pub(super) fn until(self, until: Until) -> Row {
        Row { until, ..self }
    }

    /// The row stands for one that all commands have.
    pub(super) fn of_all(self, shown: &str) -> Row {
        Row { of_all: Some(shown.to_owned()), ..self }
    }

    /// The variables in front of the command, by name.
    pub(super) fn variables(&self) -> Vec<(String, String)> {
        let words = words(&self.line).into_iter();
        words
            .map_while(|word| word.split_once('=').map(|(name, value)| (name.into(), value.into())))
            .collect()
    }

    /// Whether it prints a log.
    pub(super) fn has_log(&self) -> bool {
        ["worker", "worker-pool", "cron"].contains(&self.arguments()[0].as_str())
    }

    /// The command, and what follows it.
    pub(super) fn arguments(&self) -> Vec<String> {
        words(&self.line).into_iter().skip_while(|word| word.contains('=')).collect()
    }
}

impl Told {
    /// Its exit code, and what it says; for [`Told::Does`] any.
    pub(super) fn outcome(self) -> (i32, &'static str) {
        match self {
            Told::Raises(text) | Told::Fails(text) => (1, text),
            Told::Refuses(text) => (2, text),
            Told::Says(text) => (0, text),
            Told::Does(_) => (0, ""),
        }
    }

    /// For the document.
    pub(super) fn in_words(self) -> String {
        match self {
            Told::Raises(_) => "a traceback, exit code 1".to_owned(),
            Told::Refuses(_) => "a usage error, exit code 2".to_owned(),
            Told::Fails(_) => "an error, exit code 1".to_owned(),
            Told::Says(text) => format!("says `{text}`"),
            Told::Does(words) => words.to_owned(),
        }
    }
}

/// The words of a line. A quote begins and ends what blanks do not part.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut is_quoted) = (Vec::new(), None::<String>, false);
    for letter in line.chars() {
        match letter {
            '\'' => {
                is_quoted = !is_quoted;
                word.get_or_insert_default();
            }
            ' ' if !is_quoted => words.extend(word.take()),
            letter => word.get_or_insert_default().push(letter),
        }
    }
    words.extend(word);
    words
}

#[test]
fn a_line_is_read_as_a_shell_reads_it() {
    let row = same("RQ_CONFIG=settings A= enqueue '' '%(1, 2)' k='a b' x=y", Start::Empty);
    let variables = [("RQ_CONFIG", "settings"), ("A", "")].map(|(name, value)| (name.into(), value.into()));
    assert_eq!(row.variables(), variables);
    assert_eq!(row.arguments(), ["enqueue", "", "%(1, 2)", "k=a b", "x=y"]);
}
