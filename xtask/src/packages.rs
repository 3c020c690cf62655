//! The distribution's packages, where we may install them: Debian and its kin, as root.

use std::time::Duration;

use anyhow::Result;
use rq_dev::program;

use crate::process::{Program, say};

const UPDATE_LIMIT: Duration = Duration::from_secs(180);
const INSTALL_LIMIT: Duration = Duration::from_secs(600);

/// Whether [`install`] has a chance.
pub(crate) fn may_install() -> bool {
    program::find("apt-get").is_some() && is_root()
}

/// Installs packages by `apt-get`, with fresh package lists.
pub(crate) fn install(names: &[&str]) -> Result<()> {
    say(format_args!("Installing {} with apt-get, as this machine has none.", names.join(" and ")));
    apt_get().arg("update").limit(UPDATE_LIMIT).output()?;
    let flags = ["install", "--yes", "--no-install-recommends"];
    apt_get().args(flags).args(names).limit(INSTALL_LIMIT).output()?;
    Ok(())
}

fn apt_get() -> Program {
    // RUNLEVEL=1 keeps a package from starting its service: we want the program, not a server on its usual port.
    Program::new("apt-get").env("RUNLEVEL", "1").env("DEBIAN_FRONTEND", "noninteractive")
}

fn is_root() -> bool {
    Program::new("id").arg("-u").output().is_ok_and(|uid| uid.trim() == "0")
}
