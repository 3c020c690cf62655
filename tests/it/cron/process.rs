//! The program `rq cron`: its log, its files, what it leaves in Redis, and what is done to its entries.

use std::fs;

use rq_tests::{Child, Folder, Python, Scratch, Signal, eventually};
use serde_json::Value;

use crate::rq_test::{Books, LIMIT, RqTest};

/// Two entries of which one is due at once, and one hardly ever.
const CONFIG: &str = r#"
[[cron]]
name = "often"
function = "math.add"
args = [2, 3]
every = "1h"

[[cron]]
name = "seldom"
function = "test.none"
queue = "low"
at = "0 0 29 2 *"
zone = "UTC"
"#;
const PYTHON_CONFIG: &str = "\
from rq import cron
from interop import add, echo

cron.register(add, 'default', args=(1, 2), interval=3600)
cron.register(echo, 'low', kwargs={'value': 'bob'}, cron='0 0 29 2 *', name='echoing')
";
const FIRED: &str = "Enqueued job add to queue default";

/// A folder with a file of entries.
pub(super) fn folder(name: &str, text: &str) -> Folder {
    let folder = Folder::new("cron");
    fs::write(folder.path().join(name), text).unwrap();
    folder
}

/// `rq cron` in a folder.
pub(super) fn spawn(scratch: &Scratch, folder: &Folder, args: &[&str]) -> Child {
    let mut command = RqTest::new(scratch).command(&[&["cron"], args].concat());
    Child::spawn(command.current_dir(folder.path()))
}

/// Ends it by a signal, which must be a good end.
pub(super) fn end(mut program: Child, signal: Signal) -> String {
    program.signal(signal);
    assert!(program.wait(LIMIT).success(), "{}", program.report());
    program.text(rq_tests::Stream::Stdout)
}

fn list(scratch: &Scratch) -> Value {
    serde_json::from_str(&RqTest::new(scratch).run(&["cron", "list", "--json"])).unwrap()
}

/// An entry of such a list.
fn entry<'a>(list: &'a Value, name: &str) -> &'a Value {
    let entries = list["entries"].as_array().unwrap();
    entries.iter().find(|entry| entry["name"] == name).unwrap_or_else(|| panic!("{name} in {list}"))
}

#[test]
fn it_says_what_rqs_says() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", CONFIG);
    let cron = spawn(&scratch, &folder, &[]);
    cron.wait_for_line(FIRED, LIMIT);
    let said = end(cron, Signal::SIGINT);
    let host = nix::unistd::gethostname().unwrap().into_string().unwrap();
    let without = said.lines().map(|line| line.split_once(' ').unwrap().1).map(|line| {
        let name = line.split(' ').nth(1).filter(|_| line.starts_with("CronScheduler"));
        name.filter(|name| name.starts_with(&host))
            .map_or(line.to_owned(), |name| line.replace(name, "NAME:"))
    });
    let expected = [
        "Loading cron configuration from rq.toml",
        "Registered 'math.add' to run on default every 3600 seconds (entry often)",
        "Registered 'test.none' to run on low with cron schedule '0 0 29 2 *' (entry seldom, zone UTC)",
        "Successfully registered 2 cron jobs from 'rq.toml'",
        "CronScheduler NAME: starting...",
        "CronScheduler NAME: registering birth...",
        "Enqueued job add to queue default (entry often)",
        "CronScheduler NAME: received shutdown signal 2",
        "CronScheduler NAME: stop requested",
        "CronScheduler NAME: registering death...",
        "CronScheduler NAME: shutdown complete",
    ];
    assert_eq!(without.collect::<Vec<_>>(), expected, "{said}");
    assert_eq!(scratch.count("cron_schedulers"), 0);
}

#[test]
fn what_cannot_be_read_is_refused() {
    let scratch = Scratch::new();
    let folder = folder("bad.toml", "[[cron]]\nfunction = 'math.add'\nat = '61 * * * *'\n");
    for (args, code, said) in [
        (&["bad.toml"][..], 1, "its minute has 61"),
        (&["nosuch.toml"], 1, "nosuch.toml cannot be read"),
        (&["no.such.module"], 1, "no/such/module.py cannot be read"),
        (&[], 2, "Missing argument 'CONFIG_PATH'"),
        (&["-l", "LOUD", "bad.toml"], 2, "'LOUD' is none of DEBUG"),
        (&["nosuch", "-P", "/srv/a", "-P", "/srv/b"], 1, "there is no nosuch.py here, nor in /srv/a, /srv/b"),
    ] {
        let mut cron = spawn(&scratch, &folder, args);
        assert_eq!(cron.wait(LIMIT).code(), Some(code), "{args:?} {}", cron.report());
        assert!(cron.report().contains(said), "{args:?} {}", cron.report());
    }
    assert!(scratch.dump().is_empty());
}

