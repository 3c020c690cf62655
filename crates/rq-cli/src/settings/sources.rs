//! The one place that reads the environment and files for [`Settings`].

use std::path::{Path, PathBuf};

use rq_core::Shown;

use super::Settings;
use super::field::Field;
use super::file::SettingsFile;
use super::table::Table;
use crate::module_file::located;
use crate::refusal::Refusal;

/// Names the file where no option does; an empty one has none read.
pub(crate) const CONFIG_VARIABLE: &str = "RQ_CONFIG";
/// The file that is read where none is named.
const FILE_DEFAULT: &str = "rq.toml";

/// What a command's options say of settings: a field, the option, its value.
pub(crate) type Options<'a> = [(Field, &'static str, &'a str)];

/// Whether a file is named, so that somebody has to look for it.
pub(crate) fn is_file_named(config: Option<&str>) -> bool {
    named(config).is_some_and(|named| !named.is_empty())
}

/// What holds for a command with these options; a file that is named is looked for in these folders, then here.
pub(crate) fn read(
    options: &Options<'_>,
    config: Option<&str>,
    folders: &[String],
) -> Result<Settings, Refusal> {
    let named = named(config);
    let path = match named.as_deref() {
        Some("") => None,
        Some(named) => Some(located(named, folders).map_err(with_way_on)?),
        None => Some(PathBuf::from(FILE_DEFAULT)).filter(|path| path.is_file()),
    };
    let file = path.map(|path| SettingsFile::read(&path, &variable)).transpose();
    let file = if named.is_some() { file? } else { file.map_err(unasked)? };
    if let (Some(file), Some(_)) = (&file, &named)
        && !file.has_settings
    {
        return Err(Refusal::Failed(format!(
            "there are no settings in {}: a file in TOML has them in its table [settings], one in Python as names in \
             capitals, such as REDIS_URL = 'redis://..'",
            Shown::name(file.path.display())
        )));
    }
    Ok(of(options, file))
}

/// What holds with these options and the file in TOML at `path`, which has this text.
pub(crate) fn of_text(options: &Options<'_>, path: &Path, text: &str) -> Result<Settings, Refusal> {
    Ok(of(options, Some(SettingsFile::of_toml(path, text)?)))
}

fn of(options: &Options<'_>, file: Option<SettingsFile>) -> Settings {
    let table = Table::new(options, &variable, file.as_ref());
    Settings { table, file: file.map(|file| file.path) }
}

/// Nobody has asked for the file that was read.
fn unasked(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Failed(reason) => {
            let reason = reason.trim_end_matches('.');
            let end = if reason.ends_with('?') { "" } else { "." };
            Refusal::Failed(format!(
                "{reason}{end} {FILE_DEFAULT} is read where it lies; `--config ''` leaves it out."
            ))
        }
        other => other,
    }
}

/// What `--config` takes, behind what it does not find.
fn with_way_on(refusal: Refusal) -> Refusal {
    match refusal {
        Refusal::Failed(reason) => Refusal::Failed(format!("{reason}. {}", super::file::WAY_ON)),
        other => other,
    }
}

fn named(config: Option<&str>) -> Option<String> {
    config.map(str::to_owned).or_else(|| variable(CONFIG_VARIABLE))
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
