//! [`Process`]: what a forked child does.

use tracing::error;

use crate::context::Context;
use crate::error::BoxError;

/// What a forked child does: `init` once, `run` again and again, `after_run` at the end.
///
/// It is made in the child, by the closure that [`Kind::new`](crate::Kind::new) was given; so what it needs to know is
/// the closure's to give, and what it opens belongs to the child alone. All methods are called on the child's first
/// thread.
pub trait Process {
    /// Opens what the process needs, before the first run. A child whose `init` fails has not begun: it ends, and its slot
    /// is parked where that goes on.
    fn init(&mut self, context: &Context) -> Result<(), BoxError> {
        let _ = context;
        Ok(())
    }

    /// Does one unit of work, and may wait for it; `Ok(true)` where it counts as a request.
    ///
    /// It is called again behind the [pause](crate::Kind::check_point), until the child is to end. A stop waits for the
    /// run in hand, and so does the soft memory limit. Over its [`timeout`](crate::Kind::timeout) a run is asked to end,
    /// by [`Context::check`] and [`Context::sleep`], and ended with its process if it goes on.
    fn run(&mut self, context: &Context) -> Result<bool, BoxError>;

    /// Closes what was opened, behind the last run; also after SIGTERM, and not when the child is ended by force.
    fn after_run(&mut self, context: &Context) {
        let _ = context;
    }

    /// Is told what a run has failed of, a panic included. By default that is logged. The child goes on, after a pause
    /// that grows with each failure in a row, to 5 s.
    fn on_exception(&mut self, context: &Context, exception: &BoxError) {
        error!("{} failed: {exception}", context.name());
    }
}
