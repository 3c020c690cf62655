//! [`Place`]: where Redis is.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, Cmd, ConnectionAddr, IntoConnectionInfo, RedisConnectionInfo, RedisResult};

use super::nodes::{Nodes, nodes_of};
use super::sentinels::{self, Askable, Found, Sentinels};
use super::{ANSWER_LIMIT, CONNECT_LIMIT};
use crate::error::Error;
use crate::error_class::is_broken;
use crate::keys::Keys;
use crate::redis_url::{Address, Host, Login, RedisUrl};

/// After which silence the kernel asks the other side of a connection whether it is there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
/// How often it asks then.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
/// How long the other side may leave what was sent, or asked, without a sign: then the connection is broken. Linux'
/// default for what was sent is a quarter of an hour.
const UNANSWERED_LONGEST: Duration = Duration::from_secs(8);

/// Where Redis is, as far as a link knows: what the URL says, and what sentinels and nodes of a cluster have said.
///
/// All connections of a link are made of it: names are looked up, sentinels asked and certificates read for each anew.
pub(super) struct Place {
    url: RedisUrl,
    whereabouts: Whereabouts,
    /// Whether the keys are of one slot, so that it may be a cluster whose nodes are to be known.
    follows_cluster: AtomicBool,
    /// Whether the nodes are to be asked for once more.
    wants_nodes: AtomicBool,
}

enum Whereabouts {
    Nodes(Mutex<Nodes>),
    Sentinels { order: Mutex<Sentinels>, master: String, login: Login },
    Socket(PathBuf),
}

impl Place {
    /// The place that `url` names.
    pub(super) fn new(url: &str) -> Result<Place, Error> {
        let url = RedisUrl::parse(url)?;
        url.check_features()?;
        let whereabouts = match url.address.clone() {
            Address::Hosts(hosts) => Whereabouts::Nodes(Mutex::new(Nodes::new(hosts))),
            Address::Socket(path) => Whereabouts::Socket(path),
            Address::Sentinels { sentinels, master, login } => {
                Whereabouts::Sentinels { order: Mutex::new(Sentinels::new(sentinels)), master, login }
            }
        };
        let (follows_cluster, wants_nodes) = (AtomicBool::new(false), AtomicBool::new(false));
        Ok(Place { url, whereabouts, follows_cluster, wants_nodes })
    }

    #[cfg(feature = "worker")]
    pub(super) fn url(&self) -> &RedisUrl {
        &self.url
    }

    /// How long an attempt to connect may take; as in redis-py as long as an answer, where the URL says that alone.
    pub(super) fn connect_limit(&self) -> Duration {
        let limit = self.url.connect_limit.or(self.url.answer_limit);
        limit.unwrap_or(CONNECT_LIMIT)
    }

    /// How many hosts the URL names that connections lead to.
    pub(super) fn hosts(&self) -> usize {
        match &self.url.address {
            Address::Hosts(hosts) => hosts.len(),
            Address::Sentinels { .. } | Address::Socket(_) => 1,
        }
    }

    /// How long an answer may take, for callers without a limit of their own.
    pub(super) fn answer_limit(&self) -> Duration {
        self.url.answer_limit.unwrap_or(ANSWER_LIMIT)
    }

    /// What is to be said first on a connection, beside who we are.
    pub(super) fn introduction(&self) -> Option<Cmd> {
        let name = self.url.client_name.as_deref()?;
        let mut cmd = redis::cmd("CLIENT");
        cmd.arg("SETNAME").arg(name);
        Some(cmd)
    }

    /// A client for the next connection, asking sentinels where there are any.
    pub(super) async fn client(&self) -> RedisResult<Client> {
        match self.whom_to_ask()? {
            None => self.client_of_known(),
            Some(sentinels) => self.client_of_master(sentinels::asynchronous::ask(&sentinels).await?),
        }
    }

    /// [`client`](Place::client) without a runtime, for a caller who has until `deadline`.
    pub(super) fn client_blocking(&self, deadline: Instant) -> RedisResult<Client> {
        match self.whom_to_ask()? {
            None => self.client_of_known(),
            Some(sentinels) => self.client_of_master(sentinels::blocking::ask(&sentinels, deadline)?),
        }
    }

    /// The sentinels, in the order to ask them; `None` where nobody needs to be asked.
    fn whom_to_ask(&self) -> RedisResult<Option<Vec<Askable>>> {
        let Whereabouts::Sentinels { order, master, login } = &self.whereabouts else { return Ok(None) };
        let askable = |host: Host| {
            let client = self.client_at(self.addr(&host)?, login, 0)?;
            Ok(Askable { client, host, master: master.clone() })
        };
        let hosts = lock(order).in_order();
        hosts.into_iter().map(askable).collect::<RedisResult<_>>().map(Some)
    }

    fn client_of_known(&self) -> RedisResult<Client> {
        let addr = match &self.whereabouts {
            Whereabouts::Nodes(nodes) => self.addr(lock(nodes).next())?,
            Whereabouts::Socket(path) => ConnectionAddr::Unix(path.clone()),
            Whereabouts::Sentinels { .. } => unreachable!("sentinels are asked first"),
        };
        self.client_at(addr, &self.url.login, self.url.db)
    }

    fn client_of_master(&self, found: Found) -> RedisResult<Client> {
        if let Whereabouts::Sentinels { order, .. } = &self.whereabouts {
            lock(order).answered(&found.by);
        }
        self.client_at(self.addr(&found.master)?, &self.url.login, self.url.db)
    }

