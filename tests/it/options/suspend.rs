//! The rows of `rq suspend`.

use super::reasons::*;
use super::row::Told::{Raises, Refuses};
use super::row::{MESSAGE, Row, differs, same};
use super::shared;
use super::start::Start::{Empty, Suspended};

pub(super) fn rows() -> Vec<Row> {
    let mut rows = vec![
        same("suspend", Empty),
        same("suspend", Suspended),
        same("suspend --duration 30", Empty),
        same("suspend --duration=30", Suspended),
        same("suspend --duration 0", Empty),
        same("suspend --duration -1", Empty),
        same("suspend --duration 1.5", Empty),
        same("suspend --duration soon", Empty),
        differs(
            "suspend --duration 99999999999999999999",
            Empty,
            &["code", "stderr", "rq:*"],
            Raises("value is not an integer or out of range"),
            Refuses("is not a valid integer."),
            SENSELESS,
        ),
        same("suspend --duration", Empty),
        same("suspend extra", Empty),
        shared::away("suspend", "", MESSAGE),
    ];
    rows.extend(shared::rows("suspend", "", Empty));
    rows.extend(shared::rows_of_who_runs_no_jobs("suspend", "", Empty));
    rows
}
