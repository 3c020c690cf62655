//! [`RqsWorker`]: a worker class of RQ's, and what is used in its place.

use std::time::Duration;

use rq_worker::DequeueStrategy;

/// A worker class of RQ's, and what is used in its place.
#[derive(Debug, PartialEq)]
pub(crate) struct RqsWorker {
    /// Its name in Python.
    pub(crate) class: &'static str,
    /// Whether the package `rq` itself has it, and not its modules alone.
    is_in_package: bool,
    /// The executor that does the same.
    pub(crate) like_it: &'static str,
    /// The order in which it serves queues, which counts before the one that is asked for, as in RQ.
    pub(crate) dequeue: Option<DequeueStrategy>,
    /// When a job ends that a warm stop finds running, where nothing else is said.
    pub(crate) stop_timeout: Option<Duration>,
}

/// The modules of RQ that have worker classes, from 1.16 on, beside the package `rq`.
const RQS_MODULES: [&str; 2] = ["rq.worker", "rq.worker.worker_classes"];
/// RQ's worker classes, of all its releases from 1.16 on. The simple one starts no process for a job.
const RQS_WORKERS: [RqsWorker; 6] = [
    RqsWorker::new("Worker", true, "fork"),
    RqsWorker::new("SimpleWorker", true, "thread"),
    // It starts a fresh Python for each job, for systems where a fork does harm.
    RqsWorker::new("SpawnWorker", true, "fork"),
    RqsWorker {
        dequeue: Some(DequeueStrategy::RoundRobin),
        ..RqsWorker::new("RoundRobinWorker", false, "fork")
    },
    RqsWorker { dequeue: Some(DequeueStrategy::Random), ..RqsWorker::new("RandomWorker", false, "fork") },
    // Its horses ignore SIGTERM, which Heroku sends to all processes of a dyno, 30 s before it kills them. The worker passes
    // it on as SIGRTMIN, and 6 s later the job is ended by an exception.
    RqsWorker { stop_timeout: Some(Duration::from_secs(6)), ..RqsWorker::new("HerokuWorker", false, "fork") },
];

impl RqsWorker {
    const fn new(class: &'static str, is_in_package: bool, like_it: &'static str) -> RqsWorker {
        RqsWorker { class, is_in_package, like_it, dequeue: None, stop_timeout: None }
    }

    /// The class that has this name in Python.
    pub(crate) fn named(word: &str) -> Option<&'static RqsWorker> {
        let (module, class) = word.rsplit_once('.')?;
        let worker = RQS_WORKERS.iter().find(|worker| worker.class == class)?;
        (RQS_MODULES.contains(&module) || (module == "rq" && worker.is_in_package)).then_some(worker)
    }

    /// Says that this executor is used in the place of the class, which was named as `word`.
    pub(crate) fn remark(&self, word: &str, executor: &str) -> String {
        let remark = format!("-w {word} is a Python class; the {executor} executor runs the jobs instead");
        match self.stop_timeout {
            Some(timeout) => {
                let seconds = timeout.as_secs();
                format!(
                    "{remark}, and --stop-timeout {seconds} ends them {seconds} s after SIGTERM, if nothing else is said"
                )
            }
            None => remark,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every class that RQ 3.0.0, 2.12.0 and 1.16.2 have, by all its names.
    #[test]
    fn rqs_classes_by_all_their_names() {
        let check = |module: &str, class: &str, dequeue: Option<DequeueStrategy>, remark: &str| {
            let word = format!("{module}.{class}");
            let rqs = RqsWorker::named(&word).unwrap_or_else(|| panic!("{word}"));
            assert_eq!((rqs.class, rqs.dequeue), (class, dequeue), "{word}");
            let told =
                format!("-w {word} is a Python class; the fork executor runs the jobs instead{remark}");
            assert_eq!(rqs.remark(&word, "fork"), told);
        };
        for module in ["rq", "rq.worker", "rq.worker.worker_classes"] {
            ["Worker", "SimpleWorker", "SpawnWorker"].iter().for_each(|class| check(module, class, None, ""));
        }
        for module in RQS_MODULES {
            check(module, "RoundRobinWorker", Some(DequeueStrategy::RoundRobin), "");
            check(module, "RandomWorker", Some(DequeueStrategy::Random), "");
            let limit = ", and --stop-timeout 6 ends them 6 s after SIGTERM, if nothing else is said";
            check(module, "HerokuWorker", None, limit);
        }
        for word in ["rq.RandomWorker", "rq.worker.BaseWorker", "Worker", "my.Worker", "", "rq."] {
            assert!(RqsWorker::named(word).is_none(), "{word}");
        }
    }
}
