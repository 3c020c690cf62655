//! `rq config show`: which settings hold, and who says so (docs/cli.md §10.9).

use rq_core::Shown;
use serde::Serialize;

use crate::app::App;
use crate::output::print;
use crate::refusal::Refusal;
use crate::server::{PathUse, RunsNoJobs, Shared};
use crate::settings::Settings;
use crate::settings::field::Field;
use crate::settings::origin::Origin;
use crate::settings::row::Row;
use crate::text::{Text, text};

/// The version of the object: it rises when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;
/// What stands where there is nothing.
const NOTHING: &str = "-";

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
  fields  of each its name; value, a text or null; origin: kind (flag, variable, file
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
    #[command(flatten)]
    shared: Shared,
    #[command(flatten)]
    runs_no_jobs: RunsNoJobs,
}

pub(crate) fn run(args: &Args, app: &App) -> Result<(), Refusal> {
    let settings = args.shared.settings(PathUse::Nothing)?;
    // As every other command would: what cannot be used is refused, and what does not count is remarked on.
    let server = settings.server()?;
    let rows = rows(&settings, app)?;
    let text = match args.json {
        true => Text::json(&Shows::new(&settings, server.shown, &rows))?.ended(),
        false => table(&server.shown, &rows, args.origin),
    };
    print(&text)
}

/// Of all fields; where nobody names an executor, it is the program's first.
fn rows(settings: &Settings, app: &App) -> Result<Vec<Row>, Refusal> {
    let mut rows = Row::all(settings, &settings.redis()?);
    if let Ok(chosen) = app.pieces.executors.choose(None)
        && let Some(row) = rows.iter_mut().find(|row| row.field == Field::Executor)
    {
        row.value.get_or_insert_with(|| chosen.executor.name.to_string());
    }
    Ok(rows)
}

fn table(redis: &str, rows: &[Row], has_origins: bool) -> Text {
    let mut lines: Vec<Vec<String>> =
        vec![["SETTING", "VALUE", "FROM", "OVERRIDES"].map(str::to_owned).into()];
    lines.extend(rows.iter().map(cells));
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
    lines.iter().map(line).fold(Text::default(), |text, line| text + line) + text!("Redis: {redis}").ended()
}

/// What is shown of a field, each cell harmless.
fn cells(row: &Row) -> Vec<String> {
    let shown = |text: &str| Shown::name(text).to_string();
    let value = row.value.as_deref().map_or_else(|| NOTHING.to_owned(), shown);
    let origin = row.origin.as_ref().map_or_else(|| NOTHING.to_owned(), Origin::to_string);
    let overridden = row.overridden.iter().map(|(origin, value)| format!("{origin} ({})", shown(value)));
    vec![row.field.name().to_owned(), value, origin, overridden.collect::<Vec<_>>().join("; ")]
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
    value: Option<String>,
    origin: Option<OriginShows>,
    overridden: Vec<Overridden>,
}

#[derive(Serialize)]
struct Overridden {
    origin: OriginShows,
    value: String,
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
            value: row.value.clone(),
            origin: row.origin.as_ref().map(OriginShows::new),
            overridden: row.overridden.iter().map(Overridden::new).collect(),
        });
        let file = settings.file().map(|path| path.display().to_string());
        Shows { schema: SCHEMA, file, redis, fields: fields.collect() }
    }
}

impl Overridden {
    fn new((origin, value): &(Origin, String)) -> Overridden {
        Overridden { origin: OriginShows::new(origin), value: value.clone() }
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
