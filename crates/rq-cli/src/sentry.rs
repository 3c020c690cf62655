//! [`SentryArgs`]: the options by which failures reach Sentry (docs/sentry.md), and [`Reports`], what they come to.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};

use crate::output::note;
use crate::refusal::Refusal;
use crate::settings::Sentry;
use crate::settings::content;
use crate::settings::handed;
use crate::settings::origin::Origin;
use crate::text::Text;

const HEADING: &str = "Sentry";
/// The DSN's variable.
pub(crate) const DSN_VARIABLE: &str = "RQ_SENTRY_DSN";
/// The option.
const DSN_OPTION: &str = "--sentry-dsn";

/// The options of commands that run workers.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SentryArgs {
    /// Report failures of jobs to the Sentry of this DSN; without this option to that of the variable RQ_SENTRY_DSN, or else
    /// SENTRY_DSN, or else the setting SENTRY_DSN. An empty one: report nothing.
    ///
    /// Everybody on the machine can read the arguments of programs, and a DSN holds a key: the variable is the better place.
    #[arg(long, help_heading = HEADING, value_name = "DSN")]
    sentry_dsn: Option<String>,
    /// A file with the authorities that vouch for that Sentry [env: RQ_SENTRY_CA_CERTS] [default: the system's].
    #[arg(long, help_heading = HEADING, value_name = "PATH")]
    sentry_ca_certs: Option<PathBuf>,
    /// Log each report, and what becomes of it [env: RQ_SENTRY_DEBUG] [default: false].
    #[arg(long, help_heading = HEADING, value_name = "BOOLEAN", value_parser = Truth)]
    sentry_debug: Option<bool>,
    /// Report the arguments of failed jobs as well, and the descriptions that quote them.
    #[arg(long, help_heading = HEADING)]
    sentry_arguments: bool,
}

/// That failures are reported, where to, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reports {
    /// Whose options these are.
    command: &'static str,
    dsn: String,
    /// Where the DSN was said.
    origin: Origin,
    ca_certs: Option<PathBuf>,
    /// Where that was said, unless by an option.
    ca_certs_origin: Option<Origin>,
    debug: bool,
    arguments: bool,
}

impl SentryArgs {
    /// What is reported, if anything: as the options say, or else what is `said` beside them.
    pub(crate) fn resolve(
        &self,
        command: &'static str,
        said: Sentry<'_>,
    ) -> Result<Option<Reports>, Refusal> {
        let Some((dsn, origin)) = self.dsn(said.dsn) else { return Ok(None) };
        if !cfg!(feature = "sentry") {
            return not_built_in(&origin).map(|()| None);
        }
        let ca_certs = self.sentry_ca_certs.clone().filter(|path| !path.as_os_str().is_empty());
        let said_certs = said.ca_certs.filter(|_| ca_certs.is_none());
        let ca_certs_origin = said_certs.map(|(_, origin)| origin.clone());
        let ca_certs = ca_certs.or_else(|| said_certs.map(|(path, _)| path.into()));
        let debug = match (self.sentry_debug, said.debug) {
            (Some(debug), _) => debug,
            (None, Some((word, origin))) => truth(word).ok_or_else(|| {
                Refusal::Failed(format!(
                    "{origin}: SENTRY_DEBUG cannot be used: it is neither true nor false."
                ))
            })?,
            (None, None) => false,
        };
        let arguments = self.sentry_arguments;
        let dsn = dsn.to_owned();
        let reports = Reports { command, dsn, origin, ca_certs, ca_certs_origin, debug, arguments };
        reports.check()?;
        Ok(Some(reports))
    }

