//! Getting a Redis: for the demo, and for the tests.

use std::ffi::OsString;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};

use crate::leash::{AtEnd, Leash};
use crate::packages;
use crate::process::say;
use crate::redis_process::{IN_MEMORY, READY_LIMIT, RedisProcess, free_address, wait_until_answers};
use crate::search_path;
use crate::{docker, target};

/// The distribution's package that holds a server.
const PACKAGE: &str = "redis-server";
const NONE_HERE: &str = "There is no Redis here, and none that this command may install. Any of these helps:\n  \
     apt-get install redis-server   (Debian, Ubuntu; as root)\n  \
     dnf install valkey             (Fedora)\n  \
     brew install redis             (macOS)\n  \
     docker pull redis:7            (where Docker runs)";

/// A private server: nobody else's data is in it, and it ends with this program.
pub(crate) enum PrivateRedis {
    Process(RedisProcess),
    Container(Leash, SocketAddr),
}

impl PrivateRedis {
    /// Starts one: a server on `PATH`, else an image that Docker has, else the distribution's package.
    pub(crate) fn start() -> Result<Self> {
        if let Some(server) = search_path::find_redis_server() {
            return Self::start_process(server);
        }
        if docker::answers()
            && let Some(image) = docker::image()?
        {
            return Self::start_container(&image);
        }
        Self::start_process(install_server()?)
    }

    /// How a client reaches it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Process(server) => format!("redis://{}/", server.address()),
            Self::Container(_, address) => format!("redis://{address}/"),
        }
    }

    /// A stdin for a child that must not outlive the server: see [`Leash::second_holder`].
    pub(crate) fn second_holder(&self) -> Result<Stdio> {
        let leash = match self {
            Self::Process(server) => server.leash(),
            Self::Container(leash, _) => leash,
        };
        leash.second_holder().context("could not share the hold on the Redis server")
    }

    fn start_process(server: PathBuf) -> Result<Self> {
        let process =
            RedisProcess::start(&[server.clone().into()], &[]).context("could not start a Redis server")?;
        say(format_args!("Redis: {} on {}, for this run alone.", server.display(), process.address()));
        Ok(Self::Process(process))
    }

    fn start_container(image: &str) -> Result<Self> {
        let address = free_address()?;
        let name = format!("rq-demo-{}", address.port());
        let publish = format!("{address}:6379");
        let docker = ["docker", "run", "--rm", "--name", &name, "--publish", &publish, image, "redis-server"];
        let command: Vec<OsString> = docker.iter().chain(&IN_MEMORY).map(OsString::from).collect();
        let log = target::directory()?.join("redis-container.log");
        let mut leash = Leash::start(&command, File::create(&log)?, &AtEnd::RemoveContainer(name))?;
        wait_until_answers(address, || leash.has_ended()).with_context(|| {
            format!("no Redis in a container of {image} within {READY_LIMIT:?} (see {})", log.display())
        })?;
        say(format_args!("Redis: a container of {image} on {address}, for this run alone."));
        Ok(Self::Container(leash, address))
    }
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
        if !docker::answers() {
            find_server()?;
            return Ok(Self::Child);
        }
        if let Some(image) = docker::image()? {
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

fn find_server() -> Result<PathBuf> {
    search_path::find_redis_server().map_or_else(install_server, Ok)
}

fn install_server() -> Result<PathBuf> {
    if !packages::may_install() {
        bail!(NONE_HERE);
    }
    packages::install(&[PACKAGE]).context(NONE_HERE)?;
    search_path::find_redis_server().context(NONE_HERE)
}
