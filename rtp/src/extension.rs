//! Header extensions (RFC 8285): read in their one- or two-byte form, written anew under another leg's ids.

use crate::ids::Mid;

/// The profile field of the one-byte form.
const ONE_BYTE: u16 = 0xbede;
/// Most bytes of an element's data in the one-byte form; one at least.
const ONE_BYTE_MAX: usize = 16;
/// Ids of the one-byte form end here; 15 is reserved.
const ONE_BYTE_MAX_ID: u8 = 14;
/// Elements of a packet that are looked at; no client sends as many.
const MAX_ELEMENTS: usize = 32;

/// The form of an extension block.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    OneByte,
    TwoByte,
    /// None, or of a profile that is not RFC 8285's: no elements.
    Other,
}

/// A packet's extension block.
#[derive(Clone, Copy, Debug)]
pub struct Extensions<'a> {
    form: Form,
    bytes: &'a [u8],
}

impl<'a> Extensions<'a> {
    /// No block.
    pub const NONE: Extensions<'static> = Extensions { form: Form::Other, bytes: &[] };

    /// The block at the beginning of `bytes`, and what follows it; `None` when it ends too early.
    pub fn parse(bytes: &'a [u8]) -> Option<(Extensions<'a>, &'a [u8])> {
        let (head, rest) = bytes.split_first_chunk::<4>()?;
        let words = usize::from(u16::from_be_bytes([head[2], head[3]]));
        let (bytes, rest) = rest.split_at_checked(words * 4)?;
        let form = match u16::from_be_bytes([head[0], head[1]]) {
            ONE_BYTE => Form::OneByte,
            0x1000..=0x100f => Form::TwoByte,
            _ => Form::Other,
        };
        Some((Extensions { form, bytes }, rest))
    }

    /// The elements, id and data. A length that goes beyond the block, or the reserved id 15 of the one-byte form, ends them.
    pub fn iter(self) -> impl Iterator<Item = (u8, &'a [u8])> {
        let mut rest = self.bytes;
        std::iter::from_fn(move || next_element(self.form, &mut rest)).take(MAX_ELEMENTS)
    }

    /// The data of the element `id`.
    pub fn find(self, id: u8) -> Option<&'a [u8]> {
        self.iter().find(|(found, _)| *found == id).map(|(_, data)| data)
    }
}

fn next_element<'a>(form: Form, rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    loop {
        let (&head, after) = rest.split_first()?;
        let (id, len, after) = match form {
            // A padding byte is a single zero in either form.
            _ if head == 0 => {
                *rest = after;
                continue;
            }
            Form::OneByte if head >> 4 == 15 => return None,
            Form::OneByte => (head >> 4, usize::from(head & 0x0f) + 1, after),
            Form::TwoByte => {
                let (&len, after) = after.split_first()?;
                (head, usize::from(len), after)
            }
            Form::Other => return None,
        };
        let (data, after) = after.split_at_checked(len)?;
        *rest = after;
        return Some((id, data));
    }
}

/// What becomes of a publisher's extensions on a viewer's leg: source id to the viewer's id, what is not named is stripped; and the
/// viewer's own MID.
#[derive(Clone, Debug)]
pub struct ExtensionMap {
    /// The viewer's id by the publisher's, 0 for none.
    ids: [u8; 256],
    mid: Option<(u8, Mid)>,
    /// Whether anything is kept at all.
    keeps: bool,
}

impl Default for ExtensionMap {
    fn default() -> ExtensionMap {
        ExtensionMap { ids: [0; 256], mid: None, keeps: false }
    }
}

impl ExtensionMap {
    /// Writes `mid` under `id` into every packet.
    pub fn with_mid(mut self, id: u8, mid: Mid) -> ExtensionMap {
        self.mid = Some((id, mid));
        self
    }

    /// Keeps the publisher's `source` as `destination`.
    pub fn insert(&mut self, source: u8, destination: u8) {
        self.ids[usize::from(source)] = destination;
        self.keeps = true;
    }

