//! [`Received`]: what a worker was handed by whoever has started it, by its environment.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt;

use super::field::Field;
use super::handed::{CONFIG_VARIABLE, FIELDS, LOG_VARIABLE};
use crate::commands::worker;
use crate::refusal::Refusal;

/// What a worker was handed; nothing, by default. It comes before the environment that its jobs see.
#[derive(Clone, Default)]
pub(crate) struct Received(Vec<(&'static str, OsString)>);

impl Received {
    /// All names of such variables.
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        FIELDS.iter().map(|(_, name)| *name).chain([CONFIG_VARIABLE, LOG_VARIABLE])
    }

    /// What there is. An empty variable counts as none, for those who cannot unset one.
    pub(crate) fn from_environment() -> Received {
        let read = |name| env::var_os(name).filter(|value| !value.is_empty()).map(|value| (name, value));
        Received(Received::names().filter_map(read).collect())
    }

    /// The same as variables: for a program that helps this worker, which prepares it once more.
    pub(crate) fn variables(&self) -> Vec<(OsString, OsString)> {
        self.0.iter().map(|(name, value)| (OsString::from(name), value.clone())).collect()
    }

    /// Whether no file of settings is to be read: somebody has done so.
    pub(crate) fn reads_no_file(&self) -> bool {
        self.get(CONFIG_VARIABLE).is_some()
    }

    /// What it says of settings: a field, the variable, its value.
    pub(crate) fn fields(&self) -> Result<Vec<(Field, &'static str, &str)>, Refusal> {
        let mut fields = Vec::new();
        for (field, variable) in FIELDS {
            let Some(value) = self.get(variable) else { continue };
            let value = value.to_str().ok_or_else(|| {
                let message = format!("Invalid value for the variable '{variable}': it is not UTF-8.");
                Refusal::usage(worker::NAME, message)
            })?;
            fields.push((field, variable, value));
        }
        Ok(fields)
    }

    /// The DICT_CONFIG, as JSON.
    pub(crate) fn dict_config(&self) -> Option<&OsStr> {
        self.get(LOG_VARIABLE)
    }

    fn get(&self, variable: &str) -> Option<&OsStr> {
        self.0.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.as_os_str())
    }
}

/// Names alone: values hold secrets.
impl fmt::Debug for Received {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|(name, _)| name)).finish()
    }
}
