//! [`Handed`]: what whoever starts workers hands on to them, by their environment.

use std::ffi::OsString;

use rq_core::{Codec, Value};

use super::Settings;
use super::field::Field;
use super::sources::CONFIG_VARIABLE;
use crate::refusal::Refusal;

/// The DICT_CONFIG of whoever starts a worker, as JSON.
pub(crate) const LOG_VARIABLE: &str = "RQ_MANAGED_DICT_CONFIG";
/// The most bytes of it: what the system takes for one variable, and some less.
const LOG_BYTES_MAX: usize = 100_000;
/// What a worker reads in its environment, too.
const VARIABLES: [(Field, &str); 3] = [
    (Field::SentryDsn, "RQ_SENTRY_DSN"),
    (Field::SentryCaCerts, "RQ_SENTRY_CA_CERTS"),
    (Field::SentryDebug, "RQ_SENTRY_DEBUG"),
];

/// What workers are handed, beside their Redis and their keys. They read no file: what holds is decided once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Handed(Vec<(OsString, OsString)>);

/// Those who start workers and have read no file hand on that none is to be read.
impl Default for Handed {
    fn default() -> Handed {
        Handed(vec![(CONFIG_VARIABLE.into(), OsString::new())])
    }
}

impl Handed {
    /// What these settings come to for a worker that inherits the environment.
    pub(crate) fn new(settings: &Settings) -> Result<Handed, Refusal> {
        let mut handed = Handed::default();
        for (field, variable) in VARIABLES {
            let said = settings.table.first(field).filter(|said| said.origin.is_file());
            handed.0.extend(said.map(|said| (variable.into(), said.text().into())));
        }
        if let Some((value, origin)) = settings.dict_config_of_file() {
            let refuse =
                |reason: String| Refusal::Failed(format!("{origin}: DICT_CONFIG cannot be used: {reason}"));
            // Each worker would say it once more.
            settings.check_log()?;
            let json = Codec::Json.encode_value(value).map_err(|error| refuse(error.to_string()))?;
            if json.len() > LOG_BYTES_MAX {
                return Err(refuse(format!("it is longer than {LOG_BYTES_MAX} bytes")));
            }
            let json = String::from_utf8(json).map_err(|error| refuse(error.to_string()))?;
            handed.0.push((LOG_VARIABLE.into(), json.into()));
        }
        Ok(handed)
    }

    /// The variables.
    pub(crate) fn variables(&self) -> &[(OsString, OsString)] {
        &self.0
    }
}

/// The DICT_CONFIG that a worker was handed.
pub(crate) fn dict_config(json: &str) -> Result<Value, String> {
    Codec::Json.decode_value(json.as_bytes()).map_err(|error| error.to_string())
}
