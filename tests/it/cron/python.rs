//! Beside Python's `rq cron`: each lists the other's schedulers and entries, and is told where both have the same.

use rq_tests::{Child, Python, Scratch, Signal, eventually};

use super::process::{end, folder, spawn};
use crate::rq_test::{Books, LIMIT, RqTest};

/// What Python's classes read of all schedulers, their entries and the history.
const READ: &str = "
import json
from redis import Redis
import os
from rq.cron import CronScheduler, get_cron_job_ids
from rq import cron_job_registry
connection = Redis.from_url(os.environ['RQ_REDIS_URL'])
for scheduler in CronScheduler.all(connection):
    for job in scheduler.get_jobs():
        print(json.dumps([scheduler.config_file, job.name, job.func_name, job.queue_name, list(job.args), job.kwargs,
            job.interval, job.cron, job.next_enqueue_time is not None, job.job_options.get('meta'),
            job.job_options.get('job_timeout'), len(get_cron_job_ids(job.name, connection))]))
print(cron_job_registry.get_names(connection))
";
const CONFIG: &str = r#"
[[cron]]
name = "often"
function = "tasks.add"
args = [1, "é\n\"x\""]
kwargs = { y = 2.5 }
every = "1h"
timeout = "30s"
meta = { m = 1 }

[[cron]]
function = "tasks.greet"
queue = "low"
at = "0 0 29 2 *"
zone = "Europe/Berlin"

[[cron]]
name = "seconds"
function = "tasks.none"
at = "0 0 29 2 * 30"
zone = "UTC"
"#;
const PYTHONS: &str = "\
from rq import cron
from interop import add, echo

cron.register(add, 'default', args=(1, 2), interval=3600, name='often')
cron.register(echo, 'other', args=(1,), cron='0 0 29 2 *')
";

fn python_cron(scratch: &Scratch, folder: &rq_tests::Folder) -> Child {
    let path = folder.path().join("cron_config.py");
    let cron = Python::new(scratch).spawn_rq(&["cron", path.to_str().unwrap()]);
    cron.wait_for_line("Enqueued job add", LIMIT);
    cron
}

#[test]
fn python_lists_ours() {
    let scratch = Scratch::new();
    let folder = folder("rq.toml", CONFIG);
    let cron = spawn(&scratch, &folder, &[]);
    cron.wait_for_line("Enqueued job add", LIMIT);
    let python = Python::new(&scratch);
    let read = eventually("the record to tell of the tick", LIMIT, || {
        let read = python.run(READ);
        (read.contains("[\"rq.toml\", \"often\"") && read.contains("['often']")).then_some(read)
    });
    let lines: Vec<&str> = read.lines().collect();
    let expected = [
        r#"["rq.toml", "often", "tasks.add", "default", [1, "\u00e9\n\"x\""], {"y": 2.5}, 3600, null, true, {"m": 1}, 30, 1]"#,
        r#"["rq.toml", "tasks.greet", "tasks.greet", "low", [], {}, null, "0 0 29 2 *", true, null, null, 0]"#,
        r#"["rq.toml", "seconds", "tasks.none", "default", [], {}, null, "0 0 29 2 * 30", true, null, null, 0]"#,
        "['often']",
    ];
    assert_eq!(lines, expected, "{read}");
    end(cron, Signal::SIGTERM);
    assert_eq!(python.run(READ).trim(), "['often']");
}

#[test]
fn ours_lists_pythons_and_says_that_both_enqueue() {
    let scratch = Scratch::new();
    let pythons = folder("cron_config.py", PYTHONS);
    let mut theirs = python_cron(&scratch, &pythons);
    let listed = RqTest::new(&scratch).run(&["cron", "list"]);
    assert!(listed.contains("every 3600 seconds") && listed.contains("at 0 0 29 2 *"), "{listed}");
    assert!(listed.ends_with("2 entries, 1 schedulers\n"), "{listed}");
    assert!(listed.contains(" (Python)\n"), "{listed}");
    let (code, _, refused) = RqTest::new(&scratch).outcome(&["cron", "pause", "often"]);
    assert_eq!(code, Some(1));
    assert!(
        refused.contains("often is an entry of Python's rq cron (") && refused.contains("knows no pause"),
        "{refused}"
    );

    let ours = spawn(&scratch, &pythons, &["cron_config.py"]);
    ours.wait_for_line("has the same entries, and enqueues them as well: interop.echo, often", LIMIT);
    eventually("both to have enqueued", LIMIT, || (scratch.waiting("default").len() == 2).then_some(()));
    let listed = RqTest::new(&scratch).run(&["cron", "list"]);
    assert!(listed.ends_with("2 entries, 2 schedulers\n"), "{listed}");
    end(ours, Signal::SIGTERM);
    theirs.signal(Signal::SIGTERM);
    theirs.wait(LIMIT);
}
