//! Which addresses a client is told as candidates (RFC 8445 §5.1.1; the server is ICE-lite, so all are host candidates).

use std::net::IpAddr;

/// The configured public addresses, or else all of this host's; loopback only for a client that came over loopback. IPv6
/// link-local addresses need a zone that no candidate can carry, and are never told.
pub(crate) fn announced(public: &[IpAddr], local: &[IpAddr], peer: Option<IpAddr>) -> Vec<IpAddr> {
    let over_loopback = peer.is_some_and(|peer| peer.to_canonical().is_loopback());
    let reachable = local.iter().filter(|address| public.is_empty() && !address.is_loopback());
    let loopback = local.iter().filter(|address| over_loopback && address.is_loopback());
    let mut told: Vec<IpAddr> = Vec::new();
    for address in public.iter().chain(reachable).chain(loopback) {
        if is_usable(address) && !told.contains(address) {
            told.push(*address);
        }
    }
    told
}

fn is_usable(address: &IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unspecified() && !v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<IpAddr> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn public_addresses_stand_for_all_others() {
        let local = addresses(&["192.168.1.2", "fe80::1", "2001:db8::2", "127.0.0.1", "::1"]);
        let far = Some("198.51.100.7".parse().unwrap());
        let near = Some("::ffff:127.0.0.1".parse().unwrap());
        assert_eq!(announced(&[], &local, far), addresses(&["192.168.1.2", "2001:db8::2"]));
        assert_eq!(announced(&[], &local, None), addresses(&["192.168.1.2", "2001:db8::2"]));
        assert_eq!(announced(&[], &local, near), addresses(&["192.168.1.2", "2001:db8::2", "127.0.0.1", "::1"]));
        let public = addresses(&["203.0.113.9"]);
        assert_eq!(announced(&public, &local, far), public);
        assert_eq!(announced(&public, &local, near), addresses(&["203.0.113.9", "127.0.0.1", "::1"]));
    }

    #[test]
    fn nothing_is_told_twice_and_nothing_useless() {
        let local = addresses(&["0.0.0.0", "10.0.0.1", "10.0.0.1", "fe80::1"]);
        assert_eq!(announced(&[], &local, None), addresses(&["10.0.0.1"]));
        assert_eq!(announced(&addresses(&["10.0.0.1", "10.0.0.1"]), &local, None), addresses(&["10.0.0.1"]));
    }
}
