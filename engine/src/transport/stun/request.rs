//! The full agent's side of a check: what simulated peers and the load generator send to us (RFC 8445 §7.2).

use super::message::{Attributes, ICE_CONTROLLING, Malformed, PRIORITY, USE_CANDIDATE, integrity_key};
use std::net::SocketAddr;
use stun_types::attribute::{RawAttribute, Username};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, Message, MessageClass, MessageHeader, MessageType, MessageWrite, MessageWriteExt,
    MessageWriteMutSlice, TransactionId,
};

/// A Binding request of a controlling agent.
#[derive(Clone, Copy)]
pub struct BindingRequest<'a> {
    /// The ufrag of who is asked.
    pub remote_ufrag: &'a str,
    /// The password of who is asked.
    pub remote_pwd: &'a str,
    /// The ufrag of who asks.
    pub local_ufrag: &'a str,
    /// 96 bits that the answer repeats.
    pub transaction: [u8; 12],
    /// That of a peer-reflexive candidate, if this makes one.
    pub priority: u32,
    /// The tie-breaker.
    pub controlling: u64,
    /// Nominates the pair.
    pub use_candidate: bool,
}

impl BindingRequest<'_> {
    /// Writes the request and answers its length, or `None` when it does not fit into `out`
    /// ([`MAX_REQUEST`](super::MAX_REQUEST) is enough).
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        let username = Username::new(&format!("{}:{}", self.remote_ufrag, self.local_ufrag)).ok()?;
        let (priority, controlling) = (self.priority.to_be_bytes(), self.controlling.to_be_bytes());
        if out.len() < MessageHeader::LENGTH {
            return None;
        }
        let request = MessageType::from_class_method(MessageClass::Request, BINDING);
        let mut message = Message::builder(request, transaction_id(self.transaction), MessageWriteMutSlice::new(out));
        message.add_attribute(&username).ok()?;
        message.add_attribute(&RawAttribute::new(PRIORITY, &priority)).ok()?;
        message.add_attribute(&RawAttribute::new(ICE_CONTROLLING, &controlling)).ok()?;
        if self.use_candidate {
            message.add_attribute(&RawAttribute::new(USE_CANDIDATE, &[])).ok()?;
        }
        message.add_message_integrity_with_key(&integrity_key(self.remote_pwd), IntegrityAlgorithm::Sha1).ok()?;
        message.add_fingerprint().ok()?;
        Some(message.finish())
    }
}

fn transaction_id(bytes: [u8; 12]) -> TransactionId {
    let mut wide = [0; 16];
    wide[4..].copy_from_slice(&bytes);
    u128::from_be_bytes(wide).into()
}

/// The answer to a [`BindingRequest`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Answer {
    /// That of the request.
    pub transaction: [u8; 12],
    /// Our address as the server sees it, or the error code.
    pub outcome: Result<SocketAddr, u16>,
}

/// Why a datagram is no answer.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum AnswerFault {
    /// No whole STUN message, or one without what an answer has.
    #[error("malformed STUN message")]
    Malformed,
    /// No Binding response.
    #[error("no Binding response")]
    NotAResponse,
    /// MESSAGE-INTEGRITY is missing or wrong. Only 400 and 401 come without one.
    #[error("the answer is not signed with the password")]
    Unauthenticated,
}

impl From<Malformed> for AnswerFault {
    fn from(Malformed: Malformed) -> AnswerFault {
        AnswerFault::Malformed
    }
}

impl Answer {
    /// Reads the answer to a request that was signed with `remote_pwd`.
    ///
    /// # Errors
    ///
    /// Why it is none.
    pub fn parse(remote_pwd: &str, datagram: &[u8]) -> Result<Answer, AnswerFault> {
        let attributes = Attributes::parse(datagram)?;
        if attributes.message_type.method() != BINDING {
            return Err(AnswerFault::NotAResponse);
        }
        let outcome = match attributes.message_type.class() {
            MessageClass::Success => Ok(attributes.mapped.ok_or(AnswerFault::Malformed)?),
            MessageClass::Error => Err(attributes.error.ok_or(AnswerFault::Malformed)?),
            _ => return Err(AnswerFault::NotAResponse),
        };
        let may_be_unsigned = matches!(outcome, Err(400 | 401)) && !attributes.has_integrity();
        if !may_be_unsigned && !attributes.is_signed_with(&integrity_key(remote_pwd)) {
            return Err(AnswerFault::Unauthenticated);
        }
        let mut transaction = [0; 12];
        transaction.copy_from_slice(&u128::from(attributes.transaction).to_be_bytes()[4..]);
        Ok(Answer { transaction, outcome })
    }
}
