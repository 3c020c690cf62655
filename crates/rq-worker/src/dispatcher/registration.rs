//! How a worker introduces itself to Redis.

use rq_core::keys::{check_queue_name, check_worker_name};
use rq_core::link::Link;
use rq_core::steps::permissions::{Lack, Permissions, lack_in, permissions};
use rq_core::steps::roster;
use rq_core::steps::worker::{self as steps, Identity, ServerInfo};
use rq_core::{Timestamp, WorkerRecord};

use super::namesake::{self, Process};
use crate::error::WorkerError;
use crate::event::{Observers, WorkerEvent};
use crate::options::Options;

/// The oldest server RQ works with: `LMOVE` and `BLMOVE` came with it.
const REDIS_MIN: (u32, u32) = (6, 2);

/// For how many queues a server is asked at once what its user may do, so that it serves others soon.
const ASKED_MAX: usize = 100;

/// The oldest Python RQ whose workers may share queues with ours.
const RQ_SHARED_MIN: (u32, u32) = (2, 0);

/// How many workers of the same queues are looked at.
const STRANGERS_LOOKED_AT_MAX: usize = 1000;

/// The policy of a server that gives up no key.
const POLICY_SAFE: &str = "noeviction";

/// Refuses a server that lacks what RQ needs. What a server does not report counts as good.
pub(crate) async fn check_server(link: &Link) -> Result<ServerInfo, WorkerError> {
    let server = match link.run(&steps::server_info()).await {
        Ok(server) => server,
        Err(error) if error.is_redis_unavailable() => return Err(error.into()),
        Err(_) => return Ok(ServerInfo::default()),
    };
    match &server.version {
        Some(version) if parse_version(version).is_some_and(|version| version < REDIS_MIN) => {
            Err(WorkerError::ServerTooOld { server: format!("Redis {version}") })
        }
        _ => Ok(server),
    }
}

/// Refuses a user that may not do what a worker needs, before anything is registered or claimed.
pub(crate) async fn check_permissions(
    link: &Link,
    who: &Identity,
    queues: &[String],
) -> Result<(), WorkerError> {
    let channel = who.keys.pubsub(&who.name);
    let refused =
        |user, lacks| WorkerError::NotPermitted { user, lacks, prefix: who.keys.prefix().to_owned() };
    let missing = |error, user| match lack_in(&error, who) {
        Some(lack) => refused(user, vec![lack]),
        None => error.into(),
    };
    for (part, some) in queues.chunks(ASKED_MAX).enumerate() {
        let Permissions { user, mut lacks, is_complete } =
            link.run(&permissions(who, some)).await.map_err(|error| missing(error, None))?;
        if part == 0
            && !is_complete
            && let Err(error) = link.subscribe(&channel).await
        {
            // Other errors pass: the subscription is tried again whenever it breaks.
            lacks.extend(lack_in(&error, who));
        }
        if !lacks.is_empty() {
            return Err(refused(user, lacks.into_iter().collect::<Vec<Lack>>()));
        }
    }
    Ok(())
}

/// Tells of the server's ways to lose jobs, of which each can be set otherwise.
pub(crate) fn tell_of_dangers(server: &ServerInfo, observers: &Observers) {
    if let Some(policy) = server.maxmemory_policy.as_deref().filter(|policy| *policy != POLICY_SAFE) {
        observers.tell(WorkerEvent::EvictionPossible { policy });
    }
    if server.is_persistent == Some(false) {
        observers.tell(WorkerEvent::PersistenceMissing);
    }
}

/// Tells of workers of Python RQ 1 on the same queues: they and newer ones, ours among them, do not see what the others
/// run (docs/wire.md §20).
pub(crate) async fn tell_of_strangers(link: &Link, who: &Identity, queues: &[String], observers: &Observers) {
    // Advice alone: what keeps it from being given is met by the steps that matter.
    let Ok(mut names) = link.run(&roster::names(&who.keys, queues)).await else { return };
    names.truncate(STRANGERS_LOOKED_AT_MAX);
    let Ok(records) = link.run(&roster::records(&who.keys, &names)).await else { return };
    let strangers: Vec<String> = records.iter().filter(|record| is_of_rq_1(record)).map(named).collect();
    if !strangers.is_empty() {
        observers.tell(WorkerEvent::QueuesSharedWithRq1 { workers: &strangers });
    }
}

