//! Whether a worker that has this one's name is gone: killed, its record outlives it by minutes, and whoever starts it
//! again, as service managers do, starts it under the same name.

use std::fs;
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rq_core::link::Link;
use rq_core::steps::worker::{self as steps, Identity, Namesake};
use tokio::time::Instant;

use crate::error::WorkerError;
use crate::event::{Observers, WorkerEvent};

/// How often the other worker is looked at.
const PAUSE: Duration = Duration::from_millis(300);
/// How long it is looked at before its name counts as taken.
const WAIT_LONGEST: Duration = Duration::from_secs(60);

/// A process, so that it can be told from a later one that has its number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Process {
    /// The start of the system it runs on.
    boot: String,
    /// What gives processes their numbers there: a container has its own.
    pid_namespace: String,
    pid: u32,
    /// When it began, in ticks since the start of the system.
    began: String,
}

impl Process {
    /// This one; `None` where the system does not say.
    pub(super) fn own() -> Option<Process> {
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?.trim().to_owned();
        let pid_namespace = fs::read_link("/proc/self/ns/pid").ok()?.to_string_lossy().into_owned();
        let pid = std::process::id();
        Some(Process { boot, pid_namespace, pid, began: began(pid)? })
    }

    /// As it stands in a worker's record.
    pub(super) fn to_wire(&self) -> String {
        format!("{} {} {} {}", self.boot, self.pid_namespace, self.pid, self.began)
    }

    fn from_wire(text: &str) -> Option<Process> {
        let [boot, pid_namespace, pid, began] = text.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let [boot, pid_namespace, began] = [boot, pid_namespace, began].map(str::to_owned);
        Some(Process { boot, pid_namespace, pid: pid.parse().ok()?, began })
    }

    /// Whether it is known to have ended: it was one of this system, and is there no more.
    fn has_ended(&self, own: &Process) -> bool {
        self.boot == own.boot && self.pid_namespace == own.pid_namespace && !self.may_be_there()
    }

    /// Whether it, and no later process of that number, may be there. The system may hide other users' processes.
    fn may_be_there(&self) -> bool {
        match fs::read_to_string(format!("/proc/{}/stat", self.pid)) {
            Ok(stat) => began_in(&stat).as_ref() == Some(&self.began),
            // Asked by a signal that is none: only where there is no process is it gone.
            Err(_) => {
                i32::try_from(self.pid).is_ok_and(|pid| kill(Pid::from_raw(pid), None) != Err(Errno::ESRCH))
            }
        }
    }
}

/// When the process of that number began, as far as the system says; `None` for a zombie.
fn began(pid: u32) -> Option<String> {
    began_in(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// The same, in what the system says of it.
fn began_in(stat: &str) -> Option<String> {
    // proc(5): the name is in parentheses and may hold any, the state and then the 20th field behind that follow.
    const BEGAN: usize = 19;
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let is_running = !matches!(fields.first(), Some(&"Z" | &"X"));
    fields.get(BEGAN).filter(|_| is_running).map(|began| (*began).to_owned())
}

/// Waits until it is certain that the worker that has this one's name is gone, and returns when that was born; `None` where
/// there is no such worker any more. `tells_listeners` says whether Redis knows all who listen: a cluster's node knows its
/// own alone.
///
/// It is gone at once if it was a process of this system that has ended. Else it is if nobody listens for its commands, it
/// gives no sign of life for as long as a lease lasts, and its leases are over.
///
/// # Errors
/// [`WorkerError::NameTaken`] if it is alive, or that cannot be told.
pub(super) async fn wait_until_gone(
    link: &Link,
    who: &Identity,
    tells_listeners: bool,
    observers: &Observers,
) -> Result<Option<String>, WorkerError> {
    let own = Process::own();
    let began = Instant::now();
    let mut lived = Duration::MAX;
    while began.elapsed() < WAIT_LONGEST {
        let Some(other) = link.run(&steps::namesake(who)).await? else { return Ok(None) };
        if is_ended_process(&other, own.as_ref()) {
            return Ok(Some(other.birth));
        }
        let is_silent = tells_listeners && other.listeners == Some(0) && other.record_lives <= lived;
        if !is_silent {
            break;
        }
        lived = other.record_lives;
        if began.elapsed() >= who.lease && link.run(&steps::leases_are_over(who, &other.executions)).await? {
            return Ok(Some(other.birth));
        }
        if began.elapsed() < PAUSE {
            observers.tell(WorkerEvent::NameAwaited { lease: who.lease });
        }
        tokio::time::sleep(PAUSE).await;
    }
    Err(WorkerError::NameTaken { name: who.name.clone() })
}

fn is_ended_process(other: &Namesake, own: Option<&Process>) -> bool {
    let process = other.process.as_deref();
    process.and_then(Process::from_wire).zip(own).is_some_and(|(process, own)| process.has_ended(own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_others_of_its_number() {
        let own = Process::own().unwrap();
        assert_eq!(Process::from_wire(&own.to_wire()), Some(own.clone()));
        assert!(!own.has_ended(&own));
        let earlier = Process { began: "1".to_owned(), ..own.clone() };
        assert!(earlier.has_ended(&own));
        // Beyond any process's number.
        let never = Process { pid: 1 << 30, ..own.clone() };
        assert!(never.has_ended(&own));
        // Of another system, or another container of this one, nothing is known.
        let elsewhere = Process { boot: "other".to_owned(), ..never.clone() };
        let contained = Process { pid_namespace: "pid:[1]".to_owned(), ..never };
        assert!(!elsewhere.has_ended(&own) && !contained.has_ended(&own));
    }

    #[test]
    fn a_zombie_has_ended() {
        let mut child = std::process::Command::new("true").spawn().unwrap();
        while began(child.id()).is_some() {
            std::thread::yield_now();
        }
        child.wait().unwrap();
    }
}
