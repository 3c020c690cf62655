//! [`located`]: the file that somebody has named, by its path or as a Python module.

use std::path::{Path, PathBuf};

use rq_core::Shown;

use crate::refusal::Refusal;

/// Where the file is that was named: in one of the folders, else here. Where nobody named a folder it need not be there.
pub(crate) fn located(named: &str, folders: &[String]) -> Result<PathBuf, Refusal> {
    let here = file_of(Path::new(""), named);
    let there = folders.iter().map(|folder| file_of(Path::new(folder), named)).find(|file| file.is_file());
    match there {
        Some(file) => Ok(file),
        None if here.is_file() || folders.is_empty() => Ok(here),
        None => Err(Refusal::Failed(format!(
            "there is no {} here, nor in {}",
            Shown::name(here.display()),
            folders.iter().map(|folder| Shown::name(folder).to_string()).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// The file of what was named: itself, or that of a Python module by its dotted name, as RQ takes it (docs/cli.md §7).
fn file_of(folder: &Path, named: &str) -> PathBuf {
    let path = folder.join(named);
    if path.is_file() || path.extension().is_some_and(|extension| extension == "toml" || extension == "py") {
        return path;
    }
    // `app/cron_config` is a module to RQ, too.
    let module = if named.contains('/') { path } else { folder.join(named.split('.').collect::<PathBuf>()) };
    let package = module.join("__init__.py");
    if package.is_file() { package } else { module.with_extension("py") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_are_files() {
        for (named, file) in [
            ("rq.toml", "rq.toml"),
            ("app/cron_config.py", "app/cron_config.py"),
            ("/srv/app/cron_config", "/srv/app/cron_config.py"),
            ("app.cron_config", "app/cron_config.py"),
            ("cron_config", "cron_config.py"),
        ] {
            assert_eq!(file_of(Path::new(""), named), PathBuf::from(file), "{named}");
        }
        assert_eq!(file_of(Path::new("/srv"), "app.cron"), PathBuf::from("/srv/app/cron.py"));
        let nowhere = located("nosuch.toml", &["/srv/a".to_owned(), "/srv/b".to_owned()]).unwrap_err();
        let said = "there is no nosuch.toml here, nor in /srv/a, /srv/b";
        assert_eq!(nowhere, Refusal::Failed(said.to_owned()));
    }
}
