//! `rq manager` and what it is asked, as people see it.

use std::fs;
use std::time::Duration;

use rq_core::Call;
use rq_tests::{Child, Folder, Gate, Scratch, Signal, eventually};

use crate::rq_test::{Books, LIMIT, RqTest};

/// How far apart the Manager looks at backlogs, and a little more.
const LOOK_LIMIT: Duration = Duration::from_secs(15);

const ENTRIES: &str = "\
[manager]
title = \"Of a test\"

[[worker]]
name = \"emails\"
executor = \"thread\"
count = 2
soft_memory_limit = 500

[[worker]]
name = \"away\"
url = \"redis://:hush@127.0.0.1:1/\"
";

/// A Manager that runs the entries of a file in a folder of its own.
struct Managed<'a> {
    scratch: &'a Scratch,
    folder: Folder,
}

impl<'a> Managed<'a> {
    fn new(scratch: &'a Scratch, entries: &str) -> Managed<'a> {
        let managed = Managed { scratch, folder: Folder::new("manager-cli") };
        managed.write(entries);
        managed
    }

    fn file(&self) -> String {
        self.folder.path().join("rq.toml").to_str().unwrap().to_owned()
    }

    /// Other entries, which nobody has read yet.
    fn write(&self, entries: &str) {
        fs::write(self.file(), entries).unwrap();
    }

    /// Where no other Manager's socket is.
    fn command(&self, args: &[&str]) -> Child {
        let mut command = RqTest::new(self.scratch).command(args);
        command.current_dir(self.folder.path()).env("XDG_RUNTIME_DIR", self.folder.path());
        Child::spawn(command.env_remove("RUNTIME_DIRECTORY"))
    }

    fn start(&self, workers: usize) -> Child {
        let manager = self.command(&["manager"]);
        manager.wait_for_lines("*** Listening on", workers, LIMIT);
        manager
    }

    #[track_caller]
    fn ask(&self, args: &[&str]) -> String {
        self.command(&[&["manager"], args].concat()).succeed(LIMIT)
    }

    /// What is said of an order that fails.
    #[track_caller]
    fn refused(&self, args: &[&str]) -> String {
        let mut child = self.command(&[&["manager"], args].concat());
        assert_eq!(child.wait(LIMIT).code(), Some(1), "{args:?}");
        child.text(rq_tests::Stream::Stderr)
    }

    fn status(&self) -> serde_json::Value {
        serde_json::from_str(&self.ask(&["status", "--json"])).unwrap()
    }

    /// The process ids of an entry's workers that run.
    fn workers(&self, entry: &str) -> Vec<i64> {
        let status = self.status();
        let kinds = status["kinds"].as_array().unwrap();
        let kind = kinds.iter().find(|kind| kind["name"] == entry).unwrap();
        let slots = kind["slots"].as_array().unwrap().iter();
        let children = slots.flat_map(|slot| slot["children"].as_array().unwrap());
        let running = children.filter(|child| child["state"] == "running");
        running.map(|child| child["pid"].as_i64().unwrap()).collect()
    }

    #[track_caller]
    fn wait_for(&self, entry: &str, count: usize, limit: Duration) -> Vec<i64> {
        eventually(&format!("{count} workers of {entry}"), limit, || {
            Some(self.workers(entry)).filter(|workers| workers.len() == count)
        })
    }
}

#[test]
fn a_manager_is_looked_at_and_asked() {
    let scratch = Scratch::new();
    let managed = Managed::new(&scratch, ENTRIES);
    let mut manager = managed.start(2);
    manager.wait_for_line("away-1 is parked", LIMIT);

    let table = eventually("memory to be looked at", LIMIT, || {
        let table = managed.ask(&["status"]);
        (table.matches(" MB ").count() == 2).then_some(table)
    });
    let lines: Vec<&str> = table.lines().collect();
    assert!(lines[0].starts_with(&format!("Of a test: process {}, up ", manager.id())), "{table}");
    let head: Vec<&str> = lines[1].split_whitespace().collect();
    assert_eq!(head.join(" "), "NAME PID STATE UP REQUESTS MEMORY RESTARTS LAST END");
    assert!(lines[2].starts_with("emails-1") && lines[3].starts_with("emails-2"), "{table}");
    assert!(lines[4].starts_with("away-1") && lines[4].contains("could not start"), "{table}");
    assert!(lines[5].starts_with("away-1 is parked, and tried again in "), "{table}");
    assert!(!table.contains("hush"), "{table}");

    let before = managed.wait_for("emails", 2, LIMIT);
    assert!(managed.ask(&["restart", "emails"]).starts_with("Replacing 2 workers of emails"));
    eventually("the workers to be others", LIMIT, || {
        let now = managed.workers("emails");
        (now.len() == 2 && now.iter().all(|id| !before.contains(id))).then_some(())
    });

    assert!(managed.ask(&["scale", "emails", "3"]).starts_with("emails has 3 workers now"));
    managed.wait_for("emails", 3, LIMIT);
    assert!(managed.refused(&["scale", "nosuch", "1"]).contains("there is no 'nosuch' here"));
    assert!(managed.refused(&["restart", "nosuch"]).contains("there is no 'nosuch' here"));

    assert!(managed.ask(&["stop"]).ends_with("has left.\n"));
    assert!(manager.wait(LIMIT).success());
    assert!(managed.refused(&["status"]).contains("no Manager listens at"));
}

#[test]
fn a_file_is_read_again() {
    let scratch = Scratch::new();
    let managed = Managed::new(&scratch, ENTRIES);
    let mut manager = managed.start(2);
    let before = managed.wait_for("emails", 2, LIMIT);

    managed.write(&ENTRIES.replace("count = 2", "count = 2\nconcurency = 3"));
    let refused = managed.refused(&["reload"]);
    assert!(refused.contains("line 8: there is no `concurency`; did you mean `concurrency`?"), "{refused}");
    assert!(managed.ask(&["status"]).contains("line 8: there is no `concurency`"));
    assert_eq!(managed.workers("emails"), before);

    managed.write(&ENTRIES.replace("name = \"away\"", "name = \"near\"").replace("url", "# url"));
    assert!(managed.ask(&["reload"]).starts_with("Read the file again"));
    managed.wait_for("near", 1, LIMIT);
    assert_eq!(managed.workers("emails"), before, "what has not changed goes on");

    managed.write(&ENTRIES.replace("count = 2", "count = 2\nconcurrency = 3"));
    manager.signal(Signal::SIGHUP);
    eventually("workers that run three jobs at once", LIMIT, || {
        let now = managed.workers("emails");
        (now.len() == 2 && now.iter().all(|id| !before.contains(id))).then_some(())
    });
    manager.signal(Signal::SIGTERM);
    assert!(manager.wait(LIMIT).success());
}

#[test]
fn stop_waits_for_what_runs_and_tells_for_whom() {
    let scratch = Scratch::new();
    let managed =
        Managed::new(&scratch, "[manager]\nwait_time = -1\n[[worker]]\nname = \"w\"\nexecutor = \"thread\"");
    let gate = Gate::new(&scratch, "gate");
    let call = Call::<String>::to("test.gate").arg(gate.key()).job_id("j");
    scratch.queue("default").enqueue(call).unwrap();
    let mut manager = managed.start(1);
    gate.wait_for_arrival();
    let stop = managed.command(&["manager", "stop"]);
    assert!(stop.wait_for_line("Note: waiting for w-1-", LIMIT).ends_with('.'));
    gate.open(1);
    assert!(stop.succeed(LIMIT).contains("has left"));
    assert!(manager.wait(LIMIT).success());
    assert_eq!(scratch.status("j"), "finished");
}

#[test]
fn workers_come_when_jobs_wait() {
    let scratch = Scratch::new();
    let entries = "[[worker]]\nname = \"w\"\nqueues = [\"q\"]\nconcurrency = 1\nexecutor = \"thread\"\n\
                   scale = { min = 1, max = 3, length = 1 }";
    let managed = Managed::new(&scratch, entries);
    let mut manager = managed.start(1);
    let gate = Gate::new(&scratch, "gate");
    for _ in 0..6 {
        scratch.queue("q").enqueue(Call::<String>::to("test.gate").arg(gate.key())).unwrap();
    }
    managed.wait_for("w", 3, LOOK_LIMIT);
    gate.open(6);
    // The file is read again, and the number is still that of the backlog.
    assert!(managed.ask(&["reload"]).starts_with("Read the file again"));
    assert_eq!(managed.workers("w").len(), 3);
    assert!(managed.ask(&["stop", "--now"]).contains("has left"));
    assert!(manager.wait(LIMIT).success());
}

#[test]
fn what_cannot_be_is_told_before_anything_is_started() {
    let scratch = Scratch::new();
    let managed = Managed::new(&scratch, "[[worker]]\nname = \"w\"\nlease = 0\n");
    let said = managed.refused(&[]);
    assert!(said.contains("rq.toml, line 3: `lease` cannot be used: it must be at least 0.1"), "{said}");
    managed.write("");
    assert!(managed.refused(&[]).contains("there is no [[worker]] in it"));
    fs::remove_file(managed.file()).unwrap();
    let mut child = managed.command(&["manager"]);
    assert_eq!(child.wait(LIMIT).code(), Some(2));
}
