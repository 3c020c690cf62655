//! Docker: whether it answers, which images of a Redis it has, and getting one.

use std::io;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::{program, scratch_file};

/// The image that is asked for when there is none.
pub const IMAGE: &str = "redis:7";
const DOCKER: &str = "docker";
/// A daemon that does not answer by then counts as absent.
const ANSWER_LIMIT: Duration = Duration::from_secs(15);
/// How long an image may take to arrive.
const PULL_LIMIT: Duration = Duration::from_secs(300);
/// How often a running command is asked whether it has ended.
const ASK_EVERY: Duration = Duration::from_millis(10);
/// Images that speak Redis, whoever publishes them.
const SERVERS: [&str; 2] = ["redis", "valkey"];

/// Whether there is a Docker that we may use.
pub fn answers() -> bool {
    program::find(DOCKER).is_some()
        && output(&["info", "--format", "{{.ServerVersion}}"], ANSWER_LIMIT).is_ok()
}

/// The images that it has, as `name:tag`.
///
/// # Errors
/// When it does not answer.
pub fn images() -> io::Result<Vec<String>> {
    let images = output(&["image", "ls", "--format", "{{.Repository}}:{{.Tag}}"], ANSWER_LIMIT)?;
    Ok(images.lines().map(|image| image.trim().to_owned()).collect())
}

/// One of `images` that is a Redis.
pub fn server_image(images: &[String]) -> Option<&str> {
    let is_server = |image: &&String| {
        let name = image.split(':').next().unwrap_or_default();
        SERVERS.contains(&name.rsplit('/').next().unwrap_or_default()) && !image.ends_with("<none>")
    };
    images.iter().find(is_server).map(String::as_str)
}

/// Gets [`IMAGE`] from wherever Docker gets images.
///
/// # Errors
/// When it cannot be had.
pub fn pull() -> io::Result<()> {
    output(&["pull", "--quiet", IMAGE], PULL_LIMIT).map(drop)
}

/// What a command of Docker's writes; an error unless it succeeds, and in time.
fn output(args: &[&str], limit: Duration) -> io::Result<String> {
    let out = scratch_file::create()?;
    let mut command = Command::new(DOCKER);
    command.args(args).stdin(Stdio::null()).stdout(out.try_clone()?).stderr(Stdio::null());
    let mut docker = command.spawn()?;
    let deadline = Instant::now() + limit;
    loop {
        match docker.try_wait()? {
            Some(status) if status.success() => return Ok(scratch_file::text(out)),
            Some(status) => return Err(io::Error::other(format!("docker {}: {status}", args.join(" ")))),
            None if Instant::now() >= deadline => {
                docker.kill()?;
                docker.wait()?;
                return Err(io::ErrorKind::TimedOut.into());
            }
            None => std::thread::sleep(ASK_EVERY),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_is_a_server_by_its_name() {
        let check = |images: &[&str], expected: Option<&str>| {
            let images: Vec<String> = images.iter().map(ToString::to_string).collect();
            assert_eq!(server_image(&images), expected, "{images:?}");
        };
        check(&[], None);
        check(&["postgres:16", "my-redis-app:1"], None);
        check(&["redis:<none>"], None);
        check(&["postgres:16", "valkey/valkey:8", "redis:7"], Some("valkey/valkey:8"));
    }
}
