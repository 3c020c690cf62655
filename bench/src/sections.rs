//! [`SECTIONS`]: what is measured, one kind a file.

pub(crate) mod crowd;
pub(crate) mod drain;
pub(crate) mod ends;
pub(crate) mod enqueue;
pub(crate) mod fork;
pub(crate) mod growth;
pub(crate) mod idle;
pub(crate) mod peers;
pub(crate) mod python;
pub(crate) mod ticks;
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
    pub(crate) repeats: Repeats,
    pub(crate) measure: fn(&mut Stage, Extent, &mut Figures) -> Result<()>,
}

/// In which rounds something is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Repeats {
    Always,
    /// Once in a quick run: it takes long.
    OnceIfQuick,
    /// Once: it counts rather than times.
    Once,
}

impl Repeats {
    pub(crate) fn includes(self, round: usize, extent: Extent) -> bool {
        match self {
            Repeats::Always => true,
            Repeats::OnceIfQuick => round == 1 || extent == Extent::Whole,
            Repeats::Once => round == 1,
        }
    }
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
pub(crate) const SECTIONS: [Section; 12] = [
    section("enqueue", "enqueueing", Repeats::Always, enqueue::measure),
    section("drain", "draining trivial jobs", Repeats::Always, drain::measure),
    section("fork", "a process for each job", Repeats::Always, fork::measure),
    section("ends", "what the ends of jobs call for", Repeats::Always, ends::measure),
    section("ticks", "the ticks of a cron", Repeats::Always, ticks::measure),
    section("waits", "jobs that wait 10 ms", Repeats::Always, waits::measure),
    section("wake-up", "from enqueue to start, idle", Repeats::Always, wake_up::measure),
    section("python", "Python RQ", Repeats::Always, python::measure),
    section("peers", "other job queues", Repeats::Always, peers::measure),
    section("growth", "many jobs, queues and workers", Repeats::OnceIfQuick, growth::measure),
    section("idle", "an idle worker", Repeats::Once, idle::measure),
    section("crowd", "many idle workers", Repeats::Once, crowd::measure),
];

const fn section(
    name: &'static str,
    does: &'static str,
    repeats: Repeats,
    measure: fn(&mut Stage, Extent, &mut Figures) -> Result<()>,
) -> Section {
    Section { name, does, repeats, measure }
}
