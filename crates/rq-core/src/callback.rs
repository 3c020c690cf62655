//! [`Callback`]: what to call when a job has ended (docs/wire.md §4.6).

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::fields::{FieldError, Fields};
use crate::job::Timeout;
use crate::keys::check_function_name;
use crate::time::TimeSpan;
use crate::ttl::whole_seconds;

/// How long a callback may take that says nothing about it (docs/wire.md §3.3).
pub const CALLBACK_TIMEOUT_DEFAULT: Duration = Duration::from_secs(60);

/// At which end of a job a callback is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum CallbackKind {
    /// The job has returned a value.
    Success,
    /// An attempt of the job has failed.
    Failure,
    /// The job was stopped by somebody.
    Stopped,
}

impl CallbackKind {
    /// All of them.
    pub const ALL: [CallbackKind; 3] = [CallbackKind::Success, CallbackKind::Failure, CallbackKind::Stopped];

    /// Those that are called where the job ran, in this order: a success callback that fails is a failure.
    pub const WHERE_IT_RAN: [CallbackKind; 2] = [CallbackKind::Success, CallbackKind::Failure];

    /// The word for it: `success`, `failure` or `stopped`.
    pub const fn as_str(self) -> &'static str {
        match self {
            CallbackKind::Success => "success",
            CallbackKind::Failure => "failure",
            CallbackKind::Stopped => "stopped",
        }
    }

    /// Reads the word.
    pub fn parse(word: &str) -> Option<CallbackKind> {
        CallbackKind::ALL.into_iter().find(|kind| kind.as_str() == word)
    }

    /// The method of a [`Call`](crate::Call) that sets one, and our own field of the job hash.
    pub(crate) const fn option(self) -> &'static str {
        match self {
            CallbackKind::Success => "on_success",
            CallbackKind::Failure => "on_failure",
            CallbackKind::Stopped => "on_stopped",
        }
    }

    /// Our own field for its time limit.
    const fn option_timeout(self) -> &'static str {
        match self {
            CallbackKind::Success => "on_success_timeout",
            CallbackKind::Failure => "on_failure_timeout",
            CallbackKind::Stopped => "on_stopped_timeout",
        }
    }

    /// RQ's fields, which Python imports what they name from.
    const fn python_fields(self) -> (&'static str, &'static str) {
        match self {
            CallbackKind::Success => ("success_callback_name", "success_callback_timeout"),
            CallbackKind::Failure => ("failure_callback_name", "failure_callback_timeout"),
            CallbackKind::Stopped => ("stopped_callback_name", "stopped_callback_timeout"),
        }
    }
}

/// What to call when a job has ended: a function of a Rust program marked `#[callback]`, or one that Python imports.
///
/// ```
/// use rq_core::{secs, Call, Callback};
/// let call = Call::<()>::to("reports.monthly")
///     .on_failure(Callback::to("alerts.page").timeout(secs(5)))
///     .on_success(Callback::python("reports.hooks.published"));
/// # let _ = call;
/// ```
///
/// A Rust worker calls whichever of both it has a function for, ours first; a Python worker the one of Python.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Callback {
    /// Its dotted name.
    pub name: String,
    /// How many seconds it may take; `None` where nobody has said, which is 60.
    pub timeout_s: Option<i64>,
    is_python: bool,
}

impl Callback {
    /// The function of a Rust program that `#[callback]` names so. Python's workers never see it: they would try to import
    /// it, and the job would fail.
    pub fn to(name: impl Into<String>) -> Callback {
        Callback { name: name.into(), timeout_s: None, is_python: false }
    }

    /// A function that Python can import. A Rust worker that has a `#[callback]` of this name calls that.
    pub fn python(path: impl Into<String>) -> Callback {
        // RQ always writes it (docs/wire.md §3).
        let timeout_s = i64::try_from(CALLBACK_TIMEOUT_DEFAULT.as_secs()).ok();
        Callback { name: path.into(), timeout_s, is_python: true }
    }

