//! [`Handed`]: what whoever starts workers hands on to them, by their environment (docs/settings.md).
//!
//! Its variables are between the two of them: a worker reads them once and takes them out of its environment
//! ([`Received`](super::received::Received)), so that its jobs see the environment that the starter had.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use rq_core::{Codec, Value};

use super::Settings;
use super::field::Field;
use super::origin::Origin;
use crate::log::Plan;
use crate::refusal::Refusal;

/// That no file is to be read, and no settings but these.
pub(super) const CONFIG_VARIABLE: &str = "RQ_MANAGED_CONFIG";
const NO_FILE: &str = "none";
/// The Redis. A worker's arguments are for everybody to see.
pub(crate) const URL_VARIABLE: &str = "RQ_MANAGED_REDIS_URL";
/// What the names of the keys begin with.
pub(crate) const PREFIX_VARIABLE: &str = "RQ_MANAGED_KEY_PREFIX";
/// Where failures are reported: it holds a key.
pub(crate) const DSN_VARIABLE: &str = "RQ_MANAGED_SENTRY_DSN";
/// The DICT_CONFIG of whoever starts a worker, as JSON.
pub(crate) const LOG_VARIABLE: &str = "RQ_MANAGED_DICT_CONFIG";
/// What all names of such variables begin with.
pub(crate) const MARK: &str = "RQ_MANAGED_";
/// The fields that are handed on as they are.
pub(super) const FIELDS: [(Field, &str); 5] = [
    (Field::RedisUrl, URL_VARIABLE),
    (Field::KeyPrefix, PREFIX_VARIABLE),
    (Field::SentryDsn, DSN_VARIABLE),
    (Field::SentryCaCerts, "RQ_MANAGED_SENTRY_CA_CERTS"),
    (Field::SentryDebug, "RQ_MANAGED_SENTRY_DEBUG"),
];
/// The most bytes of a value: what the system takes for one text, and some less.
const VALUE_BYTES_MAX: usize = 100_000;

/// What workers are handed, beside their Redis and their keys. They read no file: what holds is decided once.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Handed {
    variables: Vec<(OsString, OsString)>,
    /// What their log is to be, where a DICT_CONFIG says it.
    log: Option<Plan>,
}

/// Those who start workers and have read no file hand on that none is to be read.
impl Default for Handed {
    fn default() -> Handed {
        Handed { variables: vec![(CONFIG_VARIABLE.into(), NO_FILE.into())], log: None }
    }
}

impl Handed {
    /// What these settings come to for a worker that inherits the environment. Files of their log are opened once, to see
    /// that they can be.
    pub(crate) fn new(settings: &Settings) -> Result<Handed, Refusal> {
        let mut handed = Handed::default();
        check_redis(settings)?;
        for (field, variable) in FIELDS {
            let Some(said) = settings.table.first(field) else { continue };
            check(field.name(), said.text().as_ref(), &said.origin)?;
            // Which Redis and which keys is said for each worker.
            if said.origin.is_file() && ![Field::RedisUrl, Field::KeyPrefix].contains(&field) {
                handed.variables.push((variable.into(), said.text().into()));
            }
        }
        // Each worker would say once more what is wrong with it.
        handed.log = settings.log_plan_of_file()?;
        if let (Some(plan), Some((value, origin))) = (&handed.log, settings.dict_config_of_file()) {
            let refuse =
                |reason: String| Refusal::Failed(format!("{origin}: DICT_CONFIG cannot be used: {reason}"));
            plan.check_files().map_err(refuse)?;
            let json = Codec::Json.encode_value(value).map_err(|error| refuse(error.to_string()))?;
            let json = String::from_utf8(json).map_err(|error| refuse(error.to_string()))?;
            transferable(json.as_ref()).map_err(refuse)?;
            handed.variables.push((LOG_VARIABLE.into(), json.into()));
        }
        Ok(handed)
    }

    /// Empties the files that a worker would begin with: all of them write to one, and append.
    pub(crate) fn empty_files(&self) {
        self.log.iter().for_each(Plan::empty_files);
    }

    /// The variables.
    pub(crate) fn variables(&self) -> &[(OsString, OsString)] {
        &self.variables
    }

    /// What is left of it for a worker whose environment has these as well: they come before the file's.
    pub(crate) fn beside(&self, environment: &[(OsString, OsString)]) -> Handed {
        let is_said = |variable: &OsStr| {
            let field = FIELDS.iter().find(|(_, name)| *name == variable).map(|(field, _)| *field);
            let names = field.map_or(&[][..], Field::variables);
            environment.iter().any(|(name, _)| names.iter().any(|known| name == known))
        };
        let mut handed = self.clone();
        handed.variables.retain(|(name, _)| !is_said(name));
        handed
    }
}

/// That a text can be an argument, or in the environment, of a program.
pub(crate) fn transferable(value: &OsStr) -> Result<(), String> {
    match value.as_bytes() {
        bytes if bytes.contains(&0) => Err("there is a NUL in it".to_owned()),
        bytes if bytes.len() > VALUE_BYTES_MAX => {
            Err(format!("it is longer than {VALUE_BYTES_MAX} bytes, which no program can be handed"))
        }
        _ => Ok(()),
    }
}

fn check(name: &str, value: &OsStr, origin: &Origin) -> Result<(), Refusal> {
    transferable(value)
        .map_err(|reason| Refusal::Failed(format!("{origin}: {name} cannot be used: {reason}.")))
}

/// The URL may be made of pieces, which come to more than each of them.
fn check_redis(settings: &Settings) -> Result<(), Refusal> {
    // What else is wrong with it is told by those who need it.
    let Ok(redis) = settings.redis() else { return Ok(()) };
    let said = redis.fields.iter().filter_map(|field| Some((field, settings.table.first(*field)?)));
    for (field, said) in said.clone() {
        check(field.name(), said.text().as_ref(), &said.origin)?;
    }
    match said.clone().next() {
        Some((field, said)) => check(field.name(), redis.url.as_ref(), &said.origin),
        None => Ok(()),
    }
}

/// The DICT_CONFIG that a worker was handed.
pub(crate) fn dict_config(json: &str) -> Result<Value, String> {
    Codec::Json.decode_value(json.as_bytes()).map_err(|error| error.to_string())
}
