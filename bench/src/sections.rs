//! [`SECTIONS`]: what is measured, one kind a file.

pub(crate) mod crowd;
pub(crate) mod drain;
pub(crate) mod enqueue;
pub(crate) mod fork;
pub(crate) mod growth;
pub(crate) mod idle;
pub(crate) mod peers;
pub(crate) mod python;
pub(crate) mod waits;
pub(crate) mod wake_up;

use anyhow::Result;

use crate::figures::Figures;
use crate::stage::Stage;

/// Something that is measured.
pub(crate) struct Section {
    pub(crate) name: &'static str,
    /// In words, for people who wait.
    pub(crate) does: &'static str,
    /// Whether one round is enough: it counts rather than times.
    pub(crate) once: bool,
    pub(crate) measure: fn(&mut Stage, Extent, &mut Figures) -> Result<()>,
}

/// How much is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Within five minutes.
    Quick,
    Whole,
}

impl Extent {
    /// One number or the other.
    pub(crate) fn choose<T>(self, quick: T, whole: T) -> T {
        match self {
            Extent::Quick => quick,
            Extent::Whole => whole,
        }
    }
}

/// All of them, in the order in which a round measures them.
pub(crate) const SECTIONS: [Section; 10] = [
    Section { name: "enqueue", does: "enqueueing", once: false, measure: enqueue::measure },
    Section { name: "drain", does: "draining trivial jobs", once: false, measure: drain::measure },
    Section { name: "fork", does: "a process for each job", once: false, measure: fork::measure },
    Section { name: "waits", does: "jobs that wait 10 ms", once: false, measure: waits::measure },
    Section { name: "wake-up", does: "from enqueue to start, idle", once: false, measure: wake_up::measure },
    Section { name: "python", does: "Python RQ", once: false, measure: python::measure },
    Section { name: "peers", does: "other job queues", once: false, measure: peers::measure },
    Section { name: "growth", does: "many jobs, queues and workers", once: false, measure: growth::measure },
    Section { name: "idle", does: "an idle worker", once: true, measure: idle::measure },
    Section { name: "crowd", does: "many idle workers", once: true, measure: crowd::measure },
];