    /// How long it may take, in whole seconds; by default 60 s.
    pub fn timeout(mut self, limit: impl Into<TimeSpan>) -> Callback {
        self.timeout_s = Some(i64::try_from(whole_seconds(limit.into().duration())).unwrap_or(i64::MAX));
        self
    }

    /// Whether Python can import it.
    pub fn is_python(&self) -> bool {
        self.is_python
    }

    /// How long it may take; `None` for a negative number of seconds, no limit. `0` is the default, as in RQ.
    pub fn limit(&self) -> Option<Duration> {
        match self.timeout_s {
            None | Some(0) => Some(CALLBACK_TIMEOUT_DEFAULT),
            Some(seconds) => Timeout::from_wire(seconds).limit(),
        }
    }

    /// Fails where it cannot be written for the option `kind` of a call.
    pub(crate) fn check(&self, kind: CallbackKind) -> Result<(), Error> {
        check_function_name(&self.name)?;
        match self.timeout_s {
            Some(0) => Err(Error::Option {
                option: kind.option(),
                reason: "a callback needs at least a second; leave its timeout out for 60",
            }),
            _ => Ok(()),
        }
    }
}

/// Takes the callback in RQ's fields, as strictly as RQ does.
pub(crate) fn take_python(f: &mut Fields, kind: CallbackKind) -> Result<Option<Callback>, FieldError> {
    let (name, timeout) = kind.python_fields();
    let timeout_s = f.take_present_int(timeout)?;
    Ok(f.take_text(name)?.map(|name| Callback { name, timeout_s, is_python: true }))
}

pub(crate) fn set_python(f: &mut Fields, kind: CallbackKind, callback: Option<&Callback>) {
    let (name, timeout) = kind.python_fields();
    f.set_or_empty(name, callback.map(|callback| callback.name.as_str()));
    f.set_some(timeout, callback.and_then(|callback| callback.timeout_s));
}

/// Takes the callback in our own fields. What is wrong there is no reason to lose a job: a name that cannot be read is
/// none, and a timeout that cannot be read the default.
pub(crate) fn take_own(f: &mut Fields, kind: CallbackKind) -> Option<Callback> {
    let timeout_s = f.take_int(kind.option_timeout()).ok().flatten();
    let name = f.take_text(kind.option()).ok().flatten()?;
    Some(Callback { name, timeout_s, is_python: false })
}

pub(crate) fn set_own(f: &mut Fields, kind: CallbackKind, callback: Option<&Callback>) {
    f.set_some(kind.option(), callback.map(|callback| callback.name.as_str()));
    f.set_some(kind.option_timeout(), callback.and_then(|callback| callback.timeout_s));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secs;

    #[test]
    fn kinds_have_words() {
        for kind in CallbackKind::ALL {
            assert_eq!(CallbackKind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(CallbackKind::parse("finished"), None);
    }

    #[test]
    fn the_limit_is_a_minute_unless_somebody_says_otherwise() {
        let limit = |timeout_s| Callback { timeout_s, ..Callback::to("f") }.limit();
        assert_eq!(Callback::to("f").limit(), Some(secs(60)));
        assert_eq!(Callback::to("f").timeout(secs(5)).limit(), Some(secs(5)));
        assert_eq!((limit(Some(0)), limit(Some(-1))), (Some(secs(60)), None));
    }

    #[test]
    fn what_is_wrong_in_our_own_fields_loses_no_job() {
        let mut fields = Fields::from_iter([
            ("on_failure", &b"alerts.page"[..]),
            ("on_failure_timeout", b"soon"),
            ("on_success", b"\xff"),
            ("on_stopped", b""),
            ("on_stopped_timeout", b"7"),
        ]);
        let taken = CallbackKind::ALL.map(|kind| take_own(&mut fields, kind));
        assert_eq!(taken, [None, Some(Callback::to("alerts.page")), None]);
    }
}
