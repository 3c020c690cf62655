//! A snapshot as text.

use rq_core::{Counted, Shown};

use super::snapshot::{Group, Snapshot};
use crate::text::{Text, text};

/// How wide names are at least.
const NAME_WIDTH: usize = 12;

/// The text, with its last line ended.
pub(super) fn render(snapshot: &Snapshot) -> Text {
    let mut lines: Vec<Text> = snapshot.groups.iter().map(group_line).collect();
    match &snapshot.members {
        Some(members) => lines.extend(members.iter().map(|(id, status)| {
            let status = status.map_or("gone", |status| status.as_str());
            text!("{} {status}", Shown::name(id))
        })),
        None => {
            let jobs: usize = snapshot.groups.iter().map(|group| group.status.total()).sum();
            lines.push(text!("{} groups, {jobs} jobs total", snapshot.groups.len()));
        }
    }
    lines.into_iter().fold(Text::default(), |text, line| text + line.ended())
}

fn group_line(Group { name, status, waiting }: &Group) -> Text {
    let name = Shown::name(name);
    let line = text!("{name:<NAME_WIDTH$} {status}");
    let line = match status.gone() {
        0 => line,
        gone => line + text!(", {gone} gone"),
    };
    match waiting.as_slice() {
        [] => line,
        [id] => line + text!("; job {} waits for its end", Shown::name(id)),
        more => line + text!("; {} wait for its end", Counted(more.len(), "job")),
    }
}

#[cfg(test)]
mod tests {
    use rq_core::{GroupStatus, Status, Timestamp};

    use super::*;

    fn group(name: &str, statuses: &[Option<Status>], waiting: &[&str]) -> Group {
        let mut status = GroupStatus::default();
        status.extend(statuses.iter().copied());
        let waiting = waiting.iter().map(ToString::to_string).collect();
        Group { name: name.to_owned(), status, waiting }
    }

    #[test]
    fn groups_have_a_line_each() {
        let groups = vec![
            group("a", &[Some(Status::Queued), Some(Status::Finished), None], &["z"]),
            group("report-2026-07", &[Some(Status::Failed)], &["y", "z"]),
            group("over", &[], &[]),
        ];
        let snapshot = Snapshot { taken: Timestamp::from_epoch_us(0), groups, members: None };
        let expected = "a            2 jobs: 1 queued, 1 finished, 1 gone; job z waits for its end\n\
                        report-2026-07 1 job: 1 failed; 2 jobs wait for its end\n\
                        over         0 jobs\n\
                        3 groups, 3 jobs total\n";
        assert_eq!(render(&snapshot).as_str(), expected);
    }

    #[test]
    fn one_group_has_a_line_for_each_job() {
        let members = vec![("a".to_owned(), Some(Status::Started)), ("b\x1b".to_owned(), None)];
        let groups = vec![group("g", &[Some(Status::Started), None], &[])];
        let snapshot = Snapshot { taken: Timestamp::from_epoch_us(0), groups, members: Some(members) };
        let text = render(&snapshot);
        assert!(
            text.as_str().starts_with("g            1 job: 1 started, 1 gone\na started\nb"),
            "{}",
            text.as_str()
        );
        assert!(text.as_str().ends_with(" gone\n") && !text.as_str().contains('\x1b'), "{}", text.as_str());
    }
}
