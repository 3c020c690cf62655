//! [`SentryArgs`]: the options by which failures reach Sentry (docs/sentry.md), and [`Reports`], what they come to.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::PathBuf;

use clap::builder::{PossibleValue, TypedValueParser};

use crate::output::note;
use crate::refusal::Refusal;
use crate::text::Text;

const HEADING: &str = "Sentry";
/// The DSN's variable. Workers of a pool get theirs by it: their arguments are for everybody to see, and it holds a key.
pub(crate) const DSN_VARIABLE: &str = "RQ_SENTRY_DSN";
/// The variable of Sentry's own SDKs, and RQ's name for the setting.
const DSN_SETTING: &str = "SENTRY_DSN";

/// The options of commands that run workers.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct SentryArgs {
    /// Report failures of jobs to the Sentry of this DSN; without this option to that of the variable RQ_SENTRY_DSN, or else
    /// SENTRY_DSN. An empty one: report nothing.
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

/// What a file with RQ's settings says of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Settings {
    /// `SENTRY_DSN`.
    pub(crate) dsn: Option<String>,
    /// `SENTRY_CA_CERTS`.
    pub(crate) ca_certs: Option<PathBuf>,
    /// `SENTRY_DEBUG`.
    pub(crate) debug: Option<bool>,
}

impl From<crate::settings::Sentry<'_>> for Settings {
    fn from(said: crate::settings::Sentry<'_>) -> Settings {
        Settings {
            dsn: said.dsn.map(|(dsn, _)| dsn.to_owned()),
            ca_certs: said.ca_certs.map(|(path, _)| path.into()),
            debug: said.debug.map(|(debug, _)| debug),
        }
    }
}

/// That failures are reported, where to, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reports {
    /// Whose options these are.
    command: &'static str,
    dsn: String,
    source: Source,
    ca_certs: Option<PathBuf>,
    debug: bool,
    arguments: bool,
}

/// Where a DSN was said.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Source {
    Option,
    OwnVariable,
    SentrysVariable,
    Settings,
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::Option => f.write_str("'--sentry-dsn'"),
            Source::OwnVariable => write!(f, "the variable '{DSN_VARIABLE}'"),
            Source::SentrysVariable => write!(f, "the variable '{DSN_SETTING}'"),
            Source::Settings => write!(f, "the setting '{DSN_SETTING}'"),
        }
    }
}

/// A variable of the environment. An empty one counts as none, for those who cannot unset one.
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl SentryArgs {
    /// What is reported, if anything: as the options say, or else the environment, or else a file with settings.
    pub(crate) fn resolve(
        &self,
        command: &'static str,
        environment: impl Fn(&str) -> Option<String>,
        settings: Settings,
    ) -> Result<Option<Reports>, Refusal> {
        let Some((dsn, source)) = self.dsn(&environment, settings.dsn) else { return Ok(None) };
        if !cfg!(feature = "sentry") {
            return not_built_in(source).map(|()| None);
        }
        let either = |name: &str| environment(&format!("RQ_{name}")).or_else(|| environment(name));
        let ca_certs = self.sentry_ca_certs.clone().filter(|path| !path.as_os_str().is_empty());
        let ca_certs =
            ca_certs.or_else(|| either("SENTRY_CA_CERTS").map(PathBuf::from)).or(settings.ca_certs);
        let debug = match (self.sentry_debug, either("SENTRY_DEBUG")) {
            (Some(debug), _) => Some(debug),
            (None, Some(word)) => Some(truth(&word).map_err(|reason| {
                let variables = "the variable 'RQ_SENTRY_DEBUG', or 'SENTRY_DEBUG'";
                Refusal::usage(command, format!("Invalid value for {variables}: {reason}."))
            })?),
            (None, None) => settings.debug,
        };
        let (debug, arguments) = (debug.unwrap_or(false), self.sentry_arguments);
        let reports = Reports { command, dsn, source, ca_certs, debug, arguments };
        reports.check()?;
        Ok(Some(reports))
    }

    /// The arguments, and the variable, by which a worker does the same as was resolved here.
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
        (given, Some((DSN_VARIABLE, dsn.clone())))
    }

    /// The first DSN that is said, and where. An empty option says that there is none.
    fn dsn(
        &self,
        environment: impl Fn(&str) -> Option<String>,
        setting: Option<String>,
    ) -> Option<(String, Source)> {
        let variable = |name, source| environment(name).map(|dsn| (dsn, source));
        let said = self.sentry_dsn.clone().map(|dsn| (dsn, Source::Option));
        said.or_else(|| variable(DSN_VARIABLE, Source::OwnVariable))
            .or_else(|| variable(DSN_SETTING, Source::SentrysVariable))
            .or_else(|| setting.map(|dsn| (dsn, Source::Settings)))
            .filter(|(dsn, _)| !dsn.trim().is_empty())
    }
}

