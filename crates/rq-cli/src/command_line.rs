//! The command line as a whole: which commands there are, and arguments made into one of them.

use std::ffi::OsString;

use clap::{Arg, ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::app::App;
use crate::called::Called;
use crate::classes::{self, Classes};
use crate::commands::cron_entry::Verb;
use crate::commands::{
    config, config_show, cron, cron_entry, cron_list, dev, empty, enqueue, group, info, manager,
    manager_order, requeue, resume, suspend, worker, worker_pool, worker_stop,
};
use crate::examples;
use crate::executors::{Executors, Given};
use crate::output;
use crate::pieces::Pieces;
use crate::refusal::Refusal;
use crate::text::Text;
use crate::usage;

/// The protocol this `rq` speaks, by the Python release that has it.
const SPEAKS: &str = "3.0.0";

/// The layout of help: examples stand before the options, since most people come for them.
const HELP_TEMPLATE: &str =
    "{about-with-newline}\n{usage-heading} {usage}\n\n{before-help}{all-args}{after-help}";

const EXAMPLES: &str = "\
Examples:
  rq enqueue tasks.greet name=bob         # for any worker, Python's or Rust's
  rq worker --app ./my-jobs high default  # run the jobs of your program
  rq info --interval 1                    # watch queues and workers
  rq dev                                  # a Redis for trying things";

/// RQ's command line tool: jobs in Redis, for workers in Rust and Python.
#[derive(Debug, Parser)]
#[command(
    name = "rq",
    disable_version_flag = true,
    disable_help_subcommand = true,
    before_help = EXAMPLES,
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands"
)]
struct CommandLine {
    /// Show which rq this is, and exit.
    #[arg(long)]
    version: bool,
    #[command(subcommand)]
    command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Config(config::Args),
    // Two words, as `worker stop`. The help of `config` names it.
    #[command(name = config::SHOW, hide = true)]
    ConfigShow(config_show::Args),
    Cron(cron::Args),
    // Two words, likewise. The help of `cron` names them.
    #[command(name = cron::LIST, hide = true)]
    CronList(cron_list::Args),
    /// Pause a cron entry: nothing is enqueued for it until it is resumed, and nothing is made up for then.
    #[command(name = cron::PAUSE, hide = true)]
    CronPause(cron_entry::Args),
    /// Resume a cron entry that was paused.
    #[command(name = cron::RESUME, hide = true)]
    CronResume(cron_entry::Args),
    /// Enqueue a job of a cron entry now, whether or not a scheduler runs. When it is due next stays as it is.
    #[command(name = cron::TRIGGER, hide = true)]
    CronTrigger(cron_entry::Args),
    /// Remove what Redis keeps of a cron entry, its history included. Its jobs stay.
    #[command(name = cron::FORGET, hide = true)]
    CronForget(cron_entry::Args),
    Dev(dev::Args),
    Empty(empty::Args),
    Enqueue(Box<enqueue::Args>),
    Group(group::Args),
    Info(info::Args),
    Manager(manager::Args),
    // Two words, likewise.
    #[command(name = manager::STATUS, hide = true)]
    ManagerStatus(manager_order::StatusArgs),
    #[command(name = manager::STOP, hide = true)]
    ManagerStop(manager_order::StopArgs),
    #[command(name = manager::RESTART, hide = true)]
    ManagerRestart(manager_order::RestartArgs),
    #[command(name = manager::SCALE, hide = true)]
    ManagerScale(manager_order::ScaleArgs),
    #[command(name = manager::RELOAD, hide = true)]
    ManagerReload(manager_order::ReloadArgs),
    Requeue(requeue::Args),
    Resume(resume::Args),
    Suspend(suspend::Args),
    Worker(Box<worker::Args>),
    WorkerPool(Box<worker_pool::Args>),
    // Two words, and no command of `worker`'s: what follows that is queues. Its help names it.
    #[command(name = worker_stop::NAME, hide = true)]
    WorkerStop(worker_stop::Args),
}

