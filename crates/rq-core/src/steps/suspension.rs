//! Steps of suspension: all workers, Python's too, take no jobs until somebody lets them go on.

use std::time::Duration;

use crate::keys::Keys;
use crate::link::Step;
use crate::steps::single;
use crate::ttl::whole_seconds;

/// Suspends all workers, Python's too, until somebody [resumes](resume) them or `longest` has passed (`SET`). What runs
/// goes on.
pub fn suspend(keys: &Keys, longest: Option<Duration>) -> Step<()> {
    const NAME: &str = "suspend";
    let mut pipeline = redis::pipe();
    // The value is what `rq suspend` writes; workers look only whether the key is there.
    pipeline.cmd("SET").arg(keys.suspended()).arg(1);
    if let Some(longest) = longest {
        // Redis refuses a time to live of 0.
        pipeline.arg("EX").arg(whole_seconds(longest).max(1));
    }
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Lets suspended workers go on (`DEL`). Whether they were suspended.
pub fn resume(keys: &Keys) -> Step<bool> {
    const NAME: &str = "resume";
    let mut pipeline = redis::pipe();
    pipeline.cmd("DEL").arg(keys.suspended());
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}

/// Whether all workers are suspended.
pub fn is_suspended(keys: &Keys) -> Step<bool> {
    const NAME: &str = "suspension";
    let mut pipeline = redis::pipe();
    pipeline.cmd("EXISTS").arg(keys.suspended());
    Step::new(NAME, pipeline, |answers| single(NAME, answers))
}
