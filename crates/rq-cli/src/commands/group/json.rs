//! A snapshot as the object of `--json`. The command's help lists its fields.

use std::collections::BTreeMap;

use rq_core::Status;
use serde::Serialize;

use super::snapshot::{Group, Snapshot};
use crate::refusal::Refusal;
use crate::server::Server;
use crate::text::Text;

/// The version of the object: it rises when a field changes its meaning or goes, not when one is added.
const SCHEMA: u32 = 1;

#[derive(Serialize)]
struct Groups<'a> {
    schema: u32,
    url: String,
    prefix: &'a str,
    updated: String,
    groups: Vec<GroupInfo<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    members: Option<Vec<MemberInfo<'a>>>,
}

#[derive(Serialize)]
struct GroupInfo<'a> {
    name: &'a str,
    jobs: usize,
    open: usize,
    gone: usize,
    statuses: BTreeMap<&'static str, usize>,
    waiting: &'a [String],
}

#[derive(Serialize)]
struct MemberInfo<'a> {
    id: &'a str,
    status: Option<&'static str>,
}

/// The object on one line.
pub(super) fn render<'a>(snapshot: &'a Snapshot, server: &'a Server) -> Result<Text, Refusal> {
    let groups = Groups {
        schema: SCHEMA,
        url: server.shown.clone(),
        prefix: server.keys.prefix(),
        updated: snapshot.taken.to_string(),
        groups: snapshot.groups.iter().map(GroupInfo::from).collect(),
        members: snapshot.members.as_ref().map(|members| {
            let member = |(id, status): &'a (String, Option<Status>)| MemberInfo {
                id,
                status: status.map(Status::as_str),
            };
            members.iter().map(member).collect()
        }),
    };
    Ok(Text::json(&groups)?.ended())
}

impl<'a> From<&'a Group> for GroupInfo<'a> {
    fn from(Group { name, status, waiting }: &'a Group) -> GroupInfo<'a> {
        GroupInfo {
            name,
            jobs: status.total(),
            open: status.open(),
            gone: status.gone(),
            statuses: status.counts().map(|(status, count)| (status.as_str(), count)).collect(),
            waiting,
        }
    }
}
