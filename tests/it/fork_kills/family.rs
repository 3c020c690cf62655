//! [`Process`]: the processes of a worker whose jobs run in processes, as the system lists them.

use std::fs;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rq_tests::Scratch;

/// What a fork server calls itself.
const FORK_SERVER: &str = "rq-fork-server";
/// What a horse calls itself.
const HORSE: &str = "rq-horse";

/// One process, at one moment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// In ticks since the system started: with the id, it names one process for good.
    started: u64,
    parent: u32,
    name: String,
    is_zombie: bool,
}

impl Process {
    /// Whether it still runs. One that has ended and waits to be reaped does not.
    pub(crate) fn lives(&self) -> bool {
        read(self.pid).is_some_and(|now| now.is_same(self) && !now.is_zombie)
    }

    /// Whether it has ended, and nobody has taken notice.
    pub(crate) fn is_zombie(&self) -> bool {
        read(self.pid).is_some_and(|now| now.is_same(self) && now.is_zombie)
    }

    /// Kills it; `false` when it is gone already.
    pub(crate) fn kill(&self) -> bool {
        let pid = i32::try_from(self.pid).expect("process ids fit");
        self.lives() && kill(Pid::from_raw(pid), Signal::SIGKILL).is_ok()
    }

    /// How many threads it has.
    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.pid)).map_or(0, Iterator::count)
    }

    /// How many generations it is younger than `ancestor`, if that is one of its ancestors, or itself.
    pub(crate) fn generations_below(&self, ancestor: u32) -> Option<usize> {
        /// No family here is as old.
        const GENERATIONS_MAX: usize = 20;
        let mut one = self.clone();
        for generation in 0..GENERATIONS_MAX {
            if one.pid == ancestor {
                return Some(generation);
            }
            one = read(one.parent)?;
        }
        None
    }

    fn is_same(&self, other: &Process) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }
}

/// The fork server of a worker, if it has one.
pub(crate) fn fork_server(worker: u32) -> Option<Process> {
    all().into_iter().find(|one| one.parent == worker && one.name == FORK_SERVER && !one.is_zombie)
}

/// The horses of a fork server, those that have just been born too.
pub(crate) fn horses(server: &Process) -> Vec<Process> {
    let mut horses = all();
    horses.retain(|one| one.parent == server.pid && !one.is_zombie);
    horses
}

/// Those of them that run jobs: a younger one still has its parent's name.
pub(crate) fn grown_horses(server: &Process) -> Vec<Process> {
    let mut horses = horses(server);
    horses.retain(|one| one.name == HORSE);
    horses
}

/// All that were started for a key space and run, whoever is their parent by now.
pub(crate) fn of_scratch(scratch: &Scratch) -> Vec<Process> {
    let [_, (variable, prefix)] = scratch.env();
    let setting = format!("{variable}={prefix}");
    let has_setting = |one: &Process| {
        let environment = fs::read(format!("/proc/{}/environ", one.pid)).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|entry| entry == setting.as_bytes())
    };
    let mut processes = all();
    processes.retain(|one| !one.is_zombie && has_setting(one));
    processes
}

/// What a worker and its fork server have not reaped.
pub(crate) fn zombies(worker: u32) -> Vec<Process> {
    let all = all();
    let is_parent = |pid: u32| pid == worker || all.iter().any(|one| one.pid == pid && one.parent == worker);
    all.iter().filter(|one| one.is_zombie && is_parent(one.parent)).cloned().collect()
}

fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("the system lists its processes").flatten();
    entries.filter_map(|entry| read(entry.file_name().to_str()?.parse().ok()?)).collect()
}

/// `None` for one that is gone.
fn read(pid: u32) -> Option<Process> {
    /// Where the fields stand behind the name, which may hold anything (proc_pid_stat(5)).
    const STATE: usize = 0;
    const PARENT: usize = 1;
    const STARTED: usize = 19;
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (head, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Process {
        pid,
        started: fields.get(STARTED)?.parse().ok()?,
        parent: fields.get(PARENT)?.parse().ok()?,
        name: head.split_once('(')?.1.to_string(),
        is_zombie: matches!(fields.get(STATE), Some(&"Z" | &"X")),
    })
}
