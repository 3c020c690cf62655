//! Getting a Redis: for the demo, and for the tests. Where this machine has none, it is installed if we may.

use std::path::PathBuf;

use anyhow::{Context, Result};
use rq_dev::{Server, StartError, program};

use crate::process::say;
use crate::{docker, packages};

/// The distribution's package that holds a server.
const PACKAGE: &str = "redis-server";

/// A private server: nobody else's data is in it, and it ends with this program.
pub(crate) fn start_private() -> Result<Server> {
    let start = || Server::start(None, |news| say(news));
    let server = match start() {
        Err(StartError::NoServer(_)) if packages::may_install() => {
            packages::install(&[PACKAGE])?;
            start()
        }
        started => started,
    };
    let server = server.context("could not start a Redis server")?;
    say(format_args!("Redis: {} on {}, for this run alone.", server.description(), server.url()));
    Ok(server)
}

/// How the tests get their server. They start it themselves, one a test process; what it takes is here beforehand.
pub(crate) enum ForTests {
    /// A container of this image.
    Container(String),
    /// A child process of the test process.
    Child,
}

impl ForTests {
    /// Docker where it answers, with an image made here when it has none; else a server on this machine, which the
    /// distribution's package provides where it may.
    pub(crate) fn prepare() -> Result<Self> {
        if !rq_dev::docker::answers() {
            find_server()?;
            return Ok(Self::Child);
        }
        if let Some(image) = image()? {
            return Ok(Self::Container(image));
        }
        let server = find_server()?;
        match docker::import(&server) {
            Ok(()) => Ok(Self::Container(docker::OUR_IMAGE.to_string())),
            Err(error) => {
                say(format_args!(
                    "Docker answers, but no image could be made of {}: {error:#}",
                    server.display()
                ));
                Ok(Self::Child)
            }
        }
    }

    /// The value of `RQ_TEST_REDIS`, which the test harness reads.
    pub(crate) fn variable(&self) -> String {
        match self {
            Self::Container(image) => format!("docker:{image}"),
            Self::Child => "child".to_string(),
        }
    }

    /// In words.
    pub(crate) fn description(&self) -> String {
        match self {
            Self::Container(image) => format!("a container of {image}"),
            Self::Child => "a child process".to_string(),
        }
    }
}

/// An image that is here already: ours, or any other.
fn image() -> Result<Option<String>> {
    let images = rq_dev::docker::images().context("Docker does not list its images")?;
    let ours = images.iter().find(|image| *image == docker::OUR_IMAGE).map(String::as_str);
    Ok(ours.or_else(|| rq_dev::docker::server_image(&images)).map(str::to_string))
}

/// A server on `PATH`, installed where there is none and we may.
pub(crate) fn find_server() -> Result<PathBuf> {
    if let Some(server) = program::find_redis_server() {
        return Ok(server);
    }
    if packages::may_install() {
        packages::install(&[PACKAGE])?;
    }
    program::find_redis_server().context(StartError::no_server())
}