impl Command {
    /// Runs the command.
    pub(crate) fn run(self, app: App) -> Result<(), Refusal> {
        match self {
            Command::Config(args) => config::run(&args),
            Command::ConfigShow(args) => config_show::run(&args, &app),
            Command::Cron(args) => cron::run(args, app),
            Command::CronList(args) => cron_list::run(args),
            Command::CronPause(args) => cron_entry::run(Verb::Pause, args),
            Command::CronResume(args) => cron_entry::run(Verb::Resume, args),
            Command::CronTrigger(args) => cron_entry::run(Verb::Trigger, args),
            Command::CronForget(args) => cron_entry::run(Verb::Forget, args),
            Command::Dev(args) => dev::run(args),
            Command::Empty(args) => empty::run(args),
            Command::Enqueue(args) => enqueue::run(*args, app),
            Command::Group(args) => group::run(args),
            Command::Info(args) => info::run(args),
            Command::Manager(args) => manager::run(args, app),
            Command::ManagerStatus(args) => manager_order::status(args),
            Command::ManagerStop(args) => manager_order::stop(args),
            Command::ManagerRestart(args) => manager_order::restart(args),
            Command::ManagerScale(args) => manager_order::scale(args),
            Command::ManagerReload(args) => manager_order::reload(args),
            Command::Requeue(args) => requeue::run(args),
            Command::Resume(args) => resume::run(args),
            Command::Suspend(args) => suspend::run(args),
            Command::Worker(args) => worker::run(*args, app),
            Command::WorkerPool(args) => worker_pool::run(*args, app),
            Command::WorkerStop(args) => worker_stop::run(args),
        }
    }
}

/// The command that `arguments` name; `None` where they ask for help or the version, which have been printed then.
///
/// Of the pieces that they name, those that all commands can name are there.
pub(crate) fn read(
    called: &Called,
    arguments: &[OsString],
    pieces: &Pieces,
) -> Result<Option<Command>, Refusal> {
    let Some(matches) = matches(called, arguments, pieces)? else { return Ok(None) };
    if let Some((command, matches)) = matches.subcommand()
        && let Some(classes) = classes(matches)
    {
        classes.check(command, pieces)?;
    }
    command(called, &matches, pieces)
}

/// The arguments of `rq worker`, whatever the pieces that they name are.
pub(crate) fn read_worker(arguments: &[OsString], pieces: &Pieces) -> Result<Box<worker::Args>, Refusal> {
    let line = ["rq", worker::NAME].map(OsString::from).into_iter().chain(arguments.iter().cloned());
    let called = Called::default();
    let matches = matches(&called, &line.collect::<Vec<_>>(), pieces)?;
    match matches.map(|matches| command(&called, &matches, pieces)).transpose()?.flatten() {
        Some(Command::Worker(args)) => Ok(args),
        _ => Err(Refusal::usage(worker::NAME, "it is another command")),
    }
}

/// What clap makes of `arguments`; `None` where they ask for help, which has been printed then.
fn matches(called: &Called, arguments: &[OsString], pieces: &Pieces) -> Result<Option<ArgMatches>, Refusal> {
    let (typed, arguments) = (arguments, with_words_joined(usage::with_long_dashes(arguments)));
    match definition(called, pieces).try_get_matches_from(&arguments) {
        Ok(matches) => Ok(Some(matches)),
        // Help that was asked for is no error, though clap has it as one: it goes to standard output, and exits with 0.
        Err(error) if error.kind() == clap::error::ErrorKind::DisplayHelp => {
            Ok(error.print().map(|()| None)?)
        }
        Err(error) => Err(usage::refusal(&error, &arguments, typed, &definition(called, pieces))),
    }
}

