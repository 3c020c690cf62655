//! [`Gateway`]: what a server is known by, a name or a virtual address, and what can happen on the way there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use crate::proxy::{close, lock, read, send};

/// An address that leads to a server, and may lead to another one later. Connections along it can die without a word, as
/// where packets are dropped: nothing arrives any more, and neither side is told.
///
/// Keepalive probes are answered all the same, as by a proxy or a firewall that has lost its way: only an answer that does
/// not come tells. Dropping the gateway closes all connections.
pub struct Gateway {
    address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    /// Where new connections lead; nowhere for `None`.
    target: Mutex<Option<SocketAddr>>,
    connections: Mutex<Vec<Arc<Connection>>>,
    ended: AtomicBool,
}

/// A client's connection, and ours to the server for it.
struct Connection {
    client: TcpStream,
    server: Option<TcpStream>,
    silent: AtomicBool,
    closed: AtomicBool,
}

impl Gateway {
    /// One that leads to the server at `address`.
    pub fn to(address: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port on loopback");
        let own_address = listener.local_addr().expect("a listener has an address");
        let shared = Arc::new(Shared {
            target: Mutex::new(Some(address)),
            connections: Mutex::default(),
            ended: AtomicBool::new(false),
        });
        let for_thread = Arc::clone(&shared);
        thread::spawn(move || for_thread.accept(&listener));
        Self { address: own_address, shared }
    }

    /// What clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Leads new connections to another server. Those that are open stay where they are.
    pub fn lead_to(&self, address: SocketAddr) {
        *lock(&self.shared.target) = Some(address);
    }

    /// Lets nothing through new connections, either: they are made, and silent.
    pub fn lead_nowhere(&self) {
        *lock(&self.shared.target) = None;
    }

    /// From now on nothing gets through the connections that are open, either way, for good. Returns how many these are.
    pub fn silence(&self) -> usize {
        self.silence_where(|_| true)
    }

    /// The same for those that their server knows by these addresses (`addr` in `CLIENT LIST`).
    pub fn silence_those(&self, peers: &[SocketAddr]) -> usize {
        self.silence_where(|connection| {
            let known_by = connection.server.as_ref().and_then(|server| server.local_addr().ok());
            known_by.is_some_and(|address| peers.contains(&address))
        })
    }

    fn silence_where(&self, is_meant: impl Fn(&Connection) -> bool) -> usize {
        let connections = lock(&self.shared.connections);
        let meant = connections.iter().filter(|connection| is_meant(connection));
        meant.map(|connection| connection.silent.store(true, Ordering::SeqCst)).count()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::SeqCst);
        // Wakes the thread that accepts, so that it sees the end.
        let _ = TcpStream::connect(self.address);
        lock(&self.shared.connections).drain(..).for_each(|connection| connection.close());
    }
}

impl Shared {
    fn accept(&self, listener: &TcpListener) {
        for client in listener.incoming() {
            if self.ended.load(Ordering::SeqCst) {
                return;
            }
            // A client that is gone already, or a server that is, is what the program has to cope with.
            let Ok(client) = client else { continue };
            let target = *lock(&self.target);
            let Ok(connection) = Connection::open(client, target).map(Arc::new) else { continue };
            let mut connections = lock(&self.connections);
            connections.retain(|connection| !connection.closed.load(Ordering::SeqCst));
            connections.push(Arc::clone(&connection));
            drop(connections);
            if connection.server.is_some() {
                let other = Arc::clone(&connection);
                thread::spawn(move || other.carry_requests());
                thread::spawn(move || connection.carry_replies());
            }
        }
    }
}

impl Connection {
    fn open(client: TcpStream, target: Option<SocketAddr>) -> std::io::Result<Self> {
        let server = target.map(TcpStream::connect).transpose()?;
        client.set_nodelay(true)?;
        server.as_ref().map_or(Ok(()), |server| server.set_nodelay(true))?;
        let silent = AtomicBool::new(server.is_none());
        Ok(Self { client, server, silent, closed: AtomicBool::new(false) })
    }

