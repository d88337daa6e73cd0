//! Redundant audio (RFC 2198): a packet's own block behind those that it repeats.
//!
//! ```text
//!  |1| type | timestamp offset (14) | length (10) |  for each repeated block
//!  |0| type |  for the packet's own, which ends the header; then the blocks in the same order
//! ```

/// Bytes of the header of a repeated block.
const REPEATED_HEADER: usize = 4;

/// The packet's own block, without those that it repeats; `None` when the lengths do not fit.
pub fn primary(payload: &[u8]) -> Option<&[u8]> {
    let (mut headers, mut repeated) = (payload, 0);
    while headers.first()? & 0x80 != 0 {
        let (header, rest) = headers.split_first_chunk::<REPEATED_HEADER>()?;
        repeated += usize::from(header[2] & 0x03) << 8 | usize::from(header[3]);
        headers = rest;
    }
    headers.get(1 + repeated..)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_primary_block_is_the_last() {
        assert_eq!(primary(&[111, 1, 2, 3]), Some(&[1, 2, 3][..]));
        assert_eq!(primary(&[0x80 | 111, 0, 0, 2, 111, 8, 9, 1, 2, 3]), Some(&[1, 2, 3][..]));
        let mut large = vec![0x80 | 111, 0, 1, 0x04, 0x80 | 111, 0, 0, 1, 111];
        large.resize(large.len() + 0x104 + 1, 7);
        large.extend([1, 2]);
        assert_eq!(primary(&large), Some(&[1, 2][..]));
    }

    #[test]
    fn what_is_cut_off_has_none() {
        let whole = [0x80 | 111, 0, 0, 2, 111, 8, 9, 1];
        for len in 0..7 {
            assert_eq!(primary(&whole[..len]), None, "{len}");
        }
        assert_eq!(primary(&whole[..7]), Some(&[][..]), "silence");
    }
}
