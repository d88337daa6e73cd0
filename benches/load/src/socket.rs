//! UDP for many clients on one socket: runs of datagrams out (GSO) and in (GRO), each client under an address of its own.

use quinn_udp::{BATCH_SIZE, RecvMeta, Transmit, UdpSocketState};
use rustix::event::{PollFd, PollFlags, Timespec};
use socket2::{Domain, Protocol, Type};
use std::io::{self, IoSliceMut};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::time::Duration;

/// What the kernel may put together.
const BUFFER: usize = 1 << 16;
/// Bytes of one run.
const MAX_RUN: usize = 60_000;
/// Datagrams of one run.
const MAX_SEGMENTS: usize = 60;
/// Of the socket's buffers.
const SOCKET_BUFFER: usize = 64 << 20;

/// Where a client is, and where it sends to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Path {
    pub(crate) local: Option<IpAddr>,
    pub(crate) remote: SocketAddr,
}

/// See the module's text.
pub(crate) struct Socket {
    udp: UdpSocket,
    state: UdpSocketState,
    slab: Vec<u8>,
    run: Vec<u8>,
    run_path: Option<Path>,
    segment: usize,
    segments: usize,
    /// Datagrams that the kernel did not take.
    pub(crate) refused: u64,
}

impl Socket {
    pub(crate) fn open() -> io::Result<Socket> {
        let socket = socket2::Socket::new(Domain::IPV4, Type::DGRAM, Some(Protocol::UDP))?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)).into())?;
        force_buffers(&socket);
        let udp = UdpSocket::from(socket);
        let state = UdpSocketState::new((&udp).into())?;
        Ok(Socket {
            udp,
            state,
            slab: vec![0; BUFFER * BATCH_SIZE],
            run: Vec::new(),
            run_path: None,
            segment: 0,
            segments: 0,
            refused: 0,
        })
    }

    pub(crate) fn port(&self) -> io::Result<u16> {
        self.udp.local_addr().map(|address| address.port())
    }

    /// Waits until something is there, or for this long.
    pub(crate) fn wait(&self, time: Duration) {
        let mut poll = [PollFd::new(&self.udp, PollFlags::IN)];
        let time = Timespec { tv_sec: time.as_secs() as i64, tv_nsec: i64::from(time.subsec_nanos()) };
        // Interrupted or not: the loop looks at everything again.
        let _ = rustix::event::poll(&mut poll, Some(&time));
    }

    /// Gives every datagram that is there to `handle`, with the address that it came to and the one that it came from.
    pub(crate) fn receive(&mut self, mut handle: impl FnMut(Option<IpAddr>, SocketAddr, &mut [u8])) {
        let mut metas = [RecvMeta::default(); BATCH_SIZE];
        for _ in 0..8 {
            let mut buffers = self.slab.chunks_exact_mut(BUFFER).map(IoSliceMut::new);
            let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
                std::array::from_fn(|_| buffers.next().unwrap_or_else(|| IoSliceMut::new(&mut [])));
            let Ok(count) = self.state.recv((&self.udp).into(), &mut slices, &mut metas) else { return };
            for (meta, buffer) in metas[..count].iter().zip(self.slab.chunks_exact_mut(BUFFER)) {
                for datagram in buffer[..meta.len].chunks_mut(meta.stride.max(1)) {
                    handle(meta.dst_ip, meta.addr, datagram);
                }
            }
            if count < BATCH_SIZE {
                return;
            }
        }
    }

    /// Sends a datagram, with others that are alike.
    pub(crate) fn send(&mut self, path: Path, datagram: &[u8]) {
        let fits = self.run_path == Some(path)
            && datagram.len() <= self.segment
            // Only the last of a run may be shorter.
            && self.run.len() == self.segment * self.segments
            && self.run.len() + datagram.len() <= MAX_RUN
            && self.segments < MAX_SEGMENTS;
        if !fits {
            self.flush();
            self.run_path = Some(path);
            self.segment = datagram.len();
        }
        self.run.extend_from_slice(datagram);
        self.segments += 1;
    }

    /// Sends what has been gathered.
    pub(crate) fn flush(&mut self) {
        let Some(path) = self.run_path.take() else { return };
        let segment_size = (self.segments > 1).then_some(self.segment);
        let transmit =
            Transmit { destination: path.remote, ecn: None, contents: &self.run, segment_size, src_ip: path.local };
        if self.state.try_send((&self.udp).into(), &transmit).is_err() {
            self.refused += self.segments as u64;
        }
        self.run.clear();
        self.segments = 0;
    }
}

/// As root beyond the system's limit, else up to it.
fn force_buffers(socket: &socket2::Socket) {
    if rustix::net::sockopt::set_socket_recv_buffer_size_force(socket, SOCKET_BUFFER).is_err() {
        let _ = socket.set_recv_buffer_size(SOCKET_BUFFER);
    }
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER);
}
