//! [`Request`]: what a worker may be asked from outside, by a stream that its caller brings.

use futures_util::stream::{BoxStream, Fuse, Stream, StreamExt};

/// What a worker may be asked from outside.
///
/// Signals are one source of requests ([`signals`](crate::signals())), commands over Redis another (docs/wire.md §15),
/// a program's own shutdown a third ([`PreparedWorker::run_until`](crate::PreparedWorker::run_until)).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// To stop: warm the first time it is asked, cold the second time, as by SIGINT or SIGTERM.
    Stop,
    /// To stop warm, and no colder than that however often it is asked: to take no more jobs, and leave when those that
    /// run have ended. RQ's command `shutdown`.
    StopWarm,
    /// To stop cold: to end what runs, and leave within seconds.
    StopCold,
    /// To report its state to its observers.
    Tell,
    /// To kill the processes that run its jobs, as if they had crashed: RQ's `kill-horse`.
    KillHorses,
    /// To stop the runs of a job.
    StopJob {
        /// The job.
        job_id: String,
    },
    /// To stop one run of a job.
    StopExecution {
        /// The job.
        job_id: String,
        /// The part of the run's name behind the job's id.
        execution_id: String,
    },
}

/// What a worker's caller asks of it. Asks nothing more when it has ended.
pub(crate) type Requests = Fuse<BoxStream<'static, Request>>;

/// Waits until a stop is asked for, of a worker that has not begun; whatever else is asked has no meaning yet.
pub(crate) async fn asked_to_stop(requests: &mut Requests) {
    while let Some(request) = requests.next().await {
        if matches!(request, Request::Stop | Request::StopWarm | Request::StopCold) {
            return;
        }
    }
    std::future::pending().await
}

/// The requests that come over a stream.
pub(crate) fn requests(stream: impl Stream<Item = Request> + Send + 'static) -> Requests {
    stream.boxed().fuse()
}
