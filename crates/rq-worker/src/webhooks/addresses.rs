//! [`WebhookAllow`]: the addresses that webhooks may go to beside public ones.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that webhooks may go to beside public ones: `private`, an address, or a network such as `10.1.0.0/16`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WebhookAllow {
    /// This machine and private networks: loopback, RFC 1918, the shared space of providers (100.64.0.0/10) and unique
    /// local addresses of IPv6. Not link-local ones, nor where clouds answer with credentials: name those.
    Private,
    /// Whatever is in this network.
    Network {
        /// An address in it.
        address: IpAddr,
        /// How many of its first bits are the network's.
        prefix_bits: u8,
    },
}

/// Text that names no addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is neither 'private' nor an address or a network such as 10.1.0.0/16")]
pub struct WebhookAllowError(String);

impl FromStr for WebhookAllow {
    type Err = WebhookAllowError;

    fn from_str(text: &str) -> Result<WebhookAllow, WebhookAllowError> {
        if text == "private" {
            return Ok(WebhookAllow::Private);
        }
        let refuse = || WebhookAllowError(text.to_owned());
        let (address, bits) = match text.split_once('/') {
            Some((address, bits)) => (address, Some(bits)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| refuse())?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let prefix_bits = bits.map_or(Ok(most), |bits| bits.parse::<u8>().map_err(|_| refuse()))?;
        if prefix_bits > most {
            return Err(refuse());
        }
        Ok(WebhookAllow::Network { address, prefix_bits })
    }
}

impl fmt::Display for WebhookAllow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            WebhookAllow::Private => f.write_str("private"),
            WebhookAllow::Network { address, prefix_bits } => write!(f, "{address}/{prefix_bits}"),
        }
    }
}

/// How long the prefix is behind which an address of IPv6 carries one of IPv4.
const CARRIER_BITS: u8 = 96;

/// Whether a webhook may go to this address.
pub(super) fn is_allowed(address: IpAddr, allow: &[WebhookAllow]) -> bool {
    // An address of IPv6 may mean one of IPv4: then both have to be well, or one be named.
    let meant_v4 = meant_v4(address).map(IpAddr::V4);
    let mut meant = [Some(address), meant_v4].into_iter().flatten();
    let names = |address, prefix_bits_min| {
        allow.iter().any(|allow| match *allow {
            WebhookAllow::Network { address: network, prefix_bits } => {
                prefix_bits >= prefix_bits_min && is_in(address, network, prefix_bits)
            }
            WebhookAllow::Private => false,
        })
    };
    // Whoever names a wide network of IPv6 does not mean what it carries of IPv4.
    let is_named = match meant_v4 {
        Some(meant) => names(meant, 0) || names(address, CARRIER_BITS),
        None => names(address, 0),
    };
    is_named
        || meant.all(|address| match scope(address) {
            Scope::Public => true,
            Scope::Private => allow.contains(&WebhookAllow::Private),
            Scope::Special => false,
        })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Scope {
    /// Anybody's.
    Public,
    /// This machine's, or of a network that is somebody's own.
    Private,
    /// Neither: link-local, multicast, reserved, for documents, or where clouds answer with credentials.
    Special,
}

/// IPv4 as IANA's registry of special addresses has it.
const PRIVATE_V4: [(Ipv4Addr, u8); 5] = [
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
];
const SPECIAL_V4: [(Ipv4Addr, u8); 9] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    // Multicast, reserved and broadcast.
    (Ipv4Addr::new(224, 0, 0, 0), 3),
];
/// Where clouds answer with credentials, outside of what is link-local: Alibaba, Azure.
const METADATA_V4: [Ipv4Addr; 2] = [Ipv4Addr::new(100, 100, 100, 200), Ipv4Addr::new(168, 63, 129, 16)];
/// The same of IPv6: Amazon, Google.
const METADATA_V6: [Ipv6Addr; 2] =
    [Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254), Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254)];

const PRIVATE_V6: [(Ipv6Addr, u8); 2] =
    [(Ipv6Addr::LOCALHOST, 128), (Ipv6Addr::new(0xfc00, 0, 0, 0, 0, 0, 0, 0), 7)];
/// All that is given out to anybody.
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// What is not for anybody in there: IETF's own with Teredo, documents twice.
const SPECIAL_V6: [(Ipv6Addr, u8); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Where an address of IPv6 holds one of IPv4, and at which byte: mapped, NAT64, 6to4.
const CARRIERS_OF_V4: [(Ipv6Addr, u8, usize); 3] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96, 12),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96, 12),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16, 2),
];

fn scope(address: IpAddr) -> Scope {
    match address {
        IpAddr::V4(address) => scope_v4(address),
        IpAddr::V6(address) => scope_v6(address),
    }
}

