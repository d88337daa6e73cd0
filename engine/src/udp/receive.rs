//! The receive slab: 32 buffers for one `recvmmsg`, each large enough for what UDP_GRO may put together.

use super::Socket;
use crate::flow::Flow;
use quinn_udp::{BATCH_SIZE, RecvMeta};
use std::io::{self, IoSliceMut};

/// The largest datagram, or run of datagrams, that the kernel hands out.
const BUFFER: usize = 1 << 16;
/// Calls of one drain: the loop has timers and other shards to see to. 4 × 32 runs of up to 64 datagrams.
const MAX_CALLS: usize = 4;

/// The receiving half of a socket. Holds 2 MiB.
pub(crate) struct Receiver {
    socket: Socket,
    slab: Vec<u8>,
}

impl Receiver {
    pub(crate) fn new(socket: Socket) -> Receiver {
        Receiver { socket, slab: vec![0; BUFFER * BATCH_SIZE] }
    }

    /// Gives every datagram that is there to `handle`. True when there may be more: the drain is bounded.
    pub(crate) fn receive(&mut self, mut handle: impl FnMut(Flow, &mut [u8])) -> io::Result<bool> {
        for _ in 0..MAX_CALLS {
            let mut metas = [RecvMeta::default(); BATCH_SIZE];
            let count = match self.receive_batch(&mut metas) {
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                // An ICMP error of an earlier send; the receive queue is as it was.
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => continue,
                Err(error) => return Err(error),
            };
            for (meta, buffer) in metas[..count].iter().zip(self.slab.chunks_exact_mut(BUFFER)) {
                let flow = Flow::new(meta.addr, meta.dst_ip);
                for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                    handle(flow, datagram);
                }
            }
        }
        Ok(true)
    }

    fn receive_batch(&mut self, metas: &mut [RecvMeta; BATCH_SIZE]) -> io::Result<usize> {
        let mut buffers = self.slab.chunks_exact_mut(BUFFER).map(IoSliceMut::new);
        let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
            std::array::from_fn(|_| buffers.next().expect("the slab has BATCH_SIZE buffers"));
        self.socket.state.recv((&*self.socket.udp).into(), &mut slices, metas)
    }
}
