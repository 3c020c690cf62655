//! [`OomKills`]: the system's count of processes that it has killed for want of memory.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are mounted, by convention.
const MOUNT: &str = "/sys/fs/cgroup";

/// How often the system has killed a process of this one's control group because the group's memory was used up:
/// `oom_kill` in the group's `memory.events` (version 2) or `memory.oom_control` (version 1). Zero where neither can be
/// read.
#[derive(Debug)]
pub struct OomKills {
    file: Option<PathBuf>,
    seen: u64,
}

impl OomKills {
    /// Counts from now on.
    pub fn watch() -> OomKills {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let file = candidates(&groups).into_iter().find(|file| count(file).is_some());
        let seen = file.as_deref().and_then(count).unwrap_or(0);
        OomKills { file, seen }
    }

    /// How many kills there have been since the last call.
    pub fn since_last(&mut self) -> u64 {
        let now = self.file.as_deref().and_then(count).unwrap_or(self.seen);
        now.saturating_sub(std::mem::replace(&mut self.seen, now))
    }
}

/// Where the count may be found, by the lines of `/proc/self/cgroup` (cgroups(7)). Within a container the group is
/// often mounted as the root.
fn candidates(groups: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        // The last field, the group's path, may hold colons itself.
        let mut fields = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(group)) = (fields.next(), fields.next()) else { continue };
        let (mounts, file): (&[&str], _) = match controllers {
            "" => (&["", "unified"], "memory.events"),
            _ if controllers.split(',').any(|controller| controller == "memory") => {
                (&["memory"], "memory.oom_control")
            }
            _ => continue,
        };
        for mount in mounts.iter().map(|mount| Path::new(MOUNT).join(mount)) {
            // The group's own path first: what lies at the root is this group's only within a container.
            files.push(mount.join(group.trim_start_matches('/')).join(file));
            files.push(mount.join(file));
        }
    }
    files
}

fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_of_control_groups_are_looked_for() {
        let check = |groups: &str, expected: &[&str]| {
            let expected: Vec<PathBuf> = expected.iter().map(PathBuf::from).collect();
            assert_eq!(candidates(groups), expected, "{groups}");
        };
        let second = ["/sys/fs/cgroup/a/memory.events", "/sys/fs/cgroup/memory.events"];
        let second = [&second[..], &["/sys/fs/cgroup/unified/a/memory.events"]].concat();
        check("0::/a\n", &[&second[..], &["/sys/fs/cgroup/unified/memory.events"]].concat());
        check(
            "5:devices:/\n4:cpu,memory:/a/b:c\nnonsense\n",
            &["/sys/fs/cgroup/memory/a/b:c/memory.oom_control", "/sys/fs/cgroup/memory/memory.oom_control"],
        );
    }
}