fn scope_v4(address: Ipv4Addr) -> Scope {
    let is_in_one = |networks: &[(Ipv4Addr, u8)]| {
        networks.iter().any(|&(network, bits)| is_in(address.into(), network.into(), bits))
    };
    if METADATA_V4.contains(&address) || is_in_one(&SPECIAL_V4) {
        Scope::Special
    } else if is_in_one(&PRIVATE_V4) {
        Scope::Private
    } else {
        Scope::Public
    }
}

fn scope_v6(address: Ipv6Addr) -> Scope {
    let is_in_one = |networks: &[(Ipv6Addr, u8)]| {
        networks.iter().any(|&(network, bits)| is_in(address.into(), network.into(), bits))
    };
    if METADATA_V6.contains(&address) || is_in_one(&SPECIAL_V6) {
        Scope::Special
    } else if is_in_one(&PRIVATE_V6) {
        Scope::Private
    } else if is_in_one(&[GLOBAL_V6]) || meant_v4(address.into()).is_some() {
        Scope::Public
    } else {
        Scope::Special
    }
}

/// The address of IPv4 that one of IPv6 leads to.
fn meant_v4(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    let carrier = |&&(network, bits, _): &&(Ipv6Addr, u8, usize)| is_in(address.into(), network.into(), bits);
    let (.., at) = CARRIERS_OF_V4.iter().find(carrier)?;
    let bytes: [u8; 4] = address.octets().get(*at..at + 4)?.try_into().ok()?;
    Some(bytes.into())
}

fn is_in(address: IpAddr, network: IpAddr, prefix_bits: u8) -> bool {
    let same = |a: u128, b: u128, width: u32| {
        // Shifting by the whole width is no shift: then every address is in it.
        (a ^ b).checked_shr(width.saturating_sub(prefix_bits.into())).unwrap_or(0) == 0
    };
    match (address, network) {
        (IpAddr::V4(a), IpAddr::V4(b)) => same(a.to_bits().into(), b.to_bits().into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => same(a.to_bits(), b.to_bits(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn allowed(address: &str, allow: &[&str]) -> bool {
        let allow: Vec<WebhookAllow> = allow.iter().map(|text| text.parse().unwrap()).collect();
        is_allowed(address.parse().unwrap(), &allow)
    }

    const PUBLIC: [&str; 8] = [
        "1.1.1.1",
        "9.255.255.255",
        "100.128.0.1",
        "172.32.0.1",
        "223.255.255.255",
        "2606:4700::1111",
        "64:ff9b::101:101",
        "::ffff:1.1.1.1",
    ];
    const PRIVATE: [&str; 12] = [
        "127.0.0.1",
        "127.9.9.9",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fc00::1",
        "fdff::1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
    ];
    const SPECIAL: [&str; 19] = [
        "0.0.0.0",
        "0.1.2.3",
        "169.254.0.1",
        "169.254.169.254",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "198.18.0.1",
        "203.0.113.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::127.0.0.1",
        "fe80::1",
        "ff02::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "2001:0:1::1",
        "2002:a9fe:a9fe::1",
    ];

    #[test]
    fn public_addresses_alone_are_allowed_by_default() {
        assert!(PUBLIC.iter().all(|address| allowed(address, &[])));
        for address in PRIVATE.iter().chain(&SPECIAL) {
            assert!(!allowed(address, &[]), "{address}");
        }
    }

    #[test]
    fn private_means_no_link_local_ones_and_no_metadata() {
        for address in PUBLIC.iter().chain(&PRIVATE) {
            assert!(allowed(address, &["private"]), "{address}");
        }
        for address in SPECIAL {
            assert!(!allowed(address, &["private"]), "{address}");
        }
    }

    #[test]
    fn what_is_named_is_allowed() {
        assert!(allowed("10.1.2.3", &["10.1.0.0/16"]) && !allowed("10.2.2.3", &["10.1.0.0/16"]));
        assert!(allowed("169.254.169.254", &["169.254.169.254"]));
        assert!(allowed("::ffff:10.1.2.3", &["10.1.0.0/16"]));
        assert!(allowed("fe80::1", &["fe80::/10"]) && !allowed("fc00::1", &["fe80::/10"]));
        assert!(allowed("10.0.0.1", &["1.2.3.4/0"]) && !allowed("::1", &["1.2.3.4/0"]));
        assert!(allowed("::1", &["::/0"]) && !allowed("::ffff:169.254.169.254", &["::/0"]));
        assert!(allowed("::ffff:10.1.2.3", &["::ffff:10.1.2.3"]));
    }

    #[test]
    fn names_of_addresses_are_read_and_shown() {
        for (text, shown) in [
            ("private", "private"),
            ("::1", "::1/128"),
            ("10.0.0.0/8", "10.0.0.0/8"),
            ("1.2.3.4", "1.2.3.4/32"),
        ] {
            assert_eq!(text.parse::<WebhookAllow>().unwrap().to_string(), shown);
        }
        for text in
            ["", "Private", "localhost", "10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0/8", "1.2.3.4/-1"]
        {
            assert!(text.parse::<WebhookAllow>().is_err(), "{text}");
        }
    }
}
