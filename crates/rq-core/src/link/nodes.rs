//! [`Nodes`]: which hosts may have our keys, in the order to try them.

use std::collections::VecDeque;

use redis::Value;

use crate::redis_url::{Host, host_of_node};

/// The most nodes that are remembered; a cluster has a few, seldom more.
const NODES_MAX: usize = 64;

/// The hosts of the URL, and the nodes of their cluster, if it is one. The first is the next to connect to.
pub(super) struct Nodes {
    own: Vec<Host>,
    order: VecDeque<Host>,
}

impl Nodes {
    /// The URL's own hosts, with nothing known of a cluster.
    ///
    /// # Panics
    /// When there are none.
    pub(super) fn new(own: Vec<Host>) -> Nodes {
        assert!(!own.is_empty(), "a URL has a host");
        Nodes { order: own.iter().cloned().collect(), own }
    }

    /// The host to connect to.
    pub(super) fn next(&self) -> &Host {
        self.order.front().unwrap_or(&self.own[0])
    }

    /// That one was of no use: another comes first. After each that a cluster has named it is one of the URL's own, as
    /// the cluster may name them by addresses that lead nowhere from here.
    pub(super) fn failed(&mut self) {
        let was_own = self.own.contains(self.next());
        self.order.rotate_left(1);
        let own = self.order.iter().position(|host| self.own.contains(host));
        if let Some(own) = own.filter(|_| !was_own).and_then(|at| self.order.remove(at)) {
            self.order.push_front(own);
        }
    }

    /// That one has named another, `host:port`.
    pub(super) fn moved(&mut self, node: &str) {
        let Some(host) = host_of_node(node, self.next()) else { return };
        self.order.retain(|known| *known != host);
        self.order.push_front(host);
        self.forget_some();
    }

    /// These are all nodes there are. The one in use stays first, and the URL's own are always kept.
    pub(super) fn learned(&mut self, hosts: Vec<Host>) {
        if hosts.is_empty() {
            return;
        }
        let first = self.next().clone();
        self.order = VecDeque::from([first]);
        for host in hosts.into_iter().chain(self.own.iter().cloned()) {
            if !self.order.contains(&host) {
                self.order.push_back(host);
            }
        }
        self.forget_some();
    }

    fn forget_some(&mut self) {
        while self.order.len() > NODES_MAX {
            let at = self.order.iter().rposition(|host| !self.own.contains(host)).unwrap_or(0);
            self.order.remove(at);
        }
    }
}

/// The nodes in an answer to `CLUSTER SLOTS`, primaries first; `asked` is who gave it.
pub(super) fn nodes_of(answer: &Value, asked: &Host) -> Vec<Host> {
    let Value::Array(slots) = answer else { return Vec::new() };
    let (mut primaries, mut replicas) = (Vec::new(), Vec::new());
    for slot in slots {
        let Value::Array(parts) = slot else { continue };
        // The first and the last slot stand before the nodes, of which the first is the primary.
        let hosts = parts.iter().skip(2).filter_map(|node| host_of(node, asked));
        for (place, host) in hosts.enumerate() {
            let list = if place == 0 { &mut primaries } else { &mut replicas };
            if !list.contains(&host) {
                list.push(host);
            }
        }
    }
    primaries.append(&mut replicas);
    primaries
}

/// A node in that answer: address, port, and what we do not need.
fn host_of(node: &Value, asked: &Host) -> Option<Host> {
    let Value::Array(parts) = node else { return None };
    let [name, Value::Int(port), ..] = parts.as_slice() else { return None };
    let name = match name {
        Value::BulkString(name) => String::from_utf8_lossy(name).into_owned(),
        Value::SimpleString(name) => name.clone(),
        // A node that does not know its own name leaves it out, and means the one that was asked.
        Value::Nil => String::new(),
        _ => return None,
    };
    let name = match name.as_str() {
        "" => asked.name.clone(),
        "?" => return None,
        _ => name,
    };
    Some(Host { name, port: u16::try_from(*port).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str, port: u16) -> Host {
        Host { name: name.to_owned(), port }
    }

    #[test]
    fn who_is_named_comes_first_and_who_fails_last() {
        let mut nodes = Nodes::new(vec![host("own", 1)]);
        nodes.failed();
        assert_eq!(nodes.next(), &host("own", 1), "there is no other");
        nodes.moved("a:2");
        assert_eq!(nodes.next(), &host("a", 2));
        nodes.moved(":3");
        assert_eq!(nodes.next(), &host("a", 3), "the host that was asked");
        nodes.failed();
        assert_eq!(nodes.next(), &host("own", 1));
        nodes.failed();
        assert_eq!(nodes.next(), &host("a", 2));
        nodes.failed();
        assert_eq!(nodes.next(), &host("own", 1), "after each of the others");
        nodes.moved("[::1]:4");
        assert_eq!(nodes.next(), &host("::1", 4));
        nodes.moved("nonsense");
        assert_eq!(nodes.next(), &host("::1", 4));
    }

    #[test]
    fn the_urls_own_is_never_forgotten() {
        let mut nodes = Nodes::new(vec![host("own", 1)]);
        nodes.moved("a:1");
        nodes.learned(vec![host("b", 1), host("a", 1)]);
        assert_eq!(nodes.order, [host("a", 1), host("b", 1), host("own", 1)]);
        for port in 1..200 {
            nodes.moved(&format!("c:{port}"));
        }
        assert!(nodes.order.len() == NODES_MAX && nodes.order.contains(&host("own", 1)));
    }

    #[test]
    fn the_nodes_of_a_cluster_are_read() {
        let bulk = |text: &str| Value::BulkString(text.as_bytes().to_vec());
        let node = |name: Value, port| Value::Array(vec![name, Value::Int(port), bulk("id")]);
        let slot = |nodes: Vec<Value>| {
            Value::Array([Value::Int(0), Value::Int(1)].into_iter().chain(nodes).collect())
        };
        let answer = Value::Array(vec![
            slot(vec![node(bulk("a"), 1), node(bulk(""), 2)]),
            slot(vec![node(Value::Nil, 3), node(bulk("?"), 4), node(bulk("a"), 1)]),
        ]);
        let expected = [host("a", 1), host("asked", 3), host("asked", 2), host("a", 1)];
        assert_eq!(nodes_of(&answer, &host("asked", 9)), expected);
        assert!(nodes_of(&Value::Nil, &host("asked", 9)).is_empty());
    }
}
