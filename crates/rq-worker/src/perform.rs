//! [`run_until_interrupted`]: running an async handler that may not heed its interruption.

use std::time::Duration;

use rq_core::{Context, Failure, Interrupt, Prepared};

/// Runs an async handler. One that does not heed its interruption within a part of `return_grace`, after which the
/// executor would give it up, is dropped.
pub async fn run_until_interrupted(
    prepared: Prepared,
    context: &Context,
    interrupt: &Interrupt,
    return_grace: Duration,
) -> Result<Option<Vec<u8>>, Failure> {
    /// For as long as it takes: the limit, or a stop, ends it.
    const FOREVER: Duration = Duration::MAX;
    /// Which part of the grace it has.
    const PART: u32 = 5;
    let ignored = async {
        loop {
            if let Err(interrupted) = interrupt.sleep_async(FOREVER).await {
                tokio::time::sleep(return_grace / PART).await;
                return interrupted;
            }
        }
    };
    tokio::select! {
        biased;
        outcome = prepared.run_async(context) => outcome,
        interrupted = ignored => Err(Failure::interrupted(interrupted)),
    }
}
