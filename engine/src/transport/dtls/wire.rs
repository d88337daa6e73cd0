//! The two ends of OpenSSL's pipe: one datagram in, many out. Each write that reaches here is one datagram, since OpenSSL
//! gathers the records of a flight up to the MTU and flushes them together.

use std::collections::VecDeque;
use std::io::{self, Read, Write};

/// A flight has a few datagrams; this many only pile up when the caller does not poll.
const MAX_QUEUED: usize = 64;

/// What OpenSSL reads from and writes to.
#[derive(Default)]
pub(super) struct Wire {
    /// Empty: nothing to read.
    inbound: Vec<u8>,
    outbound: VecDeque<Vec<u8>>,
}

impl Wire {
    /// The buffer for the datagram that is read next.
    pub(super) fn inbound(&mut self) -> &mut Vec<u8> {
        &mut self.inbound
    }

    pub(super) fn poll_transmit(&mut self) -> Option<Vec<u8>> {
        self.outbound.pop_front()
    }

    /// Gives the memory back that only a handshake needs.
    pub(super) fn shrink(&mut self) {
        self.inbound = Vec::new();
        if self.outbound.is_empty() {
            self.outbound = VecDeque::new();
        }
    }
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.inbound.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        // OpenSSL asks with room for a record of 16 KB, more than a datagram may have; what would not fit is lost, as on a
        // socket.
        let length = self.inbound.len().min(buffer.len());
        buffer[..length].copy_from_slice(&self.inbound[..length]);
        self.inbound.clear();
        Ok(length)
    }
}

impl Write for Wire {
    fn write(&mut self, datagram: &[u8]) -> io::Result<usize> {
        if self.outbound.len() < MAX_QUEUED {
            self.outbound.push_back(datagram.to_vec());
        }
        Ok(datagram.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
