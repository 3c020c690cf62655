//! The rows of `rq resume`.

use super::reasons::*;
use super::row::Told::Refuses;
use super::row::{MESSAGE, Row, differs, same};
use super::shared;
use super::start::Start::{Empty, Suspended};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        same("resume", Suspended),
        same("resume", Empty),
        same("resume extra", Empty),
        differs(
            "resume extra more",
            Empty,
            MESSAGE,
            Refuses("Got unexpected extra arguments (extra more)"),
            Refuses("Got unexpected extra argument (extra)"),
            FIRST_EXTRA,
        ),
        shared::away("resume", "", MESSAGE),
    ];
    rows.extend(shared::rows("resume", "", Suspended));
    rows.extend(shared::rows_of_who_runs_no_jobs("resume", "", Suspended));
    rows
}