/// The options of a command that name pieces, where it has them.
fn classes(matches: &ArgMatches) -> Option<Classes> {
    // clap panics where a type asks for an option that the command has not.
    matches.try_contains_id("job_class").ok()?;
    Classes::from_arg_matches(matches).ok()
}

fn command(called: &Called, matches: &ArgMatches, pieces: &Pieces) -> Result<Option<Command>, Refusal> {
    let line = CommandLine::from_arg_matches(matches)
        .map_err(|error| usage::refusal(&error, &[], &[], &definition(called, pieces)))?;
    let executors = &pieces.executors;
    match line {
        CommandLine { version: true, .. } => output::say(Text::line(version())).map(|()| None),
        CommandLine { command: Some(Command::Worker(mut args)), .. } => {
            // clap's derived types know the command's own options; those of executors were added to it later.
            args.own = given(matches, worker::NAME, executors);
            Ok(Some(Command::Worker(args)))
        }
        CommandLine { command: Some(Command::WorkerPool(mut args)), .. } => {
            args.own = given(matches, worker_pool::NAME, executors);
            Ok(Some(Command::WorkerPool(args)))
        }
        CommandLine { command: Some(command), .. } => Ok(Some(command)),
        // As in RQ: the help, and yet exit code 2 (docs/cli.md §1).
        CommandLine { command: None, .. } => {
            Err(Refusal::CommandMissing(definition(called, pieces).render_help().to_string()))
        }
    }
}

/// `arguments` with the two words of a command made one, where they are one.
fn with_words_joined(arguments: Vec<OsString>) -> Vec<OsString> {
    let arguments = cron::arguments_of(worker_stop::arguments_of(arguments));
    manager_order::arguments_of(config::arguments_of(arguments))
}

/// The options of `rq worker`, with these executors'.
pub(crate) fn worker(pieces: &Pieces) -> clap::Command {
    let mut definition = definition(&Called::default(), pieces);
    definition.find_subcommand_mut(worker::NAME).map(std::mem::take).unwrap_or_default()
}

/// The first two lines of a usage error.
pub(crate) fn usage(called: &Called, command: Option<&str>) -> String {
    // A usage line names no options, so those of executors are not needed.
    let definition = definition(called, &Pieces::default());
    // A name that is no command leaves the program's own usage.
    let command = command.and_then(|command| definition.find_subcommand(command));
    let (usage, command) = match command {
        Some(command) => (usage::line(called, command), called.command(command.get_name())),
        None => (usage::program_line(called), called.program().to_owned()),
    };
    format!("Usage: {usage}\nTry '{command} --help' for help.")
}

/// RQ's line, and which `rq` this is: Python's is often on the same PATH.
fn version() -> String {
    let program = std::env::current_exe().map(|path| format!(", {}", path.display())).unwrap_or_default();
    format!(
        "rq, version {} (Rust; speaks the protocol of Python RQ {SPEAKS}{program})",
        env!("CARGO_PKG_VERSION")
    )
}

/// The values that were given for options which only some executors have.
fn given(matches: &ArgMatches, command: &str, executors: &Executors) -> Vec<Given> {
    let worker = matches.subcommand_matches(command);
    let options = executors.options().into_iter();
    let given = options.filter_map(|(option, _)| {
        let value = worker?.get_one::<String>(option.name)?;
        Some(Given { name: option.name, value: value.clone() })
    });
    given.collect()
}

