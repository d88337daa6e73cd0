//! RTCP as far as it is consumed and made here; the grammar is rtcp-types'.
//!
//! Consumed: SR, RR, BYE, PLI and NACK (RFC 4585), FIR (RFC 5104), transport-cc feedback, congestion control feedback (RFC 8888), and
//! XR's RRTR and DLRR (RFC 3611). Made: all of these but RR blocks in SR, and REMB. All else is passed over. Reduced-size packets
//! (RFC 5506) are accepted as they come. `docs/rtcp.md` says what becomes of each.

mod feedback;
mod xr;

pub use feedback::{Congestion, write_congestion, write_nack, write_remb, write_transport_feedback};
pub use xr::{Dlrr, write_dlrr, write_rrtr};

use crate::ids::Ssrc;
use crate::ntp::NtpTime;
use crate::reception::ReportBlock;
use crate::seq::SeqNo;
use rtcp_types::{
    Bye, Fir, Packet, PayloadFeedback, Pli, ReceiverReport, RtcpPacketParser, RtcpPacketWriter, RtcpPacketWriterExt,
    Sdes, SdesChunk, SdesItem, SenderReport,
};

/// Report blocks of one report (RFC 3550 §6.4.1).
pub const MAX_BLOCKS: usize = 31;

/// The compound does not parse from its beginning.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("malformed RTCP")]
pub struct RtcpError;

/// What a compound may tell.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Word {
    /// A sender report.
    SenderReport {
        /// Whose.
        ssrc: Ssrc,
        /// Its wall-clock time.
        ntp: NtpTime,
        /// The same instant on its media clock.
        rtp_timestamp: u32,
    },
    /// The source has ended.
    Bye(Ssrc),
    /// A keyframe of this source of ours is wanted, by PLI or FIR.
    KeyframeRequest(Ssrc),
    /// The packet of this source of ours with this number is missing.
    Nack(Ssrc, SeqNo),
    /// How a source of ours arrives.
    Received(ReportBlock),
    /// What transport-cc or RFC 8888 feedback says of one transport-wide number, or one of a source's: whether it arrived.
    Arrival {
        /// The source, where the feedback counts each by itself.
        ssrc: Option<Ssrc>,
        /// The number.
        seq: SeqNo,
        /// Whether it arrived.
        received: bool,
    },
    /// The peer can take this many bit/s.
    MaxBitrate(u64),
    /// The peer's clock, to be sent back with the time since (RFC 3611 §4.4).
    ReferenceTime {
        /// Who asks.
        ssrc: Ssrc,
        /// Its clock.
        ntp: NtpTime,
    },
    /// Our reference time came back (RFC 3611 §4.5).
    SinceReferenceTime(Dlrr),
}

/// The packets of a compound, each with its header: packet type and bytes. One whose length goes beyond the end is an error.
fn packets(bytes: &[u8]) -> impl Iterator<Item = Result<(u8, &[u8]), RtcpError>> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let len = match *rest {
            [first, _, high, low, ..] if first >> 6 == 2 => (usize::from(high) << 8 | usize::from(low)) * 4 + 4,
            _ => usize::MAX,
        };
        let Some((packet, after)) = rest.split_at_checked(len) else {
            rest = &[];
            return Some(Err(RtcpError));
        };
        rest = after;
        Some(Ok((packet[1], packet)))
    })
}

/// Gives each word of a compound to `take`. A packet that does not parse ends the compound there.
pub fn parse(bytes: &[u8], mut take: impl FnMut(Word)) -> Result<(), RtcpError> {
    if bytes.is_empty() {
        return Err(RtcpError);
    }
    for packet in packets(bytes) {
        let (packet_type, bytes) = packet?;
        if packet_type == xr::PACKET_TYPE {
            xr::parse(bytes, &mut take).ok_or(RtcpError)?;
            continue;
        }
        match Packet::parse(bytes).map_err(|_| RtcpError)? {
            Packet::Sr(report) => {
                take(Word::SenderReport {
                    ssrc: Ssrc(report.ssrc()),
                    ntp: NtpTime(report.ntp_timestamp()),
                    rtp_timestamp: report.rtp_timestamp(),
                });
                report.report_blocks().for_each(|block| take(received(&block)));
            }
            Packet::Rr(report) => report.report_blocks().for_each(|block| take(received(&block))),
            Packet::Bye(bye) => bye.ssrcs().for_each(|ssrc| take(Word::Bye(Ssrc(ssrc)))),
            Packet::PayloadFeedback(packet) => feedback::parse_payload(&packet, &mut take),
            Packet::TransportFeedback(packet) => feedback::parse_transport(&packet, &mut take),
            _ => {}
        }
    }
    Ok(())
}

