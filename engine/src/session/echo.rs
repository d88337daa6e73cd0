//! A session whose packets all go back to where they came from: a test of one's own network, and of nothing else.
//!
//! Plaintext is returned as it came, under the client's own SSRCs, so that the client's reports, NACKs and bandwidth estimation tell of
//! the way to the server and back.

use super::{Sent, Srtp};
use crate::flow::Flow;
use crate::outbox::{Outbox, Sink};
use crate::stats::Discard;
use oneport_rtp::ids::Ssrc;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::seq::ExtSeq;

/// Sources whose rollover counters are kept; the oldest makes room.
const MAX_SOURCES: usize = 32;

/// See the module's text.
#[derive(Default, Debug)]
pub(crate) struct Echo {
    highest: Vec<(Ssrc, ExtSeq)>,
}

impl Echo {
    /// Returns an SRTP packet, decrypting it in place.
    pub(crate) fn handle_rtp<S: Sink>(
        &mut self,
        packet: &mut [u8],
        (flow, srtp): (Flow, &mut Srtp),
        out: &mut Outbox<S>,
    ) -> Result<Sent, Discard> {
        let len = srtp.unprotect_rtp(packet)?.len();
        let plain = RtpPacket::parse(&packet[..len]).map_err(|_| Discard::Rtp)?;
        let (ssrc, seq) = (plain.ssrc(), plain.seq());
        let known = self.highest.iter().position(|(known, _)| *known == ssrc);
        let place = known.unwrap_or_else(|| {
            if self.highest.len() >= MAX_SOURCES {
                self.highest.remove(0);
            }
            self.highest.push((ssrc, ExtSeq(seq.0.into())));
            self.highest.len() - 1
        });
        let highest = &mut self.highest[place].1;
        let seq = highest.nearest(seq);
        *highest = seq.max(*highest);
        let mut sent = Sent::default();
        out.push(flow, Srtp::room(len), |room| {
            room[..len].copy_from_slice(&packet[..len]);
            let bytes = srtp.protect_rtp(room, len, seq.roc());
            sent.add(bytes);
            bytes
        });
        Ok(sent)
    }

    /// Returns an SRTCP packet, decrypting it in place.
    pub(crate) fn handle_rtcp<S: Sink>(
        packet: &mut [u8],
        (flow, srtp): (Flow, &mut Srtp),
        out: &mut Outbox<S>,
    ) -> Result<(), Discard> {
        let len = srtp.unprotect_rtcp(packet)?.len();
        out.push(flow, Srtp::room(len), |room| {
            room[..len].copy_from_slice(&packet[..len]);
            srtp.protect_rtcp(room, len)
        });
        Ok(())
    }
}
