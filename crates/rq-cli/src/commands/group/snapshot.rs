//! [`Snapshot`]: groups as Redis had them a moment ago.

use std::collections::BTreeSet;

use rq_core::link::BlockingLink;
use rq_core::steps::group;
use rq_core::steps::job::{Cursor, FETCHED_PER_ROUND_TRIP_MAX};
use rq_core::{Error, GroupStatus, Keys, Status, Timestamp};

/// Groups as Redis had them a moment ago.
#[derive(Clone, Debug)]
pub(super) struct Snapshot {
    pub(super) taken: Timestamp,
    /// Sorted by name.
    pub(super) groups: Vec<Group>,
    /// The jobs of the one that was named, sorted by id.
    pub(super) members: Option<Vec<(String, Option<Status>)>>,
}

/// One group.
#[derive(Clone, Debug)]
pub(super) struct Group {
    pub(super) name: String,
    pub(super) status: GroupStatus,
    /// The jobs that wait for its end.
    pub(super) waiting: Vec<String>,
}

impl Snapshot {
    /// Reads the group of that name, or all. Nothing is written.
    pub(super) fn read(link: &BlockingLink, keys: &Keys, name: Option<&str>) -> Result<Snapshot, Error> {
        let names = match name {
            Some(name) => vec![name.to_owned()],
            None => link.run(&group::names(keys))?,
        };
        let (mut groups, mut of_last) = (Vec::with_capacity(names.len()), Vec::new());
        for name in names {
            of_last = members(link, keys, &name)?;
            let mut status = GroupStatus::default();
            status.extend(of_last.iter().map(|(_, status)| *status));
            groups.push(Group { waiting: waiting(link, keys, &name)?, name, status });
        }
        Ok(Snapshot { taken: Timestamp::now(), groups, members: name.map(|_| of_last) })
    }

    /// Whether the group that was named has no job, and nobody waits for its end.
    pub(super) fn is_empty(&self) -> bool {
        self.members.as_ref().is_some_and(Vec::is_empty)
            && self.groups.iter().all(|group| group.waiting.is_empty())
    }
}

fn members(link: &BlockingLink, keys: &Keys, name: &str) -> Result<Vec<(String, Option<Status>)>, Error> {
    let (mut ids, mut at) = (BTreeSet::new(), Some(Cursor::default()));
    while let Some(cursor) = at {
        let page = link.run(&group::members(keys, name, &cursor))?;
        ids.extend(page.found);
        at = page.next;
    }
    with_statuses(link, keys, ids.into_iter().collect())
}

fn waiting(link: &BlockingLink, keys: &Keys, name: &str) -> Result<Vec<String>, Error> {
    let ids = with_statuses(link, keys, link.run(&group::ends(keys, name))?)?;
    Ok(ids.into_iter().filter(|(_, status)| *status == Some(Status::Deferred)).map(|(id, _)| id).collect())
}

fn with_statuses(
    link: &BlockingLink,
    keys: &Keys,
    ids: Vec<String>,
) -> Result<Vec<(String, Option<Status>)>, Error> {
    let mut statuses = Vec::with_capacity(ids.len());
    for ids in ids.chunks(FETCHED_PER_ROUND_TRIP_MAX) {
        statuses.extend(link.run(&group::statuses(keys, ids))?);
    }
    Ok(ids.into_iter().zip(statuses).collect())
}
