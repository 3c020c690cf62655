//! [`SentryOptions`]: what is said of reports to Sentry, beside where they go.

use std::path::PathBuf;

use rq_core::OnCrash;

/// What is said of reports to Sentry, beside where they go.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct SentryOptions {
    /// The authorities that vouch for Sentry, a file in PEM; by default the system's.
    pub ca_certs: Option<PathBuf>,
    /// Whether the log tells of each report, and of what became of it.
    pub debug: bool,
    /// Whether reports have the arguments of jobs, and their descriptions, which quote them.
    pub arguments: bool,
    /// The worker's, for jobs that do not say: what runs again is not reported.
    pub on_crash: OnCrash,
    /// Sentry's environment; by default the variable `SENTRY_ENVIRONMENT`, or else `production`.
    pub environment: Option<String>,
    /// Sentry's release; by default the variable `SENTRY_RELEASE`.
    pub release: Option<String>,
}

/// Why failures cannot be reported to Sentry.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SentryError {
    /// The DSN is none. It is not shown: it holds a key.
    #[error("it is no DSN of Sentry's, such as https://KEY@HOST/PROJECT: {0}")]
    Dsn(#[from] sentry::types::ParseDsnError),
    /// The file with authorities has none, or cannot be read.
    #[error("no authorities can be read from {}: {reason}", path.display())]
    CaCerts {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
}
