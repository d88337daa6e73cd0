//! What the log says of sessions: one line when one begins, when it connects and when it ends, in words. The secret of its URL is
//! never among them.

use crate::name::StreamName;
use crate::registry::Session;
use oneport_engine::control::{EndReason, Role, SessionId, Totals};
use std::fmt;
use std::net::SocketAddr;
use tracing::{debug, info, warn};

pub(crate) fn begun(id: SessionId, session: &Session, peer: Option<SocketAddr>) {
    let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.ip().to_string());
    info!(session = %id, "{}: offer from {from} answered, waiting for its connectivity check", Who(session));
}

pub(crate) fn nominated(id: SessionId, session: &Session, shard: usize, remote: SocketAddr) {
    debug!(session = %id, "{}: {remote} nominated, shard {shard} owns it", Who(session));
}

pub(crate) fn connected(id: SessionId, session: &Session) {
    info!(session = %id, "{}: connected, DTLS is done and SRTP is keyed", Who(session));
}

pub(crate) fn ended(id: SessionId, session: &Session, reason: &EndReason, totals: &Totals) {
    info!(session = %id, "{}: {reason}, {}", Who(session), Carried(totals));
}

pub(crate) fn failed(id: SessionId, session: &Session, verdict: &str) {
    warn!(session = %id, "{}: {verdict}", Who(session));
}

pub(crate) fn refused(name: &StreamName, peer: Option<SocketAddr>, reason: &str) {
    let from = peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.ip().to_string());
    info!("offer from {from} for {name} refused: {reason}");
}

/// A session as a subject of a sentence.
struct Who<'a>(&'a Session);

impl fmt::Display for Who<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.0.role {
            Role::Publish => "publisher",
            Role::Play => "viewer",
            Role::Echo => return f.write_str("echo"),
        };
        write!(f, "{role} of {}", self.0.name)
    }
}

/// What a session carried.
struct Carried<'a>(&'a Totals);

impl fmt::Display for Carried<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Totals { rx_packets, rx_bytes, tx_packets, tx_bytes, duration } = self.0;
        let seconds = duration.as_secs_f64();
        write!(f, "after {seconds:.1} s, {rx_packets} RTP packets ({}) received", Size(*rx_bytes))?;
        write!(f, " and {tx_packets} ({}) sent", Size(*tx_bytes))
    }
}

/// Bytes as people read them.
struct Size(u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            bytes @ 0..1_000 => write!(f, "{bytes} B"),
            bytes @ 1_000..1_000_000 => write!(f, "{:.1} kB", bytes as f64 / 1e3),
            bytes @ 1_000_000..1_000_000_000 => write!(f, "{:.1} MB", bytes as f64 / 1e6),
            bytes => write!(f, "{:.1} GB", bytes as f64 / 1e9),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn totals_are_said_in_words() {
        let duration = Duration::from_millis(12_340);
        let totals = Totals { rx_packets: 10, rx_bytes: 12_345, tx_packets: 0, tx_bytes: 0, duration };
        assert_eq!(Carried(&totals).to_string(), "after 12.3 s, 10 RTP packets (12.3 kB) received and 0 (0 B) sent");
        assert_eq!(Size(2_500_000_000).to_string(), "2.5 GB");
    }
}