/// The definition that parses arguments and writes help, for a program of this name with these pieces.
///
/// # Panics
/// If an executor's option is called what one of `rq worker`'s, or `rq worker-pool`'s, own is.
fn definition(called: &Called, pieces: &Pieces) -> clap::Command {
    let executors = &pieces.executors;
    let own = executors.options().into_iter().map(|(option, executors)| {
        Arg::new(option.name)
            .long(option.name)
            .value_name(option.value_name)
            .help(option.help)
            .help_heading(format!("With -w {executors}"))
            // So that `-1` is refused as a value, in words about the option, and not taken for an option of its own.
            .allow_negative_numbers(true)
    });
    let own: Vec<Arg> = own.collect();
    let (called, help) = (called.clone(), classes::help(pieces));
    let command_line = CommandLine::command();
    for command in [worker::NAME, worker_pool::NAME] {
        refuse_clashes(&command_line, command, executors);
    }
    with_examples(command_line, &called)
        .bin_name(called.program().to_owned())
        .help_template(HELP_TEMPLATE)
        .override_usage(usage::program_line(&called))
        .mut_subcommand(worker::NAME, |worker| worker.args(own.clone()))
        .mut_subcommand(worker_pool::NAME, |pool| pool.args(own))
        .mut_subcommands(|command| {
            let usage = usage::line(&called, &command);
            let command = with_help(command, &help);
            // As in RQ, the last of repeated options counts; clap would refuse the second.
            with_examples(command, &called)
                .help_template(HELP_TEMPLATE)
                .override_usage(usage)
                .args_override_self(true)
        })
}

/// Has the program's own name in a command's examples.
fn with_examples(command: clap::Command, called: &Called) -> clap::Command {
    match command.get_before_help().map(ToString::to_string) {
        Some(written) => command.before_help(examples::shown(&written, called)),
        None => command,
    }
}

