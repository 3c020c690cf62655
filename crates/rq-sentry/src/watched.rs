//! [`Watched`]: what sends tells the log how it goes.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rq_core::{Counted, Shown};
use ureq::http::{Request, Response};
use ureq::middleware::{Middleware, MiddlewareNext};
use ureq::{Body, Error, SendBody};

/// The least time between two warnings: a Sentry that is away must not fill the log.
const WARNINGS_APART: Duration = Duration::from_secs(60);

/// Tells the log what becomes of requests: of one that fails now and then, with `debug` of each.
pub(crate) struct Watched {
    host: String,
    debug: bool,
    failed: Mutex<Failed>,
}

/// The requests that have failed.
#[derive(Default)]
struct Failed {
    warned_at: Option<Instant>,
    /// How many since then.
    untold: u64,
}

impl Watched {
    pub(crate) fn new(host: String, debug: bool) -> Watched {
        Watched { host, debug, failed: Mutex::default() }
    }

    fn warn(&self, reason: &str) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        failed.untold += 1;
        if !self.debug && failed.warned_at.is_some_and(|at| at.elapsed() < WARNINGS_APART) {
            return;
        }
        failed.warned_at = Some(Instant::now());
        let count = Counted(std::mem::take(&mut failed.untold), "failure");
        tracing::warn!(
            "{}",
            Shown::line(format_args!("{count} not reported to Sentry at {}: {reason}", self.host))
        );
    }
}

impl Middleware for Watched {
    fn handle(&self, request: Request<SendBody>, next: MiddlewareNext) -> Result<Response<Body>, Error> {
        let began_at = Instant::now();
        let answer = next.handle(request);
        match &answer {
            Err(error) => self.warn(&error.to_string()),
            Ok(response) if !response.status().is_success() => {
                self.warn(&format!("it answers {}", response.status()));
            }
            Ok(response) if self.debug => {
                let (status, took_ms) = (response.status().as_u16(), began_at.elapsed().as_millis());
                tracing::info!("Sentry at {} answers {status} after {took_ms} ms", Shown::name(&self.host));
            }
            Ok(_) => {}
        }
        answer
    }
}