fn received(block: &rtcp_types::ReportBlock<'_>) -> Word {
    Word::Received(ReportBlock {
        ssrc: Ssrc(block.ssrc()),
        fraction_lost: block.fraction_lost(),
        // 24 bits of two's complement.
        cumulative_lost: (block.cumulative_lost() << 8) as i32 >> 8,
        highest_seq: block.extended_sequence_number(),
        jitter: block.interarrival_jitter(),
        last_sr: block.last_sender_report_timestamp(),
        delay_since_last_sr: block.delay_since_last_sender_report_timestamp(),
    })
}

/// What a sender report says of its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SenderInfo {
    /// Wall-clock time.
    pub ntp: NtpTime,
    /// The same instant on the media clock.
    pub rtp_timestamp: u32,
    /// Packets sent.
    pub packets: u32,
    /// Payload bytes sent.
    pub octets: u32,
}

/// Writes SR and SDES. The length, or `None` when there is no room; so with the other writers.
pub fn write_sender_report(out: &mut [u8], ssrc: Ssrc, info: &SenderInfo, cname: &str) -> Option<usize> {
    let report = SenderReport::builder(ssrc.0)
        .ntp_timestamp(info.ntp.0)
        .rtp_timestamp(info.rtp_timestamp)
        .packet_count(info.packets)
        .octet_count(info.octets);
    let len = write(out, &report)?;
    Some(len + write_sdes(&mut out[len..], ssrc, cname)?)
}

/// Writes RR, with the first 31 blocks, and SDES.
pub fn write_receiver_report(out: &mut [u8], ssrc: Ssrc, blocks: &[ReportBlock], cname: &str) -> Option<usize> {
    let empty = ReceiverReport::builder(ssrc.0);
    let report = blocks.iter().take(MAX_BLOCKS).fold(empty, |report, block| {
        report.add_report_block(
            rtcp_types::ReportBlock::builder(block.ssrc.0)
                .fraction_lost(block.fraction_lost)
                // 24 bits of two's complement.
                .cumulative_lost(block.cumulative_lost as u32 & 0xff_ffff)
                .extended_sequence_number(block.highest_seq)
                .interarrival_jitter(block.jitter)
                .last_sender_report_timestamp(block.last_sr)
                .delay_since_last_sender_report_timestamp(block.delay_since_last_sr),
        )
    });
    let len = write(out, &report)?;
    Some(len + write_sdes(&mut out[len..], ssrc, cname)?)
}

/// Writes an empty RR, SDES and BYE: a BYE comes in a compound (RFC 3550 §6.1).
pub fn write_bye(out: &mut [u8], ssrc: Ssrc, cname: &str) -> Option<usize> {
    let len = write_receiver_report(out, ssrc, &[], cname)?;
    Some(len + write(&mut out[len..], &Bye::builder().add_source(ssrc.0))?)
}

/// What feedback begins with: an empty RR and SDES, or nothing where reduced size (RFC 5506) was agreed on.
#[derive(Clone, Copy, Debug)]
pub struct Lead<'a> {
    /// Who sends it.
    pub ssrc: Ssrc,
    /// `None` for reduced size.
    pub cname: Option<&'a str>,
}

impl Lead<'_> {
    /// Writes the lead, and then the message that `message` writes behind it.
    pub fn write(&self, out: &mut [u8], message: impl FnOnce(&mut [u8]) -> Option<usize>) -> Option<usize> {
        let len = match self.cname {
            Some(cname) => write_receiver_report(out, self.ssrc, &[], cname)?,
            None => 0,
        };
        Some(len + message(&mut out[len..])?)
    }
}

/// Writes a PLI from `sender` to `media`.
pub fn write_pli(out: &mut [u8], sender: Ssrc, media: Ssrc) -> Option<usize> {
    let pli = Pli::builder();
    write(out, &PayloadFeedback::builder(&pli).sender_ssrc(sender.0).media_ssrc(media.0))
}

/// Writes a FIR. `sequence` counts the requests to `media`; RFC 5104 §4.3.1.1 wants the media source field zero.
pub fn write_fir(out: &mut [u8], sender: Ssrc, media: Ssrc, sequence: u8) -> Option<usize> {
    let fir = Fir::builder().add_ssrc(media.0, sequence);
    write(out, &PayloadFeedback::builder(&fir).sender_ssrc(sender.0).media_ssrc(0))
}

