//! The messages that open data channels (RFC 8832 §5).

use super::{ChannelSpec, Reliability};

const ACK: u8 = 2;
const OPEN: u8 = 3;
/// Bytes before label and protocol.
const HEADER: usize = 12;
/// The bit that makes a channel unordered.
const UNORDERED: u8 = 0x80;
/// Priority "normal" (RFC 8831 §6.4).
const PRIORITY: u16 = 256;

/// A message that is understood.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Message {
    Open(ChannelSpec),
    Ack,
}

impl Message {
    /// `None` for one that is malformed or unknown.
    pub(super) fn parse(bytes: &[u8]) -> Option<Message> {
        match *bytes.first()? {
            ACK => Some(Message::Ack),
            OPEN => parse_open(bytes).map(Message::Open),
            _ => None,
        }
    }
}

/// `DATA_CHANNEL_ACK`
pub(super) const ACKNOWLEDGED: [u8; 1] = [ACK];

fn parse_open(bytes: &[u8]) -> Option<ChannelSpec> {
    let (head, rest) = bytes.split_first_chunk::<HEADER>()?;
    let parameter = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
    let reliability = match head[1] & !UNORDERED {
        0 => Reliability::Reliable,
        1 => Reliability::MaxRetransmits(parameter),
        2 => Reliability::MaxLifetimeMs(parameter),
        _ => return None,
    };
    let (label, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([head[8], head[9]])))?;
    let protocol = rest.get(..usize::from(u16::from_be_bytes([head[10], head[11]])))?;
    Some(ChannelSpec {
        label: String::from_utf8_lossy(label).into_owned(),
        protocol: String::from_utf8_lossy(protocol).into_owned(),
        ordered: head[1] & UNORDERED == 0,
        reliability,
    })
}

/// `DATA_CHANNEL_OPEN`. Label and protocol are cut off at 64 KiB, which nobody's are.
pub(super) fn open(spec: &ChannelSpec) -> Vec<u8> {
    let (kind, parameter) = match spec.reliability {
        Reliability::Reliable => (0, 0),
        Reliability::MaxRetransmits(count) => (1, count),
        Reliability::MaxLifetimeMs(ms) => (2, ms),
    };
    let cut = |text: &str| text.as_bytes()[..text.len().min(usize::from(u16::MAX))].to_vec();
    let (label, protocol) = (cut(&spec.label), cut(&spec.protocol));
    let mut bytes = vec![OPEN, kind | if spec.ordered { 0 } else { UNORDERED }];
    bytes.extend(PRIORITY.to_be_bytes());
    bytes.extend(parameter.to_be_bytes());
    bytes.extend((label.len() as u16).to_be_bytes());
    bytes.extend((protocol.len() as u16).to_be_bytes());
    bytes.extend(label);
    bytes.extend(protocol);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        for reliability in [Reliability::Reliable, Reliability::MaxRetransmits(3), Reliability::MaxLifetimeMs(500)] {
            for ordered in [true, false] {
                let (label, protocol) = ("chat ✓".to_owned(), "p".to_owned());
                let spec = ChannelSpec { label, protocol, ordered, reliability };
                let bytes = open(&spec);
                assert_eq!(Message::parse(&bytes), Some(Message::Open(spec)));
                for len in 0..bytes.len() {
                    assert_eq!(Message::parse(&bytes[..len]), None);
                }
            }
        }
        assert_eq!(Message::parse(&ACKNOWLEDGED), Some(Message::Ack));
        assert_eq!(Message::parse(&[9]), None);
    }
}
