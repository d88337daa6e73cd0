//! Host candidates (RFC 8839 §5.1), as an ICE-lite server announces them. Which addresses a client is told, signaling decides; the
//! client's own candidates are no more than told to a user, since every pair begins with its check.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// RFC 8445 §5.1.2.2: the type preference of host candidates.
const HOST: u32 = 126;
/// RTP and RTCP share component 1.
const COMPONENT: u32 = 1;

/// One of our addresses, with its place among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Candidate {
    address: SocketAddr,
    foundation: usize,
    local_preference: u16,
}

impl Candidate {
    /// Where packets are to be sent.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The formula of RFC 8445 §5.1.2.1.
    fn priority(&self) -> u32 {
        HOST << 24 | u32::from(self.local_preference) << 8 | (256 - COMPONENT)
    }
}

impl fmt::Display for Candidate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (ip, port) = (self.address.ip(), self.address.port());
        write!(f, "{} {COMPONENT} udp {} {ip} {port} typ host", self.foundation, self.priority())
    }
}

/// The candidates of these addresses, the most wanted first: IPv6 before IPv4 (RFC 8421 §4), but before either what reaches further.
/// Addresses that are equal in this stay as given. One address has one foundation (RFC 8445 §5.1.1.3).
pub(crate) fn in_order(addresses: &[SocketAddr]) -> Vec<Candidate> {
    let mut ordered = addresses.to_vec();
    ordered.sort_by_key(|address| (Scope::of(address.ip()), address.is_ipv4()));
    let mut bases: Vec<IpAddr> = Vec::new();
    let candidate = |(local_preference, address): (u16, SocketAddr)| {
        let known = bases.iter().position(|base| *base == address.ip());
        let base = known.unwrap_or_else(|| {
            bases.push(address.ip());
            bases.len() - 1
        });
        Candidate { address, foundation: base + 1, local_preference }
    };
    (0..=u16::MAX).rev().zip(ordered).map(candidate).collect()
}

/// How far an address reaches, the furthest first.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Routed,
    Link,
    Host,
}

impl Scope {
    fn of(ip: IpAddr) -> Scope {
        let link_local = match ip {
            IpAddr::V4(ip) => ip.is_link_local(),
            IpAddr::V6(ip) => ip.is_unicast_link_local(),
        };
        match (ip.is_loopback(), link_local) {
            (true, _) => Scope::Host,
            (false, true) => Scope::Link,
            (false, false) => Scope::Routed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(addresses: &[&str]) -> Vec<String> {
        let addresses: Vec<SocketAddr> = addresses.iter().map(|address| address.parse().unwrap()).collect();
        in_order(&addresses).iter().map(Candidate::to_string).collect()
    }

    #[test]
    fn what_reaches_further_comes_first_and_ipv6_before_ipv4() {
        let given = ["192.0.2.2:8", "192.0.2.1:8", "127.0.0.1:8", "[::1]:8", "[fe80::1]:8", "[2001:db8::1]:8"];
        let order: Vec<String> =
            written(&given).iter().map(|line| line.split(' ').nth(4).unwrap().to_owned()).collect();
        assert_eq!(order, ["2001:db8::1", "192.0.2.2", "192.0.2.1", "fe80::1", "::1", "127.0.0.1"]);
    }

    #[test]
    fn priorities_follow_the_formula_and_fall() {
        // 2^24 * 126 + 2^8 * (65535 - n) + 255
        let expected = ["1 1 udp 2130706431 192.0.2.1 8000 typ host", "2 1 udp 2130706175 192.0.2.9 8000 typ host"];
        assert_eq!(written(&["192.0.2.1:8000", "192.0.2.9:8000"]), expected);
    }

    #[test]
    fn two_ports_of_one_address_share_a_foundation() {
        let written = written(&["192.0.2.1:1", "192.0.2.9:1", "192.0.2.1:2"]);
        let foundations: Vec<&str> = written.iter().map(|line| &line[..1]).collect();
        assert_eq!(foundations, ["1", "2", "1"]);
    }
}