fn write_sdes(out: &mut [u8], ssrc: Ssrc, cname: &str) -> Option<usize> {
    let item = SdesItem::builder(SdesItem::CNAME, cname);
    write(out, &Sdes::builder().add_chunk(SdesChunk::builder(ssrc.0).add_item(item)))
}

fn write(out: &mut [u8], packet: &impl RtcpPacketWriter) -> Option<usize> {
    packet.write_into(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(bytes: &[u8]) -> Result<Vec<Word>, RtcpError> {
        let mut words = Vec::new();
        parse(bytes, |word| words.push(word)).map(|()| words)
    }

    #[test]
    fn a_sender_report_says_what_was_written() {
        let info = SenderInfo { ntp: NtpTime(0x0102_0304_0506_0708), rtp_timestamp: 9, packets: 10, octets: 11 };
        let mut out = [0; 128];
        let len = write_sender_report(&mut out, Ssrc(7), &info, "cname").unwrap();
        assert_eq!(
            words(&out[..len]).unwrap(),
            [Word::SenderReport { ssrc: Ssrc(7), ntp: info.ntp, rtp_timestamp: 9 }]
        );
        assert_eq!(out[28..32], [0x81, 202, 0, 3], "SDES follows");
        for room in 0..len {
            assert_eq!(write_sender_report(&mut out[..room], Ssrc(7), &info, "cname"), None);
        }
    }

    #[test]
    fn a_negative_loss_has_24_bits() {
        let block = ReportBlock { cumulative_lost: -2, ..ReportBlock::default() };
        let mut out = [0; 128];
        write_receiver_report(&mut out, Ssrc(7), &[block], "c").unwrap();
        assert_eq!(out[13..16], [0xff, 0xff, 0xfe]);
    }

    #[test]
    fn pli_and_fir_name_the_source_that_is_wanted() {
        let mut out = [0; 64];
        let lead = Lead { ssrc: Ssrc(1), cname: Some("c") };
        let len = lead.write(&mut out, |out| write_pli(out, Ssrc(1), Ssrc(2))).unwrap();
        assert_eq!(out[1], 201, "a compound begins with a report");
        assert_eq!(out[len - 12..len], [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(words(&out[..len]).unwrap(), [Word::KeyframeRequest(Ssrc(2))]);
        let len = Lead { cname: None, ..lead }.write(&mut out, |out| write_fir(out, Ssrc(1), Ssrc(2), 9)).unwrap();
        assert_eq!(out[..len], [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 9, 0, 0, 0]);
        assert_eq!(words(&out[..len]).unwrap(), [Word::KeyframeRequest(Ssrc(2))]);
    }

    #[test]
    fn a_bye_comes_in_a_compound() {
        let mut out = [0; 64];
        let len = write_bye(&mut out, Ssrc(5), "c").unwrap();
        assert_eq!(words(&out[..len]).unwrap(), [Word::Bye(Ssrc(5))]);
        assert_eq!(out[1], 201);
    }

    #[test]
    fn rtcp_of_any_shape_is_an_error_at_the_worst() {
        let info = SenderInfo { ntp: NtpTime(1), rtp_timestamp: 2, packets: 3, octets: 4 };
        let mut valid = vec![0; 512];
        let mut len = write_sender_report(&mut valid, Ssrc(7), &info, "cname").unwrap();
        len += write_receiver_report(&mut valid[len..], Ssrc(7), &[ReportBlock::default(); 3], "x").unwrap();
        len += write_pli(&mut valid[len..], Ssrc(1), Ssrc(2)).unwrap();
        len += write_fir(&mut valid[len..], Ssrc(1), Ssrc(2), 3).unwrap();
        len += write_bye(&mut valid[len..], Ssrc(1), "bye").unwrap();
        len += write_nack(&mut valid[len..], Ssrc(1), Ssrc(2), &[SeqNo(1), SeqNo(9), SeqNo(40)]).unwrap();
        len += write_remb(&mut valid[len..], Ssrc(1), 1_000_000, &[Ssrc(2)]).unwrap();
        len += write_rrtr(&mut valid[len..], Ssrc(1), NtpTime(2)).unwrap();
        len += write_dlrr(&mut valid[len..], Ssrc(1), &[Dlrr::default(); 2]).unwrap();
        valid.truncate(len);
        assert_eq!(words(&valid).unwrap().len(), 14);
        for cut in 0..len {
            let _ = words(&valid[..cut]);
        }
        let mut state = 3u32;
        for _ in 0..100_000 {
            let mut mutated = valid.clone();
            for _ in 0..3 {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (state >> 8) as usize % mutated.len();
                mutated[at] = (state >> 24) as u8;
            }
            let _ = words(&mutated);
        }
    }
}
