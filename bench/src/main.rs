//! `rq-bench`: measures whole systems. `cargo xtask bench` provides what it needs and runs it.
//!
//! | file | is |
//! |---|---|
//! | `stage.rs` | a Redis of our own, jobs in it, and workers that drain them |
//! | `sections.rs`, `sections/*` | what is measured, one kind a file |
//! | `floors/*` | what could be had at best: the same effect without what makes it safe, or without a worker |
//! | `figures.rs` | what was measured, a value for each round |
//! | `goals.rs` | what the figures ought to be, mostly as ratios within a round |
//! | `report.rs`, `table.rs`, `chart.rs` | `results.json`, the tables of `bench/RESULTS.md`, the picture |
//!
//! Rounds are interleaved: each measures everything once, so that whatever else the machine does hits all alike. What users
//! get is measured: results, heartbeats, leases and fences are all there, and a worker's start and end count.

mod chart;
mod figures;
mod floors;
mod goals;
mod machine;
mod report;
mod sections;
mod stage;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use indicatif::{ProgressBar, ProgressStyle};

use figures::Figures;
use report::Report;
use sections::{Extent, SECTIONS, Section};
use stage::Stage;

/// Rounds of a quick run, and of a whole one.
const ROUNDS_QUICK: usize = 3;
const ROUNDS: usize = 5;

/// Measures RQ on a Redis that holds nothing.
#[derive(Parser)]
struct Options {
    /// The Redis; it must be empty, and is emptied again and again
    #[arg(long)]
    url: String,
    /// The program `bench-worker`
    #[arg(long)]
    worker: PathBuf,
    /// A Python that has RQ
    #[arg(long)]
    python: Option<PathBuf>,
    /// A Python that has other job queues; they are measured with the programs in `--peer-programs`
    #[arg(long, requires = "peer_programs")]
    peers: Option<PathBuf>,
    /// Where the programs are that measure other job queues
    #[arg(long)]
    peer_programs: Option<PathBuf>,
    /// Fewer rounds, fewer jobs
    #[arg(long)]
    quick: bool,
    /// How often everything is measured
    #[arg(long)]
    rounds: Option<usize>,
    /// Measure these sections alone
    #[arg(long, value_delimiter = ',')]
    only: Vec<String>,
    /// Print the results as JSON, and no table
    #[arg(long)]
    json: bool,
    /// Where `results.json` and `results.svg` go
    #[arg(long)]
    out: PathBuf,
    /// A Markdown file in which the tables replace what stands between the lines that mark their place
    #[arg(long)]
    tables: Option<PathBuf>,
    /// What a person types to see this
    #[arg(long, default_value = "cargo xtask bench")]
    command: String,
}

fn main() -> ExitCode {
    floors::bare_forks::measure_if_asked();
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("\n{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> Result<()> {
    let sections = chosen(&options.only)?;
    let mut stage = Stage::open(&options.url, &options.worker, options.python.as_deref())?;
    if let (Some(python), Some(programs)) = (&options.peers, &options.peer_programs) {
        stage.invite_peers(python, programs)?;
    }
    let extent = if options.quick { Extent::Quick } else { Extent::Whole };
    let rounds = options.rounds.unwrap_or(if options.quick { ROUNDS_QUICK } else { ROUNDS });
    let figures = measure(&mut stage, &sections, extent, rounds)?;
    ensure!(
        !figures.all().is_empty(),
        "Nothing was measured: other job queues take part with --peers, Python RQ without --no-python."
    );
    let report = Report::new(figures, machine::describe(&mut stage)?, &options.command, rounds);
    write(&report, options)
}

fn chosen(only: &[String]) -> Result<Vec<&'static Section>> {
    let unknown: Vec<&String> =
        only.iter().filter(|name| SECTIONS.iter().all(|section| section.name != **name)).collect();
    let names: Vec<&str> = SECTIONS.iter().map(|section| section.name).collect();
    ensure!(unknown.is_empty(), "There is no section {unknown:?}; there are: {}.", names.join(", "));
    let wanted = |section: &&Section| only.is_empty() || only.iter().any(|name| name == section.name);
    Ok(SECTIONS.iter().filter(wanted).collect())
}

