//! The options of `rq worker` in a `[[worker]]`: by their long names, as arguments.

use std::ffi::OsString;

use clap::{Arg, ArgAction};
use rq_config::{Fault, Given, Item, nearest, plain, unknown};

use crate::command_line;
use crate::commands::worker;
use crate::pieces::Pieces;
use crate::refusal::Refusal;
use crate::settings::Sentry;
use crate::settings::origin::Origin;

/// Options that have no place in such a file, and what to do instead.
const OUT_OF_PLACE: [(&str, &str); 11] = [
    ("burst", "a Manager keeps its workers; for a burst there is `rq worker-pool --burst`"),
    ("pid", "several workers would write to one file; `rq manager status --json` has all ids"),
    ("start_suspended", "workers of a Manager always have it"),
    (
        "sentry_dsn",
        "everybody can read the arguments of workers, and it holds a key; write `env = { RQ_SENTRY_DSN = \"..\" }`",
    ),
    ("serializer", "a worker detects the codec of each job"),
    ("config", "the settings of all entries are the table [settings] of this file"),
    ("path", "no settings are looked for, and no Python is imported here"),
    ("queue_class", "a worker reads queues, and enqueues nothing in them"),
    ("connection_class", "it names a class of Python's; write `url`"),
    ("help", "it shows a text, and starts no worker"),
    ("version", "it shows a text, and starts no worker"),
];

/// What the options of an entry are.
#[derive(Default)]
pub(super) struct Arguments {
    /// Those of `rq worker`.
    pub(super) known: Vec<OsString>,
    /// Those that another program's executors may have.
    pub(super) foreign: Vec<OsString>,
}

/// The options of `rq worker` that a file may have, with the pieces of a program.
pub(super) struct WorkerOptions<'a> {
    pieces: &'a Pieces,
    has_handlers: bool,
    all: Vec<Arg>,
}

impl<'a> WorkerOptions<'a> {
    pub(super) fn new(pieces: &'a Pieces, has_handlers: bool) -> WorkerOptions<'a> {
        let all = command_line::worker(pieces).get_arguments().cloned().collect();
        WorkerOptions { pieces, has_handlers, all }
    }

    /// Their names as keys.
    pub(super) fn names(&self) -> impl Iterator<Item = String> {
        let names = self.all.iter().filter_map(|option| option.get_long().map(plain));
        names.filter(|name| out_of_place(name).is_none())
    }

    fn find(&self, word: &str) -> Option<&Arg> {
        self.all.iter().find(|option| {
            let names = option.get_long_and_visible_aliases().unwrap_or_default();
            names.iter().any(|name| plain(name) == word)
        })
    }

    /// The arguments that these keys are, each tried by itself. What another program's executors can be told is not known,
    /// so that an `is_foreign` worker's unknown keys are options unless they look like a slip.
    pub(super) fn arguments(
        &self,
        rest: Vec<Given>,
        known: &[String],
        is_foreign: bool,
    ) -> Result<Arguments, Fault> {
        let mut arguments = Arguments::default();
        for given in rest {
            let word = plain(&given.word);
            if let Some(reason) = out_of_place(&word) {
                return Err(Fault::new(given.line, format!("`{}` has no place here: {reason}", given.word)));
            }
            match self.find(&word) {
                Some(option) => arguments.known.extend(self.of_option(option, &given)?),
                None if is_foreign && nearest(&word, known).is_none() => {
                    arguments.foreign.extend(foreign(&given)?);
                }
                None => return Err(unknown(&given.word, given.line, known)),
            }
        }
        Ok(arguments)
    }

    /// What is wrong with all of them together, in the words of `rq worker`.
    pub(super) fn check(
        &self,
        arguments: &[OsString],
        is_foreign: bool,
        of_file: Option<(&str, &Origin)>,
        sentry: Sentry<'_>,
    ) -> Result<(), String> {
        let args = self.read(arguments)?;
        args.check_sentry(sentry).map_err(reason)?;
        match is_foreign {
            true => Ok(()),
            false => args.check(self.pieces, self.has_handlers, of_file).map_err(reason),
        }
    }

    fn of_option(&self, option: &Arg, given: &Given) -> Result<Vec<OsString>, Fault> {
        let name = option.get_long().unwrap_or_default();
        let takes_value = !matches!(option.get_action(), ArgAction::SetTrue);
        let may_lack_value = option.get_num_args().is_some_and(|count| count.min_values() == 0);
        let arguments: Vec<OsString> = match &given.value {
            Item::Truth(false) if !takes_value || may_lack_value => Vec::new(),
            Item::Truth(true) if !takes_value || may_lack_value => vec![format!("--{name}").into()],
            Item::Truth(truth) if takes_truth(option) => vec![format!("--{name}={truth}").into()],
            Item::Truth(_) => return Err(given.fault("it needs a value")),
            _ if !takes_value => return Err(given.fault("it is true or false")),
            Item::List(values) if matches!(option.get_action(), ArgAction::Append) => {
                values.iter().map(|value| argument(name, value, given)).collect::<Result<_, _>>()?
            }
            value => vec![argument(name, value, given)?],
        };
        self.read(&arguments).map_err(|reason| given.fault(reason))?;
        Ok(arguments)
    }

    /// Whatever pieces are named: another program's are not known.
    fn read(&self, arguments: &[OsString]) -> Result<Box<worker::Args>, String> {
        command_line::read_worker(arguments, self.pieces).map_err(reason)
    }
}

/// Whether the value of an option is itself true or false.
fn takes_truth(option: &Arg) -> bool {
    option.get_possible_values().iter().any(|value| value.get_name() == "true")
}

fn out_of_place(word: &str) -> Option<&'static str> {
    OUT_OF_PLACE.iter().find(|(name, _)| *name == word).map(|(_, reason)| *reason)
}

fn foreign(given: &Given) -> Result<Vec<OsString>, Fault> {
    let name = given.word.replace('_', "-");
    match &given.value {
        Item::Truth(false) => Ok(Vec::new()),
        Item::Truth(true) => Ok(vec![format!("--{name}").into()]),
        Item::List(values) => values.iter().map(|value| argument(&name, value, given)).collect(),
        value => Ok(vec![argument(&name, value, given)?]),
    }
}

fn argument(name: &str, value: &Item, given: &Given) -> Result<OsString, Fault> {
    let value = match value {
        Item::Text(text) if text.contains('\0') => return Err(given.fault("a NUL cannot be an argument")),
        Item::Text(text) => text.clone(),
        Item::Integer(number) => number.to_string(),
        Item::Float(number) => number.to_string(),
        Item::Truth(_) | Item::Moment(_) | Item::List(_) | Item::Table(_) => {
            return Err(given.fault("it is neither a text nor a number"));
        }
    };
    Ok(format!("--{name}={value}").into())
}

/// A refusal of a command line as the end of a sentence about a key.
fn reason(refusal: Refusal) -> String {
    let message = refusal.reason().unwrap_or_default().to_owned();
    // The key is named already.
    let reason = match message.strip_prefix("Invalid value for '") {
        Some(rest) => rest.split_once("': ").map_or(rest, |(_, reason)| reason),
        None => &message,
    };
    reason.trim_end_matches('.').to_owned()
}
