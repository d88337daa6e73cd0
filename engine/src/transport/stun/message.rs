//! A STUN message's attributes, as far as ICE knows them (RFC 8489 §5, §14; RFC 8445 §16.1).
//!
//! The grammar of header and attribute values is `stun-types`'; the walk over the attributes is ours, since its `Message` warns
//! in the log of each malformed datagram, and takes attributes behind the advertised end.

use std::net::{IpAddr, SocketAddr};
use stun_types::attribute::{
    AttributeFromRaw, AttributeStaticType, AttributeType, ErrorCode, Fingerprint, MessageIntegrity,
    MessageIntegritySha256, Nonce, PasswordAlgorithm, RawAttribute, Realm, Username, XorMappedAddress,
};
use stun_types::message::{IntegrityKey, MessageHeader, MessageType, ShortTermCredentials, TransactionId};

pub(super) const PRIORITY: AttributeType = AttributeType::new(0x0024);
pub(super) const USE_CANDIDATE: AttributeType = AttributeType::new(0x0025);
pub(super) const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
pub(super) const ICE_CONTROLLING: AttributeType = AttributeType::new(0x802a);

/// A check has about 100 bytes. Longer than this is no check, and not worth an HMAC.
const MAX_MESSAGE: usize = 1280;
/// As many unknown attributes as an answer names.
pub(super) const MAX_UNKNOWN: usize = 8;

/// The bytes are no whole and undamaged STUN message.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Malformed;

/// What a message says. Of an attribute that comes twice, the first counts (RFC 8489 §14).
pub(super) struct Attributes<'a> {
    datagram: &'a [u8],
    pub(super) message_type: MessageType,
    pub(super) transaction: TransactionId,
    pub(super) username: Option<&'a [u8]>,
    pub(super) priority: Option<u32>,
    pub(super) use_candidate: bool,
    pub(super) controlling: Option<u64>,
    pub(super) controlled: Option<u64>,
    pub(super) mapped: Option<SocketAddr>,
    pub(super) error: Option<u16>,
    /// Comprehension-required attributes that we do not know.
    pub(super) unknown: Vec<AttributeType>,
    pub(super) has_fingerprint: bool,
    /// Where MESSAGE-INTEGRITY starts, and what it says.
    integrity: Option<(usize, [u8; 20])>,
}

