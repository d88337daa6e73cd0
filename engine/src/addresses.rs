//! At which addresses of this host the media port is open. Which of them a client is told, signaling decides.

use if_addrs::Interface;
use std::net::IpAddr;

/// An interface's address, and whether the interface is up.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct InterfaceAddress {
    /// The address.
    pub(crate) ip: IpAddr,
    /// Whether packets can leave there.
    pub(crate) up: bool,
}

/// Reads them. A host that does not tell has none.
pub(crate) fn of_interfaces() -> Vec<InterfaceAddress> {
    let of = |interface: &Interface| InterfaceAddress {
        ip: interface.ip(),
        // The loopback interface has no operational state.
        up: interface.is_loopback() || interface.is_oper_up(),
    };
    if_addrs::get_if_addrs().unwrap_or_default().iter().map(of).collect()
}

/// The addresses at which a socket bound to `bound` is reached, in order of preference: IPv6 before IPv4 (RFC 8421 §4), loopback
/// last.
pub(crate) fn open_at(bound: IpAddr, interfaces: &[InterfaceAddress]) -> Vec<IpAddr> {
    let up = interfaces.iter().filter(|interface| interface.up).map(|interface| interface.ip);
    let mut addresses: Vec<IpAddr> = up.filter(|ip| reaches(bound, *ip) && is_usable(*ip)).collect();
    addresses.sort_by_key(|ip| (ip.is_loopback(), ip.is_ipv4()));
    let mut seen = Vec::new();
    addresses.retain(|ip| {
        !seen.contains(ip) && {
            seen.push(*ip);
            true
        }
    });
    addresses
}

/// Whether a socket bound to `bound` receives what is sent to `ip`. An IPv6 wildcard is dual stack.
fn reaches(bound: IpAddr, ip: IpAddr) -> bool {
    match bound {
        IpAddr::V4(any) if any.is_unspecified() => ip.is_ipv4(),
        IpAddr::V6(any) if any.is_unspecified() => true,
        one => one.to_canonical() == ip,
    }
}

/// A link-local address is nothing without its interface, which a candidate cannot name.
fn is_usable(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => !ip.is_link_local() && !ip.is_unspecified(),
        IpAddr::V6(ip) => !ip.is_unicast_link_local() && !ip.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DUAL: &str = "::";

    fn ips(written: &[&str]) -> Vec<IpAddr> {
        written.iter().map(|ip| ip.parse().expect("an address")).collect()
    }

    fn up(written: &[&str]) -> Vec<InterfaceAddress> {
        ips(written).into_iter().map(|ip| InterfaceAddress { ip, up: true }).collect()
    }

    #[track_caller]
    fn expect(bound: &str, interfaces: &[InterfaceAddress], expected: &[&str]) {
        assert_eq!(open_at(bound.parse().unwrap(), interfaces), ips(expected));
    }

    #[test]
    fn every_usable_interface_address_is_open_loopback_last() {
        let host = up(&["127.0.0.1", "::1", "2001:db8::1", "fe80::1", "169.254.1.1", "192.0.2.1", "10.0.0.1"]);
        expect(DUAL, &host, &["2001:db8::1", "192.0.2.1", "10.0.0.1", "::1", "127.0.0.1"]);
        expect("0.0.0.0", &host, &["192.0.2.1", "10.0.0.1", "127.0.0.1"]);
    }

    #[test]
    fn interfaces_that_are_down_are_left_out() {
        let mut host = up(&["127.0.0.1", "192.0.2.1", "172.17.0.1"]);
        host[2].up = false;
        expect(DUAL, &host, &["192.0.2.1", "127.0.0.1"]);
    }

    #[test]
    fn a_socket_of_one_address_is_open_at_that_one() {
        let host = up(&["127.0.0.1", "192.0.2.1", "192.0.2.2"]);
        expect("192.0.2.2", &host, &["192.0.2.2"]);
        expect("127.0.0.1", &host, &["127.0.0.1"]);
    }

    #[test]
    fn an_address_on_two_interfaces_counts_once() {
        expect(DUAL, &up(&["127.0.0.1", "127.0.0.1"]), &["127.0.0.1"]);
    }
}
