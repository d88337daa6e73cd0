//! The shard's socket: one of a SO_REUSEPORT group, drained with `recvmmsg` and UDP_GRO, written with UDP_SEGMENT.
//!
//! The kernel's interface is quinn-udp's. This file makes the group and holds the one policy for send errors: a full buffer
//! drops and counts, EIO or EINVAL turn the offload off, anything else is counted.

mod receive;
mod send;

pub(crate) use receive::Receiver;
pub(crate) use send::Sender;

use crate::config::Config;
use quinn_udp::UdpSocketState;
use socket2::{Domain, Protocol, SockAddr, Socket as RawSocket, Type};
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::Arc;

/// A socket of the group. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Socket {
    udp: Arc<UdpSocket>,
    state: Arc<UdpSocketState>,
    is_ipv6: bool,
}

impl Socket {
    fn new(raw: RawSocket) -> io::Result<Socket> {
        let udp: UdpSocket = raw.into();
        let state = UdpSocketState::new((&udp).into())?;
        let is_ipv6 = udp.local_addr()?.is_ipv6();
        Ok(Socket { udp: Arc::new(udp), state: Arc::new(state), is_ipv6 })
    }

    /// The address as bound.
    pub(crate) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.udp.local_addr()
    }

    /// Another descriptor of the same socket, for the runtime's readiness.
    pub(crate) fn try_clone(&self) -> io::Result<UdpSocket> {
        self.udp.try_clone()
    }

    /// Whether UDP_SEGMENT is there.
    pub(crate) fn has_gso(&self) -> bool {
        self.state.max_gso_segments() > 1
    }

    /// Whether UDP_GRO is there.
    pub(crate) fn has_gro(&self) -> bool {
        self.state.gro_segments() > 1
    }

    /// `SO_RCVBUF` as the kernel granted it, in bytes of payload (it reports twice that).
    pub(crate) fn receive_buffer(&self) -> usize {
        self.state.recv_buffer_size((&*self.udp).into()).unwrap_or(0) / 2
    }
}

/// Binds the group's sockets. An address that somebody else serves is `AddrInUse`, another Oneport included: the group
/// itself would let it in, and the kernel would give it half the flows.
pub(crate) fn bind_group(config: &Config) -> io::Result<Vec<Socket>> {
    let mut address = config.media;
    if address.port() != 0 {
        drop(open(address, false, config)?);
    }
    let mut group = Vec::with_capacity(config.shards);
    for _ in 0..config.shards {
        let socket = Socket::new(open(address, true, config)?)?;
        address = socket.local_addr()?;
        group.push(socket);
    }
    Ok(group)
}

fn open(address: SocketAddr, reuse_port: bool, config: &Config) -> io::Result<RawSocket> {
    let socket = match RawSocket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)) {
        // A host without IPv6: all addresses are all IPv4 addresses.
        Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) && is_any_ipv6(address) => {
            return open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), reuse_port, config);
        }
        result => result?,
    };
    if is_any_ipv6(address) {
        socket.set_only_v6(false)?;
    }
    if reuse_port {
        socket.set_reuse_port(true)?;
    }
    socket.set_nonblocking(true)?;
    // The kernel caps both at rmem_max and wmem_max without an error; the start-up lines tell when it did.
    socket.set_recv_buffer_size(config.receive_buffer)?;
    socket.set_send_buffer_size(config.send_buffer)?;
    match socket.bind(&SockAddr::from(address)) {
        Err(error) if error.raw_os_error() == Some(libc::EADDRNOTAVAIL) && is_any_ipv6(address) => {
            open(SocketAddr::from((Ipv4Addr::UNSPECIFIED, address.port())), reuse_port, config)
        }
        result => result.map(|()| socket),
    }
}

fn is_any_ipv6(address: SocketAddr) -> bool {
    matches!(address.ip(), IpAddr::V6(ip) if ip.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow::Flow;
    use crate::outbox::Sink;
    use crate::stats::ShardStats;

    fn config(address: &str, gso: bool) -> Config {
        Config { media: address.parse().unwrap(), gso, ..Config::default() }
    }

    fn received(receiver: &mut Receiver, count: usize) -> Vec<(Flow, Vec<u8>)> {
        let mut datagrams = Vec::new();
        // Loopback delivers before `sendmsg` returns, as a rule; a busy machine may take its time.
        for _ in 0..1_000_000 {
            receiver.receive(|flow, datagram| datagrams.push((flow, datagram.to_vec()))).unwrap();
            if datagrams.len() >= count {
                break;
            }
            std::thread::yield_now();
        }
        datagrams
    }

    fn run_arrives(address: &str, gso: bool) {
        let config = config(address, gso);
        let here = bind_group(&config).unwrap().remove(0);
        let there = bind_group(&config).unwrap().remove(0);
        let stats = Arc::new(ShardStats::default());
        let mut sender = Sender::new(here.clone(), gso, stats.clone());
        let bytes: Vec<u8> = (0..2500u32).map(|i| (i / 1000) as u8).collect();
        let to: SocketAddr = ([127, 0, 0, 1], there.local_addr().unwrap().port()).into();
        sender.send(Flow::new(to, Some([127, 0, 0, 5].into())), &bytes, 1000);
        let datagrams = received(&mut Receiver::new(there), 3);
        let lengths: Vec<usize> = datagrams.iter().map(|(_, datagram)| datagram.len()).collect();
        assert_eq!(lengths, [1000, 1000, 500]);
        let (flow, last) = &datagrams[2];
        assert!(last.iter().all(|byte| *byte == 2));
        let source = SocketAddr::from(([127, 0, 0, 5], here.local_addr().unwrap().port()));
        assert_eq!(flow.remote, source);
        assert_eq!(flow.local, Some([127, 0, 0, 1].into()));
        assert_eq!(stats.tx_datagrams.value(), 3);
        assert_eq!(stats.tx_calls.value(), if gso && here.has_gso() { 1 } else { 3 });
    }

    #[test]
    fn a_run_arrives_as_its_datagrams_from_the_address_asked_for() {
        for address in ["127.0.0.1:0", "0.0.0.0:0", "[::]:0"] {
            run_arrives(address, true);
            run_arrives(address, false);
        }
    }

    #[test]
    fn a_run_that_the_kernel_refuses_is_sent_datagram_by_datagram() {
        let config = config("127.0.0.1:0", true);
        let here = bind_group(&config).unwrap().remove(0);
        let there = bind_group(&config).unwrap().remove(0);
        let stats = Arc::new(ShardStats::default());
        let mut sender = Sender::new(here, true, stats.clone());
        // More segments than any kernel takes in one call: EINVAL.
        let to = Flow::new(there.local_addr().unwrap(), None);
        sender.send(to, &[7; 200], 1);
        assert_eq!(received(&mut Receiver::new(there), 200).len(), 200);
        assert_eq!(stats.tx_datagrams.value(), 200);
        assert_eq!(stats.discarded(crate::stats::Discard::SendFailed), 0);
    }

    #[test]
    fn a_port_that_another_group_serves_is_taken() {
        let first = bind_group(&Config { shards: 2, ..config("127.0.0.1:0", true) }).unwrap();
        assert_eq!(first.len(), 2);
        assert_eq!(first[0].local_addr().unwrap(), first[1].local_addr().unwrap());
        let again = Config { media: first[0].local_addr().unwrap(), ..Config::default() };
        assert_eq!(bind_group(&again).unwrap_err().kind(), io::ErrorKind::AddrInUse);
    }
}