#[test]
fn rqs_own_configuration_is_read_and_workers_run_it() {
    let scratch = Scratch::new();
    let folder = folder("cron_config.py", PYTHON_CONFIG);
    for path in ["cron_config", "cron_config.py", "./cron_config.py"] {
        let cron = spawn(&scratch, &folder, &[path]);
        cron.wait_for_line("registering birth", LIMIT);
        eventually("the entry to be fired", LIMIT, || {
            (scratch.count("cron_job:interop.add:jobs") == 1).then_some(())
        });
        end(cron, Signal::SIGTERM);
    }
    let id: Vec<String> = scratch.waiting("default");
    // Python's worker runs the job.
    Python::new(&scratch).rq(&["worker", "--burst", "-w", "rq.SimpleWorker"]);
    assert_eq!((id.len(), scratch.status(&id[0]).as_str()), (1, "finished"));
}

#[test]
fn an_interval_goes_on_where_it_was() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", CONFIG);
    let first = spawn(&scratch, &folder, &[]);
    first.wait_for_line(FIRED, LIMIT);
    first.signal(Signal::SIGKILL);
    drop(first);
    let second = spawn(&scratch, &folder, &["-l", "DEBUG"]);
    second.wait_for_line("Sleeping for", LIMIT);
    let said = end(second, Signal::SIGTERM);
    assert!(!said.contains(FIRED), "{said}");
    assert_eq!(scratch.waiting("default").len(), 1);
}

#[test]
fn entries_are_listed_paused_triggered_and_forgotten() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    assert_eq!(ours.run(&["cron", "list"]), "0 entries, 0 schedulers\n");
    let folder = folder("rq.toml", CONFIG);
    let cron = spawn(&scratch, &folder, &[]);
    cron.wait_for_line(FIRED, LIMIT);

    let listed = eventually("the record to tell of the tick", LIMIT, || {
        let listed = list(&scratch);
        listed["schedulers"][0]["name"].is_string().then_some(())?;
        entry(&listed, "often")["next"].is_string().then_some(listed)
    });
    let [often, seldom] = ["often", "seldom"].map(|name| entry(&listed, name).clone());
    assert_eq!((&often["function"], &often["queue"]), (&"math.add".into(), &"default".into()));
    assert_eq!((&often["schedule"], &often["fired"]), (&"every 3600 seconds".into(), &1.into()));
    assert_eq!((&often["every_s"], &often["expression"]), (&3600.0.into(), &Value::Null));
    assert_eq!((&seldom["expression"], &seldom["zone"]), (&"0 0 29 2 *".into(), &"UTC".into()));
    let scheduler = &listed["schedulers"][0];
    assert_eq!((&scheduler["pid"], &scheduler["config_file"]), (&cron.id().into(), &"rq.toml".into()));
    assert_eq!((&seldom["schedule"], &seldom["last"]), (&"at 0 0 29 2 * (UTC)".into(), &Value::Null));
    assert_eq!(seldom["next"], "2028-02-29T00:00:00.000000Z");
    assert_eq!(often["schedulers"][0], listed["schedulers"][0]["name"]);
    let text = ours.run(&["cron", "list"]);
    assert!(text.starts_with("NAME") && text.ends_with("2 entries, 1 schedulers\n"), "{text}");
    let info = ours.run(&["info"]);
    assert!(info.contains("1 cron schedulers: "), "{info}");

    let until = "nothing is enqueued for it until `rq cron resume seldom`.\n";
    assert_eq!(ours.run(&["cron", "pause", "seldom"]), format!("Paused seldom: {until}"));
    assert_eq!(ours.run(&["cron", "pause", "seldom"]), format!("seldom was paused already: {until}"));
    assert_eq!(entry(&list(&scratch), "seldom")["paused"], true);
    // Triggered all the same: that is for people.
    assert!(ours.run(&["cron", "trigger", "seldom"]).ends_with("to queue low\n"));
    let id = scratch.waiting("low").remove(0);
    assert_eq!(scratch.hash(&format!("job:{id}"))["description"], "test.none()");
    let said = ours.run(&["cron", "resume", "seldom", "-w", "rq.Worker"]);
    assert!(said.starts_with("Resumed seldom; it is due next at 2028-02-29 "), "{said}");
    let said = ours.run(&["cron", "resume", "seldom"]);
    assert!(said.starts_with("seldom was not paused; it is due next at "), "{said}");
    ours.drain(&["low", "default"]);
    assert_eq!(scratch.status(&id), "finished");
    assert_eq!(scratch.count("cron_job:seldom:jobs"), 1);

    end(cron, Signal::SIGTERM);
    assert_eq!(entry(&list(&scratch), "often")["schedulers"], Value::Array(Vec::new()));
    assert!(ours.run(&["cron", "forget", "often"]).starts_with("Forgot often."));
    let (code, _, said) = ours.outcome(&["cron", "pause", "often"]);
    assert_eq!(code, Some(1));
    assert!(said.contains("there is no cron entry often") && said.contains("There are: seldom."), "{said}");
}

