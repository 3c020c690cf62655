//! The rows of `rq info`.

use rq_tests::Signal;

use super::reasons::*;
use super::row::Told::{Does, Raises, Refuses};
use super::row::{ALL, MESSAGE, Row, Until, differs, same};
use super::shared;
use super::start::Start::{Empty, Jobs, Worker};

pub(super) fn rows() -> Vec<Row> {
    let no_interval = |line: &str, theirs| {
        let ours = Refuses("Invalid value for '--interval' / '-i': it must be between 0 and 86400.");
        differs(line, Worker, ALL, theirs, ours, SENSELESS)
    };
    let suggested = |line: &str| {
        let theirs = Refuses("(Did you mean one of: ");
        differs(line, Empty, MESSAGE, theirs, Refuses("Did you mean '--only-queues'?"), SUGGESTION)
    };
    let mut rows = vec![
        same("info", Empty),
        same("info high default", Worker),
        same("info -r high default", Worker),
        same("info --raw high default", Worker),
        same("info -Q high default", Worker),
        same("info --only-queues high", Worker),
        same("info -W", Worker),
        same("info --only-workers high", Worker),
        same("info -Q -W high", Worker),
        same("info -R high default", Worker),
        same("info --by-queue -r high low", Worker),
        same("info -rQ high default", Worker),
        same("info -rWR high default", Worker),
        same("info nosuch", Empty),
        same("info default default", Jobs),
        same("info -i 5 high", Worker).until(Until::Said("Updated:", 1, Signal::SIGINT)),
        same("info --interval=5 -r high", Worker).until(Until::Said("worker w", 1, Signal::SIGINT)),
        same("info -i 0 high", Worker),
        no_interval("info -i -1 high", Raises("sleep length must be non-negative")),
        no_interval("info --interval -1 high", Raises("sleep length must be non-negative")),
        no_interval("info -i nan high", Raises("Invalid value NaN")),
        same("info -i soon", Empty),
        same("info -i", Empty),
        same("info --raw=yes", Empty),
        suggested("info --only-queue"),
        suggested("info --only"),
        differs(
            "info ''",
            Empty,
            ALL,
            Does("shows a queue without a name"),
            Refuses("it must not be empty."),
            EMPTY_NAME,
        ),
        same("info 'a b'", Empty),
        same("info -- -x", Empty),
    ];
    rows.extend(shared::rows("info", "high", Jobs));
    rows.extend(shared::rows_of_who_runs_no_jobs("info", "high", Jobs));
    rows.extend(shared::rows_of_one("info", Empty));
    rows
}