impl<'a> Attributes<'a> {
    /// Reads a datagram to its last byte; a FINGERPRINT that is there is right.
    pub(super) fn parse(datagram: &'a [u8]) -> Result<Attributes<'a>, Malformed> {
        let header = MessageHeader::from_bytes(datagram).map_err(|_| Malformed)?;
        let whole = datagram.len() == MessageHeader::LENGTH + usize::from(header.data_length());
        if !whole || !datagram.len().is_multiple_of(4) || datagram.len() > MAX_MESSAGE {
            return Err(Malformed);
        }
        let mut attributes = Attributes::empty(datagram, &header);
        let mut at = MessageHeader::LENGTH;
        while at < datagram.len() {
            at = attributes.take(at)?;
        }
        Ok(attributes)
    }

    fn empty(datagram: &'a [u8], header: &MessageHeader) -> Attributes<'a> {
        Attributes {
            datagram,
            message_type: header.get_type(),
            transaction: header.transaction_id(),
            username: None,
            priority: None,
            use_candidate: false,
            controlling: None,
            controlled: None,
            mapped: None,
            error: None,
            unknown: Vec::new(),
            has_fingerprint: false,
            integrity: None,
        }
    }

    /// Takes the attribute at `at`; answers where the next one starts.
    fn take(&mut self, at: usize) -> Result<usize, Malformed> {
        let header = self.datagram[at..].first_chunk::<4>().ok_or(Malformed)?;
        let attribute_type = AttributeType::new(u16::from_be_bytes([header[0], header[1]]));
        let length = usize::from(u16::from_be_bytes([header[2], header[3]]));
        let value = self.datagram.get(at + 4..at + 4 + length).ok_or(Malformed)?;
        let end = at + 4 + length.next_multiple_of(4);
        match attribute_type {
            Fingerprint::TYPE => self.check_fingerprint(at, end, value)?,
            // What follows MESSAGE-INTEGRITY is not protected by it, and ignored (RFC 8489 §14.5).
            _ if self.integrity.is_some() => {}
            MessageIntegrity::TYPE => {
                self.integrity = Some((at, value.try_into().map_err(|_| Malformed)?));
            }
            other => self.take_value(other, value)?,
        }
        Ok(end)
    }

    fn take_value(&mut self, attribute_type: AttributeType, value: &'a [u8]) -> Result<(), Malformed> {
        match attribute_type {
            Username::TYPE => keep(&mut self.username, value),
            PRIORITY => keep(&mut self.priority, u32::from_be_bytes(exact(value)?)),
            USE_CANDIDATE => self.use_candidate = true,
            ICE_CONTROLLING => keep(&mut self.controlling, u64::from_be_bytes(exact(value)?)),
            ICE_CONTROLLED => keep(&mut self.controlled, u64::from_be_bytes(exact(value)?)),
            XorMappedAddress::TYPE => {
                let mapped: XorMappedAddress = typed(attribute_type, value)?;
                keep(&mut self.mapped, mapped.addr(self.transaction));
            }
            ErrorCode::TYPE => {
                let error: ErrorCode = typed(attribute_type, value)?;
                keep(&mut self.error, error.code());
            }
            other if other.comprehension_required() && !is_of_no_use(other) => self.note_unknown(other),
            _ => {}
        }
        Ok(())
    }

    fn note_unknown(&mut self, attribute_type: AttributeType) {
        if self.unknown.len() < MAX_UNKNOWN && !self.unknown.contains(&attribute_type) {
            self.unknown.push(attribute_type);
        }
    }

    /// It has to be the last attribute (RFC 8489 §14.7), over all that precedes it.
    fn check_fingerprint(&mut self, at: usize, end: usize, value: &[u8]) -> Result<(), Malformed> {
        let fingerprint: Fingerprint = typed(Fingerprint::TYPE, value)?;
        let right = Fingerprint::compute(&[&self.datagram[..at]]) == *fingerprint.fingerprint();
        self.has_fingerprint = end == self.datagram.len() && right;
        if self.has_fingerprint { Ok(()) } else { Err(Malformed) }
    }

    pub(super) fn has_integrity(&self) -> bool {
        self.integrity.is_some()
    }

    /// MESSAGE-INTEGRITY is there and made with `key`. Compared in constant time.
    pub(super) fn is_signed_with(&self, key: &IntegrityKey) -> bool {
        let Some((at, expected)) = self.integrity else { return false };
        // The length in the header counts up to the end of MESSAGE-INTEGRITY, whatever follows (RFC 8489 §14.5).
        let Ok(length) = u16::try_from(at + 24 - MessageHeader::LENGTH) else { return false };
        let data = [&self.datagram[..2], &length.to_be_bytes(), &self.datagram[4..at]];
        MessageIntegrity::verify(&data, key, &expected)
    }
}

/// RFC 8489's other attributes, understood and without a use: the stronger MESSAGE-INTEGRITY (ICE keeps to SHA-1, RFC 8445
/// §7.2.2, which has to be there too), and what belongs to long-term credentials.
fn is_of_no_use(attribute_type: AttributeType) -> bool {
    matches!(attribute_type, MessageIntegritySha256::TYPE | PasswordAlgorithm::TYPE | Realm::TYPE | Nonce::TYPE)
}

fn keep<T>(slot: &mut Option<T>, value: T) {
    slot.get_or_insert(value);
}

fn exact<const N: usize>(value: &[u8]) -> Result<[u8; N], Malformed> {
    value.try_into().map_err(|_| Malformed)
}

fn typed<T: for<'r> AttributeFromRaw<'r>>(attribute_type: AttributeType, value: &[u8]) -> Result<T, Malformed> {
    T::from_raw_ref(&RawAttribute::new(attribute_type, value)).map_err(|_| Malformed)
}

/// The HMAC key of a password (short-term credentials, RFC 8489 §9.1.1).
pub(super) fn integrity_key(password: &str) -> IntegrityKey {
    ShortTermCredentials::new(password.to_owned()).make_key()
}

/// A peer that reaches a dual-stack socket by IPv4 has an IPv4 address, whatever the socket calls it.
pub(super) fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(v4) => SocketAddr::new(v4.into(), address.port()),
        IpAddr::V6(_) => address,
    }
}