    /// The arguments, and the variable, by which a worker does the same as was resolved here: its arguments are for everybody
    /// to see, and a DSN holds a key.
    pub(crate) fn of_worker(reports: Option<&Reports>) -> (Vec<OsString>, Option<(&'static str, String)>) {
        let Some(Reports { dsn, ca_certs, debug, arguments, .. }) = reports else {
            // Whatever else says it, which was read already, and told of.
            return (vec!["--sentry-dsn=".into()], None);
        };
        let mut given = vec![OsString::from(format!("--sentry-debug={debug}"))];
        if let Some(path) = ca_certs {
            given.extend(["--sentry-ca-certs".into(), path.clone().into_os_string()]);
        }
        if *arguments {
            given.push("--sentry-arguments".into());
        }
        (given, Some((handed::DSN_VARIABLE, dsn.clone())))
    }

    /// The first DSN that is said, and where. An empty option says that there is none.
    fn dsn<'a>(&'a self, said: Option<(&'a str, &Origin)>) -> Option<(&'a str, Origin)> {
        let by_option = self.sentry_dsn.as_deref().map(|dsn| (dsn, Origin::Flag(DSN_OPTION)));
        let dsn = by_option.or_else(|| said.map(|(dsn, origin)| (dsn, origin.clone())));
        dsn.filter(|(dsn, _)| !dsn.trim().is_empty())
    }
}

/// What a program does that cannot report: it refuses what it was asked for, and tells of what it merely found.
fn not_built_in(origin: &Origin) -> Result<(), Refusal> {
    let lacking = "this program is built without the cargo feature `sentry`";
    match origin {
        Origin::Flag(_) | Origin::Variable(DSN_VARIABLE) => Err(Refusal::Unable(format!(
            "{origin} is given, and {lacking}, so that no failure reaches Sentry"
        ))),
        Origin::Variable(_) | Origin::File { .. } | Origin::Default => {
            note(Text::line(format_args!(
                "{origin}: a DSN of Sentry is there, but failures do not reach it: {lacking}"
            )));
            Ok(())
        }
    }
}

#[cfg(feature = "sentry")]
mod built_in {
    use std::fmt;
    use std::sync::Arc;

    use rq_core::OnCrash;
    use rq_sentry::{SentryError, SentryHandler, SentryOptions};
    use rq_worker::Program;

    use super::{Origin, Refusal, Reports};
    use crate::told::Told;

    impl Reports {
        /// What is wrong with them, if anything, before there is a worker.
        pub(super) fn check(&self) -> Result<(), Refusal> {
            self.handler(OnCrash::default()).map(drop)
        }

        /// Has the workers of a program report. `on_crash` is theirs.
        pub(crate) fn join(&self, program: &mut Program, on_crash: OnCrash) -> Result<(), Refusal> {
            let handler = self.handler(on_crash)?;
            let line = format!("failures are reported to Sentry at {}", handler.host());
            program.observers.push(Arc::new(Told(vec![line])));
            program.exception_handlers.push(Arc::new(handler));
            Ok(())
        }

        fn handler(&self, on_crash: OnCrash) -> Result<SentryHandler, Refusal> {
            let mut options = SentryOptions::default();
            options.ca_certs.clone_from(&self.ca_certs);
            options.debug = self.debug;
            options.arguments = self.arguments;
            options.on_crash = on_crash;
            SentryHandler::new(&self.dsn, options).map_err(|error| match error {
                SentryError::CaCerts { .. } => Refusal::Failed(match &self.ca_certs_origin {
                    Some(origin) => format!("{origin}: SENTRY_CA_CERTS cannot be used: {error}"),
                    None => format!("failures cannot be reported to Sentry: {error}"),
                }),
                error => match &self.origin {
                    Origin::Flag(option) => self.usage(format_args!("'{option}'"), &error),
                    Origin::Variable(name) => self.usage(format_args!("the variable '{name}'"), &error),
                    origin => Refusal::Failed(format!("{origin}: SENTRY_DSN cannot be used: {error}.")),
                },
            })
        }

        fn usage(&self, place: fmt::Arguments<'_>, error: &SentryError) -> Refusal {
            Refusal::usage(self.command, format!("Invalid value for {place}: {error}."))
        }
    }
}

#[cfg(not(feature = "sentry"))]
impl Reports {
    fn check(&self) -> Result<(), Refusal> {
        not_built_in(&self.origin)
    }

    /// Nobody has one: [`SentryArgs::resolve`] makes none.
    pub(crate) fn join(&self, _: &mut rq_worker::Program, _: rq_core::OnCrash) -> Result<(), Refusal> {
        self.check()
    }
}

/// A value that is true or false. RQ takes any text for true here; what looks like neither is refused.
#[derive(Clone)]
struct Truth;

impl TypedValueParser for Truth {
    type Value = bool;

    fn parse_ref(
        &self,
        command: &clap::Command,
        option: Option<&clap::Arg>,
        value: &OsStr,
    ) -> Result<bool, clap::Error> {
        let parse = |word: &str| truth(word).ok_or_else(|| format!("'{word}' is neither true nor false"));
        parse.parse_ref(command, option, value)
    }

    /// By these a file of `rq manager` takes a truth value.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["true", "false"].map(PossibleValue::new).into_iter()))
    }
}

/// RQ's words for true and false, and those of Sentry's SDKs.
fn truth(word: &str) -> Option<bool> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "on" => Some(true),
        "0" | "off" => Some(false),
        word => content::truth(word),
    }
}

#[cfg(test)]
mod tests;
