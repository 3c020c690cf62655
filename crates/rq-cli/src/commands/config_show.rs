//! `rq config show`: which settings hold, and who says so (docs/cli.md §10.9).

use rq_core::{Shown, Value};
use serde::Serialize;
use serde_json::Value as Json;

use crate::app::App;
use crate::output::print;
use crate::refusal::Refusal;
use crate::sentry::SentryArgs;
use crate::server::{PathUse, Shared};
use crate::settings::Settings;
use crate::settings::content::truth;
use crate::settings::field::Field;
use crate::settings::origin::Origin;
use crate::settings::row::Row;
use crate::text::{Text, text};

/// The version of the object: it rises when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;
/// What stands where there is nothing.
const NOTHING: &str = "-";
/// What stands where something is said that has no say.
const UNUSED: &str = "unused";
/// The command.
const NAME: &str = "config show";
/// Where a DICT_CONFIG may have secrets, by parts of keys, and what stands for them.
const SECRETS: [&str; 5] = ["password", "credentials", "secret", "token", "dsn"];
const SECRET: &str = "***";

const EXAMPLES: &str = "\
Examples:
  rq config show                       # which settings hold
  rq config show --origin              # and who says so
  rq config show -c settings --origin  # with a settings.py
  rq config show --json                # for programs";

const MORE: &str = "\
An option comes before the environment, that before a file, for each setting by itself;
docs/settings.md has all of it. What is secret is shown as ***. Redis is not asked.

The object of --json, on one line:
  schema  1; it rises when a field changes its meaning
  file    the file that was read, or null
  redis   the Redis that they come to, without passwords
  fields  of each its name; value, a text, a number or a truth, of QUEUES a list, of
          DICT_CONFIG an object, or null; origin: kind (flag, variable, file
          or default), name (the option, the variable, the file), line; null where
          the field has no say in which Redis it is; overridden: what else is said of
          it, each with its origin and its value

Exit codes:
  0  shown
  1  a setting cannot be used
  2  arguments not understood";

/// Show which settings hold here, with these options, this environment and these files.
#[derive(Debug, clap::Args)]
#[command(before_help = EXAMPLES, after_help = MORE)]
pub(crate) struct Args {
    /// Also show where each comes from, and what it overrides.
    #[arg(long, conflicts_with = "json")]
    origin: bool,
    /// Print a JSON object; origins are always in it.
    #[arg(long)]
    json: bool,
    /// How `rq worker -w` would run jobs.
    #[arg(short = 'w', long, alias = "worker-class", value_name = "NAME")]
    executor: Option<String>,
    #[command(flatten)]
    shared: Shared,
}

pub(crate) fn run(args: &Args, app: &App) -> Result<(), Refusal> {
    let settings = args.shared.settings(PathUse::Nothing)?;
    // As every other command would: what cannot be used is refused, and what does not count is remarked on.
    let server = settings.server()?;
    settings.log_plan_of_file()?;
    SentryArgs::default().resolve(NAME, settings.sentry())?;
    let rows = rows(&settings, args.executor.as_deref(), app)?;
    let text = match args.json {
        true => Text::json(&Shows::new(&settings, server.shown, &rows))?.ended(),
        false => table(&settings, &server.shown, &rows, args.origin),
    };
    print(&text)
}

/// Of all fields; `executor` is that of `-w`. Where nobody names one, it is the program's first.
fn rows(settings: &Settings, executor: Option<&str>, app: &App) -> Result<Vec<Row>, Refusal> {
    let executors = &app.pieces.executors;
    let mut rows = Row::all(settings, &settings.redis()?);
    let Some(row) = rows.iter_mut().find(|row| row.field == Field::Executor) else { return Ok(rows) };
    if let Some(word) = executor.filter(|word| !word.is_empty()) {
        executors.choose(Some(word)).map_err(|reason| Refusal::usage(NAME, reason))?;
        let (value, origin) = (row.value.replace(word.to_owned()), row.origin.replace(Origin::Flag("-w")));
        row.overridden.splice(0..0, origin.zip(value));
    } else if let Some((word, origin)) = settings.executor_word() {
        let refuse = |reason| Refusal::Failed(format!("{origin}: {reason}"));
        executors.choose(Some(word)).map_err(refuse)?;
    } else if let Ok(chosen) = executors.choose(None) {
        row.value = Some(chosen.executor.name);
    }
    Ok(rows)
}

