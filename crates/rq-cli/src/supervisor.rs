//! [`Supervisor`]: what whoever supervises this process, systemd or `rq manager`, has told it by its environment.

use std::env;
use std::ffi::{OsStr, OsString};

use rq_core::Value;
use rq_worker::{Notices, forget_variables, number};

use crate::commands::worker;
use crate::names;
use crate::refusal::Refusal;
use crate::settings::handed::{self, LOG_VARIABLE};
use crate::settings::received::Received;

/// The worker's name, where its arguments give none.
const NAME_VARIABLE: &str = "RQ_MANAGED_NAME";
/// After how many jobs it stops, where its arguments do not say.
const MAX_REQUESTS_VARIABLE: &str = "RQ_MANAGED_MAX_REQUESTS";

/// Who supervises the worker that this process is; nobody, by default.
#[derive(Clone, Debug, Default)]
pub(crate) struct Supervisor {
    /// What it is told.
    pub(crate) notices: Option<Notices>,
    /// What it has decided.
    pub(crate) received: Received,
    name: Option<OsString>,
    max_requests: Option<OsString>,
}

impl Supervisor {
    /// The one that the environment names.
    pub(crate) fn from_environment() -> Supervisor {
        // An empty variable counts as none, for those who cannot unset one.
        let read = |name| env::var_os(name).filter(|value| !value.is_empty());
        Supervisor {
            notices: Notices::from_environment(),
            name: read(NAME_VARIABLE),
            max_requests: read(MAX_REQUESTS_VARIABLE),
            received: Received::from_environment(),
        }
    }

    /// Takes out of the environment what was read there: it is for this process, and not for its jobs and what they start.
    pub(crate) fn leave_environment() {
        let mut variables = [&Notices::VARIABLES[..], &[NAME_VARIABLE, MAX_REQUESTS_VARIABLE]].concat();
        variables.extend(Received::names());
        if variables.iter().any(|name| env::var_os(name).is_some()) {
            forget_variables(&variables);
        }
    }

    /// The name that it gives the worker.
    pub(crate) fn name(&self) -> Result<Option<String>, Refusal> {
        read(NAME_VARIABLE, self.name.as_deref(), names::worker)
    }

    /// After how many jobs it has the worker stop.
    pub(crate) fn max_requests(&self) -> Result<Option<u64>, Refusal> {
        read(MAX_REQUESTS_VARIABLE, self.max_requests.as_deref(), number::count)
    }

    /// How it has the worker log: RQ's DICT_CONFIG.
    pub(crate) fn dict_config(&self) -> Result<Option<Value>, Refusal> {
        read(LOG_VARIABLE, self.received.dict_config(), handed::dict_config)
    }

    /// Tells it why the worker could not start, unless that has.
    pub(crate) fn tell(&self, refusal: &Refusal) {
        if let (Some(notices), Some(reason)) = (&self.notices, refusal.reason()) {
            notices.fail(reason);
        }
    }
}

fn read<T>(
    name: &str,
    value: Option<&OsStr>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, Refusal> {
    let Some(value) = value else { return Ok(None) };
    let value = value.to_str().ok_or_else(|| "it is not UTF-8".to_owned());
    let parsed = value.and_then(parse);
    parsed.map(Some).map_err(|reason| {
        Refusal::usage(worker::NAME, format!("Invalid value for the variable '{name}': {reason}."))
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    #[test]
    fn what_is_no_name_and_no_count_is_refused() {
        let of = |name: &[u8], max_requests: &str| Supervisor {
            notices: None,
            name: Some(OsString::from_vec(name.to_vec())),
            max_requests: Some(max_requests.into()),
            received: Received::default(),
        };
        let good = of(b"w-1", "1000");
        assert_eq!((good.name(), good.max_requests()), (Ok(Some("w-1".to_owned())), Ok(Some(1000))));
        let nobody = Supervisor::default();
        assert_eq!((nobody.name(), nobody.max_requests()), (Ok(None), Ok(None)));
        for name in [&b"\xff"[..], b"a\nb"] {
            assert!(of(name, "1").name().is_err(), "{name:?}");
        }
        for max_requests in ["0", "-1", "many"] {
            let told = of(b"w", max_requests).max_requests().unwrap_err();
            assert!(told.reason().unwrap().starts_with("Invalid value for the variable 'RQ_MANAGED_MAX"));
        }
    }
}
