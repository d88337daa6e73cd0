//! Feedback messages (RFC 4585 §6): NACK, transport-cc, REMB, and the congestion control feedback of RFC 8888.

use super::{Word, write};
use crate::ids::Ssrc;
use crate::seq::SeqNo;
use crate::transport_cc::Feedback;
use rtcp_types::{
    FciBuilder, FciFeedbackPacketType, FciParser, Fir, Nack, PayloadFeedback, Pli, RtcpPacketWriter, RtcpParseError,
    RtcpWriteError, TransportFeedback, Twcc, TwccPacketStatus,
};

/// Numbers of one message that are looked at: what a storm has beyond that is not missed.
const MAX_NUMBERS: usize = 2048;

pub(super) fn parse_payload(feedback: &PayloadFeedback<'_>, take: &mut impl FnMut(Word)) {
    if feedback.parse_fci::<Pli<'_>>().is_ok() {
        take(Word::KeyframeRequest(Ssrc(feedback.media_ssrc())));
    } else if let Ok(fir) = feedback.parse_fci::<Fir<'_>>() {
        fir.entries().for_each(|entry| take(Word::KeyframeRequest(Ssrc(entry.ssrc()))));
    } else if let Ok(Remb(bitrate)) = feedback.parse_fci::<Remb>() {
        take(Word::MaxBitrate(bitrate));
    }
}

pub(super) fn parse_transport(feedback: &TransportFeedback<'_>, take: &mut impl FnMut(Word)) {
    if let Ok(nack) = feedback.parse_fci::<Nack<'_>>() {
        let media = Ssrc(feedback.media_ssrc());
        nack.entries().take(MAX_NUMBERS).for_each(|seq| take(Word::Nack(media, SeqNo(seq))));
    } else if let Ok(twcc) = feedback.parse_fci::<Twcc<'_>>() {
        for (seq, status) in twcc.packets().take(MAX_NUMBERS).map_while(Result::ok) {
            let received = matches!(status, TwccPacketStatus::Received { .. });
            take(Word::Arrival { ssrc: None, seq: SeqNo(seq), received });
        }
    } else if let Ok(Ccfb(body)) = feedback.parse_fci::<Ccfb<'_>>() {
        parse_congestion(Ssrc(feedback.media_ssrc()), body, take);
    }
}

/// draft-alvestrand-rmcat-remb-03 §2.2, without the SSRCs that it names.
struct Remb(u64);

impl<'a> FciParser<'a> for Remb {
    const PACKET_TYPE: FciFeedbackPacketType = FciFeedbackPacketType::PAYLOAD;
    const FCI_FORMAT: u8 = 15;

    fn parse(data: &'a [u8]) -> Result<Remb, RtcpParseError> {
        let [b'R', b'E', b'M', b'B', _, high, middle, low, ..] = *data else {
            return Err(RtcpParseError::WrongImplementation);
        };
        let mantissa = u64::from(high & 0x03) << 16 | u64::from(middle) << 8 | u64::from(low);
        Ok(Remb(mantissa.checked_shl(u32::from(high >> 2)).unwrap_or(u64::MAX)))
    }
}

/// RFC 8888 §3.1.
struct Ccfb<'a>(&'a [u8]);

impl<'a> FciParser<'a> for Ccfb<'a> {
    const PACKET_TYPE: FciFeedbackPacketType = FciFeedbackPacketType::TRANSPORT;
    const FCI_FORMAT: u8 = 11;

    fn parse(data: &'a [u8]) -> Result<Ccfb<'a>, RtcpParseError> {
        Ok(Ccfb(data))
    }
}

/// The message has its first source where others have the media source.
fn parse_congestion(first: Ssrc, body: &[u8], take: &mut impl FnMut(Word)) {
    // The last word is the report timestamp.
    let Some(mut rest) = body.len().checked_sub(4).map(|end| &body[..end]) else { return };
    let mut ssrc = first;
    while let [begin_high, begin_low, count_high, count_low, ..] = *rest {
        let begin = u16::from_be_bytes([begin_high, begin_low]);
        let count = usize::from(u16::from_be_bytes([count_high, count_low]));
        let Some(blocks) = rest.get(4..4 + count * 2) else { return };
        for (block, offset) in blocks.chunks_exact(2).zip(0u16..).take(MAX_NUMBERS) {
            let (seq, received) = (SeqNo(begin.wrapping_add(offset)), block[0] & 0x80 != 0);
            take(Word::Arrival { ssrc: Some(ssrc), seq, received });
        }
        // An odd number of blocks is followed by two bytes of padding.
        let Some((next, after)) = rest.get(4 + (count + count % 2) * 2..).and_then(|rest| rest.split_first_chunk())
        else {
            return;
        };
        (ssrc, rest) = (Ssrc(u32::from_be_bytes(*next)), after);
    }
}

