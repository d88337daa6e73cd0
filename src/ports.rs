//! Whether the two ports are free, asked before anything is started: by sockets that are bound alone, without SO_REUSEPORT, and
//! closed again. The real ones share their port (one socket for each shard), and a second server of the same user would
//! silently share it too.

use crate::host::Obstacle;
use socket2::{Domain, Protocol, SockAddr, Socket, Type};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;

/// What a port is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Port {
    /// TCP.
    Http,
    /// UDP.
    Media,
}

impl Port {
    const fn transport(self) -> &'static str {
        match self {
            Port::Http => "TCP",
            Port::Media => "UDP",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Port::Http => "http.listen",
            Port::Media => "media.listen",
        }
    }

    const fn flag(self) -> &'static str {
        match self {
            Port::Http => "--http",
            Port::Media => "--media",
        }
    }

    /// The address, with the port that the kernel chose where it was 0.
    ///
    /// # Errors
    /// It cannot be bound: one line, with who might hold it.
    pub(crate) fn claim(self, address: SocketAddr) -> Result<SocketAddr, Obstacle> {
        self.bind(address).map_err(|error| Obstacle(self.sentence(address, &error)))
    }

    fn bind(self, address: SocketAddr) -> io::Result<SocketAddr> {
        let (kind, protocol) = match self {
            Port::Http => (Type::STREAM, Protocol::TCP),
            Port::Media => (Type::DGRAM, Protocol::UDP),
        };
        let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
        if address.is_ipv6() {
            socket.set_only_v6(false)?;
        }
        if self == Port::Http {
            // Connections of a server that has just ended linger in TIME_WAIT; they are no one who holds the port.
            socket.set_reuse_address(true)?;
        }
        socket.bind(&SockAddr::from(address))?;
        if self == Port::Http {
            socket.listen(1)?;
        }
        let bound = socket.local_addr()?.as_socket();
        Ok(bound.unwrap_or(address))
    }

    fn sentence(self, address: SocketAddr, error: &io::Error) -> String {
        let transport = self.transport();
        let other = format!("{} or {}", self.key(), self.flag());
        match error.kind() {
            ErrorKind::AddrInUse => {
                let letter = if self == Port::Http { 't' } else { 'u' };
                let port = address.port();
                format!(
                    "{transport} {address} is taken; see who holds it: ss -l{letter}np 'sport = :{port}', or choose another \
                     port with {other}"
                )
            }
            ErrorKind::PermissionDenied => format!(
                "{transport} {address} may not be bound by this user; choose a port from 1024 with {other}, or let it: \
                 setcap cap_net_bind_service=+ep on the binary"
            ),
            ErrorKind::AddrNotAvailable => {
                format!(
                    "{transport} {address} is no address of this host; see those that are: ip address; change {other}"
                )
            }
            _ => format!("{transport} {address} cannot be bound: {error}; change {other}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::{TcpListener, UdpSocket};

    fn loopback(port: u16) -> SocketAddr {
        ([127, 0, 0, 1], port).into()
    }

    #[test]
    fn a_free_port_is_told_and_left_free() {
        for port in [Port::Http, Port::Media] {
            let address = port.claim(loopback(0)).expect("the kernel has a free one");
            assert_ne!(address.port(), 0);
        }
    }

    #[test]
    fn a_taken_tcp_port_names_address_and_finder() {
        let holder = TcpListener::bind(loopback(0)).expect("a port");
        let address = holder.local_addr().expect("an address");
        let line = Port::Http.claim(address).expect_err("it is taken").to_string();
        assert!(line.starts_with(&format!("TCP {address} is taken")), "{line}");
        assert!(line.contains(&format!("ss -ltnp 'sport = :{}'", address.port())), "{line}");
    }

    #[test]
    fn a_taken_udp_port_names_address_and_finder() {
        let holder = UdpSocket::bind(loopback(0)).expect("a port");
        let address = holder.local_addr().expect("an address");
        let line = Port::Media.claim(address).expect_err("it is taken").to_string();
        assert!(line.starts_with(&format!("UDP {address} is taken")), "{line}");
        assert!(line.contains(&format!("ss -lunp 'sport = :{}'", address.port())), "{line}");
    }

    #[test]
    fn a_port_that_its_holder_would_share_is_taken_all_the_same() {
        for (port, kind) in [(Port::Http, Type::STREAM), (Port::Media, Type::DGRAM)] {
            let holder = Socket::new(Domain::IPV4, kind, None).expect("a socket");
            holder.set_reuse_port(true).expect("an option");
            holder.bind(&loopback(0).into()).expect("a port");
            if port == Port::Http {
                holder.listen(1).expect("listening");
            }
            let address = holder.local_addr().ok().and_then(|address| address.as_socket()).expect("an address");
            assert!(port.claim(address).is_err(), "{port:?}");
        }
    }

    #[test]
    fn an_address_of_another_host_is_told_so() {
        let line = Port::Media.claim("192.0.2.1:8000".parse().unwrap()).expect_err("TEST-NET-1").to_string();
        assert!(line.starts_with("UDP 192.0.2.1:8000 is no address of this host"), "{line}");
    }

    #[test]
    fn every_refusal_is_one_line() {
        for kind in [ErrorKind::AddrInUse, ErrorKind::PermissionDenied, ErrorKind::AddrNotAvailable, ErrorKind::Other] {
            for port in [Port::Http, Port::Media] {
                assert!(!port.sentence(loopback(80), &io::Error::from(kind)).contains('\n'));
            }
        }
    }
}
