//! Whose request it is when it came through a proxy: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Anybody can write these fields, so only what a trusted proxy wrote counts. Each proxy appends the address that it saw: they
//! are read from the right, for as long as they name trusted proxies themselves.
//!
//! ```text
//!   peer = 10.0.0.2 (trusted)     X-Forwarded-For: 198.51.100.66, 203.0.113.9, 10.0.0.1
//!                                                  made up        the client   trusted
//! ```
//!
//! A proxy that writes one of the two fields lets the other pass as the client wrote it. When both are there they must therefore
//! agree; otherwise neither is believed.

use crate::http::Request;
use ipnet::IpNet;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// A network of proxies whose word counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TrustedProxy(IpNet);

/// All that are trusted. Empty by default: the peer of the connection is the client.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct TrustedProxies(pub Vec<TrustedProxy>);

impl TrustedProxies {
    /// The address of the client: the nearest one that is not a trusted proxy's. Where the fields end, or make no sense, it is the
    /// last address that was told by a trusted proxy. `None` when the peer itself is unknown.
    pub fn client_address(&self, request: &Request) -> Option<IpAddr> {
        let peer = request.peer?.ip().to_canonical();
        if !self.trusts(peer) {
            return Some(peer);
        }
        let forwarded: Vec<&str> = request.headers.all("forwarded").collect();
        let x_forwarded: Vec<&str> = request.headers.all("x-forwarded-for").collect();
        let by_forwarded = || self.nearest(peer, forwarded.iter().rev().flat_map(|field| nodes_from_right(field)));
        let by_x_forwarded = || {
            let nodes = x_forwarded.iter().rev().flat_map(|field| field.rsplit(','));
            self.nearest(peer, nodes.map(|node| address(node.trim_matches([' ', '\t']))))
        };
        match (forwarded.is_empty(), x_forwarded.is_empty()) {
            (true, true) => Some(peer),
            (false, true) => Some(by_forwarded()),
            (true, false) => Some(by_x_forwarded()),
            (false, false) => {
                let client = by_forwarded();
                Some(if client == by_x_forwarded() { client } else { peer })
            }
        }
    }

    fn trusts(&self, ip: IpAddr) -> bool {
        self.0.iter().any(|TrustedProxy(network)| network.contains(&ip))
    }

    /// Walks on from `client` while whoever told of the next one is trusted.
    fn nearest(&self, mut client: IpAddr, nodes: impl Iterator<Item = Option<IpAddr>>) -> IpAddr {
        for node in nodes {
            match node {
                Some(ip) if self.trusts(client) => client = ip,
                _ => return client,
            }
        }
        client
    }
}

impl FromStr for TrustedProxy {
    type Err = String;

    fn from_str(written: &str) -> Result<TrustedProxy, String> {
        let network = written.parse().or_else(|_| written.parse::<IpAddr>().map(IpNet::from));
        let network = network.map_err(|_| {
            format!("\"{}\" is no network; write one such as \"10.0.0.0/8\" or an address", written.escape_debug())
        })?;
        if network.trunc() != network {
            return Err(format!("{network} has bits behind its prefix; did you mean {}?", network.trunc()));
        }
        Ok(TrustedProxy(network))
    }
}

impl fmt::Display for TrustedProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The `for` of each element of a `Forwarded` field (RFC 7239 §4), the last first; `None` where there is no address.
fn nodes_from_right(field: &str) -> Vec<Option<IpAddr>> {
    let Some(elements) = split_unquoted(field, ',') else { return vec![None] };
    elements.into_iter().rev().map(node).collect()
}

fn node(element: &str) -> Option<IpAddr> {
    let mut found = None;
    for pair in split_unquoted(element, ';')? {
        let Some((name, value)) = pair.split_once('=') else { continue };
        if name.trim_matches([' ', '\t']).eq_ignore_ascii_case("for") {
            // Each parameter occurs once in an element (§4).
            let is_first = found.replace(value.trim_matches([' ', '\t'])).is_none();
            is_first.then_some(())?;
        }
    }
    let value = found?;
    // An address has nothing that would be escaped within the quotes.
    address(value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(value))
}

/// Splits where no quoted-string (RFC 9110 §5.6.4) is; `None` when one does not end.
fn split_unquoted(text: &str, separator: char) -> Option<Vec<&str>> {
    let (mut parts, mut start, mut quoted, mut escaped) = (Vec::new(), 0, false, false);
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ if c == separator && !quoted => {
                parts.push(text.get(start..at)?);
                start = at + c.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text.get(start..)?);
    (!quoted).then_some(parts)
}

/// An address with or without a port, IPv6 with or without brackets; `unknown` and obfuscated names (RFC 7239 §6) are none.
fn address(node: &str) -> Option<IpAddr> {
    let bracketed = || node.strip_prefix('[')?.strip_suffix(']')?.parse::<IpAddr>().ok();
    let with_port = || node.parse::<SocketAddr>().ok().map(|address| address.ip());
    node.parse().ok().or_else(with_port).or_else(bracketed).map(|ip: IpAddr| ip.to_canonical())
}

#[cfg(test)]
#[path = "tests/proxy.rs"]
mod tests;
