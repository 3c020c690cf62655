//! Python RQ, the one we speak with: in a virtual environment that is kept under the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::process::{Program, say};
use crate::search_path;
use crate::{packages, target};

/// What is installed, exactly. The versions the wire format was read from (`tests/fixtures/README.md`).
pub(crate) const PINNED: [&str; 2] = ["rq==3.0.0", "redis==8.1.0"];
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// Written last: an environment without it is half made.
const COMPLETE: &str = ".complete";
/// Whether an interpreter is new enough for RQ 3 and can make virtual environments (Debian packs that apart).
const SUITABLE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// The interpreter of an environment that holds Python RQ; made if it is not there, which takes ten seconds or so.
pub(crate) fn interpreter() -> Result<PathBuf> {
    let kept = target::directory()?.join("python");
    fs::create_dir_all(&kept)?;
    // Another run may be making it just now.
    let lock = File::create(kept.join("lock"))?;
    lock.lock()?;
    let environment = kept.join(PINNED[0].replace("==", "-"));
    let interpreter = environment.join("bin/python");
    if !is_complete(&environment, &interpreter) {
        make(&environment, &interpreter).context("could not set up Python RQ, which we test against")?;
    }
    Ok(interpreter)
}

fn is_complete(environment: &Path, interpreter: &Path) -> bool {
    let installed = fs::read_to_string(environment.join(COMPLETE)).unwrap_or_default();
    // An interpreter that was upgraded leaves a dangling link behind.
    installed == PINNED.join("\n") && interpreter.exists()
}

fn make(environment: &Path, interpreter: &Path) -> Result<()> {
    say(format_args!("Setting up Python RQ ({}) in {}.", PINNED.join(", "), environment.display()));
    let python = find_python()?;
    if environment.exists() {
        fs::remove_dir_all(environment)?;
    }
    Program::new(python).args(["-m", "venv"]).arg(environment).output()?;
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    Program::new(interpreter).args(pip).args(PINNED).limit(INSTALL_LIMIT).output()?;
    fs::write(environment.join(COMPLETE), PINNED.join("\n"))?;
    Ok(())
}

fn find_python() -> Result<PathBuf> {
    if let Some(python) = search_path::find("python3").filter(|python| is_suitable(python)) {
        return Ok(python);
    }
    if packages::may_install() {
        packages::install(&["python3", "python3-venv"])?;
    }
    // The package's, by its own name: an older one may come first on PATH.
    let candidates = [search_path::find("python3"), Some(PathBuf::from("/usr/bin/python3"))];
    match candidates.into_iter().flatten().find(|python| is_suitable(python)) {
        Some(python) => Ok(python),
        None => bail!(
            "Python 3.10 or later with its venv module is needed: `apt-get install python3 python3-venv`."
        ),
    }
}

fn is_suitable(python: &Path) -> bool {
    Program::new(python).args(["-c", SUITABLE]).output().is_ok()
}
