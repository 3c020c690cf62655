//! [`until_answered`]: repeats a step through an outage of Redis.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rq_core::Error;
use rq_core::link::{Link, Step};

use crate::event::{Observers, WorkerEvent};

/// The first pause between two attempts; it doubles.
const PAUSE_MIN: Duration = Duration::from_millis(100);
/// The longest pause between two attempts.
const PAUSE_MAX: Duration = Duration::from_secs(5);
/// How long a step is tried. An operator has noticed the outage by then.
const OUTAGE_LONGEST: Duration = Duration::from_secs(3600);
/// The error codes of a server that will be able to answer soon. `NOSCRIPT` is among them as the next attempt loads the
/// scripts, which a server has forgotten after a restart within a restart.
const PASSING: &[&str] =
    &["LOADING", "BUSY", "READONLY", "MASTERDOWN", "TRYAGAIN", "CLUSTERDOWN", "UNKILLABLE", "NOSCRIPT"];

/// Sends a step until Redis answers it. The step must be safe to send twice, as all of the worker's are.
pub(crate) async fn until_answered<T>(
    link: Link,
    step: Step<T>,
    observers: Arc<Observers>,
) -> Result<T, Error> {
    let (began, mut pause) = (Instant::now(), PAUSE_MIN);
    loop {
        // A broken connection does not say whether the step was done: so it is sent again, and its fence decides.
        let error = match link.run(&step).await {
            Err(error) if is_passing(&error) && began.elapsed() < OUTAGE_LONGEST => error,
            answered => return answered,
        };
        observers.tell(WorkerEvent::Unreachable { error: &error.to_string(), pause });
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}

/// Whether the same step may well succeed a little later.
fn is_passing(error: &Error) -> bool {
    match error {
        Error::Redis(error) => {
            error.is_connection_broken() || error.code().is_some_and(|code| PASSING.contains(&code))
        }
        _ => false,
    }
}
