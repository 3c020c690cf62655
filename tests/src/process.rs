//! [`Process`]: what runs on a scratch, wherever it has gone.

use std::fs;
use std::time::Duration;

use crate::Scratch;

/// A process that works on a [`Scratch`], or was started by one that does.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// What it calls itself, at most 15 bytes.
    pub name: String,
}

impl Process {
    /// All there are now. They are known by their environment, which goes with them into other groups and sessions, and
    /// stays when their parents are gone. Those that have ended and wait for their parents' attention do not count.
    ///
    /// # Panics
    /// Where there is no `/proc`.
    pub fn all_on(scratch: &Scratch) -> Vec<Process> {
        let [_, (name, prefix)] = scratch.env();
        let wanted = format!("{name}={prefix}");
        let has_it = |environment: &[u8]| {
            environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes())
        };
        let entries = fs::read_dir("/proc").expect("/proc can be listed");
        let ids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        let processes = ids.filter_map(|id| {
            // One that ends meanwhile, or is another user's, is none.
            let environment = fs::read(format!("/proc/{id}/environ")).ok()?;
            let name = fs::read_to_string(format!("/proc/{id}/comm")).ok()?;
            has_it(&environment).then(|| Process { id, name: name.trim_end().to_owned() })
        });
        processes.collect()
    }
}

/// What the system counts processor time in (`USER_HZ`, the same on every Linux).
const TICK_MS: u64 = 10;

/// How long a process has computed so far, without those that it has started. The system counts in hundredths of a second.
///
/// # Panics
/// When it is gone and reaped, or where there is no `/proc`.
#[track_caller]
pub fn cpu_of(id: u32) -> Duration {
    let path = format!("/proc/{id}/stat");
    let stat = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    // Its name stands in parentheses and may hold spaces. Behind that, fields 14 and 15 (proc_pid_stat(5)).
    let fields = stat.rsplit_once(')').expect("a name stands in parentheses").1.split_whitespace();
    let ticks: u64 =
        fields.skip(11).take(2).map(|ticks| ticks.parse::<u64>().expect("a number of ticks")).sum();
    Duration::from_millis(ticks * TICK_MS)
}