    /// Writes a block to `out`: the MID, the elements that are `own` of this packet, and what is kept of `source`. Returns its length,
    /// 0 when nothing is left; `None` when there is no room. The one-byte form is taken where every element fits it.
    pub fn write(&self, source: Extensions<'_>, own: &[(u8, &[u8])], out: &mut [u8]) -> Option<usize> {
        let elements = || {
            let mid = self.mid.as_ref().map(|(id, mid)| (*id, mid.as_bytes()));
            let kept = source.iter().take(if self.keeps { MAX_ELEMENTS } else { 0 });
            let mapped = kept.map(|(id, data)| (self.ids[usize::from(id)], data)).filter(|(id, _)| *id != 0);
            mid.into_iter().chain(own.iter().copied()).chain(mapped)
        };
        if elements().next().is_none() {
            return Some(0);
        }
        let one_byte = elements().all(|(id, data)| id <= ONE_BYTE_MAX_ID && (1..=ONE_BYTE_MAX).contains(&data.len()));
        let mut at = 4;
        for (id, data) in elements() {
            let head = if one_byte { 1 } else { 2 };
            let element = out.get_mut(at..at + head + data.len())?;
            match one_byte {
                true => element[0] = id << 4 | (data.len() - 1) as u8,
                false => element[..2].copy_from_slice(&[id, data.len() as u8]),
            }
            element[head..].copy_from_slice(data);
            at += element.len();
        }
        let end = at.next_multiple_of(4);
        out.get_mut(at..end)?.fill(0);
        let profile = if one_byte { ONE_BYTE } else { 0x1000 };
        out[..2].copy_from_slice(&profile.to_be_bytes());
        out[2..4].copy_from_slice(&((end / 4 - 1) as u16).to_be_bytes());
        Some(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn block(profile: u16, body: &[u8]) -> Vec<u8> {
        let mut bytes = profile.to_be_bytes().to_vec();
        bytes.extend(((body.len() / 4) as u16).to_be_bytes());
        bytes.extend(body);
        bytes
    }

    fn elements(bytes: &[u8]) -> Vec<(u8, Vec<u8>)> {
        let (extensions, rest) = Extensions::parse(bytes).unwrap();
        assert!(rest.is_empty());
        extensions.iter().map(|(id, data)| (id, data.to_vec())).collect()
    }

    #[test]
    fn both_forms_are_read_with_padding_between() {
        let one = block(ONE_BYTE, &[0x10, 7, 0, 0, 0x21, 8, 9, 0]);
        assert_eq!(elements(&one), [(1, vec![7]), (2, vec![8, 9])]);
        let two = block(0x1000, &[1, 0, 0, 200, 2, 5, 6, 0]);
        assert_eq!(elements(&two), [(1, vec![]), (200, vec![5, 6])]);
        assert_eq!(elements(&block(0x1234, &[0x10, 7, 0, 0])), []);
    }

    #[test]
    fn a_length_beyond_the_block_and_id_15_end_the_elements() {
        assert_eq!(elements(&block(ONE_BYTE, &[0x10, 7, 0x2f, 1])), [(1, vec![7])]);
        assert_eq!(elements(&block(ONE_BYTE, &[0x10, 7, 0xf0, 1])), [(1, vec![7])]);
        assert_eq!(elements(&block(0x1000, &[1, 1, 7, 2])), [(1, vec![7])]);
        assert_eq!(elements(&block(0x1000, &[1, 200, 7, 2])), []);
        assert!(Extensions::parse(&[0xbe, 0xde, 0, 2, 0, 0, 0, 0]).is_none());
    }

    #[test]
    fn ids_are_mapped_and_the_rest_is_stripped() {
        let source = block(ONE_BYTE, &[0x10, 7, 0x21, 8, 9, 0, 0, 0]);
        let mut map = ExtensionMap::default();
        map.insert(2, 14);
        let mut out = [0xff; 64];
        let len = map.write(Extensions::parse(&source).unwrap().0, &[(3, &[1, 2])], &mut out).unwrap();
        assert_eq!(out[..len], [0xbe, 0xde, 0, 2, 0x31, 1, 2, 0xe1, 8, 9, 0, 0]);
    }

    #[test]
    fn the_two_byte_form_is_taken_where_one_byte_does_not_do() {
        let long = [&[9, 17][..], &[5; 17], &[0]].concat();
        for (source, destination) in [(block(ONE_BYTE, &[0x90, 7, 0, 0]), 15), (block(0x1000, &long), 3)] {
            let mut map = ExtensionMap::default();
            map.insert(9, destination);
            let mut out = [0; 64];
            let (extensions, _) = Extensions::parse(&source).unwrap();
            let len = map.write(extensions, &[], &mut out).unwrap();
            assert_eq!(out[..2], [0x10, 0]);
            let expected = extensions.find(9).unwrap();
            assert_eq!(elements(&out[..len]), [(destination, expected.to_vec())]);
        }
    }
}