/// What is named comes first, then what the program has; the log says what is not read.
#[test]
fn a_programs_own_entries_come_before_rq_toml() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", CONFIG);
    let ours = RqTest::app(&scratch, "cron");
    let spawned = |args: &[&str]| {
        let program = Child::spawn(ours.command(args).current_dir(folder.path()));
        program.wait_for_line("registering birth", LIMIT);
        program
    };
    for args in [&["cron"][..], &["worker", "-w", "thread", "--with-cron", "other"]] {
        let said = end(spawned(args), Signal::SIGTERM);
        assert!(said.contains("Loading the cron entries of this program"), "{said}");
        assert!(
            said.contains("rq.toml is not read, as this program has entries of its own: name it"),
            "{said}"
        );
        assert!(said.contains("Successfully registered 1 cron jobs of this program"), "{said}");
    }
    let said = end(spawned(&["cron", "rq.toml"]), Signal::SIGTERM);
    assert!(said.contains("Successfully registered 2 cron jobs from 'rq.toml'"), "{said}");
    let listed = list(&scratch);
    assert_eq!(listed["entries"].as_array().unwrap().len(), 3, "{listed}");
}

/// Options of Python's `rq`, which scripts have.
#[test]
fn a_module_is_found_where_python_is_told_to_look() {
    let scratch = Scratch::new();
    let there = folder("cron_config.py", PYTHON_CONFIG);
    let here = Folder::new("cron");
    let path = there.path().to_str().unwrap();
    let cron = spawn(&scratch, &here, &["-w", "rq.Worker", "cron_config", "-P", path]);
    cron.wait_for_line(FIRED, LIMIT);
    end(cron, Signal::SIGTERM);
    RqTest::new(&scratch).run(&["cron", "list", "-w", "rq.Worker"]);
}

#[test]
fn a_file_without_entries_is_told_of() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", &CONFIG.replace("[[cron]]", "[[crons]]"));
    let cron = spawn(&scratch, &folder, &[]);
    cron.wait_for_line("`crons`, in line 2 is not read: did you mean [[cron]]?", LIMIT);
    cron.wait_for_line("There are no cron entries: nothing will be enqueued", LIMIT);
    cron.wait_for_line("registering birth", LIMIT);
    end(cron, Signal::SIGTERM);
}

#[test]
fn a_worker_says_what_its_cron_lacks() {
    let scratch = Scratch::new();
    let ours = RqTest::new(&scratch);
    for (args, said) in [
        (&["--with-cron", "cron_config.py"][..], "write --with-cron=cron_config.py"),
        (&["--with-cron", "high", "rq.toml"], "write --with-cron=rq.toml"),
        (&["--with-cron="], "no file is named: --with-cron=FILE"),
        (&["--with-cron"], "there is no rq.toml here, and this program has no cron: --with-cron=FILE."),
        (&["--with-cron=rq.toml", "--burst"], "--burst and --with-cron do not go together"),
    ] {
        let (code, _, error) = ours.outcome(&[&["worker"], args].concat());
        assert_eq!(code, Some(2), "{args:?} {error}");
        assert!(error.starts_with("Usage: ") && error.contains(" worker [OPTIONS]"), "{args:?} {error}");
        assert!(error.contains(said), "{args:?} {error}");
    }
}

/// What another schedule has under the same name is not fired beside it.
#[test]
fn a_schedule_that_is_changed_counts_from_now() {
    let scratch = Scratch::new();
    let old = folder("rq.toml", CONFIG);
    let new = folder("rq.toml", &CONFIG.replace("1h", "30m"));
    let first = spawn(&scratch, &old, &[]);
    first.wait_for_line(FIRED, LIMIT);
    let second = spawn(&scratch, &new, &["-l", "DEBUG"]);
    second.wait_for_line("its schedule was another one, and is every 1800 seconds from now on", LIMIT);
    second.wait_for_line("Sleeping for", LIMIT);
    end(second, Signal::SIGTERM);
    end(first, Signal::SIGTERM);
    assert_eq!(scratch.waiting("default").len(), 1);
}
