//! [`SettingsFile`]: a file of settings, in Python or in TOML, read and checked.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rq_config::{FILE_BYTES_MAX, Fault, Setting, nearest, settings_of_python, settings_of_toml};
use rq_core::Shown;

use super::content::Content;
use super::field::Field;
use super::origin::Origin;

use super::table::Said;

use crate::refusal::Refusal;

/// What files are named by.
pub(super) const WAY_ON: &str = "--config and RQ_CONFIG name a Python module, such as app.settings, or a file that ends in .py \
                                 or .toml; -P says where else it may be; `--config ''` reads none.";

/// A file of settings.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    pub(crate) path: PathBuf,
    pub(super) said: Vec<(Field, Said)>,
}

impl SettingsFile {
    /// Reads one: what does not end in .toml is Python. What in it asks for a variable of the environment gets that.
    pub(super) fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let text = text_of(path)?;
        match path.extension().is_some_and(|extension| extension == "toml") {
            true => Self::of_toml(path, &text),
            false => Self::new(path, settings_of_python(&text, environment), |_| Ok(())),
        }
    }

    /// The one in TOML at `path`, which has this text. Names that nobody knows are slips there; in Python those in capitals
    /// are a program's own.
    pub(super) fn of_toml(path: &Path, text: &str) -> Result<Self, Refusal> {
        Self::new(path, settings_of_toml(text), |setting| Err(unknown(setting)))
    }

    fn new(
        path: &Path,
        settings: Result<Vec<Setting>, Fault>,
        unknown: impl Fn(&Setting) -> Result<(), Fault>,
    ) -> Result<Self, Refusal> {
        let fault = |Fault { line, reason }: Fault| {
            let path = Shown::name(path.display());
            Refusal::Failed(format!("{path}, line {line}: {reason}"))
        };
        let mut said: Vec<(Field, Said)> = Vec::new();
        for setting in settings.map_err(fault)? {
            let Some(field) = Field::of_file(&setting.name) else {
                unknown(&setting).map_err(fault)?;
                continue;
            };
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

fn unknown(Setting { name, line, .. }: &Setting) -> Fault {
    let (shown, known) = (Shown::name(name), Field::names_of_files());
    let reason = match nearest(name, &known) {
        Some(nearest) => format!("there is no {shown}; did you mean {nearest}?"),
        None => format!("there is no {shown}; known are {}", known.join(", ")),
    };
    Fault::new(*line, reason)
}

fn text_of(path: &Path) -> Result<String, Refusal> {
    let shown = Shown::name(path.display()).to_string();
    let refuse = |reason: String| {
        Refusal::Failed(format!("the settings in {shown} cannot be read: {reason}. {WAY_ON}"))
    };
    let mut bytes = Vec::new();
    // Without waiting for whoever would write to a FIFO.
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
    let file = options.open(path).map_err(|error| refuse(error.to_string()))?;
    if !file.metadata().map_err(|error| refuse(error.to_string()))?.is_file() {
        return Err(refuse("it is no regular file".to_owned()));
    }
    file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes).map_err(|error| refuse(error.to_string()))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(refuse(format!("it has more than {FILE_BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| refuse("it is not UTF-8".to_owned()))
}