    fn carry_requests(&self) {
        self.carry(Some(&self.client), self.server.as_ref());
    }

    fn carry_replies(&self) {
        self.carry(self.server.as_ref(), Some(&self.client));
    }

    fn carry(&self, from: Option<&TcpStream>, to: Option<&TcpStream>) {
        let (Some(from), Some(to)) = (from, to) else { return };
        while let Some(bytes) = read(from) {
            if self.is_silent() {
                return;
            }
            send(to, &bytes);
        }
        // Of a silent connection neither side learns that the other has left.
        if !self.is_silent() {
            self.close();
        }
    }

    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::SeqCst)
    }

    fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        close(&self.client);
        self.server.iter().for_each(close);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use redis::{Connection, RedisResult};

    use super::*;
    use crate::PrivateRedis;

    /// How long an answer may take that comes.
    const ANSWER_LIMIT: Duration = Duration::from_millis(300);

    fn connect(gateway: &Gateway) -> Connection {
        let connection = crate::scratch::connect(&format!("redis://{}/", gateway.address()));
        connection.set_read_timeout(Some(ANSWER_LIMIT)).unwrap();
        connection
    }

    fn set(connection: &mut Connection, key: &str) -> RedisResult<()> {
        redis::cmd("SET").arg(key).arg(1).exec(connection)
    }

    fn keys(server: &PrivateRedis) -> Vec<String> {
        redis::cmd("KEYS").arg("*").query(&mut server.connection()).unwrap()
    }

    #[test]
    fn new_connections_follow_and_old_ones_stay() {
        let servers = [PrivateRedis::start(&[]), PrivateRedis::start(&[])];
        let gateway = Gateway::to(servers[0].address());
        let mut old = connect(&gateway);
        gateway.lead_to(servers[1].address());
        set(&mut old, "old").unwrap();
        set(&mut connect(&gateway), "new").unwrap();
        assert_eq!(servers.each_ref().map(keys), [["old"], ["new"]]);
    }

    #[test]
    fn a_silent_connection_delivers_nothing_and_is_not_closed() {
        let server = PrivateRedis::start(&[]);
        let gateway = Gateway::to(server.address());
        let mut old = connect(&gateway);
        set(&mut old, "before").unwrap();
        assert_eq!(gateway.silence(), 1);
        let error = set(&mut old, "after").unwrap_err();
        assert!(error.is_timeout(), "{error}");
        set(&mut connect(&gateway), "new").unwrap();
        let mut keys = keys(&server);
        keys.sort();
        assert_eq!(keys, ["before", "new"]);
    }

    #[test]
    fn one_connection_of_several_is_silenced() {
        let server = PrivateRedis::start(&[]);
        let gateway = Gateway::to(server.address());
        let (mut one, mut other) = (connect(&gateway), connect(&gateway));
        let info: String = redis::cmd("CLIENT").arg("INFO").query(&mut one).unwrap();
        let address = info.split_whitespace().find_map(|word| word.strip_prefix("addr=")).unwrap();
        assert_eq!(gateway.silence_those(&[address.parse().unwrap()]), 1);
        set(&mut other, "k").unwrap();
        assert!(set(&mut one, "k").unwrap_err().is_timeout());
    }

    #[test]
    fn who_is_led_nowhere_is_answered_by_nobody() {
        let server = PrivateRedis::start(&[]);
        let gateway = Gateway::to(server.address());
        gateway.lead_nowhere();
        let client = redis::Client::open(format!("redis://{}/", gateway.address())).unwrap();
        assert!(client.get_connection_with_timeout(ANSWER_LIMIT).is_err());
        gateway.lead_to(server.address());
        set(&mut connect(&gateway), "k").unwrap();
    }
}
