//! Whether each option that Python's help names has a row, and each way to get one wrong.

use std::collections::BTreeSet;

use super::row::Row;
use super::trial::pythons_help;

/// An option of Python's.
#[derive(Debug, PartialEq)]
struct Known {
    names: Vec<String>,
    /// What help calls its value.
    value: Option<String>,
}

/// What no command has.
const UNKNOWN: &str = "--zzz";

/// # Panics
/// With the options that no row of `command` has, and the mistakes that none makes.
#[track_caller]
pub(super) fn check(command: &str, rows: &[Row]) {
    let known = options(&pythons_help(command));
    assert!(known.len() > 8, "the options are not found in the help of {command}");
    let lines: Vec<Vec<String>> = rows.iter().map(|row| row.arguments()[1..].to_vec()).collect();
    let has = |name: &str| {
        let with_value = format!("{name}=");
        lines.iter().flatten().any(|word| word == name || word.starts_with(&with_value))
    };
    let mut missing: BTreeSet<String> =
        known.iter().flat_map(|option| &option.names).filter(|name| !has(name)).cloned().collect();
    let takes_value =
        |word: &String| known.iter().any(|option| option.value.is_some() && option.names.contains(word));
    if !lines.iter().any(|line| line.last().is_some_and(takes_value)) {
        missing.insert("an option without its value".to_owned());
    }
    if !has(UNKNOWN) {
        missing.insert(format!("an unknown option, {UNKNOWN}"));
    }
    let is_number =
        |option: &&Known| option.value.as_deref().is_some_and(|value| ["INTEGER", "FLOAT"].contains(&value));
    for option in known.iter().filter(is_number) {
        let is_negative = |pair: &[String]| option.names.contains(&pair[0]) && pair[1].starts_with('-');
        if !lines.iter().any(|line| line.windows(2).any(is_negative)) {
            missing.insert(format!("a negative {}", option.names[0]));
        }
    }
    assert!(missing.is_empty(), "rows of `rq {command}` are missing: {missing:#?}");
}

/// The options of a help, as click lays it out.
fn options(help: &str) -> Vec<Known> {
    let lines = help.lines().filter_map(|line| line.strip_prefix("  ").filter(|line| line.starts_with('-')));
    lines.map(option).collect()
}

fn option(line: &str) -> Known {
    let described = line.split("  ").next().unwrap_or(line);
    let words: Vec<&str> = described.split([' ', ',']).filter(|word| !word.is_empty()).collect();
    let (names, values): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
    Known {
        names: names.into_iter().map(str::to_owned).collect(),
        value: values.first().map(|value| (*value).to_owned()),
    }
}

#[test]
fn the_options_of_a_help_are_found() {
    let help = "Usage: rq x\n\nOptions:\n  -b, --burst       Run in burst mode\n                    -x\n  --pid TEXT  x\n  \
                -l, --logging-level [debug|info]\n";
    let known = |names: &[&str], value: Option<&str>| Known {
        names: names.iter().map(|name| (*name).to_owned()).collect(),
        value: value.map(str::to_owned),
    };
    let expected = [
        known(&["-b", "--burst"], None),
        known(&["--pid"], Some("TEXT")),
        known(&["-l", "--logging-level"], Some("[debug|info]")),
    ];
    assert_eq!(options(help), expected);
}
