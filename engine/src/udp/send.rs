//! Runs on their way to the kernel: one `sendmsg` with UDP_SEGMENT each where the kernel has it, one for each datagram where not.

use super::Socket;
use crate::flow::Flow;
use crate::outbox::Sink;
use crate::stats::{Discard, ShardStats};
use quinn_udp::Transmit;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

/// The sending half of a socket.
pub(crate) struct Sender {
    socket: Socket,
    gso: bool,
    stats: Arc<ShardStats>,
}

impl Sender {
    /// `gso` false keeps UDP_SEGMENT off although the kernel has it.
    pub(crate) fn new(socket: Socket, gso: bool, stats: Arc<ShardStats>) -> Sender {
        let gso = gso && socket.has_gso();
        Sender { socket, gso, stats }
    }

    fn transmit(&self, flow: Flow, contents: &[u8], segment_size: Option<usize>) -> io::Result<()> {
        let destination = match flow.remote {
            SocketAddr::V4(v4) if self.socket.is_ipv6 => SocketAddr::from((v4.ip().to_ipv6_mapped(), v4.port())),
            remote => remote,
        };
        let transmit = Transmit { destination, ecn: None, contents, segment_size, src_ip: flow.local };
        self.stats.tx_calls.add(1);
        match self.socket.state.try_send((&*self.socket.udp).into(), &transmit) {
            // An ICMP error of an earlier send to somebody else; this one was not tried yet.
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
                self.socket.state.try_send((&*self.socket.udp).into(), &transmit)
            }
            result => result,
        }
    }

    fn count(&self, result: io::Result<()>, datagrams: u64) {
        match result {
            Ok(()) => self.stats.tx_datagrams.add(datagrams),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.stats.discard_many(Discard::SendFull, datagrams);
            }
            Err(_) => self.stats.discard_many(Discard::SendFailed, datagrams),
        }
    }

    fn send_each(&self, flow: Flow, bytes: &[u8], segment: usize) {
        for datagram in bytes.chunks(segment) {
            self.count(self.transmit(flow, datagram, None), 1);
        }
    }
}

impl Sink for Sender {
    fn send(&mut self, flow: Flow, bytes: &[u8], segment: usize) {
        if !self.gso || bytes.len() <= segment {
            return self.send_each(flow, bytes, segment);
        }
        match self.transmit(flow, bytes, Some(segment)) {
            // The interface cannot do it after all (no checksum offload, or a segment over the path's MTU): not this run, and for
            // EIO none from now on.
            Err(error) if matches!(error.raw_os_error(), Some(libc::EIO | libc::EINVAL)) => {
                self.gso = error.raw_os_error() != Some(libc::EIO);
                self.send_each(flow, bytes, segment);
            }
            result => self.count(result, bytes.len().div_ceil(segment) as u64),
        }
    }
}
