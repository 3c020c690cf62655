//! [`SettingsFile`]: a file of settings, in Python or in TOML, read and checked.

use std::path::{Path, PathBuf};

use rq_config::{Fault, Setting, nearest, read_file, settings_of_python, settings_of_toml, slip};
use rq_core::Shown;

use super::content::Content;
use super::field::Field;
use super::origin::Origin;
use super::table::Said;
use crate::output::note;
use crate::refusal::Refusal;
use crate::text::text;

/// What files are named by.
pub(super) const WAY_ON: &str = "--config and RQ_CONFIG name a Python module, such as app.settings, or a file that ends in .py \
                                 or .toml; -P says where else it may be; `--config ''` reads none.";

/// A file of settings.
#[derive(Debug)]
pub(crate) struct SettingsFile {
    pub(crate) path: PathBuf,
    pub(super) said: Vec<(Field, Said)>,
    /// Whether there are any settings in it, if only such that say nothing.
    pub(super) has_settings: bool,
}

impl SettingsFile {
    /// Reads one: what does not end in .toml is Python. What in it asks for a variable of the environment gets that.
    pub(super) fn read(path: &Path, environment: &dyn Fn(&str) -> Option<String>) -> Result<Self, Refusal> {
        let text = text_of(path)?;
        match path.extension().is_some_and(|extension| extension == "toml") {
            true => Self::of_toml(path, &text),
            false => Self::of_python(path, settings_of_python(&text, environment)),
        }
    }

    /// The one in Python at `path`. A setting that somebody has all but written is remarked on.
    fn of_python(path: &Path, settings: Result<Vec<Setting>, Fault>) -> Result<Self, Refusal> {
        let names: Vec<String> = settings.iter().flatten().map(|setting| setting.name.clone()).collect();
        Self::new(path, settings, |setting| {
            let known = Field::names_of_files();
            let meant = slip(&setting.name, known.iter().map(String::as_str));
            if let Some(meant) = meant.filter(|meant| !names.iter().any(|name| name == meant)) {
                let (path, name) = (Shown::name(path.display()), Shown::name(&setting.name));
                let line = setting.line;
                note(text!("{path}, line {line}: {name} is no setting of RQ's; did you mean {meant}?"));
            }
            Ok(())
        })
    }

    /// The one in TOML at `path`, which has this text. Names that nobody knows are slips there; in Python those in capitals
    /// are a program's own.
    pub(super) fn of_toml(path: &Path, text: &str) -> Result<Self, Refusal> {
        Self::new(path, settings_of_toml(text), |setting| Err(unknown(setting, text)))
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
        let mut has_settings = false;
        for setting in settings.map_err(fault)? {
            let Some(field) = Field::of_file(&setting.name) else {
                unknown(&setting).map_err(fault)?;
                continue;
            };
            has_settings = true;
            // As in Python, the last one counts.
            said.retain(|(known, _)| *known != field);
            let content = Content::kept(field, &setting.value).map_err(|reason| {
                fault(Fault {
                    line: setting.line,
                    reason: format!("{} cannot be used: {reason}", setting.name),
                })
            })?;
            let origin = Origin::File { path: path.to_owned(), line: setting.line };
            said.extend(content.map(|content| (field, Said { content, origin })));
        }
        Ok(SettingsFile { path: path.to_owned(), said, has_settings })
    }
}

/// A slip in the table `[settings]` of `text`, in the spelling that it has there.
fn unknown(Setting { name, line, .. }: &Setting, text: &str) -> Fault {
    let written = text.lines().nth(line - 1).unwrap_or_default().trim_start().trim_start_matches(['"', '\'']);
    let spelled = |name: &str| match (written.starts_with(name), written.split('=').next()) {
        (true, _) => name.to_owned(),
        (_, Some(word)) if word.contains('-') => name.to_lowercase().replace('_', "-"),
        _ if written.starts_with(|first: char| first.is_ascii_uppercase()) => name.to_owned(),
        _ => name.to_lowercase(),
    };
    let known = Field::names_of_files();
    let nearest = nearest(name, &known).map(|name| spelled(name));
    let (name, known) = (spelled(name), known.iter().map(|name| spelled(name)).collect::<Vec<_>>());
    let shown = Shown::name(&name);
    let reason = match nearest {
        Some(nearest) => format!("there is no {shown}; did you mean {nearest}?"),
        None => format!("there is no {shown}; known are {}", known.join(", ")),
    };
    Fault::new(*line, reason)
}

fn text_of(path: &Path) -> Result<String, Refusal> {
    read_file(path).map_err(|error| {
        let shown = Shown::name(path.display());
        Refusal::Failed(format!("the settings in {shown} cannot be read: {error}. {WAY_ON}"))
    })
}
