//! RTCP as far as it is consumed and made here; the grammar is rtcp-types'.
//!
//! Consumed: SR, BYE, PLI (RFC 4585) and FIR (RFC 5104). Made: SR and RR with SDES, BYE, PLI, FIR. All else is passed over. Reduced-size
//! packets (RFC 5506) are accepted as they come.

use crate::ids::Ssrc;
use crate::ntp::NtpTime;
use crate::reception::ReportBlock;
use rtcp_types::{
    Bye, Compound, Fir, Packet, PayloadFeedback, Pli, ReceiverReport, RtcpPacketWriter, RtcpPacketWriterExt, Sdes,
    SdesChunk, SdesItem, SenderReport,
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
}

/// Gives each word of a compound to `take`. A packet that does not parse ends the compound there.
pub fn parse(bytes: &[u8], mut take: impl FnMut(Word)) -> Result<(), RtcpError> {
    for packet in Compound::parse(bytes).map_err(|_| RtcpError)? {
        match packet.map_err(|_| RtcpError)? {
            Packet::Sr(report) => take(Word::SenderReport {
                ssrc: Ssrc(report.ssrc()),
                ntp: NtpTime(report.ntp_timestamp()),
                rtp_timestamp: report.rtp_timestamp(),
            }),
            Packet::Bye(bye) => bye.ssrcs().for_each(|ssrc| take(Word::Bye(Ssrc(ssrc)))),
            Packet::PayloadFeedback(feedback) => parse_feedback(&feedback, &mut take),
            _ => {}
        }
    }
    Ok(())
}

fn parse_feedback(feedback: &PayloadFeedback<'_>, take: &mut impl FnMut(Word)) {
    if feedback.parse_fci::<Pli<'_>>().is_ok() {
        take(Word::KeyframeRequest(Ssrc(feedback.media_ssrc())));
    } else if let Ok(fir) = feedback.parse_fci::<Fir<'_>>() {
        fir.entries().for_each(|entry| take(Word::KeyframeRequest(Ssrc(entry.ssrc()))));
    }
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

/// Writes a PLI from `sender` to `media`, in a compound: not every peer takes reduced-size RTCP (RFC 5506).
pub fn write_pli(out: &mut [u8], sender: Ssrc, media: Ssrc, cname: &str) -> Option<usize> {
    let len = write_receiver_report(out, sender, &[], cname)?;
    let pli = Pli::builder();
    Some(len + write(&mut out[len..], &PayloadFeedback::builder(&pli).sender_ssrc(sender.0).media_ssrc(media.0))?)
}

/// Writes a FIR, in a compound. `sequence` counts the requests to `media`; RFC 5104 §4.3.1.1 wants the media source field zero.
pub fn write_fir(out: &mut [u8], sender: Ssrc, media: Ssrc, sequence: u8, cname: &str) -> Option<usize> {
    let len = write_receiver_report(out, sender, &[], cname)?;
    let fir = Fir::builder().add_ssrc(media.0, sequence);
    Some(len + write(&mut out[len..], &PayloadFeedback::builder(&fir).sender_ssrc(sender.0).media_ssrc(0))?)
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
        let len = write_pli(&mut out, Ssrc(1), Ssrc(2), "c").unwrap();
        assert_eq!(out[1], 201, "a compound begins with a report");
        assert_eq!(out[len - 12..len], [0x81, 206, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        assert_eq!(words(&out[..len]).unwrap(), [Word::KeyframeRequest(Ssrc(2))]);
        let len = write_fir(&mut out, Ssrc(1), Ssrc(2), 9, "c").unwrap();
        assert_eq!(out[len - 20..len], [0x84, 206, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 9, 0, 0, 0]);
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
        len += write_pli(&mut valid[len..], Ssrc(1), Ssrc(2), "p").unwrap();
        len += write_fir(&mut valid[len..], Ssrc(1), Ssrc(2), 3, "f").unwrap();
        len += write_bye(&mut valid[len..], Ssrc(1), "bye").unwrap();
        valid.truncate(len);
        assert_eq!(words(&valid).unwrap().len(), 4);
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
