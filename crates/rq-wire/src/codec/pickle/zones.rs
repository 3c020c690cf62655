//! Time zones by name: `zoneinfo`, `pytz` and `dateutil`, each in the shapes that its pickles have.
//!
//! A time in one is read with its offset at that time; by the rules of this machine's time zone database or, where it has
//! none, of the one in this program.

use jiff::{
    civil,
    tz::{AmbiguousOffset, Offset, TimeZone},
};

use super::{
    decode::{Item, Machine, Made, Node},
    stdlib::{Global, opaque},
};

/// No zone's name is longer.
const MAX_NAME_BYTES: usize = 64;

/// What lies before a zone's name in the path of its file.
const FOLDER: &str = "zoneinfo/";

/// How far clocks are ahead of UTC somewhere.
#[derive(Clone, Debug)]
pub(super) enum Zone {
    Fixed(Offset),
    Ruled(TimeZone),
}

impl Zone {
    /// The offset of a clock reading; of one that the zone has twice, or not at all, by Python's rules (PEP 495).
    pub(super) fn offset(&self, civil: civil::DateTime, is_second: bool) -> Offset {
        let zone = match self {
            Zone::Fixed(offset) => return *offset,
            Zone::Ruled(zone) => zone,
        };
        match zone.to_ambiguous_timestamp(civil).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Gap { after, .. } | AmbiguousOffset::Fold { after, .. } if is_second => after,
            AmbiguousOffset::Gap { before, .. } | AmbiguousOffset::Fold { before, .. } => before,
        }
    }
}

impl<'a> Machine<'a> {
    /// The zone that a call makes.
    pub(super) fn zone(&self, global: Global, args: &[Item<'a>]) -> Option<Made<'a>> {
        let fixed =
            |seconds: i64| Some(made(Zone::Fixed(Offset::from_seconds(i32::try_from(seconds).ok()?).ok()?)));
        match (global, args) {
            (Global::PytzUtc | Global::DateutilUtc, []) => fixed(0),
            (Global::PytzFixedOffset, &[Item::Int(minutes)]) => fixed(minutes.checked_mul(60)?),
            // The zone's name, and what its clocks show at the time: the offset with what summer adds, that, a name.
            (Global::PytzZone, &[_, Item::Int(seconds), _, _]) => fixed(seconds),
            (Global::DateutilOffset, &[_, delta]) => self.time_zone(delta),
            (Global::ZoneInfo, &[name])
            | (Global::ZoneInfoUnpickle, &[name, _])
            | (Global::PytzZone, &[name])
            // No stream, and the path of a file.
            | (Global::DateutilFile, &[Item::None, name])
            // A class, a name, and the rules themselves.
            | (Global::DateutilUnpickle, &[_, name, ..]) => match named(self.as_text(name)?) {
                Some(zone) => Some(made(zone)),
                None => unknown(global),
            },
            _ => None,
        }
    }
}

fn made<'a>(zone: Zone) -> Made<'a> {
    Made::Node(Node::Zone(zone))
}

fn named(name: &str) -> Option<Zone> {
    let name = name.rsplit_once(FOLDER).map_or(name, |(_, name)| name);
    if name.len() > MAX_NAME_BYTES {
        return None;
    }
    TimeZone::get(name).ok().map(Zone::Ruled)
}

fn unknown<'a>(global: Global) -> Option<Made<'a>> {
    match global {
        Global::PytzZone => opaque("pytz", "_p of an unknown zone"),
        Global::DateutilFile | Global::DateutilUnpickle => {
            opaque("dateutil.tz.tz", "tzfile of an unknown zone")
        }
        _ => opaque("zoneinfo", "ZoneInfo of an unknown zone"),
    }
}