/// Whether it is a living worker of Python RQ before 2.0.
fn is_of_rq_1(record: &WorkerRecord) -> bool {
    // Our own versions count by themselves: such a record says in `python_version` that there is no Python.
    let is_python = record.python_version.as_deref().is_some_and(|version| !version.starts_with("none"));
    let version = record.version.as_deref().and_then(parse_version);
    is_python && record.death.is_none() && version.is_some_and(|version| version < RQ_SHARED_MIN)
}

fn named(record: &WorkerRecord) -> String {
    format!("{} (RQ {})", record.name, record.version.as_deref().unwrap_or_default())
}

fn parse_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??))
}

/// Who this worker is.
pub(crate) fn identity(options: &mut Options) -> Identity {
    Identity {
        name: options.named().to_owned(),
        keys: options.keys.clone(),
        worker_ttl: options.worker_ttl,
        monitoring_interval: options.monitoring_interval,
        lease: options.lease,
    }
}

/// Refuses names that must not be written to Redis.
pub(crate) fn check_names(who: &Identity, queues: &[String]) -> Result<(), WorkerError> {
    check_worker_name(&who.name).map_err(rq_core::Error::from)?;
    for queue in queues {
        check_queue_name(queue).map_err(rq_core::Error::from)?;
    }
    Ok(())
}

/// Registers the worker at its start, under a name that no living one has.
pub(crate) async fn register(
    link: &Link,
    who: &Identity,
    queues: &[String],
    server: &ServerInfo,
    observers: &Observers,
) -> Result<(), WorkerError> {
    match register_after(link, who, queues, None).await {
        Err(WorkerError::NameTaken { .. }) => {
            let gone = namesake::wait_until_gone(link, who, !server.is_of_cluster, observers).await?;
            register_after(link, who, queues, gone).await
        }
        registered => registered,
    }
}

/// Registers a worker whose record is gone from Redis.
pub(crate) async fn register_again(
    link: &Link,
    who: &Identity,
    queues: &[String],
) -> Result<(), WorkerError> {
    register_after(link, who, queues, None).await
}

/// Registers the worker, in the place of one that was born at `gone`.
async fn register_after(
    link: &Link,
    who: &Identity,
    queues: &[String],
    gone: Option<String>,
) -> Result<(), WorkerError> {
    let address = link.run(&steps::introduce(&who.name)).await?;
    let record = record(who, queues, address);
    if !link.run(&steps::birth_after(who, &record, gone.as_deref())).await? {
        return Err(WorkerError::NameTaken { name: who.name.clone() });
    }
    if let Some(join) = steps::join_more_queues(who, queues) {
        link.run(&join).await?;
    }
    Ok(())
}

/// What this machine calls itself.
pub(crate) fn hostname() -> String {
    let name = nix::unistd::gethostname().map(|name| name.to_string_lossy().into_owned());
    name.unwrap_or_else(|_| "unknown".to_owned())
}

fn record(who: &Identity, queues: &[String], address: String) -> WorkerRecord {
    let now = Timestamp::now();
    let mut record = WorkerRecord::new(who.name.as_str());
    record.birth = Some(now);
    record.last_heartbeat = Some(now);
    record.queues = queues.to_vec();
    record.pid = Some(i64::from(std::process::id()));
    record.hostname = Some(hostname());
    record.ip_address = Some(address);
    record.version = Some(env!("CARGO_PKG_VERSION").to_owned());
    record.python_version = Some(format!("none: rq in Rust {}", env!("CARGO_PKG_VERSION")));
    record.state = Some("started".to_owned());
    if let Some(process) = Process::own() {
        record.other.set(steps::PROCESS, process.to_wire());
    }
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_compare_by_number() {
        assert_eq!(parse_version("7.0.15"), Some((7, 0)));
        assert!(parse_version("6.0.20").unwrap() < REDIS_MIN);
        assert!(parse_version("10.1").unwrap() > REDIS_MIN);
        assert_eq!(parse_version("unstable"), None);
    }

    #[test]
    fn workers_of_rq_1_are_known_by_their_versions() {
        let check = |version: &str, python: Option<&str>, death, expected| {
            let mut record = WorkerRecord::new("w");
            record.version = Some(version.to_owned());
            record.python_version = python.map(str::to_owned);
            record.death = death;
            assert_eq!(is_of_rq_1(&record), expected, "{record:?}");
        };
        check("1.16.2", Some("3.11.7 (main)"), None, true);
        check("0.13.0", Some("3.6.0"), None, true);
        check("1.16.2", Some("3.11.7"), Some(Timestamp::now()), false);
        check("2.12.0", Some("3.11.7"), None, false);
        check("3.0.0", Some("3.11.7"), None, false);
        check("0.1.0", Some("none: rq in Rust 0.1.0"), None, false);
    }
}
