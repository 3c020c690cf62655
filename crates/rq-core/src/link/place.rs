//! [`Place`]: where Redis is.

use std::borrow::Cow;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisResult};

/// After which silence the kernel asks the other side of a connection whether it is there.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(5);
/// How often it asks then.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(2);
/// How long the other side may leave what was sent, or asked, without a sign: then the connection is broken. Linux'
/// default for what was sent is a quarter of an hour.
const UNANSWERED_LONGEST: Duration = Duration::from_secs(8);

/// Where Redis is: the URL as it was given, or the node that a `MOVED` has named.
///
/// A connection is made of the URL each time, with its name looked up and its credentials read from it.
pub(super) struct Place {
    url: String,
}

impl Place {
    /// The place that `url` names: `redis://`, `rediss://` or `unix:///path?db=n`.
    pub(super) fn new(url: &str) -> RedisResult<Place> {
        let place = Place { url: url.to_owned() };
        place.client(None)?;
        Ok(place)
    }

    /// A client for the next connection: to `node`, `host:port`, with all else as the URL says, or to the URL's own host.
    pub(super) fn client(&self, node: Option<&str>) -> RedisResult<Client> {
        let mut info: ConnectionInfo = as_the_client_reads(&self.url).as_ref().into_connection_info()?;
        if let Some(node) = node {
            let addr = at_node(info.addr().clone(), node);
            info = info.set_addr(addr);
        }
        Client::open(info.set_tcp_settings(tcp_settings()))
    }
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

/// `addr` with the host and the port of `node`; as it is where `node` is none, or `addr` has none.
fn at_node(mut addr: ConnectionAddr, node: &str) -> ConnectionAddr {
    let Some((new_host, new_port)) = node.rsplit_once(':') else { return addr };
    let Ok(new_port) = new_port.parse() else { return addr };
    match &mut addr {
        ConnectionAddr::Tcp(host, port) | ConnectionAddr::TcpTls { host, port, .. } => {
            // A node that does not know its own name leaves the host out, and means the one that was asked.
            if !new_host.is_empty() {
                *host = new_host.trim_matches(['[', ']']).to_owned();
            }
            *port = new_port;
        }
        _ => {}
    }
    addr
}

/// `url` in the form that the client library reads, where Python's reads more: in `redis://host/1?db=2` the query
/// decides, and a host that is left out is this machine.
fn as_the_client_reads(url: &str) -> Cow<'_, str> {
    let Some((scheme @ ("redis" | "rediss"), rest)) = url.split_once("://") else {
        return Cow::Borrowed(url);
    };
    let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, path) = place.split_once('/').unwrap_or((place, ""));
    // The client library takes the database from the path alone, and passes over `db` in the query of such a URL.
    let (db, others): (Vec<&str>, Vec<&str>) = query.split('&').partition(|pair| pair.starts_with("db="));
    let host = match authority {
        no_host if no_host.is_empty() || no_host.ends_with('@') => format!("{no_host}localhost"),
        with_host => with_host.to_owned(),
    };
    let path = db.first().map_or(path, |pair| &pair["db=".len()..]);
    let query = others.join("&");
    let mark = if query.is_empty() { "" } else { "?" };
    Cow::Owned(format!("{scheme}://{host}/{path}{mark}{query}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_read_as_python_does() {
        for (url, expected) in [
            ("redis://h:1?db=2", "redis://h:1/2"),
            ("redis://h/1?db=2&protocol=resp3", "redis://h/2?protocol=resp3"),
            ("redis://h", "redis://h/"),
            ("redis://h/1?protocol=resp3", "redis://h/1?protocol=resp3"),
            ("redis:///2", "redis://localhost/2"),
            ("redis://:p@/2", "redis://:p@localhost/2"),
            ("unix:///tmp/s?db=2", "unix:///tmp/s?db=2"),
        ] {
            assert_eq!(as_the_client_reads(url), expected);
        }
    }

    #[test]
    fn a_named_node_replaces_host_and_port_alone() {
        let tcp = |host: &str, port| ConnectionAddr::Tcp(host.to_owned(), port);
        for (node, expected) in [
            ("10.0.0.7:7001", tcp("10.0.0.7", 7001)),
            (":7001", tcp("h", 7001)),
            ("[::1]:7001", tcp("::1", 7001)),
            ("nonsense", tcp("h", 6379)),
        ] {
            assert_eq!(at_node(tcp("h", 6379), node), expected, "{node}");
        }
        let socket = ConnectionAddr::Unix("/tmp/s".into());
        assert_eq!(at_node(socket.clone(), "h:1"), socket);
        let client = Place::new("redis://u:p@h:1/3").unwrap().client(Some("n:2")).unwrap();
        let info = client.get_connection_info();
        assert_eq!((info.addr(), info.redis_settings().db()), (&tcp("n", 2), 3));
        assert_eq!(info.redis_settings().password(), Some("p"));
    }
}
