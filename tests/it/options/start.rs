//! [`Start`]: what Redis and the working directory hold before a program runs.

use std::fs;
use std::path::Path;

use rq_core::blocking::Queue;
use rq_core::{Call, Timestamp};
use rq_tests::{Scratch, jobs};

use crate::rq_test::Books;

/// What is there before a program runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// Nothing.
    Empty,
    /// `one` and `two` wait in `default`, `three` in `high`.
    Jobs,
    /// `bad` and `worse` have failed in `default`.
    Failed,
    /// `bad` waits in `default`, and will fail.
    Failing,
    /// All workers are suspended, and a job waits.
    Suspended,
    /// `due` is scheduled for a time that has passed, and `later` for one that has not come.
    Scheduled,
    /// The jobs, and a worker `w` that serves `high` and `default`.
    Worker,
}

/// In the past, and in a far future.
const PASSED_S: f64 = 1_700_000_000.0;
const FAR_S: f64 = 4_000_000_000.0;
/// How long a worker's record lives.
const WORKER_TTL_S: &str = "480";

/// What the working directory holds.
const FILES: &[(&str, &str)] = &[
    ("settings.py", "REDIS_URL = '{url}'\n"),
    ("queues.py", "REDIS_URL = '{url}'\nQUEUES = ['high', 'low']\nNAME = 'from-settings'\n"),
    ("elsewhere.py", "REDIS_URL = 'redis://127.0.0.1:1/'\n"),
    ("computed.py", "import os\nREDIS_URL = os.environ.get('NOBODY_SETS_THIS', '{url}')\n"),
    ("broken.py", "REDIS_URL = \n"),
    (
        "handlers.py",
        "def quiet(job, *exc_info):\n    return True\n\n\ndef final(job, *exc_info):\n    return False\n",
    ),
    ("app/handlers.py", "def page(job, *exc_info):\n    return True\n"),
    ("rows.json", "[1, 2]\n"),
    ("letter.txt", "Dear all\n"),
    ("more/extra.py", "def extra():\n    return 1\n"),
    (
        "crons.py",
        "from rq import cron\nimport interop\n\ncron.register(interop.add, 'default', (1, 2), interval=3600)\n",
    ),
];

impl Start {
    /// Puts it there, and keeps there what lives as long as what is returned.
    pub(super) fn prepare(self, scratch: &Scratch, folder: &Path) -> Option<redis::Connection> {
        fill(folder, scratch.url());
        match self {
            Start::Empty => {}
            Start::Jobs => jobs(scratch),
            Start::Failed => ["bad", "worse"].iter().for_each(|id| failed(scratch, id)),
            Start::Failing => enqueue(&scratch.queue("default"), fail("bad")),
            Start::Suspended => {
                enqueue(&scratch.queue("default"), add("one", 1));
                scratch.query::<()>("SET", [scratch.key("suspended"), "1".into()]);
            }
            Start::Scheduled => {
                for (id, at_s) in [("due", PASSED_S), ("later", FAR_S)] {
                    let at = Timestamp::from_epoch_seconds(at_s);
                    drop(scratch.queue("default").enqueue_at(at, add(id, 1)).unwrap());
                }
            }
            Start::Worker => {
                jobs(scratch);
                return Some(worker(scratch));
            }
        }
        None
    }
}

fn fill(folder: &Path, url: &str) {
    ["more", "app"].iter().for_each(|name| fs::create_dir(folder.join(name)).unwrap());
    for (name, text) in FILES {
        fs::write(folder.join(name), text.replace("{url}", url)).unwrap();
    }
}

/// Whether a file is there before.
pub(super) fn is_given(name: &str) -> bool {
    FILES.iter().any(|(given, _)| *given == name)
}

fn jobs(scratch: &Scratch) {
    ["one", "two"].iter().for_each(|id| enqueue(&scratch.queue("default"), add(id, 1)));
    enqueue(&scratch.queue("high"), add("three", 3));
}

fn add(id: &str, x: i64) -> Call<()> {
    Call::to("interop.add").arg(x).arg(2).job_id(id)
}

fn fail(id: &str) -> Call<()> {
    Call::to("interop.fail").arg("oh no").job_id(id)
}

fn enqueue(queue: &Queue, call: Call<()>) {
    drop(queue.enqueue(call).unwrap());
}

fn failed(scratch: &Scratch, id: &str) {
    enqueue(&scratch.queue("default").inline(jobs::handlers()), fail(id));
}

/// Its record, and the connection over which it listens for commands.
fn worker(scratch: &Scratch) -> redis::Connection {
    let key = scratch.key("worker:w");
    let now = Timestamp::now().to_string();
    for set in ["workers", "workers:high", "workers:default"] {
        scratch.query::<()>("SADD", [scratch.key(set), key.clone()]);
    }
    let fields = [
        ("birth", now.as_str()),
        ("last_heartbeat", &now),
        ("queues", "high,default"),
        ("pid", "4711"),
        ("hostname", "myhost"),
        ("ip_address", "10.0.0.1:50884"),
        ("version", "3.0.0"),
        ("python_version", "3.11"),
        ("state", "idle"),
        ("successful_job_count", "3"),
        ("failed_job_count", "1"),
    ];
    let words = fields.iter().flat_map(|(name, value)| [(*name).to_owned(), (*value).to_owned()]);
    scratch.query::<()>("HSET", std::iter::once(key.clone()).chain(words));
    scratch.query::<()>("EXPIRE", [key, WORKER_TTL_S.into()]);
    let mut listening = scratch.connection();
    redis::cmd("SUBSCRIBE").arg(scratch.key("pubsub:w")).exec(&mut listening).unwrap();
    listening
}
