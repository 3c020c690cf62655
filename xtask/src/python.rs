//! Python RQ, the one we speak with, and other job queues: in virtual environments that are kept under the target directory.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rq_dev::program;

use crate::process::{Program, say};
use crate::{packages, target};

/// What is installed, exactly. The versions the wire format was read from (`tests/fixtures/README.md`).
pub(crate) const PINNED: [&str; 2] = ["rq==3.0.0", "redis==8.1.0"];
/// The versions before it whose jobs are read as well.
const PINNED_2: [&str; 2] = ["rq==2.12.0", "redis==8.1.0"];
const PINNED_1: [&str; 2] = ["rq==1.16.2", "redis==7.4.1"];
/// Programs that show jobs of RQ, beside it. One imports `six` and does not ask for it.
const DASHBOARDS: [&str; 7] = [
    PINNED[0],
    PINNED[1],
    "rq-dashboard==0.9.0",
    "six==1.17.0",
    "Flask==3.1.3",
    "django-rq==4.2.0",
    "Django==5.2.19",
];
const INSTALL_LIMIT: Duration = Duration::from_secs(300);
/// What packages with programs are built for: the systems of the Python index that this one can be.
const PLATFORMS: [&str; 3] = ["manylinux2014_x86_64", "manylinux_2_17_x86_64", "manylinux_2_28_x86_64"];
/// Where the index cannot be reached, what is unpacked can be done without: few attempts, of some seconds each.
const BRIEFLY: [&str; 4] = ["--retries", "1", "--timeout", "10"];
/// Written last: an environment without it is half made.
const COMPLETE: &str = ".complete";
/// Whether an interpreter is new enough for RQ 3 and can make virtual environments (Debian packs that apart).
const SUITABLE: &str = "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))";

/// The interpreter of an environment that holds Python RQ; made if it is not there, which takes ten seconds or so.
pub(crate) fn interpreter() -> Result<PathBuf> {
    pinned(&PINNED)
}

/// The same of RQ 2 and of RQ 1.
pub(crate) fn older_interpreters() -> Result<[PathBuf; 2]> {
    Ok([pinned(&PINNED_2)?, pinned(&PINNED_1)?])
}

/// The interpreter of an environment that holds RQ's dashboards as well.
pub(crate) fn dashboards() -> Result<PathBuf> {
    environment("dashboards", &DASHBOARDS)
}

fn pinned(packages: &[&str]) -> Result<PathBuf> {
    environment(&packages[0].replace("==", "-"), packages)
}

/// The interpreter of an environment that holds the packages which that file names; made if it is not there.
pub(crate) fn with(requirements: &Path) -> Result<PathBuf> {
    let wanted = fs::read_to_string(requirements)
        .with_context(|| format!("could not read {}", requirements.display()))?;
    let lines = wanted.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    environment("peers", &lines.collect::<Vec<&str>>())
}

/// The interpreter of the environment of that name, which holds `packages`.
fn environment(name: &str, packages: &[&str]) -> Result<PathBuf> {
    let kept = target::directory()?.join("python");
    fs::create_dir_all(&kept)?;
    // Another run may be making it just now.
    let lock = File::create(kept.join("lock"))?;
    lock.lock()?;
    let environment = kept.join(name);
    let interpreter = environment.join("bin/python");
    if !is_complete(&environment, &interpreter, packages) {
        make(&environment, &interpreter, packages)
            .with_context(|| format!("could not set up Python with {}", packages.join(", ")))?;
    }
    Ok(interpreter)
}

fn is_complete(environment: &Path, interpreter: &Path, packages: &[&str]) -> bool {
    let installed = fs::read_to_string(environment.join(COMPLETE)).unwrap_or_default();
    // An interpreter that was upgraded leaves a dangling link behind.
    installed == packages.join("\n") && interpreter.exists()
}

fn make(environment: &Path, interpreter: &Path, packages: &[&str]) -> Result<()> {
    say(format_args!("Setting up Python with {} in {}.", packages.join(", "), environment.display()));
    let python = find_python()?;
    if environment.exists() {
        fs::remove_dir_all(environment)?;
    }
    Program::new(python).args(["-m", "venv"]).arg(environment).output()?;
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    Program::new(interpreter).args(pip).args(packages).limit(INSTALL_LIMIT).output()?;
    fs::write(environment.join(COMPLETE), packages.join("\n"))?;
    Ok(())
}

/// Unpacks a package that holds programs for this system into a directory, for nobody to import. Which Python is here
/// does not matter: it is the one that the package was built for that is asked for.
pub(crate) fn unpack(package: &str, directory: &Path) -> Result<()> {
    let pip = ["-m", "pip", "install", "--quiet", "--no-input", "--disable-pip-version-check"];
    let whole = ["--no-deps", "--only-binary", ":all:", "--python-version", "3.11", "--implementation", "cp"];
    let platforms = PLATFORMS.iter().flat_map(|platform| ["--platform", platform]);
    let install = Program::new(interpreter()?).args(pip).args(BRIEFLY).args(whole).args(platforms);
    install.arg("--target").arg(directory).arg(package).limit(INSTALL_LIMIT).output()?;
    Ok(())
}

fn find_python() -> Result<PathBuf> {
    if let Some(python) = program::find("python3").filter(|python| is_suitable(python)) {
        return Ok(python);
    }
    if packages::may_install() {
        packages::install(&["python3", "python3-venv"])?;
    }
    // The package's, by its own name: an older one may come first on PATH.
    let candidates = [program::find("python3"), Some(PathBuf::from("/usr/bin/python3"))];
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