/// What a program does that cannot report: it refuses what it was asked for, and tells of what it merely found.
fn not_built_in(source: Source) -> Result<(), Refusal> {
    let lacking = "this program is built without the cargo feature `sentry`";
    match source {
        Source::Option | Source::OwnVariable => Err(Refusal::Unable(format!(
            "{source} is given, and {lacking}, so that no failure reaches Sentry"
        ))),
        Source::SentrysVariable | Source::Settings => {
            note(Text::line(format_args!("{source} is there, but failures do not reach Sentry: {lacking}")));
            Ok(())
        }
    }
}

#[cfg(feature = "sentry")]
mod built_in {
    use std::sync::Arc;

    use rq_core::{OnCrash, Shown};
    use rq_sentry::{SentryError, SentryHandler, SentryOptions};
    use rq_worker::{Observer, Program, WorkerEvent};

    use super::{Refusal, Reports};

    impl Reports {
        /// What is wrong with them, if anything, before there is a worker.
        pub(super) fn check(&self) -> Result<(), Refusal> {
            self.handler(OnCrash::default()).map(drop)
        }

        /// Has the workers of a program report. `on_crash` is theirs.
        pub(crate) fn join(&self, program: &mut Program, on_crash: OnCrash) -> Result<(), Refusal> {
            let handler = self.handler(on_crash)?;
            program.observers.push(Arc::new(Told { host: handler.host() }));
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
                SentryError::CaCerts { .. } => {
                    Refusal::Failed(format!("failures cannot be reported to Sentry: {error}"))
                }
                error => Refusal::usage(self.command, format!("Invalid value for {}: {error}.", self.source)),
            })
        }
    }

    /// Says at a worker's start where failures go.
    struct Told {
        host: String,
    }

    impl Observer for Told {
        fn observe(&self, worker: &str, event: &WorkerEvent<'_>) {
            if let WorkerEvent::Started { .. } = event {
                let line = format_args!("Worker {worker}: failures are reported to Sentry at {}", self.host);
                tracing::info!("{}", Shown::line(line));
            }
        }
    }
}

#[cfg(not(feature = "sentry"))]
impl Reports {
    fn check(&self) -> Result<(), Refusal> {
        not_built_in(self.source)
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
        let parse: fn(&str) -> Result<bool, String> = truth;
        parse.parse_ref(command, option, value)
    }

    /// By these a file of `rq manager` takes a truth value.
    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(["true", "false"].map(PossibleValue::new).into_iter()))
    }
}