fn measure(stage: &mut Stage, sections: &[&Section], extent: Extent, rounds: usize) -> Result<Figures> {
    let mut figures = Figures::default();
    let bar = progress(sections.len() * rounds);
    for round in 1..=rounds {
        figures.begin_round();
        if bar.is_hidden() {
            eprintln!("round {round} of {rounds}");
        }
        for section in sections {
            bar.set_message(format!("round {round} of {rounds}: {}", section.does));
            if section.repeats.includes(round, extent) {
                stage.clear()?;
                (section.measure)(stage, extent, &mut figures)
                    .with_context(|| format!("the section {} could not be measured", section.name))?;
            }
            bar.inc(1);
        }
    }
    bar.finish_and_clear();
    stage.clear()?;
    Ok(figures)
}

fn progress(steps: usize) -> ProgressBar {
    let bar = ProgressBar::new(steps as u64);
    if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos}/{len} {elapsed_precise} {msg}") {
        bar.set_style(style);
    }
    bar
}

fn write(report: &Report, options: &Options) -> Result<()> {
    std::fs::create_dir_all(&options.out)?;
    let (json, svg) = (options.out.join("results.json"), options.out.join("results.svg"));
    std::fs::write(&json, report.to_json()?)
        .with_context(|| format!("could not write {}", json.display()))?;
    std::fs::write(&svg, chart::draw(report))?;
    if options.json {
        print!("{}", report.to_json()?);
        return Ok(());
    }
    println!("{}", table::figures(report));
    println!("{}", table::goals(report));
    println!("{}", report.headline());
    println!("Written: {} and {}.", json.display(), svg.display());
    if let Some(path) = &options.tables {
        let placed = replace_tables(path, report)?;
        let are = if placed { "The tables are in" } else { "There is no place for the tables in" };
        println!("{are} {}.", path.display());
    }
    Ok(())
}

/// The lines between which a text holds the tables of whole runs, or of the command that measures some sections alone. What
/// stands around them is written by hand, and kept.
fn lines_around(command: &str) -> (String, String) {
    // Options that change what is measured beside are in the headline.
    const WHOLE: &str = "cargo xtask bench";
    let command = if command.contains("--only") { command } else { WHOLE };
    (format!("<!-- {command}: begin -->"), format!("<!-- {command}: end -->"))
}

/// Puts the tables where the file has a place for them. Whether it has.
fn replace_tables(path: &Path, report: &Report) -> Result<bool> {
    let text = std::fs::read_to_string(path)?;
    let Some(replaced) = with_tables(&text, &report.command, &table::markdown(report)) else {
        return Ok(false);
    };
    std::fs::write(path, replaced)?;
    Ok(true)
}

/// The text with the tables of this command in their place; `None` where it has no place for them.
fn with_tables(text: &str, command: &str, tables: &str) -> Option<String> {
    let (begin, end) = lines_around(command);
    let (before, rest) = text.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{tables}{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_results_have_a_place_for_the_tables() {
        let results = include_str!("../RESULTS.md");
        for (command, place) in [
            ("cargo xtask bench --peers", "cargo xtask bench"),
            ("cargo xtask bench --only ends", "cargo xtask bench --only ends"),
        ] {
            let replaced = with_tables(results, command, "| a table |\n").expect("both lines are there");
            let (before, _) = results.split_once(&format!("<!-- {place}: begin -->")).unwrap();
            let (_, after) = results.split_once(&format!("<!-- {place}: end -->")).unwrap();
            let expected =
                format!("{before}<!-- {place}: begin -->\n| a table |\n<!-- {place}: end -->{after}");
            assert_eq!(replaced, expected);
        }
        assert_eq!(with_tables(results, "cargo xtask bench --only drain", ""), None);
    }
}
