//! [`Scenario`]: what a worker is watched doing.

use rq_core::{Call, OnCrash, Retry, Timestamp, secs};
use rq_tests::{Acknowledged, HookServer, Journal, Scratch, jobs};

use super::posts;
use crate::rq_test::Books;

/// What a worker is watched doing: one entry of the table below.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    /// The queues that workers serve.
    pub(crate) queues: &'static [&'static str],
    /// What workers are told beside that.
    pub(crate) options: &'static [&'static str],
    /// Whether ends of its jobs call for webhooks and callbacks, as `posts.rs` says.
    pub(crate) posts: bool,
    /// Enqueues jobs, and says how they must end.
    pub(crate) enqueue: fn(&Producer) -> Vec<Acknowledged>,
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    Scenario {
        name: "one-queue",
        queues: &["default"],
        options: &[],
        posts: false,
        enqueue: |producer| vec![producer.enqueue("default", "a", |call| call)],
    },
    Scenario {
        name: "two-queues",
        queues: &["high", "low"],
        options: &[],
        posts: false,
        enqueue: |producer| {
            vec![producer.enqueue("low", "a", |call| call), producer.enqueue("high", "b", |call| call)]
        },
    },
    Scenario {
        name: "batch",
        queues: &["default"],
        options: &["--concurrency", "2"],
        posts: false,
        enqueue: |producer| ["a", "b", "c"].map(|id| producer.enqueue("default", id, |call| call)).into(),
    },
    Scenario {
        name: "result-ttl-0",
        queues: &["default"],
        options: &[],
        posts: false,
        enqueue: |producer| {
            producer.enqueue("default", "a", |call| call.result_ttl(secs(0)));
            vec![Acknowledged::leaves_nothing("a")]
        },
    },
    Scenario {
        name: "failure",
        queues: &["default"],
        options: &[],
        posts: false,
        enqueue: |producer| {
            producer.enqueue_flaky("default", "a", usize::MAX, |call| call);
            vec![Acknowledged::fails("a")]
        },
    },
    Scenario {
        name: "retry",
        queues: &["default"],
        options: &[],
        posts: false,
        enqueue: |producer| {
            producer.enqueue_flaky("default", "a", 1, |call| call.retry(Retry::up_to(3)));
            vec![Acknowledged::finishes("a").after_runs(2).with_spare_retries(2)]
        },
    },
    Scenario {
        name: "delayed-retry",
        queues: &["default"],
        options: &["--with-scheduler"],
        posts: false,
        enqueue: |producer| {
            let retry = |call: Call<usize>| call.retry(Retry::up_to(3).every(secs(1)));
            producer.enqueue_flaky("default", "a", 1, retry);
            vec![Acknowledged::finishes("a").after_runs(2).with_spare_retries(2)]
        },
    },
    Scenario {
        name: "scheduled",
        queues: &["default"],
        options: &["--with-scheduler"],
        posts: false,
        enqueue: |producer| vec![producer.schedule("default", "a")],
    },
    Scenario {
        name: "rate-limit",
        queues: &["default"],
        options: &["--concurrency", "2"],
        posts: false,
        enqueue: |producer| {
            ["a", "b"].map(|id| producer.enqueue("default", id, |call| call.rate_limit("k", 1))).into()
        },
    },
    Scenario {
        name: "two-lives",
        queues: &["default"],
        options: &[],
        posts: false,
        enqueue: |producer| {
            let scratch = producer.scratch;
            let path = producer.journal.path().to_string();
            let call = jobs::poll::call(scratch.url().to_string(), scratch.prefix().to_string(), path);
            producer.send("default", "a", call);
            vec![Acknowledged::finishes("a").with_lives(2)]
        },
    },
    Scenario {
        name: "dependent",
        queues: &["default"],
        options: &[],
        posts: false,
        enqueue: |producer| {
            let parent = producer.enqueue("default", "a", |call| call);
            let dependent = producer.enqueue("default", "b", |call| call.depends_on("a"));
            vec![parent, dependent.after_job("a")]
        },
    },
    Scenario {
        name: "group",
        queues: &["default"],
        options: &["--concurrency", "2"],
        posts: false,
        enqueue: group,
    },
    Scenario {
        name: "posts",
        queues: &["default"],
        options: &posts::ALLOW,
        posts: true,
        enqueue: posts::enqueue,
    },
    Scenario {
        name: "posts-of-the-dead",
        queues: &["default"],
        options: &posts::ALLOW,
        posts: true,
        enqueue: posts::enqueue_and_die,
    },
];

/// Two members, of which one fails, and a job that waits for the end of both.
fn group(producer: &Producer<'_>) -> Vec<Acknowledged> {
    let group = producer.scratch.queue("default").group("g").unwrap();
    let path = || producer.journal.path().to_string();
    let ready = |call: Call<()>, id: &str| call.job_id(id).on_crash(producer.on_crash);
    let noted = |id: &str| ready(jobs::interop_journal::call(path(), id.to_string(), 0), id);
    group.enqueue(noted("a")).unwrap();
    let fails = jobs::flaky::call(path(), "b".to_string(), usize::MAX).job_id("b");
    group.enqueue(fails.on_crash(producer.on_crash)).unwrap();
    group.on_complete(noted("z")).unwrap();
    vec![
        Acknowledged::finishes("a"),
        Acknowledged::fails("b"),
        Acknowledged::finishes("z").after_all(&["a", "b"]),
    ]
}

/// The producer of a case.
pub(crate) struct Producer<'a> {
    pub(crate) scratch: &'a Scratch,
    pub(crate) journal: &'a Journal,
    pub(crate) on_crash: OnCrash,
    /// Who receives webhooks.
    pub(crate) server: &'a HookServer,
}

impl Producer<'_> {
    /// Enqueues a job that writes into the journal.
    pub(crate) fn enqueue(&self, queue: &str, id: &str, option: fn(Call<()>) -> Call<()>) -> Acknowledged {
        let call = jobs::interop_journal::call(self.journal.path().to_string(), id.to_string(), 0);
        self.send(queue, id, option(call));
        Acknowledged::finishes(id)
    }

    /// Enqueues one that is due at once, once a scheduler looks.
    fn schedule(&self, queue: &str, id: &str) -> Acknowledged {
        let call = jobs::interop_journal::call(self.journal.path().to_string(), id.to_string(), 0);
        let call = call.job_id(id).on_crash(self.on_crash);
        self.scratch.queue(queue).enqueue_at(Timestamp::now(), call).unwrap();
        Acknowledged::finishes(id)
    }

    /// Enqueues one that fails in its first `fails` runs.
    fn enqueue_flaky(&self, queue: &str, id: &str, fails: usize, option: fn(Call<usize>) -> Call<usize>) {
        let call = jobs::flaky::call(self.journal.path().to_string(), id.to_string(), fails);
        self.send(queue, id, option(call));
    }

    pub(crate) fn send<T>(&self, queue: &str, id: &str, call: Call<T>) {
        self.scratch.queue(queue).enqueue(call.job_id(id).on_crash(self.on_crash)).unwrap();
    }
}
