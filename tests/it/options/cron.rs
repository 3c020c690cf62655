//! The rows of `rq cron`.

use rq_tests::Signal;

use super::reasons::*;
use super::row::Told::{Fails, Raises, Refuses, Says};
use super::row::{CODE, MESSAGE, Row, Until, differs, same};
use super::shared;
use super::start::Start::Empty;

const TICKED: Until = Until::Ticked(Signal::SIGINT);

pub(super) fn rows() -> Vec<Row> {
    let ticked = |line: &str| same(format!("cron {line}"), Empty).until(TICKED);
    let mut rows = vec![
        same("cron crons.py", Empty).until(Until::Ticked(Signal::SIGTERM)),
        ticked("crons"),
        ticked("{folder}/crons.py"),
        ticked("-l INFO crons.py"),
        ticked("--logging-level info crons.py"),
        ticked("--worker-class rq.Worker crons.py"),
        ticked("-w rq.SimpleWorker crons.py"),
        same("cron -l", Empty),
        differs(
            "cron -l DEBUG crons.py",
            Empty,
            &["stdout"],
            Says("Registering job from config"),
            Says("Sleeping for"),
            DEBUG,
        )
        .until(TICKED),
    ];
    rows.extend(refused());
    rows.extend(unread());
    rows.extend(shared::rows("cron", "crons.py", Empty).into_iter().map(of_cron));
    rows
}

/// A row of all commands: those that run go on until a signal comes.
fn of_cron(row: Row) -> Row {
    match row.line.as_str() {
        line if line.contains("--zzz") => differs(
            line,
            Empty,
            MESSAGE,
            Refuses("No such option '--zzz'."),
            Refuses("No such option '--zzz'."),
            CONFIG_OPTIONAL,
        ),
        line if line.contains("--help") || line.ends_with(" -u") => row,
        _ => row.until(TICKED),
    }
}

fn refused() -> Vec<Row> {
    let otherwise =
        |line: &str, theirs, part, why| differs(line, Empty, MESSAGE, Refuses(theirs), Refuses(part), why);
    vec![
        otherwise(
            "cron",
            "Missing argument 'CONFIG_PATH'.",
            "Missing argument 'CONFIG_PATH': there is no rq.toml here",
            CONFIG_OPTIONAL,
        ),
        otherwise(
            "cron crons.py more",
            "Got unexpected extra argument (more)",
            "Got unexpected extra argument (more)",
            CONFIG_OPTIONAL,
        ),
        otherwise(
            "cron -l nosuch crons.py",
            "is not one of 'debug', 'info'",
            "'nosuch' is none of DEBUG, INFO",
            CONFIG_OPTIONAL,
        ),
        differs(
            "cron -j nosuch.Job crons.py",
            Empty,
            CODE,
            Raises("Invalid attribute name: nosuch.Job"),
            Refuses("and this program has no job class of that name."),
            CLASSES,
        ),
        differs(
            "cron -u redis://127.0.0.1:1/ crons.py",
            Empty,
            &["stdout", "stderr"],
            Raises("Connection refused."),
            Fails("cannot be reached"),
            CRON_AWAY,
        ),
    ]
}

fn unread() -> Vec<Row> {
    let unread = |line: &str, theirs, part| {
        differs(format!("cron {line}"), Empty, MESSAGE, Raises(theirs), Fails(part), CONFIG_READ)
    };
    vec![
        unread("nosuch", "No module named 'nosuch'", "nosuch.py cannot be read"),
        unread("nosuch.py", "No module named 'nosuch'", "nosuch.py cannot be read"),
        unread("broken.py", "invalid syntax", "broken.py, line 1: "),
        unread("''", "Empty module name", "is no configuration"),
    ]
}
