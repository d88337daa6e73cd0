//! The 5-tuple of a datagram, as far as it varies on one port.

use std::net::{IpAddr, SocketAddr};

/// The peer's address and port, and the local address that it sent to. Demultiplexing goes by the value itself, never by a hash of it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct Flow {
    /// The peer.
    pub(crate) remote: SocketAddr,
    /// The local address, where the kernel told it. An answer leaves from there, or a peer behind a NAT never sees it.
    pub(crate) local: Option<IpAddr>,
}

impl Flow {
    /// The flow in its one canonical form: IPv4-mapped addresses as IPv4, and no IPv6 flow label, which a peer may change at will.
    pub(crate) fn new(remote: SocketAddr, local: Option<IpAddr>) -> Flow {
        let remote = match remote {
            SocketAddr::V4(_) => remote,
            SocketAddr::V6(mut v6) => match v6.ip().to_ipv4_mapped() {
                Some(v4) => SocketAddr::from((v4, v6.port())),
                None => {
                    v6.set_flowinfo(0);
                    SocketAddr::V6(v6)
                }
            },
        };
        Flow { remote, local: local.map(|ip| ip.to_canonical()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddrV6;

    #[test]
    fn a_mapped_address_is_the_ipv4_address() {
        let mapped: SocketAddr = "[::ffff:192.0.2.1]:5000".parse().unwrap();
        let plain: SocketAddr = "192.0.2.1:5000".parse().unwrap();
        let local: IpAddr = "::ffff:192.0.2.9".parse().unwrap();
        let local_v4: IpAddr = "192.0.2.9".parse().unwrap();
        assert_eq!(Flow::new(mapped, Some(local)), Flow::new(plain, Some(local_v4)));
    }

    #[test]
    fn the_flow_label_does_not_tell_flows_apart_and_the_scope_does() {
        let ip = "fe80::1".parse().unwrap();
        let plain = Flow::new(SocketAddr::V6(SocketAddrV6::new(ip, 1, 0, 2)), None);
        assert_eq!(Flow::new(SocketAddr::V6(SocketAddrV6::new(ip, 1, 77, 2)), None), plain);
        assert_ne!(Flow::new(SocketAddr::V6(SocketAddrV6::new(ip, 1, 0, 3)), None), plain);
    }
}
