//! A Redis in a container, removed when this process ends.

use std::net::{Ipv4Addr, SocketAddr};
use std::process::Command;

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use rq_dev::{AtEnd, IN_MEMORY, Leash, READY_LIMIT};
use testcontainers::bollard::models::{HostConfig, PortBinding};
use testcontainers::core::{IntoContainerPort, WaitFor};
use testcontainers::runners::SyncRunner;
use testcontainers::{Container, GenericImage, ImageExt};

/// Every container of ours carries the process that started it.
const OWNER_LABEL: &str = "rq-tests.owner";
const LOOPBACK: Ipv4Addr = Ipv4Addr::LOCALHOST;
const PORT: u16 = 6379;
const READY_LINE: &str = "Ready to accept connections";

/// Starts a container of `image` (`name:tag`) and waits until its Redis answers.
pub(crate) fn start(image: &str) -> Result<SocketAddr, String> {
    let image = image.to_string();
    // On a thread of its own: testcontainers blocks on a runtime, which a test that runs inside one may not.
    let started = std::thread::spawn(move || start_blocking(&image)).join();
    started.unwrap_or_else(|_| Err("the container's thread panicked".to_string()))
}

fn start_blocking(image: &str) -> Result<SocketAddr, String> {
    remove_stale();
    let container = run(image).map_err(|error| format!("no container of {image}: {error}"))?;
    let leash = Leash::at_end(&AtEnd::RemoveContainer(container.id().to_string()));
    let leash = leash.map_err(|error| format!("nothing to remove the container with: {error}"))?;
    let port = container.get_host_port_ipv4(PORT.tcp()).map_err(|error| error.to_string())?;
    // The leash removes the container, also after a SIGKILL; dropping either now would remove it at once.
    std::mem::forget(leash);
    std::mem::forget(container);
    Ok(SocketAddr::from((LOOPBACK, port)))
}

fn run(image: &str) -> testcontainers::core::error::Result<Container<GenericImage>> {
    let (name, tag) = image.rsplit_once(':').unwrap_or((image, "latest"));
    GenericImage::new(name, tag)
        .with_exposed_port(PORT.tcp())
        .with_wait_for(WaitFor::message_on_stdout(READY_LINE))
        .with_startup_timeout(READY_LIMIT)
        .with_label(OWNER_LABEL, std::process::id().to_string())
        .with_host_config_modifier(publish_on_loopback)
        .with_cmd(std::iter::once("redis-server").chain(IN_MEMORY))
        .start()
}

/// Publishes the port on loopback, not on every interface: this Redis lets in whoever asks.
fn publish_on_loopback(host: &mut HostConfig) {
    let loopback = PortBinding { host_ip: Some(LOOPBACK.to_string()), host_port: None };
    host.publish_all_ports = Some(false);
    host.port_bindings = Some([(format!("{PORT}/tcp"), Some(vec![loopback]))].into());
}

/// Removes containers whose test process is gone. Their leash did that, unless it was killed at the same moment.
fn remove_stale() {
    let label = format!("label={OWNER_LABEL}");
    let format = format!("{{{{.ID}}}} {{{{.Label \"{OWNER_LABEL}\"}}}}");
    // Without the `docker` command there is nothing to be done here; starting the container says what is wrong.
    let Ok(listed) =
        Command::new("docker").args(["ps", "-a", "--filter", &label, "--format", &format]).output()
    else {
        return;
    };
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    for (id, owner) in listed.lines().filter_map(|line| line.split_once(' ')) {
        if owner.parse().is_ok_and(|owner| !is_alive(owner)) {
            let removed = Command::new("docker").args(["rm", "--force", id]).output();
            drop(removed);
        }
    }
}

fn is_alive(process: i32) -> bool {
    kill(Pid::from_raw(process), None) != Err(Errno::ESRCH)
}