/// Writes a NACK for packets of `media`.
pub fn write_nack(out: &mut [u8], sender: Ssrc, media: Ssrc, seqs: &[SeqNo]) -> Option<usize> {
    let nack = seqs.iter().fold(Nack::builder(), |nack, seq| nack.add_rtp_sequence(seq.0));
    write(out, &TransportFeedback::builder(&nack).sender_ssrc(sender.0).media_ssrc(media.0))
}

/// Writes transport-cc feedback. The draft has the media source be one that the transport carries.
pub fn write_transport_feedback(out: &mut [u8], sender: Ssrc, media: Ssrc, feedback: &Feedback) -> Option<usize> {
    let Feedback { base, reference_time, count, statuses } = feedback;
    let twcc = Twcc::builder(base.0, *reference_time, *count, statuses, None);
    write(out, &TransportFeedback::builder(&twcc).sender_ssrc(sender.0).media_ssrc(media.0))
}

/// The body of a message, as it stands.
#[derive(Debug)]
struct Body {
    format: u8,
    is_transport: bool,
    bytes: Vec<u8>,
}

impl FciBuilder<'_> for Body {
    fn format(&self) -> u8 {
        self.format
    }

    fn supports_feedback_type(&self) -> FciFeedbackPacketType {
        if self.is_transport { FciFeedbackPacketType::TRANSPORT } else { FciFeedbackPacketType::PAYLOAD }
    }
}

impl RtcpPacketWriter for Body {
    fn calculate_size(&self) -> Result<usize, RtcpWriteError> {
        Ok(self.bytes.len())
    }

    fn write_into_unchecked(&self, buf: &mut [u8]) -> usize {
        buf[..self.bytes.len()].copy_from_slice(&self.bytes);
        self.bytes.len()
    }

    fn get_padding(&self) -> Option<u8> {
        None
    }
}

/// Writes a REMB of `bitrate_bps` for these sources, 255 of them at the most.
pub fn write_remb(out: &mut [u8], sender: Ssrc, bitrate_bps: u64, sources: &[Ssrc]) -> Option<usize> {
    // 18 bits of mantissa.
    let exponent = (64 - bitrate_bps.leading_zeros()).saturating_sub(18);
    let mantissa = bitrate_bps >> exponent;
    let mut bytes = b"REMB".to_vec();
    bytes.push(u8::try_from(sources.len()).ok()?);
    bytes.extend([(exponent as u8) << 2 | (mantissa >> 16) as u8, (mantissa >> 8) as u8, mantissa as u8]);
    bytes.extend(sources.iter().flat_map(|ssrc| ssrc.0.to_be_bytes()));
    let body = Body { format: Remb::FCI_FORMAT, is_transport: false, bytes };
    write(out, &PayloadFeedback::builder(&body).sender_ssrc(sender.0).media_ssrc(0))
}

/// What congestion control feedback says of one source.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Congestion {
    /// The source.
    pub ssrc: Ssrc,
    /// Its first number here.
    pub begin: SeqNo,
    /// For each number from there on, how long before the report it arrived, in 1024ths of a second.
    pub arrivals: Vec<Option<u16>>,
}

/// Greatest arrival time offset that says something (RFC 8888 §3.1); the one above means "longer ago".
const MAX_OFFSET: u16 = 0x1ffd;

