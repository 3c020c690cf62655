//! `rq enqueue`: a job from the command line (docs/cli.md §6).
//!
//! | file | holds |
//! |---|---|
//! | `enqueue/argument.rs` | the syntax of the job's arguments |
//! | `enqueue/literal.rs` | Python literals, for `%` |
//! | `enqueue/local_time.rs` | the clock on the wall, for `--schedule-at` |
//! | `enqueue/seconds.rs` | `30`, `5m`, `-1`, for the options that are times |

use std::time::Duration;

use rq_core::{Call, Payload, Retry, Timestamp, Ttl, Value};

use self::argument::Arguments;
use crate::app::App;
use crate::names;
use crate::output::say;
use crate::paint::{Colour, Paint};
use crate::refusal::Refusal;
use crate::server::{PathUse, RunsNoJobs, Shared};
use crate::text::{Text, text};

mod argument;
mod literal;
mod local_time;
mod seconds;

/// The command's name in usage lines.
const NAME: &str = "enqueue";

const EXAMPLES: &str = "\
Examples:
  rq enqueue tasks.add :1 :2                   # JSON: the numbers 1 and 2
  rq enqueue tasks.greet name=bob              # keyword, text
  rq enqueue -q high --timeout 5m tasks.load rows:=@rows.json
  rq enqueue -S pickle tasks.plot '%(1, 2.5)'  # a Python literal";

const SYNTAX: &str = "\
Syntax of ARGUMENTS:
  text         text                  key=text         the same by keyword
  :json        a JSON value          key:=json
  %literal     a Python literal      key%=literal
Where a value begins with `@`, the rest names a file whose content stands for it:
`:@rows.json`, `text=@letter.txt`. Behind `--`, arguments may begin with a dash.";

/// Enqueue a job.
///
/// This program need not have the function: a worker that has it, in Rust or Python, will run it. What `#[job(..)]` declares
/// beside the function's name counts for calls from code, and not here.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = SYNTAX)]
pub(crate) struct Args {
    /// The queue.
    #[arg(short, long, default_value = "default", value_parser = names::queue)]
    queue: String,
    /// How long the job may run: seconds, or a number with s, m, h or d; -1 for no limit [default: 180].
    #[arg(long, value_name = "TIME", value_parser = seconds::parse_timeout, allow_negative_numbers = true)]
    timeout: Option<i64>,
    /// How long its result is kept; -1 for ever, 0 not at all [default: the worker's, 500].
    #[arg(long, value_name = "TIME", value_parser = seconds::parse_ttl, allow_negative_numbers = true)]
    result_ttl: Option<i64>,
    /// How long it may wait before it is discarded [default: as long as it takes].
    #[arg(long, value_name = "TIME", value_parser = seconds::parse_positive, allow_negative_numbers = true)]
    ttl: Option<i64>,
    /// How long it is kept if it fails; -1 for ever [default: a year].
    #[arg(long, value_name = "TIME", value_parser = seconds::parse_ttl, allow_negative_numbers = true)]
    failure_ttl: Option<i64>,
    /// What people read instead of the call.
    #[arg(long)]
    description: Option<String>,
    /// The id of a job that must have finished first; give several for several.
    #[arg(long, value_name = "JOB_ID", value_parser = names::dependency)]
    depends_on: Vec<String>,
    /// The job's id: letters, digits, `_` and `-` [default: a fresh UUID].
    #[arg(long, value_parser = names::job_id)]
    job_id: Option<String>,
    /// Put it before the jobs that wait.
    #[arg(long)]
    at_front: bool,
    /// How often it runs again when it fails.
    #[arg(long, value_name = "INTEGER", default_value_t = 0, value_parser = retries, allow_negative_numbers = true)]
    retry_max: u32,
    /// Seconds before it runs again; give several for growing pauses, the last one repeats [default: 0].
    ///
    /// It takes --retry-max.
    #[arg(long, value_name = "INTEGER", value_parser = seconds::parse_pause, allow_negative_numbers = true)]
    retry_interval: Vec<u64>,
    /// Enqueue it after this time: seconds, or a number with s, m, h or d.
    ///
    /// A worker that runs the scheduler does it, and does not wait for the jobs it depends on.
    #[arg(long, value_name = "TIME", value_parser = seconds::parse_delay, allow_negative_numbers = true)]
    schedule_in: Option<u64>,
    /// Enqueue it when the clock here shows this time, such as 2021-05-27T21:45:00.
    #[arg(long, value_name = "TIME", value_parser = local_time::parse)]
    schedule_at: Option<Timestamp>,
    /// Say nothing.
    #[arg(long)]
    quiet: bool,
    /// The function's name, such as tasks.add.
    #[arg(value_name = "FUNCTION", value_parser = names::function)]
    function: String,
    /// Its arguments: see below.
    #[arg(value_name = "ARGUMENTS")]
    arguments: Vec<String>,
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: Args, app: App) -> Result<(), Refusal> {
    // Before Redis is connected: what is wrong with the arguments is said without one.
    let Arguments { args: by_position, kwargs } = Arguments::read(&args.arguments)?;
    let payload = Payload { func: args.function.clone(), args: by_position, kwargs };
    // Uncut, as RQ's command line has it; its API cuts each argument (docs/wire.md §4.5).
    let call_string = payload.full_description();
    let due = args.due()?;
    args.check_retries()?;
    let class = args.shared.classes().queue_class(NAME, &app.pieces)?;
    let settings = args.shared.settings(PathUse::Nothing)?;
    let server = settings.server()?;
    let queue = server.queue(&args.queue)?;
    let queue = match class {
        Some(class) => class(queue),
        None => queue,
    };
    let mut call = args.call(payload, &call_string);
    if let Some(codec) = settings.codec() {
        call = call.codec(codec);
    }
    let enqueued = match due {
        Some(due) => queue.enqueue_at(due, call),
        None => queue.enqueue(call),
    };
    let job = enqueued.map_err(|error| server.refusal(&error))?;
    if args.quiet {
        return Ok(());
    }
    let call_string = Paint::of_stdout().paint_in_line(Colour::Blue, Text::line(call_string));
    say(text!("Enqueued ") + call_string + text!(" with job-id '{}'.", job.id()))
}

