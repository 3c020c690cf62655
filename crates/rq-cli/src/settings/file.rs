//! [`SettingsFile`]: a file of settings, in Python or in TOML, read and checked.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use rq_core::Shown;

use super::content::Content;
use super::field::Field;
use super::origin::{Origin, is_toml};
use super::stub::{Fault, Setting, settings_of_python, settings_of_toml};
use super::table::Said;
use crate::manager::document::nearest;
use crate::refusal::Refusal;

/// The most bytes of a file: as of one that a cron, or a Manager's workers, are in.
const FILE_BYTES_MAX: u64 = 1 << 20;

/// A file of settings.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    pub(crate) path: PathBuf,
    pub(super) said: Vec<(Field, Said)>,
}

impl SettingsFile {
    /// Reads one. What in it asks for a variable of the environment gets that.
    pub(super) fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        Self::parse(path, &text_of(path)?, environment)
    }

    /// The one at `path`, which has this text.
    pub(crate) fn parse(
        path: &Path,
        text: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Refusal> {
        let settings = match is_toml(path) {
            true => settings_of_toml(text),
            false => settings_of_python(text, environment),
        };
        let fault = |Fault { line, reason }: Fault| {
            let path = Shown::name(path.display());
            Refusal::Failed(format!("{path}, line {line}: {reason}"))
        };
        let mut said: Vec<(Field, Said)> = Vec::new();
        for setting in settings.map_err(fault)? {
            let Some(field) = field_of(&setting, is_toml(path)).map_err(fault)? else { continue };
            // As in Python, the last one counts.
            said.retain(|(known, _)| *known != field);
            let content = Content::checked(field, &setting.value).map_err(|reason| {
                fault(Fault {
                    line: setting.line,
                    reason: format!("{} cannot be used: {reason}", setting.name),
                })
            })?;
            let origin = Origin::File { path: path.to_owned(), line: setting.line };
            said.extend(content.map(|content| (field, Said { content, origin })));
        }
        Ok(SettingsFile { path: path.to_owned(), said })
    }
}

/// What is set. Other names in capitals are the program's own in Python; in TOML they are slips.
fn field_of(setting: &Setting, is_toml: bool) -> Result<Option<Field>, Fault> {
    let Setting { name, line, .. } = setting;
    match Field::of_file(name) {
        Some(field) => Ok(Some(field)),
        None if !is_toml => Ok(None),
        None => {
            let known = Field::names_of_files();
            let reason = match nearest(name, &known) {
                Some(nearest) => format!("there is no {}; did you mean {nearest}?", Shown::name(name)),
                None => format!("there is no {}; known are {}", Shown::name(name), known.join(", ")),
            };
            Err(Fault { line: *line, reason })
        }
    }
}

fn text_of(path: &Path) -> Result<String, Refusal> {
    let shown = Shown::name(path.display()).to_string();
    let refuse = |reason: String| {
        Refusal::Failed(format!(
            "the settings in {shown} cannot be read: {reason}. --config and RQ_CONFIG name a Python module, app.settings \
             say, or a file that ends in .py or .toml; `--config ''` reads none."
        ))
    };
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|error| refuse(error.to_string()))?;
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".to_owned()))
}
