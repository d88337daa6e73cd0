//! The port: bound by one server only, IPv4 and IPv6, and accepted from on glommio's readiness.

use futures_lite::AsyncReadExt;
use glommio::net::TcpStream;
use socket2::{Domain, Protocol, Socket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

/// Connections that the kernel keeps until they are accepted; it cuts this to `net.core.somaxconn`.
const BACKLOG: i32 = 4096;

/// Why the port could not be had.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Another process has it.
    #[error("another process listens on TCP {0} already: stop it, or choose another address with --http")]
    PortTaken(SocketAddr),
    /// A port below 1024, and no right to it.
    #[error(
        "TCP {0} may not be bound without CAP_NET_BIND_SERVICE: grant it, or choose a port from 1024 on with --http"
    )]
    NotPermitted(SocketAddr),
    /// This host does not have the address.
    #[error("TCP {0} cannot be bound: this host does not have the address")]
    NotOurAddress(SocketAddr),
    /// Anything else.
    #[error("TCP {address} cannot be bound: {source}")]
    Other {
        /// What was to be bound.
        address: SocketAddr,
        /// What the kernel says.
        source: io::Error,
    },
}

impl BindError {
    fn new(address: SocketAddr, source: io::Error) -> Self {
        match source.kind() {
            io::ErrorKind::AddrInUse => BindError::PortTaken(address),
            io::ErrorKind::PermissionDenied => BindError::NotPermitted(address),
            io::ErrorKind::AddrNotAvailable => BindError::NotOurAddress(address),
            _ => BindError::Other { address, source },
        }
    }
}

/// A bound and listening TCP socket. It can be made before there is an executor.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds an address. `[::]` takes IPv4 too, and stands for `0.0.0.0` on a host without IPv6. Port 0 is any free port.
    ///
    /// Without SO_REUSEPORT, which glommio's own `bind` sets: a second server shall be told, not be given half of the clients.
    pub fn bind(address: SocketAddr) -> Result<Listener, BindError> {
        match bind(address) {
            Err(error) if address.is_ipv6() && address.ip().is_unspecified() && lacks_ipv6(&error) => {
                let instead = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), address.port());
                bind(instead).map_err(|error| BindError::new(instead, error))
            }
            other => other.map_err(|error| BindError::new(address, error)),
        }
    }

    /// What is bound, with the port that the kernel chose if it was 0.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// A connection that waits, if any.
    pub(crate) fn accept(&self) -> io::Result<Option<Accepted>> {
        match self.socket.accept() {
            Ok((socket, peer)) => Ok(Some(Accepted { socket, peer: canonical(peer) })),
            Err(error) => match error.kind() {
                io::ErrorKind::WouldBlock => Ok(None),
                // The client has gone, or the call was interrupted: the next one counts.
                io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted => self.accept_again(),
                _ => Err(error),
            },
        }
    }

    fn accept_again(&self) -> io::Result<Option<Accepted>> {
        match self.socket.accept() {
            Ok((socket, peer)) => Ok(Some(Accepted { socket, peer: canonical(peer) })),
            Err(_) => Ok(None),
        }
    }

    /// Resolves when a connection may wait.
    ///
    /// glommio's own listener cannot be made from a bound socket without `unsafe`, but its stream can, and waits for
    /// readiness before it reads. To read from a listening socket then always fails, and what it fails with says nothing. It
    /// is a duplicate, as a stream owns its socket.
    pub(crate) async fn ready(&self) -> io::Result<()> {
        let mut watch = TcpStream::from(glommio_socket2::Socket::from(self.socket.try_clone()?));
        let _ = watch.read(&mut [0]).await;
        Ok(())
    }
}

/// An accepted connection that no executor knows yet.
pub(crate) struct Accepted {
    pub(crate) socket: std::net::TcpStream,
    pub(crate) peer: SocketAddr,
}

impl Accepted {
    pub(crate) fn into_stream(self) -> TcpStream {
        // Answers are written whole, so nothing is won by waiting for more.
        let _ = self.socket.set_nodelay(true);
        TcpStream::from(glommio_socket2::Socket::from(self.socket))
    }
}

fn bind(address: SocketAddr) -> io::Result<Listener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // Connections of a server before this one may still be in TIME_WAIT.
    socket.set_reuse_address(true)?;
    if address.is_ipv6() {
        socket.set_only_v6(false)?;
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(BACKLOG)?;
    let socket = TcpListener::from(socket);
    let address = socket.local_addr()?;
    Ok(Listener { socket, address })
}

fn lacks_ipv6(error: &io::Error) -> bool {
    const EAFNOSUPPORT: i32 = 97;
    error.raw_os_error() == Some(EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv6Addr;

    #[test]
    fn a_second_server_is_told_that_the_port_is_taken() {
        let first = Listener::bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let taken = first.local_addr();
        assert_ne!(taken.port(), 0);
        assert!(matches!(Listener::bind(taken), Err(BindError::PortTaken(address)) if address == taken));
    }

    #[test]
    fn an_address_of_another_host_is_named() {
        let foreign = SocketAddr::from((Ipv4Addr::new(192, 0, 2, 1), 0));
        assert!(matches!(Listener::bind(foreign), Err(BindError::NotOurAddress(address)) if address == foreign));
    }

    #[test]
    fn the_unspecified_address_takes_ipv4_and_peers_are_canonical() {
        let listener = Listener::bind((Ipv6Addr::UNSPECIFIED, 0).into()).unwrap();
        let client = std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, listener.local_addr().port())).unwrap();
        let accepted = loop {
            if let Some(accepted) = listener.accept().unwrap() {
                break accepted;
            }
            std::thread::yield_now();
        };
        assert_eq!(accepted.peer, client.local_addr().unwrap());
    }
}
