//! [`Watched`]: a primary and its replica, watched by sentinels.

use std::time::Duration;

use crate::{Folder, PrivateRedis, eventually};

/// The master's name.
const MASTER: &str = "queues";
/// How many sentinels there are; more than half of them have to agree.
const SENTINELS: usize = 3;
const QUORUM: usize = 2;
/// After how long a silent primary is taken for dead, in ms.
const DOWN_AFTER_MS: usize = 500;
/// How long a takeover may take before it is tried again, in ms.
const FAILOVER_LIMIT_MS: usize = 5_000;
/// How long they may take to agree on anything.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(30);

/// A primary and its replica, watched by sentinels.
pub struct Watched {
    sentinels: Vec<PrivateRedis>,
    primary: PrivateRedis,
    replica: PrivateRedis,
    /// What the sentinels keep.
    _folder: Folder,
}

impl Watched {
    /// Starts all of them; the two servers want this password, if there is one.
    ///
    /// # Panics
    /// When there is no server on `PATH`, or they do not find each other.
    pub fn start(password: Option<&str>) -> Self {
        let options = password.map(|word| ["--requirepass", word, "--masterauth", word]);
        let options = options.as_ref().map_or(&[][..], |options| options);
        let primary = PrivateRedis::start(options);
        let port = primary.address().port().to_string();
        let replica = PrivateRedis::start(&[&["--replicaof", "127.0.0.1", &port], options].concat());
        let auth_pass = password.map(|word| format!("sentinel auth-pass {MASTER} {word}\n"));
        let folder = Folder::new("sentinels");
        let settings = format!(
            "sentinel monitor {MASTER} 127.0.0.1 {port} {QUORUM}\n\
             sentinel down-after-milliseconds {MASTER} {DOWN_AFTER_MS}\n\
             sentinel failover-timeout {MASTER} {FAILOVER_LIMIT_MS}\n"
        );
        let settings = settings + &auth_pass.unwrap_or_default();
        let sentinels = (0..SENTINELS).map(|number| {
            let path = folder.path().join(format!("{number}.conf"));
            // A sentinel writes into it what it learns.
            std::fs::write(&path, &settings).expect("the settings can be written");
            PrivateRedis::with_settings(&path, &["--sentinel"])
        });
        let watched = Self { sentinels: sentinels.collect(), primary, replica, _folder: folder };
        watched.wait_for_agreement();
        watched
    }

    /// How a client reaches the primary, whichever that is: `redis+sentinel://..`.
    pub fn url(&self) -> String {
        let sentinels: Vec<String> = self.sentinels.iter().map(|one| one.address().to_string()).collect();
        format!("redis+sentinel://{}/{MASTER}", sentinels.join(","))
    }

    /// The one that was the primary at the beginning.
    pub fn primary(&self) -> &PrivateRedis {
        &self.primary
    }

    /// The one that was its replica.
    pub fn replica(&self) -> &PrivateRedis {
        &self.replica
    }

    /// Kills a sentinel.
    pub fn kill_sentinel(&mut self, number: usize) {
        self.sentinels[number].kill();
    }

    /// Kills the primary once the replica has all it has answered, and waits until that has taken over.
    ///
    /// # Panics
    /// When it does not.
    pub fn kill_primary(&mut self) {
        let connection = &mut self.primary.connection();
        // Nobody writes any more: what was answered is what the replica has.
        redis::cmd("CLIENT").arg(&["PAUSE", "5000", "WRITE"]).exec(connection).expect("CLIENT PAUSE");
        eventually("the replica to have all", AGREEMENT_LIMIT, || {
            let offset = said(&self.primary, "replication", "master_repl_offset")?;
            (said(&self.replica, "replication", "slave_repl_offset")? == offset).then_some(())
        });
        self.primary.kill();
        eventually("the replica to be the primary", AGREEMENT_LIMIT, || {
            (said(&self.replica, "replication", "role")? == "master").then_some(())
        });
    }

    fn wait_for_agreement(&self) {
        for sentinel in &self.sentinels {
            eventually("the sentinels to know each other and the replica", AGREEMENT_LIMIT, || {
                let master = said(sentinel, "sentinel", "master0")?;
                let all = format!("status=ok,address=127.0.0.1:{}", self.primary.address().port());
                (master.contains(&all) && master.ends_with(&format!("slaves=1,sentinels={SENTINELS}")))
                    .then_some(())
            });
        }
    }
}

/// How long a server may take to answer.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);

/// A line of `INFO`; none from a server that cuts its connections just now, as one that becomes the primary does.
fn said(redis: &PrivateRedis, section: &str, name: &str) -> Option<String> {
    let mut connection =
        redis::Client::open(redis.url()).ok()?.get_connection_with_timeout(ANSWER_LIMIT).ok()?;
    connection.set_read_timeout(Some(ANSWER_LIMIT)).ok()?;
    let info: String = redis::cmd("INFO").arg(section).query(&mut connection).ok()?;
    let mut pairs = info.lines().filter_map(|line| line.split_once(':'));
    pairs.find(|(known, _)| *known == name).map(|(_, value)| value.trim().to_owned())
}
