//! A worker that is the first process of its system, as it is in a container.

use std::fs;
use std::process::Command;

use rq_core::Call;
use rq_tests::{Child, Folder, Scratch, Signal, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

const EXECUTORS: [&str; 3] = ["fork", "thread", "green"];

/// A worker, or a Manager, that is the first process of a system of its own.
struct Container {
    /// What has started it, and ends as it does.
    outside: Child,
    /// The first process, as it is called outside.
    first: u32,
}

impl Container {
    /// With a worker; nothing where the system allows no such thing.
    fn start(scratch: &Scratch, executor: &str) -> Option<Self> {
        Self::of(scratch, &["worker", "-w", executor, "--concurrency", "2"])
    }

    /// With our `rq`; waits until a worker listens.
    fn of(scratch: &Scratch, arguments: &[&str]) -> Option<Self> {
        let unshare = || {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]);
            command
        };
        if !unshare().arg("true").status().is_ok_and(|status| status.success()) {
            println!(
                "no namespace for processes can be made here, so that no worker can be the first in one"
            );
            return None;
        }
        let rq = RqTest::new(scratch).command(arguments);
        let mut command = unshare();
        command.arg(rq.get_program()).args(rq.get_args());
        command.envs(rq.get_envs().filter_map(|(name, value)| Some((name, value?))));
        let outside = Child::spawn(&mut command);
        outside.wait_for_line("*** Listening on", LIMIT);
        let first = *children(outside.id()).first().expect("unshare has a child");
        Some(Self { outside, first })
    }

    fn signal(&self, signal: Signal) {
        let id = i32::try_from(self.first).unwrap();
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(id), signal).unwrap();
    }

    fn exit_code(&mut self) -> Option<i32> {
        self.outside.wait(LIMIT).code()
    }
}

fn children(id: u32) -> Vec<u32> {
    let list = fs::read_to_string(format!("/proc/{id}/task/{id}/children")).unwrap_or_default();
    list.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[test]
fn signals_do_what_help_says() {
    for executor in EXECUTORS {
        for (signal, code) in [(Signal::SIGHUP, 128 + 1), (Signal::SIGQUIT, 128 + 3), (Signal::SIGTERM, 0)] {
            let scratch = Scratch::new();
            let Some(mut container) = Container::start(&scratch, executor) else { return };
            container.signal(signal);
            let told = container.exit_code();
            assert_eq!(told, Some(code), "{executor}, {signal}: {}", container.outside.report());
        }
    }
}

#[test]
fn a_manager_may_be_the_first_as_well() {
    let (scratch, folder) = (Scratch::new(), Folder::new("first-manager"));
    let file = folder.path().join("rq.toml");
    let socket = folder.path().join("socket");
    let text =
        format!("[manager]\nsocket = {socket:?}\n[[worker]]\nname = \"w\"\nexecutor = \"fork\"\ncount = 2\n");
    fs::write(&file, text).unwrap();
    let Some(mut container) = Container::of(&scratch, &["manager", "-c", file.to_str().unwrap()]) else {
        return;
    };
    container.outside.wait_for_line("Daemon process 1", LIMIT);
    let sum = scratch.queue("default").enqueue(Call::<i64>::to("math.add").arg(2).arg(3)).unwrap();
    assert_eq!(sum.wait(LIMIT).unwrap(), 5);
    container.signal(Signal::SIGTERM);
    assert_eq!(container.exit_code(), Some(0), "{}", container.outside.report());
    assert!(container.outside.report().contains("Stopped"));
}

#[test]
fn orphans_are_reaped_and_a_jobs_own_children_are_not_taken_from_it() {
    for executor in EXECUTORS {
        let scratch = Scratch::new();
        let Some(container) = Container::start(&scratch, executor) else { return };
        let queue = scratch.queue("default");
        // Each a program of a job's own, with its exit code; and one that nobody waits for.
        let script = "sleep 0.01 & sleep 0.02 & sh -c 'exit 3'; echo $?";
        let call = || Call::<String>::to("interop.program").arg(["sh", "-c", script]);
        let jobs = queue.enqueue_many((0..20).map(|_| call())).unwrap();
        for job in &jobs {
            assert_eq!(job.wait(LIMIT).unwrap(), "3\n", "{executor}: {}", container.outside.report());
        }
        let is_zombie =
            |id: &u32| fs::read_to_string(format!("/proc/{id}/stat")).is_ok_and(|stat| stat.contains(") Z "));
        let all = || {
            let first = children(container.first);
            let below = first.iter().flat_map(|id| children(*id)).collect();
            [first, below].concat()
        };
        assert!(!all().is_empty(), "the worker is the init's child");
        eventually("all orphans to be reaped", LIMIT, || (!all().iter().any(is_zombie)).then_some(()));
    }
}
