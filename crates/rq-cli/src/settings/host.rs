//! [`Host`]: where a Redis is, as a setting has it: a name or an address, and for sentinels its port.
//!
//! What means something in a URL is refused: the pieces would come to another Redis than they say.

use std::net::Ipv6Addr;

use rq_core::Shown;

/// A name or an address, as a URL has it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Host(String);

impl Host {
    /// What REDIS_HOST says, which has no port. The error is the end of a sentence, and shows no secret.
    pub(super) fn alone(text: &str) -> Result<Host, String> {
        check_place(text)?;
        if text.contains('@') {
            return Err(
                "says who logs in: REDIS_PASSWORD says that, and a URL a user as well, REDIS_URL".to_owned()
            );
        }
        let has_port = |(host, port): (&str, &str)| port_of(port).is_some() && Host::named(host).is_ok();
        match text.rsplit_once(':') {
            Some(parts) if has_port(parts) && address(text).is_none() => {
                Err("holds a port: REDIS_PORT says it".to_owned())
            }
            _ => Host::named(text),
        }
    }

    /// What REDIS_SENTINELS says: hosts, each with a port or without, as a URL has them.
    pub(super) fn listed(text: &str) -> Result<String, String> {
        let hosts: Result<Vec<String>, String> =
            text.split(',').map(|part| Host::with_port(part.trim())).collect();
        Ok(hosts?.join(","))
    }

    fn with_port(text: &str) -> Result<String, String> {
        check_place(text)?;
        if text.contains('@') {
            return Err(
                "says who logs in: REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD say that".to_owned()
            );
        }
        if let Some(address) = address(text) {
            return Ok(address.0);
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => (Host::named(host)?, port),
            None => return Host::named(text).map(|host| host.0),
        };
        let port = port_of(port).ok_or("holds a port that is no whole number from 1 to 65535")?;
        Ok(format!("{}:{port}", host.0))
    }

    /// A host name or an address, this one in brackets or without.
    pub(super) fn named(text: &str) -> Result<Host, String> {
        if let Some(address) = address(text) {
            return Ok(address);
        }
        match text.chars().find(|c| !(c.is_alphanumeric() || "-_.".contains(*c))) {
            None if text.is_empty() => Err("has an empty host".to_owned()),
            None => Ok(Host(text.to_owned())),
            Some(foreign) => {
                let foreign = Shown::name(foreign.to_string()).to_string();
                Err(format!("is neither a host name nor an IP address: `{foreign}` is in it"))
            }
        }
    }

    /// The text of a URL.
    pub(super) fn into_text(self) -> String {
        self.0
    }
}

/// What is somewhere else altogether, and has a URL.
fn check_place(text: &str) -> Result<(), String> {
    if text.contains("://") {
        return Err("holds a URL: REDIS_URL says it".to_owned());
    }
    match text.starts_with(['/', '.', '~']) {
        true => Err("holds a path: a URL says it, REDIS_URL=unix:///path/of/the/socket".to_owned()),
        false => Ok(()),
    }
}

/// An IPv6 address, which has colons of its own, so a URL has it in brackets.
fn address(text: &str) -> Option<Host> {
    let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
    bare.parse::<Ipv6Addr>().ok().map(|_| Host(format!("[{bare}]")))
}

/// A port that one can connect to.
pub(super) fn port_of(text: &str) -> Option<u16> {
    text.trim().parse().ok().filter(|port| *port > 0)
}

/// What names a master: a URL has parts behind it. The error is the end of a sentence.
pub(super) fn check_master(name: &str) -> Result<(), String> {
    match name.chars().find(|c| "/?#".contains(*c)) {
        Some(foreign) => Err(format!("is no name of a master: `{foreign}` is in it")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_names_and_addresses() {
        for (text, expected) in [
            ("h", Ok("h")),
            ("my_redis.example-1.", Ok("my_redis.example-1.")),
            ("127.0.0.1", Ok("127.0.0.1")),
            ("::1", Ok("[::1]")),
            ("[fe80::1]", Ok("[fe80::1]")),
            ("h:7000", Err("holds a port: REDIS_PORT says it")),
            ("[::1]:7000", Err("holds a port: REDIS_PORT says it")),
            ("redis://h", Err("holds a URL: REDIS_URL says it")),
            ("/run/redis.sock", Err("holds a path: a URL says it, REDIS_URL=unix:///path/of/the/socket")),
            ("127.0.0.1/", Err("is neither a host name nor an IP address: `/` is in it")),
            ("h#", Err("is neither a host name nor an IP address: `#` is in it")),
            ("h?x=1", Err("is neither a host name nor an IP address: `?` is in it")),
            ("a b", Err("is neither a host name nor an IP address: ` ` is in it")),
            ("h:", Err("is neither a host name nor an IP address: `:` is in it")),
            (
                "u:SEKRIT@h",
                Err("says who logs in: REDIS_PASSWORD says that, and a URL a user as well, REDIS_URL"),
            ),
        ] {
            let host = Host::alone(text).map(Host::into_text);
            assert_eq!(host, expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
    }

    #[test]
    fn sentinels_are_hosts_with_ports() {
        for (text, expected) in [
            ("a:1, b", Ok("a:1,b")),
            ("::1,[::1]:7", Ok("[::1],[::1]:7")),
            ("a:0", Err("holds a port that is no whole number from 1 to 65535")),
            ("a:x", Err("holds a port that is no whole number from 1 to 65535")),
            ("a/1", Err("is neither a host name nor an IP address: `/` is in it")),
            ("a b", Err("is neither a host name nor an IP address: ` ` is in it")),
            ("a,,b", Err("has an empty host")),
            ("a:1,redis://b", Err("holds a URL: REDIS_URL says it")),
            (
                "a,u:SEKRIT@b",
                Err("says who logs in: REDIS_SENTINEL_USERNAME and REDIS_SENTINEL_PASSWORD say that"),
            ),
        ] {
            assert_eq!(Host::listed(text), expected.map(str::to_owned).map_err(str::to_owned), "{text}");
        }
        assert_eq!(check_master("my-master"), Ok(()));
        assert_eq!(check_master("m/1"), Err("is no name of a master: `/` is in it".to_owned()));
    }
}
