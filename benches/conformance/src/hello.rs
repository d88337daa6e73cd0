//! Cuts a ClientHello in two (RFC 6347 §4.2.3), as large post-quantum hellos of browsers come: each fragment in a datagram of its own.
//!
//! Records before encryption are not protected, so they can be numbered anew to make room for the second half.

/// What a record of DTLS begins with: type, version, epoch, sequence number, length.
const RECORD: usize = 13;
/// The same of a handshake message: type, length, sequence, fragment offset and length.
const HANDSHAKE: usize = 12;
const TYPE_HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;

/// The datagrams to send in place of `datagram`.
pub(crate) fn split_client_hello(datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    let mut whole = Vec::new();
    let mut rest = datagram;
    while let Some(record) = record_len(rest).and_then(|len| rest.get(..len)) {
        match split_record(record) {
            Some([first, second]) => out.extend([first, second]),
            None => whole.extend(renumber(record, 0)),
        }
        rest = &rest[record.len()..];
    }
    whole.extend_from_slice(rest);
    if !whole.is_empty() {
        out.push(whole);
    }
    out
}

fn record_len(bytes: &[u8]) -> Option<usize> {
    let length = bytes.get(RECORD - 2..RECORD)?;
    Some(RECORD + usize::from(u16::from_be_bytes([length[0], length[1]])))
}

/// Twice the number, plus `plus`, of a record of epoch 0; others stay.
fn renumber(record: &[u8], plus: u64) -> Vec<u8> {
    let mut record = record.to_vec();
    if let Some(number) = record.get_mut(3..11)
        && number.starts_with(&[0, 0])
    {
        let old = number.iter().fold(0, |value, byte| value << 8 | u64::from(*byte));
        number.copy_from_slice(&(old * 2 + plus).to_be_bytes());
    }
    record
}

fn split_record(record: &[u8]) -> Option<[Vec<u8>; 2]> {
    let message = record.get(RECORD..)?;
    let (header, body) = message.split_at_checked(HANDSHAKE)?;
    let is_whole = header.get(6..9)? == [0, 0, 0] && header.get(1..4)? == header.get(9..12)?;
    let is_hello = record.first() == Some(&TYPE_HANDSHAKE) && header.first() == Some(&CLIENT_HELLO);
    if !is_hello || !is_whole || record.get(3..5)? != [0, 0] || body.len() < 2 {
        return None;
    }
    let (first, second) = body.split_at(body.len() / 2);
    Some([fragment(record, header, 0, first, 0), fragment(record, header, first.len(), second, 1)])
}

fn fragment(record: &[u8], header: &[u8], offset: usize, body: &[u8], plus: u64) -> Vec<u8> {
    // A datagram has no more than 64 KiB, so the lengths fit.
    let u24 = |value: usize| (value as u32).to_be_bytes()[1..].to_vec();
    let mut out = renumber(&record[..RECORD - 2], plus);
    out.extend(((HANDSHAKE + body.len()) as u16).to_be_bytes());
    out.extend_from_slice(&header[..6]);
    out.extend(u24(offset));
    out.extend(u24(body.len()));
    out.extend_from_slice(body);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A record with a handshake message of four bytes.
    fn record(epoch: u8, number: u8, message_type: u8) -> Vec<u8> {
        let mut record = vec![22, 0xfe, 0xff, 0, epoch, 0, 0, 0, 0, 0, number, 0, 16];
        record.extend([message_type, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 4, 0xa, 0xb, 0xc, 0xd]);
        record
    }

    #[test]
    fn a_client_hello_comes_in_two_datagrams() {
        let [first, second] = split_client_hello(&record(0, 3, 1)).try_into().unwrap();
        assert_eq!(first[..13], [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 6, 0, 14]);
        assert_eq!(first[13..], [1, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 2, 0xa, 0xb]);
        assert_eq!(second[..13], [22, 0xfe, 0xff, 0, 0, 0, 0, 0, 0, 0, 7, 0, 14]);
        assert_eq!(second[13..], [1, 0, 0, 4, 0, 0, 0, 0, 2, 0, 0, 2, 0xc, 0xd]);
    }

    #[test]
    fn other_records_stay_together_and_protected_ones_as_they_are() {
        let datagram = [record(0, 4, 16), record(1, 0, 20)].concat();
        let [out] = split_client_hello(&datagram).try_into().unwrap();
        assert_eq!(out, [record(0, 8, 16), record(1, 0, 20)].concat());
    }

    #[test]
    fn what_is_cut_short_passes_unchanged() {
        let whole = record(0, 1, 1);
        assert_eq!(split_client_hello(&whole[..20]), [whole[..20].to_vec()]);
        assert!(split_client_hello(&[]).is_empty());
    }
}
