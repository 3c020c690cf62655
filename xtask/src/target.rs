//! Cargo's target directory: where binaries are found, and where what is slow to make is kept between runs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// The directory that holds `debug/` and `release/`. Read off the place of this very program, so that it is right
/// however cargo was told of it (`CARGO_TARGET_DIR`, `--target-dir`, a configuration file).
pub(crate) fn directory() -> Result<PathBuf> {
    let program = std::env::current_exe().context("this program cannot tell where it is")?;
    let directory = program.parent().and_then(Path::parent);
    Ok(directory.context("this program lies outside a cargo target directory")?.to_path_buf())
}

/// A binary that `cargo build --release` made.
pub(crate) fn release_binary(name: &str) -> Result<PathBuf> {
    Ok(directory()?.join("release").join(format!("{name}{}", std::env::consts::EXE_SUFFIX)))
}