/// Writes the feedback of RFC 8888, made at `timestamp` (the middle 32 bits of NTP time).
pub fn write_congestion(out: &mut [u8], sender: Ssrc, sources: &[Congestion], timestamp: u32) -> Option<usize> {
    let mut bytes = Vec::new();
    for source in sources {
        bytes.extend(source.ssrc.0.to_be_bytes());
        bytes.extend(source.begin.0.to_be_bytes());
        bytes.extend(u16::try_from(source.arrivals.len()).ok()?.to_be_bytes());
        for arrival in &source.arrivals {
            let block = arrival.map_or(0, |offset| 0x8000 | if offset > MAX_OFFSET { MAX_OFFSET + 1 } else { offset });
            bytes.extend(block.to_be_bytes());
        }
        if source.arrivals.len() % 2 == 1 {
            bytes.extend([0, 0]);
        }
    }
    bytes.extend(timestamp.to_be_bytes());
    // The first source stands where the media source does otherwise.
    let first: [u8; 4] = bytes.get(..4)?.try_into().ok()?;
    bytes.drain(..4);
    let body = Body { format: Ccfb::FCI_FORMAT, is_transport: true, bytes };
    let media = u32::from_be_bytes(first);
    write(out, &TransportFeedback::builder(&body).sender_ssrc(sender.0).media_ssrc(media))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp::parse;

    fn words(bytes: &[u8]) -> Vec<Word> {
        let mut words = Vec::new();
        parse(bytes, |word| words.push(word)).unwrap();
        words
    }

    #[test]
    fn nacks_name_every_packet() {
        let mut out = [0; 64];
        let seqs = [SeqNo(100), SeqNo(101), SeqNo(116), SeqNo(117)];
        let len = write_nack(&mut out, Ssrc(1), Ssrc(2), &seqs).unwrap();
        assert_eq!(out[..len], [0x81, 205, 0, 4, 0, 0, 0, 1, 0, 0, 0, 2, 0, 100, 0x80, 1, 0, 117, 0, 0]);
        assert_eq!(words(&out[..len]), seqs.map(|seq| Word::Nack(Ssrc(2), seq)));
    }

    #[test]
    fn a_storm_of_nacks_is_looked_at_in_part() {
        let mut bytes = vec![0x81, 205];
        bytes.extend((2u16 + 10_000).to_be_bytes());
        bytes.extend([0, 0, 0, 1, 0, 0, 0, 2]);
        (0..10_000u16).for_each(|n| bytes.extend([(n >> 8) as u8, n as u8, 0xff, 0xff]));
        assert_eq!(words(&bytes).len(), MAX_NUMBERS);
    }

    #[test]
    fn a_bitrate_keeps_18_bits() {
        let mut out = [0; 64];
        for (bps, read) in [(0, 0), (300_000, 300_000 & !1), (2_500_000, 2_500_000), (u64::MAX, 0x3ffff << 46)] {
            let len = write_remb(&mut out, Ssrc(1), bps, &[Ssrc(2), Ssrc(3)]).unwrap();
            assert_eq!(words(&out[..len]), [Word::MaxBitrate(read)]);
        }
    }

    #[test]
    fn transport_feedback_tells_what_arrived() {
        let received = |delta| TwccPacketStatus::Received { delta };
        let statuses = vec![received(0), TwccPacketStatus::NotReceived, received(300), received(-3)];
        let feedback = Feedback { base: SeqNo(65_535), reference_time: 7, count: 1, statuses };
        let mut out = [0; 64];
        let len = write_transport_feedback(&mut out, Ssrc(1), Ssrc(2), &feedback).unwrap();
        assert_eq!(out[..2], [0x8f, 205]);
        let arrivals: Vec<(u16, bool)> = words(&out[..len])
            .into_iter()
            .filter_map(|word| match word {
                Word::Arrival { ssrc: None, seq, received } => Some((seq.0, received)),
                _ => None,
            })
            .collect();
        assert_eq!(arrivals, [(65_535, true), (0, false), (1, true), (2, true)]);
    }

    #[test]
    fn congestion_feedback_tells_of_each_source() {
        let sources = [
            Congestion { ssrc: Ssrc(5), begin: SeqNo(65_535), arrivals: vec![Some(3), None, Some(0xffff)] },
            Congestion { ssrc: Ssrc(6), begin: SeqNo(1), arrivals: vec![Some(0), Some(0)] },
        ];
        let mut out = [0; 64];
        let len = write_congestion(&mut out, Ssrc(1), &sources, 9).unwrap();
        assert_eq!(
            out[..len],
            [
                0x8b, 205, 0, 9, 0, 0, 0, 1, 0, 0, 0, 5, 0xff, 0xff, 0, 3, 0x80, 3, 0, 0, 0x9f, 0xfe, 0, 0, 0, 0, 0, 6,
                0, 1, 0, 2, 0x80, 0, 0x80, 0, 0, 0, 0, 9
            ]
        );
        let arrived = |ssrc, seq, received| Word::Arrival { ssrc: Some(Ssrc(ssrc)), seq: SeqNo(seq), received };
        let expected = [
            arrived(5, 65_535, true),
            arrived(5, 0, false),
            arrived(5, 1, true),
            arrived(6, 1, true),
            arrived(6, 2, true),
        ];
        assert_eq!(words(&out[..len]), expected);
    }
}
