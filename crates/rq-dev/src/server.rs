//! [`Server`]: a Redis of one's own, from whatever this machine has.

use std::ffi::OsString;
use std::io::{self, ErrorKind};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::process::Stdio;

use crate::leash::{AtEnd, Leash};
use crate::process::{IN_MEMORY, RedisProcess, free_address, wait_until_answers};
use crate::{docker, install, program, scratch_file};

/// The port inside of a container.
const CONTAINER_PORT: u16 = 6379;

/// A running Redis: on loopback, with its data in memory, for nobody but its starter. It ends when this is dropped, and
/// when this process ends, by whatever death.
pub struct Server {
    kind: Kind,
    address: SocketAddr,
}

enum Kind {
    Process { server: RedisProcess, program: PathBuf },
    Container { leash: Leash, image: String },
}

/// Why there is no [`Server`].
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// There is none here. The text says how to install one on this system.
    #[error("there is no redis-server or valkey-server on PATH, and no Docker that has one: install one {0}")]
    NoServer(String),
    /// The port that was asked for.
    #[error(
        "port {0} is taken by another program, perhaps a Redis; choose another, or none to have a free one"
    )]
    PortTaken(u16),
    /// It did not start. The text ends with its log.
    #[error("{0}")]
    Failed(#[from] io::Error),
}

impl StartError {
    /// That there is none here, and how one is installed on this system.
    pub fn no_server() -> Self {
        Self::NoServer(install::way())
    }
}

impl Server {
    /// Starts one, at a free port unless one is given: a `redis-server` or `valkey-server` on `PATH`; else a container of an
    /// image that Docker has; else of one that Docker can get, which `news` is told, since it may take minutes.
    ///
    /// # Errors
    /// When there is nothing to start, or it does not start.
    pub fn start(port: Option<u16>, news: impl FnOnce(&str)) -> Result<Self, StartError> {
        let address = port.map(loopback).transpose()?;
        if let Some(program) = program::find_redis_server() {
            return Self::start_process(program, address);
        }
        match image(news) {
            Some(image) => Self::start_container(image, address),
            None => Err(StartError::no_server()),
        }
    }

    /// How a client reaches it: `redis://host:port/`.
    pub fn url(&self) -> String {
        format!("redis://{}/", self.address)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it is, in words: the program's path, or the container's image.
    pub fn description(&self) -> String {
        match &self.kind {
            Kind::Process { program, .. } => program.display().to_string(),
            Kind::Container { image, .. } => format!("a container of {image}"),
        }
    }

    /// Whether it has ended by itself.
    ///
    /// # Errors
    /// When the system does not say.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        self.leash_mut().has_ended()
    }

    /// A stdin for a child that must not outlive the server: see [`Leash::second_holder`].
    ///
    /// # Errors
    /// When no more files can be opened.
    pub fn second_holder(&self) -> io::Result<Stdio> {
        match &self.kind {
            Kind::Process { server, .. } => server.leash().second_holder(),
            Kind::Container { leash, .. } => leash.second_holder(),
        }
    }

    fn leash_mut(&mut self) -> &mut Leash {
        match &mut self.kind {
            Kind::Process { server, .. } => server.leash_mut(),
            Kind::Container { leash, .. } => leash,
        }
    }

    fn start_process(program: PathBuf, address: Option<SocketAddr>) -> Result<Self, StartError> {
        let words = [OsString::from(&program)];
        let server = match address {
            Some(address) => RedisProcess::start_at(address, &words, &[])?,
            None => RedisProcess::start(&words, &[])?,
        };
        let address = server.address();
        Ok(Self { kind: Kind::Process { server, program }, address })
    }

    fn start_container(image: String, address: Option<SocketAddr>) -> Result<Self, StartError> {
        let address = address.map_or_else(free_address, Ok)?;
        let name = format!("rq-dev-{}-{}", std::process::id(), address.port());
        let publish = format!("{address}:{CONTAINER_PORT}");
        let docker =
            ["docker", "run", "--rm", "--name", &name, "--publish", &publish, &image, "redis-server"];
        let command: Vec<OsString> = docker.iter().chain(&IN_MEMORY).map(OsString::from).collect();
        let log = scratch_file::create()?;
        let mut leash = Leash::start(&command, log.try_clone()?, &AtEnd::RemoveContainer(name))?;
        wait_until_answers(address, || leash.has_ended()).map_err(|error| {
            let log = scratch_file::text(log);
            io::Error::other(format!("a container of {image} did not start: {error}\n{}", log.trim_end()))
        })?;
        Ok(Self { kind: Kind::Container { leash, image }, address })
    }
}

/// The image for a container, got first where Docker has none.
fn image(news: impl FnOnce(&str)) -> Option<String> {
    if !docker::answers() {
        return None;
    }
    let images = docker::images().ok()?;
    if let Some(image) = docker::server_image(&images) {
        return Some(image.to_owned());
    }
    news(&format!("Docker gets the image {}, once on this machine.", docker::IMAGE));
    docker::pull().ok().map(|()| docker::IMAGE.to_owned())
}

/// An address that must be free: a server that finds it taken would end, and the other one answer in its place.
fn loopback(port: u16) -> Result<SocketAddr, StartError> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    match TcpListener::bind(address) {
        Ok(_) => Ok(address),
        Err(error) if error.kind() == ErrorKind::AddrInUse => Err(StartError::PortTaken(port)),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_taken_is_refused() {
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        assert!(matches!(loopback(port), Err(StartError::PortTaken(named)) if named == port));
        drop(taken);
        assert_eq!(loopback(port).unwrap().port(), port);
    }
}
