//! `docs/differences.md`: the [`DIFFERENCES`] in words.

use std::fmt::Write as _;

use super::differences::{DIFFERENCES, fits};
use super::end_states::{NOT_YET, REPLAYS};
use crate::documents::check_generated;

#[test]
fn the_docs_tell_the_differences() {
    check_generated("docs/differences.md", &text(), "golden");
}

/// One row: what differs in the same facts for the same reason.
struct Row {
    scenarios: Vec<&'static str>,
    keys: Vec<&'static str>,
    facts: &'static [&'static str],
    why: &'static str,
}

fn rows() -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for difference in DIFFERENCES {
        let (facts, why) = (difference.facts, difference.why);
        let at = rows.iter().position(|row| (row.facts, row.why) == (facts, why));
        let at = at.unwrap_or_else(|| {
            rows.push(Row { scenarios: Vec::new(), keys: Vec::new(), facts, why });
            rows.len() - 1
        });
        add(&mut rows[at].scenarios, difference.scenarios);
        add(&mut rows[at].keys, difference.keys);
    }
    rows
}

/// Adds patterns that say more than those that are there.
fn add(patterns: &mut Vec<&'static str>, more: &[&'static str]) {
    for &pattern in more {
        if !patterns.iter().any(|known| fits(known, pattern)) {
            patterns.retain(|known| !fits(pattern, known));
            patterns.push(pattern);
        }
    }
}

/// What no scenario shows.
const RQ_1: &str = "
## Python RQ 1

Jobs of Python RQ 1.16 are run, and it reads ours. Its workers share no queues with newer ones, Python's or ours: it writes running
jobs into `rq:wip` as `<id>`, later ones as `<id>:<execution>` (docs/wire.md §20), so that neither sees what the other runs, nor gives
back what a dead one held. A worker of ours says in its log, once at its start, when a living one of RQ 1 (by `version` in its record)
serves one of its queues. On the way from 1 to 2 or later, give each its own queues, or stop the old workers first.
";

fn text() -> String {
    let mut text = format!(
        "\
# Where our end states differ from Python RQ 3.0.0's

Our producers and workers share a Redis with Python's. What they leave there is compared with what Python RQ 3.0.0 left when it did
the same, at {} moments of [{} scenarios](../tests/fixtures/rq-3.0.0): keys, types, fields, members and TTLs. Times, ids, tracebacks
and the bytes of serializers are left aside. The table has all that differs. Python reads all of it: it never looks at keys that it
does not know, and keeps fields that it does not know.

A scenario's name stands for its end; behind a slash is a moment before that. `*` stands for any text. `horse_crash` and
`kill_horse_and_shutdown` are played with the report of a process that was killed, which `-w thread` never gives. Callbacks
are Rust functions of the names that Python imports; webhooks are sent to a server of the test. Nothing is left of our outbox.

| Scenarios | Keys | What differs | Reason |
|---|---|---|---|
",
        REPLAYS.len(),
        REPLAYS.iter().filter(|replay| !replay.scenario.contains('/')).count(),
    );
    for Row { scenarios, keys, facts, why } in rows() {
        let cells = [list(&scenarios, scenario), list(&keys, code), list(facts, fact)];
        writeln!(text, "| {} | {why} |", cells.join(" | ")).expect("a string takes all");
    }
    if !NOT_YET.is_empty() {
        text.push_str("\n## Not compared\n\n| Scenarios | Reason |\n|---|---|\n");
    }
    for group in NOT_YET.chunk_by(|(_, why), (_, next)| why == next) {
        let names: Vec<&str> = group.iter().map(|(name, _)| *name).collect();
        writeln!(text, "| {} | {} |", list(&names, code), group[0].1).expect("a string takes all");
    }
    text.push_str(RQ_1);
    text
}

fn list(patterns: &[&str], in_words: fn(&str) -> String) -> String {
    patterns.iter().map(|pattern| in_words(pattern)).collect::<Vec<_>>().join(", ")
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn scenario(pattern: &str) -> String {
    if pattern == "*" { "all".to_owned() } else { code(pattern) }
}

fn fact(pattern: &str) -> String {
    const ENTRIES: [&str; 2] = ["the first entry", "the second entry"];
    let entry = |index: &str| ENTRIES[index.parse::<usize>().expect("a place in the stream")];
    let of_entry = pattern.strip_prefix('#').and_then(|rest| rest.split_once('.'));
    match (pattern, of_entry, pattern.strip_prefix('.')) {
        ("*", ..) => "the whole key".to_owned(),
        ("ttl", ..) => "TTL".to_owned(),
        (_, Some((index, "*")), _) => entry(index).to_owned(),
        (_, Some((index, field)), _) => format!("`{field}` of {}", entry(index)),
        (_, _, Some(field)) => code(field),
        _ => code(pattern),
    }
}