/// Adds sentences to the help of options, where the command has them.
fn with_help(command: clap::Command, sentences: &[(&'static str, String)]) -> clap::Command {
    // All in their places: `mut_arg` would put the one behind all others, and its heading behind theirs.
    command.mut_args(|arg| {
        let sentence = sentences.iter().find(|(option, _)| arg.get_id() == option);
        let Some((_, sentence)) = sentence else { return arg };
        let help = format!("{}. {sentence}", arg.get_help().map(ToString::to_string).unwrap_or_default());
        match arg.get_long_help().map(|help| format!("{help}\n\n{sentence}.")) {
            Some(long_help) => arg.help(help).long_help(long_help),
            None => arg.help(help),
        }
    })
}

/// clap looks for options of one name in debug builds alone.
fn refuse_clashes(command_line: &clap::Command, command: &str, executors: &Executors) {
    let definition = command_line.find_subcommand(command);
    for (option, executors) in executors.options() {
        let is_taken = |arg: &Arg| arg.get_id() == option.name || arg.get_long() == Some(option.name);
        let taken = definition.is_some_and(|command| command.get_arguments().any(is_taken));
        let name = option.name;
        assert!(
            !taken,
            "the executor {executors} has an option --{name}, which `rq {command}` has itself: call it something else"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How long a line of examples may be, for terminals of 80 columns.
    const EXAMPLE_CHARS_MAX: usize = 79;

    fn read_by_rq(arguments: &[OsString]) -> Result<Option<Command>, Refusal> {
        read(&Called::default(), arguments, &Pieces::built_in())
    }

    /// What is wrong with `line`, and with which command.
    fn refused(line: &str) -> (Option<String>, String) {
        let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
        match read_by_rq(&arguments) {
            Err(Refusal::Usage { command, message }) => (command, message),
            Err(Refusal::Unable(message)) => (None, message),
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        definition(&Called::default(), &Pieces::built_in()).debug_assert();
    }

    /// What clap breaks goes on in the first column.
    #[test]
    fn examples_fit_a_terminal() {
        for name in ["rq", "my-jobs"] {
            let definition = definition(&Called::by(&[name.into()]), &Pieces::built_in());
            let commands = definition.get_subcommands().chain([&definition]);
            let examples = commands.filter_map(|command| Some(command.get_before_help()?.to_string()));
            let examples: Vec<String> = examples.collect();
            assert!(examples.len() > 10, "{examples:?}");
            let lines = examples.iter().flat_map(|examples| examples.lines());
            let too_long: Vec<&str> = lines.filter(|line| line.chars().count() > EXAMPLE_CHARS_MAX).collect();
            assert!(too_long.is_empty(), "{too_long:#?}");
        }
    }

    #[test]
    fn pieces_stand_before_what_is_for_pythons_rq() {
        let pieces = Pieces::built_in();
        let mut definition = definition(&Called::default(), &pieces);
        for command in [worker::NAME, worker_pool::NAME] {
            let help = definition.find_subcommand_mut(command).unwrap().render_long_help().to_string();
            let at = |heading: &str| help.find(&format!("\n{heading}:\n")).expect(heading);
            assert!(at("Pieces of this program") < at("For Python's rq only"), "{help}");
        }
    }

    #[test]
    fn usage_errors_have_rqs_shape() {
        let check = |name: &str, command, text: &str| {
            assert_eq!(usage(&Called::by(&[name.into()]), command), text);
        };
        check(
            "rq",
            Some("enqueue"),
            "Usage: rq enqueue [OPTIONS] FUNCTION [ARGUMENTS]...\nTry 'rq enqueue --help' for help.",
        );
        check("my-jobs", None, "Usage: my-jobs [OPTIONS] COMMAND [ARGS]...\nTry 'my-jobs --help' for help.");
        check("rq", Some("dev"), "Usage: rq dev [OPTIONS] [-- COMMAND...]\nTry 'rq dev --help' for help.");
        check(
            "bin/rqworker",
            Some("worker"),
            "Usage: rqworker [OPTIONS] [QUEUES]...\nTry 'rqworker --help' for help.",
        );
        check("rqinfo", Some("info"), "Usage: rqinfo [OPTIONS] [QUEUES]...\nTry 'rqinfo --help' for help.");
    }

    #[test]
    fn usage_errors_are_in_rqs_words() {
        for (line, command, message) in [
            ("rq nosuch", None, "No such command 'nosuch'."),
            ("rq inf", None, "No such command 'inf'. Did you mean 'info'?"),
            ("rq --nosuch", None, "No such option '--nosuch'."),
            ("rq worker --zzz", Some("worker"), "No such option '--zzz'."),
            (
                "rq info --only-queue",
                Some("info"),
                "No such option '--only-queue'. Did you mean '--only-queues'?",
            ),
            ("rq info -z", Some("info"), "No such option '-z'."),
            ("rq enqueue", Some("enqueue"), "Missing argument 'FUNCTION'."),
            ("rq requeue --all", Some("requeue"), "Missing option '--queue'."),
            (
                "rq enqueue f --schedule-at soon",
                Some("enqueue"),
                "Invalid value for '--schedule-at': 'soon' is no local time of the form 2021-05-27T21:45:00.",
            ),
            (
                "rq suspend --duration x",
                Some("suspend"),
                "Invalid value for '--duration': 'x' is not a valid integer.",
            ),
            ("rq enqueue f -1", Some("enqueue"), "No such option '-1'."),
            ("rq dev cargo", Some("dev"), "Got unexpected extra argument (cargo)"),
            ("rq dev --port 0", Some("dev"), "Invalid value for '--port': '0' is no port: 1 to 65535."),
            (
                "rq dev --json -- cargo",
                Some("dev"),
                "Options '--json' and 'COMMAND' cannot be used together.",
            ),
            (
                "rq worker --max-jobs x",
                Some("worker"),
                "Invalid value for '--max-jobs': 'x' is not a valid integer.",
            ),
            (
                "rq worker --max-jobs 0",
                Some("worker"),
                "Invalid value for '--max-jobs': it must be at least 1.",
            ),
            ("rq cron pause", Some("cron pause"), "Missing argument 'NAME'."),
            ("rq config show x", Some("config show"), "Got unexpected extra argument (x)"),
            ("rq config --json", Some("config"), "No such option '--json'."),
            ("rq cron list x", Some("cron list"), "Got unexpected extra argument (x)"),
            ("rq cron a b", Some("cron"), "Got unexpected extra argument (b)"),
            ("rq worker stop w --burst", Some("worker stop"), "No such option '--burst'."),
            ("rq worker stop w x", Some("worker stop"), "Got unexpected extra argument (x)"),
            ("rq worker stop --now", Some("worker stop"), "Missing argument 'NAME'."),
            (
                "rq worker-pool -n x",
                Some("worker-pool"),
                "Invalid value for '--num-workers' / '-n': 'x' is not a valid integer.",
            ),
            (
                "rq worker-pool -n -1",
                Some("worker-pool"),
                "Invalid value for '--num-workers' / '-n': it must be 0 or more.",
            ),
            (
                "rq worker-pool -v -q",
                Some("worker-pool"),
                "Options '--verbose' and '--quiet' cannot be used together.",
            ),
            ("rq worker-pool --name w", Some("worker-pool"), "No such option '--name'."),
            ("rq manager x", Some("manager"), "Got unexpected extra argument (x)"),
            ("rq manager --burst", Some("manager"), "No such option '--burst'."),
            ("rq manager scale a", Some("manager scale"), "Missing argument 'COUNT'."),
            (
                "rq manager scale a -1",
                Some("manager scale"),
                "Invalid value for 'COUNT': it must be 0 or more.",
            ),
            ("rq manager stop a", Some("manager stop"), "Got unexpected extra argument (a)"),
            (
                "rq manager status -c a --socket b",
                Some("manager status"),
                "Options '--config' and '--socket' cannot be used together.",
            ),
            // RQ names no command there, and the option as it was typed.
            ("rq worker --max-jobs", None, "Option '--max-jobs' requires an argument."),
            ("rq worker -b -u", None, "Option '-u' requires an argument."),
            ("rq worker -bu", None, "Option '-u' requires an argument."),
            ("rq worker -b -ds", None, "Option '-ds' requires an argument."),
            ("rq worker --burst=1", None, "Option '--burst' does not take a value."),
            ("rq worker -v -q", Some("worker"), "Options '--verbose' and '--quiet' cannot be used together."),
        ] {
            assert_eq!(refused(line), (command.map(str::to_owned), message.to_owned()), "{line}");
        }
    }

    #[test]
    fn no_dequeue_strategy_is_misread_as_other_options() {
        for line in [
            "rq worker -ds random high",
            "rq worker --dequeue-strategy random high",
            "rq worker -ds=random high",
        ] {
            let arguments: Vec<OsString> = line.split(' ').map(Into::into).collect();
            match read_by_rq(&arguments) {
                Ok(Some(Command::Worker(args))) => {
                    assert_eq!(args.dequeue_strategy.as_deref(), Some("random"), "{line}");
                    assert_eq!(args.queues, ["high"], "{line}");
                }
                other => panic!("{line}: {other:?}"),
            }
        }
        assert_eq!(refused("rq worker -dsrandom").1, "No such option '-r'.");
    }

    #[test]
    fn a_pool_has_the_options_of_executors() {
        let arguments =
            ["rq", "worker-pool", "-w", "fork", "--horse-jobs", "5", "-l", "debug", "high"].map(Into::into);
        match read_by_rq(&arguments) {
            Ok(Some(Command::WorkerPool(args))) => {
                assert_eq!(args.own, [Given { name: "horse-jobs", value: "5".to_owned() }]);
                assert_eq!((args.num_workers, &args.queues[..]), (1, &["high".to_owned()][..]));
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_last_of_repeated_options_counts() {
        let arguments =
            ["rq", "worker", "--name", "a", "--name", "b", "-v", "-v", "high", "low"].map(Into::into);
        match read_by_rq(&arguments) {
            Ok(Some(Command::Worker(args))) => {
                assert_eq!(args.name.as_deref(), Some("b"));
                assert_eq!(args.queues, ["high", "low"]);
            }
            other => panic!("{other:?}"),
        }
    }
}
