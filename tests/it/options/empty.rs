//! The rows of `rq empty`.

use super::reasons::*;
use super::row::Told::{Does, Refuses};
use super::row::{ALL, MESSAGE, Row, differs, same};
use super::shared;
use super::start::Start::{Empty, Failed, Jobs};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        same("empty", Jobs),
        same("empty default", Jobs),
        same("empty high nosuch", Jobs),
        same("empty -a", Failed),
        same("empty --all", Failed),
        same("empty -a high", Failed),
        same("empty --all", Empty),
        same("empty --all=yes", Empty),
        differs(
            "empty ''",
            Jobs,
            ALL,
            Does("empties a queue without a name"),
            Refuses("it must not be empty."),
            EMPTY_NAME,
        ),
        same("empty 'a b'", Jobs),
        same("empty default default", Jobs),
        same("empty -u redis://127.0.0.1:1/", Jobs),
        shared::away("empty", "default", MESSAGE),
        same("empty -- -x", Jobs),
    ];
    rows.extend(shared::rows("empty", "default", Jobs));
    rows.extend(shared::rows_of_who_runs_no_jobs("empty", "default", Jobs));
    rows
}
