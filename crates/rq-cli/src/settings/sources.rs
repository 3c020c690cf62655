//! The one place that reads the environment and files for [`Settings`].

use std::cell::RefCell;
use std::env::VarError;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;
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
/// The bit of a file's mode by which everybody may write it.
const WRITABLE_BY_ALL: u32 = 0o002;
const ROOT: u32 = 0;

/// What a command's options say of settings: a field, the option, its value.
pub(crate) type Options<'a> = [(Field, &'static str, &'a str)];

/// Whether a file is named, so that somebody has to look for it.
pub(crate) fn is_file_named(config: Option<&str>) -> bool {
    // What names it and cannot be used is refused where the file is read.
    let environment = Environment::default();
    let named = named(config, &environment);
    environment.check().is_err() || named.is_some_and(|named| !named.is_empty())
}

/// What holds for a command with these options; a file that is named is looked for in these folders, then here.
pub(crate) fn read(
    options: &Options<'_>,
    config: Option<&str>,
    folders: &[String],
) -> Result<Settings, Refusal> {
    let environment = Environment::default();
    let named = named(config, &environment);
    environment.check()?;
    let (path, doubt) = match named.as_deref() {
        Some("") => (None, None),
        Some(named) => (Some(located(named, folders).map_err(with_way_on)?), None),
        None => unnamed(Path::new(FILE_DEFAULT), geteuid().as_raw()).map_err(unasked)?.unzip(),
    };
    let file = path.map(|path| SettingsFile::read(&path, &|name| environment.get(name))).transpose();
    environment.check()?;
    let file = if named.is_some() { file? } else { file.map_err(unasked)? };
    if let (Some(file), Some(Some(doubt))) = (&file, doubt)
        && file.has_settings
    {
        let path = Shown::name(file.path.display());
        return Err(Refusal::Failed(format!(
            "{doubt} may write {path}, and nobody has named it, so that it does not decide which Redis is used: `--config \
             {path}` has it read, `--config ''` leaves it out."
        )));
    }
    if let (Some(file), Some(_)) = (&file, &named)
        && !file.has_settings
    {
        return Err(Refusal::Failed(format!(
            "there are no settings in {}: a file in TOML has them in its table [settings], one in Python as names in \
             capitals, such as REDIS_URL = 'redis://..'",
            Shown::name(file.path.display())
        )));
    }
    of(options, file, &environment)
}

/// What holds with these options and the file in TOML at `path`, which has this text.
pub(crate) fn of_text(options: &Options<'_>, path: &Path, text: &str) -> Result<Settings, Refusal> {
    of(options, Some(SettingsFile::of_toml(path, text)?), &Environment::default())
}

fn of(
    options: &Options<'_>,
    file: Option<SettingsFile>,
    environment: &Environment,
) -> Result<Settings, Refusal> {
    let table = Table::new(options, &|name| environment.get(name), file.as_ref());
    environment.check()?;
    Ok(Settings { table, file: file.map(|file| file.path) })
}

/// The file that is read where none is named, if it is there, and what stranger can have written it, if any: whoever runs
/// a command in a folder of others has not asked for theirs.
fn unnamed(path: &Path, user: u32) -> Result<Option<(PathBuf, Option<&'static str>)>, Refusal> {
    let refuse = |reason: String| {
        Refusal::Failed(format!("the settings in {} cannot be read: {reason}", Shown::name(path.display())))
    };
    let itself = match fs::symlink_metadata(path) {
        Ok(itself) => itself,
        // In a folder that this user may not look into, as `sudo -u` leaves one, nobody can say whether it is there.
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied) => {
            return Ok(None);
        }
        Err(error) => return Err(refuse(error.to_string())),
    };
    let file = fs::metadata(path).map_err(|error| refuse(error.to_string()))?;
    if !file.is_file() {
        return Err(refuse("it is no file".to_owned()));
    }
    let is_strange = [&itself, &file].iter().any(|metadata| ![user, ROOT].contains(&metadata.uid()));
    let doubt = match (is_strange, file.mode() & WRITABLE_BY_ALL != 0) {
        (true, _) => Some("another user"),
        (_, true) => Some("everybody"),
        _ => None,
    };
    Ok(Some((path.to_owned(), doubt)))
}

/// The variables, and which of those that were asked for cannot be used.
#[derive(Debug, Default)]
struct Environment {
    wrong: RefCell<Option<String>>,
}

impl Environment {
    fn get(&self, name: &str) -> Option<String> {
        match std::env::var(name) {
            Ok(value) => Some(value),
            Err(VarError::NotPresent) => None,
            Err(VarError::NotUnicode(_)) => {
                self.wrong.borrow_mut().get_or_insert_with(|| name.to_owned());
                None
            }
        }
    }

    /// That all that was asked for is a text: it would count as not set, and another Redis would do. Its value may be a
    /// secret.
    fn check(&self) -> Result<(), Refusal> {
        match self.wrong.borrow().as_deref() {
            Some(name) => {
                let name = Shown::name(name);
                Err(Refusal::Failed(format!("the variable {name} of the environment is not UTF-8.")))
            }
            None => Ok(()),
        }
    }
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

fn named(config: Option<&str>, environment: &Environment) -> Option<String> {
    config.map(str::to_owned).or_else(|| environment.get(CONFIG_VARIABLE))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_file_that_nobody_named_is_read_where_no_stranger_can_have_written_it() {
        let folder = std::env::temp_dir().join(format!("rq-settings-unnamed-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let path = folder.join(FILE_DEFAULT);
        let user = geteuid().as_raw();
        assert_eq!(unnamed(&path, user), Ok(None));
        symlink("nowhere", &path).unwrap();
        assert!(unnamed(&path, user).is_err());
        fs::remove_file(&path).unwrap();
        fs::create_dir(&path).unwrap();
        assert!(unnamed(&path, user).is_err());
        fs::remove_dir(&path).unwrap();
        fs::write(&path, "").unwrap();
        let may = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let found = |doubt| Ok(Some((path.clone(), doubt)));
        may(0o644);
        assert_eq!(unnamed(&path, user), found(None));
        may(0o666);
        assert_eq!(unnamed(&path, user), found(Some("everybody")));
        may(0o644);
        // A file of root's is nobody's who could do harm with it.
        let others = if user == ROOT { None } else { Some("another user") };
        assert_eq!(unnamed(&path, user + 1), found(others));
        fs::remove_dir_all(&folder).unwrap();
    }
}