fn retries(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(number) => u32::try_from(number).map_err(|_| format!("it must be from 0 to {}", u32::MAX)),
        Err(_) => Err(format!("'{text}' is not a valid integer")),
    }
}

impl Args {
    /// When the job is to be enqueued, if not now.
    fn due(&self) -> Result<Option<Timestamp>, Refusal> {
        match (self.schedule_in, self.schedule_at) {
            (Some(_), Some(_)) => {
                Err(Refusal::usage(NAME, "You can't specify both --schedule-in and --schedule-at"))
            }
            (Some(seconds), None) => Ok(Some(Timestamp::now().after(Duration::from_secs(seconds)))),
            (None, at) => Ok(at),
        }
    }

    fn check_retries(&self) -> Result<(), Refusal> {
        match self.retry_max {
            0 if !self.retry_interval.is_empty() => Err(Refusal::usage(
                NAME,
                "Option '--retry-interval' says when a job runs again, and '--retry-max' how often: give that, too.",
            )),
            _ => Ok(()),
        }
    }

    fn call(&self, payload: Payload, call_string: &str) -> Call<Value> {
        let mut call = Call::to(payload.func);
        for value in payload.args {
            call = call.value(value);
        }
        for (name, value) in payload.kwargs {
            call = call.kwvalue(name, value);
        }
        self.with_options(call)
            .description(self.description.as_deref().filter(|d| !d.is_empty()).unwrap_or(call_string))
    }

    fn with_options(&self, mut call: Call<Value>) -> Call<Value> {
        if let Some(timeout_s) = self.timeout {
            call = match u64::try_from(timeout_s) {
                Ok(seconds) => call.timeout(Duration::from_secs(seconds)),
                Err(_) => call.no_timeout(),
            };
        }
        if let Some(ttl_s) = self.result_ttl {
            call = call.result_ttl(Ttl::from_wire(ttl_s));
        }
        if let Some(ttl_s) = self.failure_ttl {
            call = call.failure_ttl(Ttl::from_wire(ttl_s));
        }
        if let Some(ttl_s) = self.ttl {
            call = call.ttl(Duration::from_secs(ttl_s.unsigned_abs()));
        }
        // RQ's 0, its default, means none.
        if self.retry_max > 0 {
            let pauses = self.retry_interval.iter().copied().map(Duration::from_secs);
            call = call.retry(Retry::up_to(self.retry_max).after(pauses));
        }
        if self.at_front {
            call = call.at_front();
        }
        if !self.depends_on.is_empty() {
            call = call.depends_on(self.depends_on.clone());
        }
        match &self.job_id {
            Some(id) => call.job_id(id),
            None => call,
        }
    }
}