fn table(settings: &Settings, redis: &str, rows: &[Row], has_origins: bool) -> Text {
    let mut lines: Vec<Vec<String>> =
        vec![["SETTING", "VALUE", "FROM", "OVERRIDES"].map(str::to_owned).into()];
    // What nobody says, and has no default, is of no interest.
    lines.extend(rows.iter().filter(|row| row.value.is_some() || !row.overridden.is_empty()).map(cells));
    if !has_origins {
        lines.iter_mut().for_each(|cells| cells.truncate(2));
    }
    let columns = lines[0].len();
    let width = |column: usize| lines.iter().map(|cells| cells[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<usize> = (0..columns).map(width).collect();
    let line = |cells: &Vec<String>| {
        let padded = cells.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
        Text::line(padded.collect::<Vec<_>>().join("  ").trim_end()).ended()
    };
    let file =
        settings.file().map_or_else(|| "none".to_owned(), |path| Shown::name(path.display()).to_string());
    lines.iter().map(line).fold(Text::default(), |text, line| text + line)
        + text!("File: {file}").ended()
        + text!("Redis: {redis}").ended()
}

/// What is shown of a field, each cell harmless.
fn cells(row: &Row) -> Vec<String> {
    let shown = |text: &str| Shown::name(text).to_string();
    let value = row.value.as_deref().map_or_else(|| NOTHING.to_owned(), shown);
    let origin = row.origin.as_ref().map_or_else(|| NOTHING.to_owned(), Origin::to_string);
    let others = row.overridden.iter().map(|(origin, value)| format!("{origin} ({})", shown(value)));
    let (name, others) = (row.field.name().to_owned(), others.collect::<Vec<_>>().join("; "));
    match row.origin {
        Some(_) => vec![name, value, origin, others],
        None => vec![name, UNUSED.to_owned(), others, String::new()],
    }
}

/// The object of `--json`.
#[derive(Serialize)]
struct Shows {
    schema: u32,
    file: Option<String>,
    redis: String,
    fields: Vec<FieldShows>,
}

#[derive(Serialize)]
struct FieldShows {
    name: &'static str,
    value: Json,
    origin: Option<OriginShows>,
    overridden: Vec<Overridden>,
}

#[derive(Serialize)]
struct Overridden {
    origin: OriginShows,
    value: Json,
}

#[derive(Serialize)]
struct OriginShows {
    kind: &'static str,
    name: Option<String>,
    line: Option<usize>,
}

impl Shows {
    fn new(settings: &Settings, redis: String, rows: &[Row]) -> Shows {
        let fields = rows.iter().map(|row| FieldShows {
            name: row.field.name(),
            value: whole(row, settings),
            origin: row.origin.as_ref().map(OriginShows::new),
            overridden: row.overridden.iter().map(|other| Overridden::new(row.field, other)).collect(),
        });
        let file = settings.file().map(|path| path.display().to_string());
        Shows { schema: SCHEMA, file, redis, fields: fields.collect() }
    }
}

impl Overridden {
    fn new(field: Field, (origin, value): &(Origin, String)) -> Overridden {
        Overridden { origin: OriginShows::new(origin), value: simple(field, value) }
    }
}

/// The value of a row, as JSON has it.
fn whole(row: &Row, settings: &Settings) -> Json {
    match (row.field, &row.value) {
        (_, None) => Json::Null,
        (Field::Queues, Some(name)) => match settings.queues() {
            Some(names) => names.into(),
            None => vec![name.as_str()].into(),
        },
        (Field::DictConfig, Some(_)) => {
            settings.dict_config_of_file().map_or(Json::Null, |(config, _)| tree(config))
        }
        (field, Some(text)) => simple(field, text),
    }
}

/// A text, a number or a truth.
fn simple(field: Field, text: &str) -> Json {
    match field {
        Field::RedisSsl | Field::SentryDebug => truth(text).map(Json::from),
        Field::RedisPort | Field::RedisDb => text.parse::<u64>().ok().map(Json::from),
        _ => None,
    }
    .unwrap_or_else(|| text.into())
}

/// A DICT_CONFIG without what its keys call a secret.
fn tree(value: &Value) -> Json {
    let key = |key: &Value| if let Value::Str(text) = key { text.clone() } else { key.repr() };
    let is_secret = |key: &str| SECRETS.iter().any(|word| key.to_ascii_lowercase().contains(word));
    match value {
        Value::Null => Json::Null,
        Value::Bool(truth) => (*truth).into(),
        Value::Int(number) => (*number).into(),
        Value::Float(number) => (*number).into(),
        Value::Str(text) => text.as_str().into(),
        Value::List(values) | Value::Tuple(values) => values.iter().map(tree).collect(),
        Value::Dict(pairs) => {
            let pair = |(word, value): &(Value, Value)| match key(word) {
                word if is_secret(&word) => (word, SECRET.into()),
                word => (word, tree(value)),
            };
            Json::Object(pairs.iter().map(pair).collect())
        }
        other => other.repr().into(),
    }
}

impl OriginShows {
    fn new(origin: &Origin) -> OriginShows {
        let of = |kind, name: &str| OriginShows { kind, name: Some(name.to_owned()), line: None };
        match origin {
            Origin::Flag(option) => of("flag", option),
            Origin::Variable(name) => of("variable", name),
            Origin::File { path, line } => {
                OriginShows { line: Some(*line), ..of("file", &path.display().to_string()) }
            }
            Origin::Default => OriginShows { kind: "default", name: None, line: None },
        }
    }
}
