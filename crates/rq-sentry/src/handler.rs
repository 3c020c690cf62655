//! [`SentryHandler`]: reports failures of jobs to Sentry.

use std::fmt;
use std::ops::ControlFlow;
use std::sync::OnceLock;
use std::thread;
use std::time::Duration;

use rq_core::{Conclusion, ExceptionHandler, Failure, Job, OnCrash, Timestamp, Ttl};
use sentry::types::{Dsn, Scheme};

use crate::event;
use crate::options::{SentryError, SentryOptions};
use crate::outlet::{Authorities, Outlet};

/// Reports failures of jobs to Sentry: those after which the job does not run again, as Sentry's integration for Python's
/// RQ does.
///
/// Its client is its own: the one that a program has made with `sentry::init` is neither used nor disturbed. It is made for
/// the first failure, with a thread that sends, since whoever forks must have one thread.
pub struct SentryHandler {
    dsn: Dsn,
    options: SentryOptions,
    authorities: Authorities,
    outlet: OnceLock<Outlet>,
}

impl SentryHandler {
    /// One that reports to the project of this DSN.
    ///
    /// # Errors
    /// If it is no DSN, or a file with authorities has none.
    pub fn new(dsn: &str, options: SentryOptions) -> Result<SentryHandler, SentryError> {
        let dsn = dsn.trim().parse()?;
        // Now, while somebody can be told; the system's are read when they are needed.
        let authorities = match &options.ca_certs {
            Some(path) => Authorities::of_file(path)?,
            None => Authorities::OfSystem,
        };
        // Nothing of Sentry's client is touched before the first failure, not even what looks harmless: it draws random
        // numbers, and processes that are forked behind that would all draw the same ones.
        Ok(SentryHandler { dsn, options, authorities, outlet: OnceLock::new() })
    }

    /// The host that failures are reported to, with its port where that is not the usual one. No key is in it.
    pub fn host(&self) -> String {
        host(&self.dsn)
    }

    fn outlet(&self) -> &Outlet {
        self.outlet.get_or_init(|| Outlet::open(&self.dsn, &self.options, &self.authorities))
    }
}

impl ExceptionHandler for SentryHandler {
    fn handle(&self, job: &Job, failure: &Failure) -> ControlFlow<()> {
        if !runs_again(job, failure, self.options.on_crash) {
            self.outlet().send(event::of(job, failure, self.options.arguments), &job.id);
        }
        ControlFlow::Continue(())
    }

    fn flush(&self, limit: Duration) -> bool {
        self.outlet.get().is_none_or(|outlet| outlet.flush(limit))
    }
}

impl Drop for SentryHandler {
    fn drop(&mut self) {
        if let Some(outlet) = self.outlet.take() {
            // It joins its thread, which may wait for an answer of Sentry's; nobody else should.
            let _ = thread::Builder::new().name("rq-sentry-end".to_owned()).spawn(move || drop(outlet));
        }
    }
}

impl fmt::Debug for SentryHandler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the DSN, which holds a key.
        f.debug_struct("SentryHandler")
            .field("host", &self.host())
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// The host of a DSN, with its port where that is not the usual one.
pub(crate) fn host(dsn: &Dsn) -> String {
    let usual = match dsn.scheme() {
        Scheme::Http => 80,
        Scheme::Https => 443,
    };
    if dsn.port() == usual { dsn.host().to_owned() } else { format!("{}:{}", dsn.host(), dsn.port()) }
}

/// Whether the job runs again after this failure, by the rules that its worker has for it.
fn runs_again(job: &Job, failure: &Failure, on_crash: OnCrash) -> bool {
    let (now, text) = (Timestamp::now(), String::new());
    let conclusion = match failure {
        Failure::ShutDown => Conclusion::of_shut_down(job, text, now, on_crash),
        Failure::Abandoned { .. } => Conclusion::of_crash(job, text, now, on_crash),
        failure if failure.is_crash() => Conclusion::of_crash(job, text, now, on_crash),
        failure => Conclusion::of(job, Err(failure), now, Ttl::RESULT_DEFAULT),
    };
    conclusion.next.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_failure_is_reported() {
        let check = |retries_left, on_crash, failure: &Failure, expected| {
            let mut job = Job::new("j", "q", Vec::new());
            job.retries_left = retries_left;
            assert_eq!(runs_again(&job, failure, on_crash), expected, "{retries_left:?} {failure:?}");
        };
        let error = Failure::Executor("boom".to_owned());
        let crash = Failure::Exited { code: 3 };
        let abandoned = Failure::Abandoned { worker: "w".to_owned() };
        check(None, OnCrash::Fail, &error, false);
        check(Some(0), OnCrash::Requeue, &error, false);
        check(Some(1), OnCrash::Fail, &error, true);
        for failure in [&crash, &abandoned, &Failure::ShutDown] {
            check(None, OnCrash::Fail, failure, false);
            check(None, OnCrash::Requeue, failure, true);
            check(Some(1), OnCrash::Fail, failure, true);
        }
    }

    #[test]
    fn a_dsn_names_a_host_and_is_shown_without_its_key() {
        let made = |dsn: &str| SentryHandler::new(dsn, SentryOptions::default());
        for (dsn, host) in [
            ("https://hush@o1.ingest.sentry.io/2", "o1.ingest.sentry.io"),
            (" http://hush:secret@127.0.0.1:9000/a/b/2\n", "127.0.0.1:9000"),
        ] {
            let handler = made(dsn).unwrap();
            assert_eq!(handler.host(), host);
            assert!(!format!("{handler:?}").contains("hush"));
        }
        for dsn in ["", "hush", "https://sentry.io/2", "https://hush@sentry.io/", "ftp://hush@sentry.io/2"] {
            let error = made(dsn).unwrap_err().to_string();
            assert!(error.contains("no DSN") && !error.contains("hush"), "{dsn}: {error}");
        }
    }

    #[test]
    fn a_file_without_authorities_is_refused() {
        let made = |path: &str| {
            let options = SentryOptions { ca_certs: Some(path.into()), ..SentryOptions::default() };
            SentryHandler::new("https://k@h/1", options).map(drop).map_err(|error| error.to_string())
        };
        assert!(made("/no/such/file").unwrap_err().contains("/no/such/file"));
        assert!(made("/dev/null").unwrap_err().contains("it has none"));
    }
}
