//! [`Cluster`]: a Redis Cluster on loopback.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use redis::FromRedisValue;

use crate::{PrivateRedis, eventually};

/// How much higher the port is over which nodes talk to each other. Before Redis 7.0 there is no other.
const BUS: u16 = 10_000;
/// How many ports are tried for a pair that is free.
const PAIRS_TRIED: usize = 1_000;
/// How often a node is started: somebody may take one of its ports first.
const STARTS_TRIED: usize = 3;
/// How many slots a cluster has.
const SLOTS: u16 = 16_384;
/// After how long a silent node is taken for dead, in ms.
const NODE_TIMEOUT_MS: &str = "1000";
/// How long nodes may take to agree on anything.
const AGREEMENT_LIMIT: Duration = Duration::from_secs(30);
/// How long moving a key may take, in ms.
const MOVE_LIMIT_MS: usize = 5_000;

/// Nodes that form a cluster: primaries that share the slots, and one that has none until it is told to
/// [replicate](Cluster::replicate).
pub struct Cluster {
    nodes: Vec<Node>,
}

struct Node {
    redis: PrivateRedis,
    id: String,
}

impl Cluster {
    /// Starts one with so many primaries.
    ///
    /// # Panics
    /// When there is no server on `PATH`, or the nodes do not find each other.
    pub fn start(primaries: u16) -> Self {
        let cluster = Self { nodes: (0..=primaries).map(|_| Node::start()).collect() };
        let share = SLOTS.div_ceil(primaries);
        for (number, node) in (0..primaries).zip(&cluster.nodes) {
            let (first, end) = (number * share, SLOTS.min((number + 1) * share));
            let slots: Vec<String> = (first..end).map(|slot| slot.to_string()).collect();
            let _: () = node.cluster("ADDSLOTS", &slots.iter().map(String::as_str).collect::<Vec<_>>());
        }
        cluster.introduce();
        cluster
    }

    /// How a client reaches a node.
    pub fn url(&self, node: usize) -> String {
        self.nodes[node].redis.url()
    }

    /// The node that has no slots of its own.
    pub fn spare(&self) -> usize {
        self.nodes.len() - 1
    }

    /// The node that has the slot of a key, as a node sees it.
    ///
    /// # Panics
    /// When that node does not answer.
    pub fn owner(&self, key: &str, seen_by: usize) -> usize {
        let slot = self.slot(key);
        let ranges: Vec<(u16, u16, (String, u16))> = self.nodes[seen_by].slots();
        let port =
            ranges.iter().find(|(first, last, _)| (*first..=*last).contains(&slot)).map(|range| range.2.1);
        let owner = self.nodes.iter().position(|node| Some(node.redis.address().port()) == port);
        owner.expect("each slot has an owner")
    }

    /// Makes the spare node a replica of another, and waits until it has all.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn replicate(&self, primary: usize) {
        let spare = &self.nodes[self.spare()];
        eventually("the spare node to know the primary", AGREEMENT_LIMIT, || {
            spare.try_cluster::<()>("REPLICATE", &[&self.nodes[primary].id]).ok()
        });
        self.wait_for_replica(primary);
    }

    /// Waits until the spare node has all that its primary has.
    ///
    /// # Panics
    /// When that does not happen.
    pub fn wait_for_replica(&self, primary: usize) {
        eventually("the replica to have all", AGREEMENT_LIMIT, || {
            let of_replica = self.nodes[self.spare()].replication();
            let of_primary = self.nodes[primary].replication();
            let offset = of_primary.get("master_repl_offset")?;
            (of_replica.get("master_link_status")? == "up" && of_replica.get("slave_repl_offset")? == offset)
                .then_some(())
        });
    }

    /// Has the spare node take over from its primary, in agreement with it (`CLUSTER FAILOVER`).
    ///
    /// # Panics
    /// When it does not.
    pub fn fail_over(&self) {
        let spare = self.spare();
        let _: () = self.nodes[spare].cluster("FAILOVER", &[]);
        self.wait_for_takeover();
    }

    /// Kills a node once its replica has all it has answered, and waits until that has taken over.
    ///
    /// # Panics
    /// When it does not.
    pub fn kill(&mut self, primary: usize) {
        let connection = &mut self.nodes[primary].redis.connection();
        // Nobody writes any more: what was answered is what the replica has.
        redis::cmd("CLIENT").arg(&["PAUSE", "5000", "WRITE"]).exec(connection).expect("CLIENT PAUSE");
        self.wait_for_replica(primary);
        self.nodes[primary].redis.kill();
        self.wait_for_takeover();
    }

    fn wait_for_takeover(&self) {
        let spare = &self.nodes[self.spare()];
        eventually("the replica to be a primary", AGREEMENT_LIMIT, || {
            (spare.replication().get("role")? == "master").then_some(())
        });
    }

    /// Begins to move the slot of a key to another primary, as an operator's tool does: from now on both nodes are asked.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn begin_migration(&self, key: &str, to: usize) -> Migration<'_> {
        let slot = self.slot(key).to_string();
        let (source, target) = (&self.nodes[self.owner(key, to)], &self.nodes[to]);
        let _: () = target.cluster("SETSLOT", &[&slot, "IMPORTING", &source.id]);
        let _: () = source.cluster("SETSLOT", &[&slot, "MIGRATING", &target.id]);
        Migration { slot, source, target }
    }

    fn slot(&self, key: &str) -> u16 {
        self.nodes[self.spare()].cluster("KEYSLOT", &[key])
    }

    fn introduce(&self) {
        let [first, others @ ..] = self.nodes.as_slice() else { unreachable!("there are several nodes") };
        for node in others {
            let address = node.redis.address();
            let _: () = first.cluster("MEET", &[&address.ip().to_string(), &address.port().to_string()]);
        }
        for node in &self.nodes {
            eventually("the nodes of a cluster to agree", AGREEMENT_LIMIT, || {
                let info: String = node.cluster("INFO", &[]);
                let knows_all = format!("cluster_known_nodes:{}", self.nodes.len());
                (info.contains("cluster_state:ok") && info.contains(&knows_all)).then_some(())
            });
        }
    }
}

