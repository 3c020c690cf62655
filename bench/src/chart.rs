//! The picture of a [`Report`]: jobs a second as bars, drawn by hand into an SVG.

use std::fmt::Write;

use crate::figures::{Figure, Name};
use crate::report::Report;
use crate::sections::{enqueue, waits};

const UNIT: &str = "jobs/s";
/// Sizes, in the picture's own units.
const WIDTH: usize = 900;
const NAMES_WIDTH: usize = 380;
const NUMBERS_WIDTH: usize = 70;
const BAR_HEIGHT: usize = 18;
const GAP: usize = 6;
const TITLE_HEIGHT: usize = 30;
/// What is measured for comparison is drawn in another colour.
const OURS: &str = "#b5502f";
const FLOOR: &str = "#9aa5b1";
const OTHERS: &str = "#3d6fa5";

/// Draws the figures that have that unit.
pub(crate) fn draw(report: &Report) -> String {
    let drawn = |figure: &&Figure| figure.name.unit == UNIT && !dwarfs_others(figure.name);
    let bars: Vec<&Figure> = report.figures().iter().filter(drawn).collect();
    let largest = bars.iter().map(|figure| figure.spread.max).fold(1.0, f64::max);
    let height = TITLE_HEIGHT + bars.len() * (BAR_HEIGHT + GAP) + GAP;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"white\"/>\n"
    );
    let title = format!("jobs/s, medians of {} rounds, {}", report.rounds, report.day);
    text(&mut svg, GAP, TITLE_HEIGHT - 12, "start", &title);
    for (at, figure) in bars.iter().enumerate() {
        bar(&mut svg, TITLE_HEIGHT + at * (BAR_HEIGHT + GAP), figure, largest);
    }
    svg + "</svg>\n"
}

/// Enqueueing in bulk, and what a thousand slots would allow.
fn dwarfs_others(name: Name) -> bool {
    [enqueue::BULK, enqueue::BARE_BULK, waits::SLOTS_1000.ideal].contains(&name)
}

/// A bar to the median, with a line from the smallest to the largest value.
fn bar(svg: &mut String, top: usize, figure: &Figure, largest: f64) {
    let room = (WIDTH - NAMES_WIDTH - NUMBERS_WIDTH - GAP) as f64;
    let length = |value: f64| value / largest * room;
    let (spread, left, middle) = (figure.spread, NAMES_WIDTH as f64, top as f64 + BAR_HEIGHT as f64 / 2.0);
    text(svg, NAMES_WIDTH - GAP, top + BAR_HEIGHT - 5, "end", figure.name.row);
    // Writing into a string does not fail.
    let _ = writeln!(
        svg,
        "<rect x=\"{NAMES_WIDTH}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR_HEIGHT}\" fill=\"{}\"/>\n\
         <line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" stroke=\"black\"/>",
        length(spread.median),
        colour(figure.name.row),
        left + length(spread.min),
        left + length(spread.max),
    );
    let after = (left + length(spread.max)) as usize + GAP;
    text(svg, after, top + BAR_HEIGHT - 5, "start", &format!("{:.0}", spread.median));
}

fn colour(row: &str) -> &'static str {
    match row {
        row if row.contains("bare") || row.contains("at best") => FLOOR,
        row if row.starts_with("Python") || row.starts_with("peer") => OTHERS,
        _ => OURS,
    }
}

fn text(svg: &mut String, x: usize, y: usize, anchor: &str, text: &str) {
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    let _ = writeln!(svg, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>");
}
