//! Extended reports (RFC 3611): the reference time of who receives only, and its return, from which it learns the round trip.

use super::Word;
use crate::ids::Ssrc;
use crate::ntp::NtpTime;

pub(super) const PACKET_TYPE: u8 = 207;
const RRTR: u8 = 4;
const DLRR: u8 = 5;
/// Header and SSRC of the packet.
const HEADER: usize = 8;

/// One source's part of a DLRR block (§4.5).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Dlrr {
    /// Whose reference time it is.
    pub ssrc: u32,
    /// Its middle 32 bits.
    pub last_reference: u32,
    /// Time since it came, in 65536ths of a second.
    pub delay: u32,
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map(u32::from_be_bytes)
}

/// Gives the words of a whole XR packet. `None` when a block goes beyond its end.
pub(super) fn parse(bytes: &[u8], take: &mut impl FnMut(Word)) -> Option<()> {
    let sender = Ssrc(word(bytes, 4)?);
    let mut rest = bytes.get(HEADER..)?;
    while let [kind, _, high, low, ..] = *rest {
        let len = 4 + 4 * (usize::from(high) << 8 | usize::from(low));
        let (block, after) = rest.split_at_checked(len)?;
        rest = after;
        match kind {
            RRTR => {
                let ntp = u64::from(word(block, 4)?) << 32 | u64::from(word(block, 8)?);
                take(Word::ReferenceTime { ssrc: sender, ntp: NtpTime(ntp) });
            }
            DLRR => {
                for part in block[4..].chunks_exact(12) {
                    let (ssrc, last_reference, delay) = (word(part, 0)?, word(part, 4)?, word(part, 8)?);
                    take(Word::SinceReferenceTime(Dlrr { ssrc, last_reference, delay }));
                }
            }
            _ => {}
        }
    }
    Some(())
}

/// Writes a packet of one block: `words` of 32 bits behind the block's header.
fn write(out: &mut [u8], sender: Ssrc, kind: u8, words: impl ExactSizeIterator<Item = u32>) -> Option<usize> {
    let (block, len) = (words.len(), HEADER + 4 + 4 * words.len());
    let out = out.get_mut(..len)?;
    out[..2].copy_from_slice(&[0x80, PACKET_TYPE]);
    out[2..4].copy_from_slice(&u16::try_from(len / 4 - 1).ok()?.to_be_bytes());
    out[4..8].copy_from_slice(&sender.0.to_be_bytes());
    out[8..10].copy_from_slice(&[kind, 0]);
    out[10..12].copy_from_slice(&u16::try_from(block).ok()?.to_be_bytes());
    for (word, place) in words.zip(out[HEADER + 4..].chunks_exact_mut(4)) {
        place.copy_from_slice(&word.to_be_bytes());
    }
    Some(len)
}

/// Writes our reference time.
pub fn write_rrtr(out: &mut [u8], sender: Ssrc, ntp: NtpTime) -> Option<usize> {
    write(out, sender, RRTR, [(ntp.0 >> 32) as u32, ntp.0 as u32].into_iter())
}

/// Sends reference times back.
pub fn write_dlrr(out: &mut [u8], sender: Ssrc, parts: &[Dlrr]) -> Option<usize> {
    let words: Vec<u32> = parts.iter().flat_map(|part| [part.ssrc, part.last_reference, part.delay]).collect();
    write(out, sender, DLRR, words.into_iter())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reference_times_go_and_come_back() {
        let mut out = [0; 64];
        let len = write_rrtr(&mut out, Ssrc(7), NtpTime(0x1_0000_0002)).unwrap();
        assert_eq!(out[..len], [0x80, 207, 0, 4, 0, 0, 0, 7, 4, 0, 0, 2, 0, 0, 0, 1, 0, 0, 0, 2]);
        let mut words = Vec::new();
        parse(&out[..len], &mut |word| words.push(word)).unwrap();
        let parts = [Dlrr { ssrc: 1, last_reference: 2, delay: 3 }, Dlrr { ssrc: 4, last_reference: 5, delay: 6 }];
        let len = write_dlrr(&mut out, Ssrc(7), &parts).unwrap();
        parse(&out[..len], &mut |word| words.push(word)).unwrap();
        let reference = Word::ReferenceTime { ssrc: Ssrc(7), ntp: NtpTime(0x1_0000_0002) };
        assert_eq!(words, [reference, Word::SinceReferenceTime(parts[0]), Word::SinceReferenceTime(parts[1])]);
        assert_eq!(parse(&out[..len - 4], &mut |_| {}), None);
    }
}