fn truth(word: &str) -> Result<bool, String> {
    match word.to_ascii_lowercase().as_str() {
        "1" | "y" | "yes" | "t" | "true" | "on" => Ok(true),
        "0" | "n" | "no" | "f" | "false" | "off" | "" => Ok(false),
        _ => Err(format!("'{word}' is neither true nor false")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_without_it_refuses_what_it_was_asked_for() {
        for source in [Source::Option, Source::OwnVariable] {
            let refusal = not_built_in(source).unwrap_err();
            let reason = refusal.reason().unwrap_or_default();
            assert!(
                reason.contains(&source.to_string()) && reason.contains("cargo feature `sentry`"),
                "{reason}"
            );
        }
        for source in [Source::SentrysVariable, Source::Settings] {
            assert_eq!(not_built_in(source), Ok(()));
        }
    }
}

#[cfg(all(test, feature = "sentry"))]
mod tests_built_in {
    use super::*;

    const OPTION: &str = "https://hush@h/1";
    const OWN: &str = "https://hush@h/2";
    const SENTRYS: &str = "https://hush@h/3";
    const SETTING: &str = "https://hush@h/4";

    /// What comes of an option, of variables, and of a setting.
    fn resolved(
        option: Option<&str>,
        variables: &[(&str, &str)],
        setting: Option<&str>,
    ) -> Result<Option<Reports>, Refusal> {
        let args = SentryArgs { sentry_dsn: option.map(str::to_owned), ..SentryArgs::default() };
        let settings = Settings { dsn: setting.map(str::to_owned), ..Settings::default() };
        let value = |name: &str| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        args.resolve("worker", value, settings)
    }

    #[test]
    fn the_nearest_dsn_counts() {
        let check = |option, variables: &[(&str, &str)], setting, expected: Option<&str>| {
            let reports = resolved(option, variables, setting).unwrap();
            assert_eq!(reports.map(|reports| reports.dsn).as_deref(), expected);
        };
        let (own, sentrys) = ((DSN_VARIABLE, OWN), (DSN_SETTING, SENTRYS));
        check(Some(OPTION), &[own, sentrys], Some(SETTING), Some(OPTION));
        check(None, &[own, sentrys], Some(SETTING), Some(OWN));
        check(None, &[sentrys], Some(SETTING), Some(SENTRYS));
        check(None, &[], Some(SETTING), Some(SETTING));
        check(None, &[], None, None);
        check(None, &[], Some(""), None);
        // RQ's documents have this for "none".
        check(Some(""), &[own, sentrys], Some(SETTING), None);
    }

    #[test]
    fn what_is_no_dsn_is_refused_without_being_shown() {
        let check = |option, variables: &[(&str, &str)], setting, source: &str| {
            let refusal = resolved(option, variables, setting).unwrap_err();
            let reason = refusal.reason().unwrap_or_default();
            assert!(matches!(refusal, Refusal::Usage { .. }), "{refusal:?}");
            assert!(reason.starts_with(&format!("Invalid value for {source}: it is no DSN")), "{reason}");
            assert!(!reason.contains("hush"), "{reason}");
        };
        check(Some("hush"), &[], None, "'--sentry-dsn'");
        check(None, &[(DSN_VARIABLE, "https://hush@h")], None, "the variable 'RQ_SENTRY_DSN'");
        check(None, &[(DSN_SETTING, "hush://h/1")], None, "the variable 'SENTRY_DSN'");
        check(None, &[], Some("hush"), "the setting 'SENTRY_DSN'");
        let refusal = resolved(Some(OPTION), &[("RQ_SENTRY_DEBUG", "maybe")], None).unwrap_err();
        assert!(refusal.reason().unwrap_or_default().contains("'maybe' is neither true nor false"));
        let refusal = resolved(Some(OPTION), &[("SENTRY_CA_CERTS", "/no/such/file")], None).unwrap_err();
        assert!(
            matches!(&refusal, Refusal::Failed(reason) if reason.contains("/no/such/file")),
            "{refusal:?}"
        );
    }

    #[test]
    fn a_worker_is_told_the_same_and_no_key_in_its_arguments() {
        let reports = resolved(Some(OPTION), &[("SENTRY_DEBUG", "true")], None).unwrap();
        let (arguments, variable) = SentryArgs::of_worker(reports.as_ref());
        assert_eq!(arguments, ["--sentry-debug=true"]);
        assert_eq!(variable, Some((DSN_VARIABLE, OPTION.to_owned())));
    }
}
