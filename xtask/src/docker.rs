//! Docker: whether it answers, which Redis image it has, and an image of our own made without any registry.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};

use crate::process::Program;
use crate::search_path;
use crate::target;

/// The image made by [`import`], named so that it shadows nobody's.
pub(crate) const OUR_IMAGE: &str = "rq-test-redis:local";
/// A daemon that does not answer by then counts as absent.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// Images that speak Redis, whoever publishes them.
const SERVERS: [&str; 2] = ["redis", "valkey"];

/// Whether there is a Docker that we may use.
pub(crate) fn answers() -> bool {
    let info = Program::new("docker").args(["info", "--format", "{{.ServerVersion}}"]).limit(ANSWER_LIMIT);
    search_path::find("docker").is_some() && info.output().is_ok()
}

/// A Redis image that is here already: ours, or any other.
pub(crate) fn image() -> Result<Option<String>> {
    let format = "{{.Repository}}:{{.Tag}}";
    let images =
        Program::new("docker").args(["image", "ls", "--format", format]).limit(ANSWER_LIMIT).output()?;
    Ok(choose_image(&images))
}

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

fn choose_image(images: &str) -> Option<String> {
    let is_server = |image: &&str| {
        let name = image.split(':').next().unwrap_or_default();
        SERVERS.contains(&name.rsplit('/').next().unwrap_or_default()) && !image.ends_with("<none>")
    };
    let mut images = images.lines().map(str::trim);
    images.clone().find(|&image| image == OUR_IMAGE).or_else(|| images.find(is_server)).map(str::to_string)
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
    fn the_image_is_ours_or_any_other_redis() {
        let check = |images: &str, expected: Option<&str>| {
            assert_eq!(choose_image(images).as_deref(), expected, "{images:?}");
        };
        check("", None);
        check("postgres:16\nmy-redis-app:1\n", None);
        check("redis:<none>\n", None);
        check("redis:7\nrq-test-redis:local\n", Some("rq-test-redis:local"));
        check("postgres:16\nvalkey/valkey:8\n", Some("valkey/valkey:8"));
    }

    #[test]
    fn libraries_are_the_paths_in_what_ldd_prints() {
        let ldd =
            "\tlinux-vdso.so.1 (0x7f)\n\tlibm.so.6 => /lib/libm.so.6 (0x7f)\n\t/lib64/ld-linux.so.2 (0x7f)\n";
        assert_eq!(libraries(ldd).unwrap(), [Path::new("/lib/libm.so.6"), Path::new("/lib64/ld-linux.so.2")]);
        assert!(libraries("\tlibm.so.6 => not found\n").is_err());
    }
}
