//! An image of our own for the tests, made without any registry.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};

use crate::process::Program;
use crate::target;

/// The image made by [`import`], named so that it shadows nobody's.
pub(crate) const OUR_IMAGE: &str = "rq-test-redis:local";

/// Makes [`OUR_IMAGE`] of a server on this machine: a tar of the program and the libraries it loads, at their own paths,
/// is an image. So a machine that can pull nothing still tests against a container.
pub(crate) fn import(server: &Path) -> Result<()> {
    let archive = target::directory()?.join("redis-image.tar");
    let libraries = libraries(&Program::new("ldd").arg(server).output()?)?;
    let files = std::iter::once(server).chain(libraries.iter().map(PathBuf::as_path));
    // -h: the server is often a symbolic link, and so are libraries.
    let tar = Program::new("tar").arg("-chf").arg(&archive).args(["-C", "/"]);
    tar.args(files.map(|file| file.strip_prefix("/").unwrap_or(file))).output()?;
    let start = format!("CMD [{:?}, \"--protected-mode\", \"no\"]", server.display().to_string());
    let import = Program::new("docker").args(["import", "--change", &start]).arg(&archive).arg(OUR_IMAGE);
    let made = import.output();
    std::fs::remove_file(&archive)?;
    made.map(drop)
}

/// The files named by `ldd`, the loader among them.
fn libraries(ldd: &str) -> Result<Vec<PathBuf>> {
    if let Some(line) = ldd.lines().find(|line| line.contains("not found")) {
        bail!("the Redis server here lacks a library: {}", line.trim());
    }
    Ok(ldd.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_are_the_paths_in_what_ldd_prints() {
        let ldd =
            "\tlinux-vdso.so.1 (0x7f)\n\tlibm.so.6 => /lib/libm.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(libraries(ldd).unwrap(), [Path::new("/lib/libm.so.6"), Path::new("/lib64/ld-linux.so.2")]);
        assert!(libraries("\tlibm.so.6 => not found\n").is_err());
    }
}