/// A slot on its way from one node to another.
pub struct Migration<'a> {
    slot: String,
    source: &'a Node,
    target: &'a Node,
}

impl Migration<'_> {
    /// Moves all keys, one by one, with a pause after each, and ends.
    ///
    /// # Panics
    /// When a node refuses.
    pub fn finish(self, pause: Duration) {
        let address = self.target.redis.address();
        loop {
            let keys: Vec<Vec<u8>> = self.source.cluster("GETKEYSINSLOT", &[&self.slot, "1"]);
            let Some(key) = keys.first() else { break };
            let mut migrate = redis::cmd("MIGRATE");
            migrate.arg(address.ip().to_string()).arg(address.port()).arg(key).arg(0).arg(MOVE_LIMIT_MS);
            migrate.exec(&mut self.source.redis.connection()).expect("MIGRATE");
            std::thread::sleep(pause);
        }
        for node in [self.target, self.source] {
            let _: () = node.cluster("SETSLOT", &[&self.slot, "NODE", &self.target.id]);
        }
    }
}

impl Node {
    fn start() -> Self {
        let options = ["--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS];
        let mut started = (0..STARTS_TRIED).map(|_| PrivateRedis::start_at(free_pair(), &options));
        let redis = started.find_map(Result::ok).expect("a node starts where both its ports are free");
        let id = redis::cmd("CLUSTER").arg("MYID").query(&mut redis.connection()).expect("CLUSTER MYID");
        Self { redis, id }
    }

    fn slots(&self) -> Vec<(u16, u16, (String, u16))> {
        let slots: Vec<Vec<redis::Value>> = self.cluster("SLOTS", &[]);
        let read = |slot: Vec<redis::Value>| {
            let [first, last, redis::Value::Array(primary), ..] = slot.as_slice() else {
                panic!("CLUSTER SLOTS: {slot:?}")
            };
            let number = |value: &redis::Value| u16::from_redis_value(value.clone()).expect("a number");
            let host = String::from_redis_value(primary[0].clone()).unwrap_or_default();
            (number(first), number(last), (host, number(&primary[1])))
        };
        slots.into_iter().map(read).collect()
    }

    fn replication(&self) -> BTreeMap<String, String> {
        let mut connection = self.redis.connection();
        let info: String = redis::cmd("INFO").arg("replication").query(&mut connection).expect("INFO");
        let pairs = info.lines().filter_map(|line| line.split_once(':'));
        pairs.map(|(name, value)| (name.to_owned(), value.trim().to_owned())).collect()
    }

    #[track_caller]
    fn cluster<T: FromRedisValue>(&self, command: &str, args: &[&str]) -> T {
        self.try_cluster(command, args).unwrap_or_else(|error| panic!("CLUSTER {command}: {error}"))
    }

    fn try_cluster<T: FromRedisValue>(&self, command: &str, args: &[&str]) -> redis::RedisResult<T> {
        redis::cmd("CLUSTER").arg(command).arg(args).query(&mut self.redis.connection())
    }
}

/// An address on loopback that was free a moment ago, and so was the one for the node's own talk.
fn free_pair() -> SocketAddr {
    let bind =
        |port: u16| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).and_then(|socket| socket.local_addr());
    let found = (0..PAIRS_TRIED).find_map(|_| {
        let address = bind(0).ok()?;
        bind(address.port().checked_add(BUS)?).ok().map(|_| address)
    });
    found.expect("some pair of ports is free")
}