    fn client_at(&self, addr: ConnectionAddr, login: &Login, db: i64) -> RedisResult<Client> {
        let mut settings = RedisConnectionInfo::default().set_db(db).set_protocol(self.url.protocol);
        if let Some(username) = &login.username {
            settings = settings.set_username(username);
        }
        // Python sends an empty password for a user without one; a user may need none.
        if login.username.is_some() || login.password.is_some() {
            settings = settings.set_password(login.password.as_deref().unwrap_or_default());
        }
        let info = addr.into_connection_info()?;
        Client::open(info.set_redis_settings(settings).set_tcp_settings(tcp_settings()))
    }

    fn addr(&self, host: &Host) -> RedisResult<ConnectionAddr> {
        match &self.url.tls {
            #[cfg(feature = "tls")]
            Some(tls) => super::tls::addr(host, tls),
            #[cfg(not(feature = "tls"))]
            Some(_) => unreachable!("a place refuses what this program was built without"),
            None => Ok(ConnectionAddr::Tcp(host.name.clone(), host.port)),
        }
    }
}

/// What a link learns on its way.
impl Place {
    /// Takes what is there for a cluster where these keys share a slot: its nodes are asked for, if it is one, so that
    /// others are known when one dies.
    pub(super) fn follow_cluster(&self, keys: &Keys) {
        if keys.share_a_slot() {
            self.follows_cluster.store(true, Ordering::Relaxed);
            self.wants_nodes.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that there is a new connection.
    pub(super) fn connected(&self) {
        if self.follows_cluster.load(Ordering::Relaxed) {
            self.wants_nodes.store(true, Ordering::Relaxed);
        }
    }

    /// Notes that a connection could not be made, or was of no use: another node, or another sentinel, may be better.
    pub(super) fn failed(&self) {
        match &self.whereabouts {
            Whereabouts::Nodes(nodes) => lock(nodes).failed(),
            Whereabouts::Sentinels { order, .. } => lock(order).failed(),
            Whereabouts::Socket(_) => {}
        }
    }

    /// Notes that a node has named another one, `host:port`, for these keys.
    pub(super) fn moved(&self, node: &str) {
        if let Whereabouts::Nodes(nodes) = &self.whereabouts {
            lock(nodes).moved(node);
        }
    }

    /// What to ask for the cluster's nodes, once for each time they are wanted.
    pub(super) fn question_for_nodes(&self) -> Option<Cmd> {
        if !self.wants_nodes.load(Ordering::Relaxed) || !self.wants_nodes.swap(false, Ordering::Relaxed) {
            return None;
        }
        let mut cmd = redis::cmd("CLUSTER");
        cmd.arg("SLOTS");
        Some(cmd)
    }

    /// Notes the answer. A server that is no cluster's, or does not say, is right as it is.
    pub(super) fn learn_nodes(&self, answer: &RedisResult<redis::Value>) {
        match (&self.whereabouts, answer) {
            (Whereabouts::Nodes(nodes), Ok(answer)) => {
                let mut nodes = lock(nodes);
                let hosts = nodes_of(answer, nodes.next());
                nodes.learned(hosts);
            }
            (_, Err(error)) if is_broken(error) => self.wants_nodes.store(true, Ordering::Relaxed),
            _ => {}
        }
    }
}

/// What came of an [introduction](Place::introduction): a connection whose name is refused serves as well.
pub(super) fn introduced(answer: RedisResult<()>) -> RedisResult<()> {
    answer.or_else(|error| if is_broken(&error) { Err(error) } else { Ok(()) })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn tcp_settings() -> TcpSettings {
    let keepalive = TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY);
    let settings = TcpSettings::default();
    // Small packets are sent at once, which redis 1.x does not do by default.
    let settings = settings.set_nodelay(true).set_keepalive(keepalive);
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(UNANSWERED_LONGEST);
    settings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(url: &str) -> Place {
        Place::new(url).unwrap()
    }

    #[test]
    fn a_node_has_all_else_as_the_url_says() {
        let place = place("redis://u:p@h:1/3");
        place.moved("n:2");
        let client = place.client_blocking(Instant::now()).unwrap();
        let info = client.get_connection_info();
        assert_eq!(info.addr(), &ConnectionAddr::Tcp("n".to_owned(), 2));
        let settings = info.redis_settings();
        assert_eq!((settings.db(), settings.username(), settings.password()), (3, Some("u"), Some("p")));
    }

    #[test]
    fn nodes_are_asked_for_over_each_connection_where_the_keys_may_be_a_clusters() {
        let place = place("redis://h");
        place.connected();
        assert!(place.question_for_nodes().is_none());
        place.follow_cluster(&Keys::default());
        assert!(place.question_for_nodes().is_none());
        place.follow_cluster(&Keys::new("{app}:rq").unwrap());
        assert!(place.question_for_nodes().is_some() && place.question_for_nodes().is_none());
        place.connected();
        assert!(place.question_for_nodes().is_some());
    }

    #[test]
    fn a_socket_has_a_password_too() {
        let client = place("unix://:pw@/tmp/s?db=2").client_blocking(Instant::now()).unwrap();
        let info = client.get_connection_info();
        assert_eq!(info.addr(), &ConnectionAddr::Unix("/tmp/s".into()));
        assert_eq!((info.redis_settings().db(), info.redis_settings().password()), (2, Some("pw")));
    }
}
