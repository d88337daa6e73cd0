//! The client's candidates (RFC 8839 §5.1). An ICE-lite server sends no checks, so that nothing depends on them: they are kept to tell
//! a user from where a connection could have come.

use std::fmt;
use std::net::IpAddr;

use crate::media::Attributes;

/// Most candidates that are kept of an offer. A browser on a host with many addresses has about 30.
pub(crate) const MAX_CANDIDATES: usize = 64;
/// Longest name that is kept; DNS has 253.
const MAX_NAME: usize = 253;

/// Where a candidate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CandidateAddress {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A name of multicast DNS, with which browsers hide their addresses (`.local`).
    Mdns(String),
    /// Any other name.
    Fqdn(String),
}

impl fmt::Display for CandidateAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CandidateAddress::Ip(ip) => ip.fmt(f),
            CandidateAddress::Mdns(name) | CandidateAddress::Fqdn(name) => f.write_str(name),
        }
    }
}

/// How a candidate was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CandidateType {
    /// `host`: an address of the client's own.
    Host,
    /// `srflx` and `prflx`: an address that others see of the client.
    Reflexive,
    /// `relay`: an address of a TURN server.
    Relay,
}

/// One of the client's candidates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RemoteCandidate {
    /// How it was found.
    pub kind: CandidateType,
    /// Whether it is for TCP.
    pub tcp: bool,
    /// Where it is.
    pub address: CandidateAddress,
    /// Its port.
    pub port: u16,
}

impl RemoteCandidate {
    /// The value of an `a=candidate`; `None` for one that cannot be understood.
    pub fn parse(value: &str) -> Option<RemoteCandidate> {
        let mut words = value.split_whitespace().skip(2);
        let tcp = !words.next()?.eq_ignore_ascii_case("udp");
        let address = address(words.nth(1)?)?;
        let port = words.next()?.parse().ok()?;
        let kind = match (words.next()?, words.next()?) {
            ("typ", "host") => CandidateType::Host,
            ("typ", "srflx" | "prflx") => CandidateType::Reflexive,
            ("typ", "relay") => CandidateType::Relay,
            _ => return None,
        };
        Some(RemoteCandidate { kind, tcp, address, port })
    }
}

impl RemoteCandidate {
    /// Whether its form lets datagrams be sent to it: for UDP, at an address and a port.
    pub(crate) fn is_reachable(&self) -> bool {
        !self.tcp && self.port != 0 && matches!(self.address, CandidateAddress::Ip(ip) if !ip.is_unspecified())
    }
}

/// An IP address, without the zone that some put behind a link-local one, or a name.
fn address(text: &str) -> Option<CandidateAddress> {
    let without_zone = text.split('%').next().unwrap_or_default();
    if let Ok(ip) = without_zone.parse() {
        return Some(CandidateAddress::Ip(ip));
    }
    let is_name =
        text.len() <= MAX_NAME && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
    let is_local = text.to_ascii_lowercase().trim_end_matches('.').ends_with(".local");
    is_name.then(|| {
        let name = text.to_owned();
        if is_local { CandidateAddress::Mdns(name) } else { CandidateAddress::Fqdn(name) }
    })
}

/// The candidates of a section that can be understood.
pub(crate) fn read(attributes: Attributes<'_>) -> impl Iterator<Item = RemoteCandidate> {
    attributes.values("candidate").filter_map(RemoteCandidate::parse)
}

/// How many candidates there are of each kind, and at which addresses: what a log or a user is told of an offer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CandidateSummary {
    /// At an IP address of the client's own, for UDP.
    pub host: usize,
    /// Seen from outside, for UDP.
    pub srflx: usize,
    /// On a TURN server.
    pub relay: usize,
    /// Behind a name of multicast DNS.
    pub mdns: usize,
    /// Behind another name.
    pub fqdn: usize,
    /// For TCP, where nobody listens.
    pub tcp: usize,
    /// The addresses and names, each once, in the offer's order.
    pub addresses: Vec<CandidateAddress>,
}

impl CandidateSummary {
    /// Counts each candidate once, by the first of these that it is: TCP, behind a name, by its type.
    pub fn of(candidates: &[RemoteCandidate]) -> CandidateSummary {
        let mut summary = CandidateSummary::default();
        for candidate in candidates {
            let count = match (&candidate.address, candidate.kind) {
                _ if candidate.tcp => &mut summary.tcp,
                (CandidateAddress::Mdns(_), _) => &mut summary.mdns,
                (CandidateAddress::Fqdn(_), _) => &mut summary.fqdn,
                (_, CandidateType::Host) => &mut summary.host,
                (_, CandidateType::Reflexive) => &mut summary.srflx,
                (_, CandidateType::Relay) => &mut summary.relay,
            };
            *count += 1;
            if !summary.addresses.contains(&candidate.address) {
                summary.addresses.push(candidate.address.clone());
            }
        }
        summary
    }
}

/// `2 host, 1 srflx, 1 tcp at 192.0.2.1, 198.51.100.7`
impl fmt::Display for CandidateSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let CandidateSummary { host, srflx, relay, mdns, fqdn, tcp, addresses } = self;
        let counts = [(host, "host"), (srflx, "srflx"), (relay, "relay"), (mdns, "mdns"), (fqdn, "fqdn"), (tcp, "tcp")];
        let counts = counts.iter().filter(|(count, _)| **count > 0).map(|(count, kind)| format!("{count} {kind}"));
        let counts: Vec<String> = counts.collect();
        if counts.is_empty() {
            return f.write_str("none");
        }
        let addresses: Vec<String> = addresses.iter().map(CandidateAddress::to_string).collect();
        write!(f, "{} at {}", counts.join(", "), addresses.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_candidate_is_counted_once() {
        let lines = [
            "1 1 udp 2122260223 192.0.2.1 5000 typ host generation 0",
            "1 2 UDP 2122260222 192.0.2.1 5001 typ host",
            "2 1 udp 1 fe80::1%eth0 5000 typ host",
            "3 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
            "4 1 udp 1 8d7c.LOCAL 5000 typ host",
            "5 1 udp 1 turn.example.org 5000 typ relay raddr 0.0.0.0 rport 0",
            "6 1 udp 1 198.51.100.7 5000 typ srflx raddr 0.0.0.0 rport 0",
            "7 1 udp 1 203.0.113.5 5000 typ relay raddr 0.0.0.0 rport 0",
        ];
        let candidates: Vec<_> = lines.iter().filter_map(|line| RemoteCandidate::parse(line)).collect();
        assert_eq!(
            CandidateSummary::of(&candidates).to_string(),
            "3 host, 1 srflx, 1 relay, 1 mdns, 1 fqdn, 1 tcp at 192.0.2.1, fe80::1, 8d7c.LOCAL, turn.example.org, \
             198.51.100.7, 203.0.113.5"
        );
        assert_eq!(CandidateSummary::of(&[]).to_string(), "none");
    }

    #[test]
    fn what_cannot_be_understood_is_none() {
        for line in ["", "1", "1 1 udp 1 192.0.2.1", "1 1 udp 1 a/b 5 typ host", "1 1 udp 1 192.0.2.1 70000 typ host"] {
            assert_eq!(RemoteCandidate::parse(line), None, "{line}");
        }
        assert_eq!(RemoteCandidate::parse("1 1 udp 1 192.0.2.1 5 typ other"), None);
    }
}
