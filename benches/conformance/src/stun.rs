//! Connectivity checks that no honest client sends (RFC 8445 §7, RFC 8489 §9.1): with a wrong password, for nobody, in the wrong role.

use std::net::SocketAddr;
use stun_types::attribute::{AttributeType, ErrorCode, Fingerprint, RawAttribute, Username, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageHeader, MessageType, MessageWrite, MessageWriteExt,
    MessageWriteVec, ShortTermCredentials,
};

const PRIORITY: AttributeType = AttributeType::new(0x0024);
const ICE_CONTROLLED: AttributeType = AttributeType::new(0x8029);
const ICE_CONTROLLING: AttributeType = AttributeType::new(0x802a);
/// That of a peer-reflexive candidate.
const PRIORITY_VALUE: [u8; 4] = 0x6eff_ffff_u32.to_be_bytes();

/// A check to be sent.
#[derive(Clone, Debug)]
pub(crate) struct Probe {
    /// `theirs:ours`.
    pub(crate) username: String,
    /// The password that it is signed with.
    pub(crate) pwd: String,
    /// Whether the sender calls itself controlled.
    pub(crate) controlled: bool,
}

/// What came back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    /// A success response.
    Success {
        /// XOR-MAPPED-ADDRESS.
        mapped: Option<SocketAddr>,
        /// Signed with the password of the check.
        is_signed: bool,
        /// It ends with a FINGERPRINT.
        has_fingerprint: bool,
    },
    /// An error response and its code.
    Error(u16),
}

impl Probe {
    /// The request. `None` when the username is too long for one.
    pub(crate) fn write(&self, transaction: u128) -> Option<Vec<u8>> {
        let kind = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut message = Message::builder(kind, transaction.into(), MessageWriteVec::new());
        message.add_attribute(&Username::new(&self.username).ok()?).ok()?;
        message.add_attribute(&RawAttribute::new(PRIORITY, &PRIORITY_VALUE)).ok()?;
        let role = if self.controlled { ICE_CONTROLLED } else { ICE_CONTROLLING };
        // The greatest and the least tie-breaker: RFC 8445 §7.3.1.1 lets neither agent switch then.
        let tie_breaker = if self.controlled { [0; 8] } else { [0xff; 8] };
        message.add_attribute(&RawAttribute::new(role, &tie_breaker)).ok()?;
        let credentials = ShortTermCredentials::new(self.pwd.clone());
        message.add_message_integrity(&credentials.into(), IntegrityAlgorithm::Sha1).ok()?;
        message.add_fingerprint().ok()?;
        Some(message.finish())
    }

    /// Reads the response to this probe.
    pub(crate) fn read(&self, datagram: &[u8]) -> Option<Answer> {
        let message = Message::from_bytes(datagram).ok()?;
        match message.class() {
            MessageClass::Error => Some(Answer::Error(message.attribute::<ErrorCode>().ok()?.code())),
            MessageClass::Success => {
                let mapped = message.attribute::<XorMappedAddress>().ok();
                let credentials = ShortTermCredentials::new(self.pwd.clone());
                Some(Answer::Success {
                    mapped: mapped.map(|mapped| mapped.addr(message.transaction_id())),
                    is_signed: message.validate_integrity(&credentials.into()).is_ok(),
                    has_fingerprint: message.attribute::<Fingerprint>().is_ok(),
                })
            }
            _ => None,
        }
    }
}

/// The transaction of a STUN message.
pub(crate) fn transaction_of(datagram: &[u8]) -> Option<u128> {
    Some(MessageHeader::from_bytes(datagram).ok()?.transaction_id().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn probe(pwd: &str) -> Probe {
        Probe { username: "theirs:ours".to_owned(), pwd: pwd.to_owned(), controlled: false }
    }

    fn answer(pwd: &str) -> Vec<u8> {
        let request = probe("secret").write(7).unwrap();
        let request = Message::from_bytes(&request).unwrap();
        let mut answer = Message::builder_success(&request, MessageWriteVec::new());
        let mapped = "192.0.2.1:9".parse().unwrap();
        answer.add_attribute(&XorMappedAddress::new(mapped, request.transaction_id())).unwrap();
        let credentials = ShortTermCredentials::new(pwd.to_owned());
        answer.add_message_integrity(&credentials.into(), IntegrityAlgorithm::Sha1).unwrap();
        answer.finish()
    }

    #[test]
    fn an_answer_tells_who_signed_it() {
        let success = |is_signed| Answer::Success {
            mapped: Some("192.0.2.1:9".parse().unwrap()),
            is_signed,
            has_fingerprint: false,
        };
        assert_eq!(probe("secret").read(&answer("secret")), Some(success(true)));
        assert_eq!(probe("secret").read(&answer("other")), Some(success(false)));
        assert_eq!(transaction_of(&answer("secret")), Some(7));
    }

    #[test]
    fn a_request_is_no_answer_and_neither_is_noise() {
        assert_eq!(probe("a").read(&probe("a").write(1).unwrap()), None);
        assert_eq!(probe("a").read(&[0; 20]), None);
        assert_eq!(transaction_of(&[1, 2]), None);
    }
}
