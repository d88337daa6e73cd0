//! A connectivity check, as the lite agent sees it (RFC 8445 §7.3, RFC 8489 §6.3 and §9.1.3).

use super::message::{Attributes, Malformed, canonical, integrity_key};
use crate::control::SessionId;
use crate::transport::ice::{IceKey, UfragClaims};
use std::fmt;
use std::net::SocketAddr;
use stun_types::attribute::{AttributeType, ErrorCode, UnknownAttributes, XorMappedAddress};
use stun_types::message::{
    BINDING, IntegrityAlgorithm, IntegrityKey, Message, MessageClass, MessageHeader, MessageType, MessageWrite,
    MessageWriteExt, MessageWriteMutSlice, TransactionId,
};
use stun_types::prelude::AttributeWrite;

/// An authenticated Binding request: whoever sent it knows the session's password.
#[derive(Debug)]
pub struct Check {
    /// The session that it is for.
    pub claims: UfragClaims,
    /// The peer nominates the pair that the datagram came over.
    pub use_candidate: bool,
    /// PRIORITY: that of a peer-reflexive candidate, if this makes one. Checks have it, consent checks of some clients not.
    pub priority: Option<u32>,
    /// The tie-breaker of ICE-CONTROLLING.
    pub controlling: Option<u64>,
    exchange: Exchange,
}

/// What an answer takes from its request.
#[derive(Clone)]
struct Exchange {
    transaction: TransactionId,
    request_len: usize,
    /// The answer has one if the request has: so even the shortest check has room for the longest answer.
    fingerprint: bool,
    /// Where it is known.
    key: Option<IntegrityKey>,
}

/// Why a datagram is no check to be taken up.
#[derive(Debug, thiserror::Error)]
pub enum CheckFault {
    /// Not STUN, cut short, damaged, or of a form that no check has. Not answered.
    #[error("malformed STUN message")]
    Malformed,
    /// A Binding indication: a keepalive, which has no answer (RFC 8445 §11).
    #[error("a keepalive")]
    Indication,
    /// A response, or another method. We ask nobody anything, so it is not answered.
    #[error("no Binding request")]
    NotARequest,
    /// 400: USERNAME or MESSAGE-INTEGRITY is missing. The session, if the USERNAME names one.
    #[error("400: credentials are missing")]
    BadRequest(Refusal, Option<SessionId>),
    /// 401: a ufrag that is none of ours. The peer's half of the USERNAME, where that is text.
    #[error("401: the ufrag is of no session here")]
    UnknownUfrag(Refusal, Option<String>),
    /// 401: a ufrag of ours, and a MESSAGE-INTEGRITY that its password does not make.
    #[error("401: the password is wrong")]
    BadIntegrity(Refusal, SessionId),
    /// 420: comprehension-required attributes that we do not know.
    #[error("420: unknown attributes")]
    UnknownAttributes(Refusal, SessionId),
    /// 487: the peer takes itself for the controlled agent, which the lite side always is.
    #[error("487: both sides are controlled")]
    RoleConflict(Refusal, SessionId),
}

/// Longest ufrag of a peer that is kept (RFC 8839 §5.4 allows 256; clients have 4 to 32).
const MAX_REMOTE_UFRAG: usize = 64;

/// An error response, not yet written.
#[derive(Debug)]
pub struct Refusal {
    code: u16,
    unknown: Vec<AttributeType>,
    exchange: Exchange,
}

impl From<Malformed> for CheckFault {
    fn from(Malformed: Malformed) -> CheckFault {
        CheckFault::Malformed
    }
}

impl Check {
    /// Reads a datagram. Its sender is proved by its password, not by its address.
    ///
    /// # Errors
    ///
    /// What is wrong with it; [`CheckFault::response`] has the answer, where there is one.
    #[allow(clippy::result_large_err, reason = "a fault is looked at where it is made and goes no further")]
    pub fn parse(key: &IceKey, datagram: &[u8]) -> Result<Check, CheckFault> {
        let attributes = Attributes::parse(datagram)?;
        require_binding_request(attributes.message_type)?;
        let mut exchange = Exchange {
            transaction: attributes.transaction,
            request_len: datagram.len(),
            fingerprint: attributes.has_fingerprint,
            key: None,
        };
        let (Some(username), true) = (attributes.username, attributes.has_integrity()) else {
            let session = attributes.username.and_then(|name| key.parse_ufrag(halves(name).0));
            return Err(CheckFault::BadRequest(exchange.refuse(400), session.map(|claims| claims.session)));
        };
        let (ours, theirs) = halves(username);
        let Some(claims) = key.parse_ufrag(ours) else {
            return Err(CheckFault::UnknownUfrag(exchange.refuse(401), remote_ufrag(theirs)));
        };
        let integrity = integrity_key(&key.password(ours));
        if !attributes.is_signed_with(&integrity) {
            return Err(CheckFault::BadIntegrity(exchange.refuse(401), claims.session));
        }
        exchange.key = Some(integrity);
        if !attributes.unknown.is_empty() {
            let refusal = Refusal { unknown: attributes.unknown, ..exchange.refuse(420) };
            return Err(CheckFault::UnknownAttributes(refusal, claims.session));
        }
        if attributes.controlled.is_some() {
            return Err(CheckFault::RoleConflict(exchange.refuse(487), claims.session));
        }
        let Attributes { use_candidate, priority, controlling, .. } = attributes;
        Ok(Check { claims, use_candidate, priority, controlling, exchange })
    }

    /// Writes the success response, for a check that came from `source`; answers its length. `None` when it would be longer than
    /// the request or than `out` ([`MAX_ANSWER`](super::MAX_ANSWER) is enough).
    pub fn success(&self, source: SocketAddr, out: &mut [u8]) -> Option<usize> {
        let mapped = XorMappedAddress::new(canonical(source), self.exchange.transaction);
        self.exchange.answer(MessageClass::Success, &[&mapped], out)
    }
}

impl CheckFault {
    /// Writes the error response, where there is one to give: not to what is no request, and never a longer one than the
    /// request was. Answers its length.
    pub fn response(&self, out: &mut [u8]) -> Option<usize> {
        match self {
            CheckFault::Malformed | CheckFault::Indication | CheckFault::NotARequest => None,
            CheckFault::BadRequest(refusal, _)
            | CheckFault::UnknownUfrag(refusal, _)
            | CheckFault::BadIntegrity(refusal, _)
            | CheckFault::UnknownAttributes(refusal, _)
            | CheckFault::RoleConflict(refusal, _) => refusal.response(out),
        }
    }
}

impl Refusal {
    fn response(&self, out: &mut [u8]) -> Option<usize> {
        // Without a reason phrase, which is for people and would make the answer to a short request too long.
        let error = ErrorCode::new(self.code, "").ok()?;
        let unknown = UnknownAttributes::new(&self.unknown);
        let attributes: &[&dyn AttributeWrite] = if self.unknown.is_empty() { &[&error] } else { &[&error, &unknown] };
        self.exchange.answer(MessageClass::Error, attributes, out)
    }
}

impl Exchange {
    fn refuse(&self, code: u16) -> Refusal {
        Refusal { code, unknown: Vec::new(), exchange: self.clone() }
    }

    /// The attributes, signed where the key is known, and a FINGERPRINT where the request had one.
    fn answer(&self, class: MessageClass, attributes: &[&dyn AttributeWrite], out: &mut [u8]) -> Option<usize> {
        let attributes_len: usize = attributes.iter().map(|attribute| 4 + padded(attribute.length())).sum();
        let integrity_len = if self.key.is_some() { 24 } else { 0 };
        let fingerprint_len = if self.fingerprint { 8 } else { 0 };
        let length = MessageHeader::LENGTH + attributes_len + integrity_len + fingerprint_len;
        if length > self.request_len || length > out.len() {
            return None;
        }
        let message_type = MessageType::from_class_method(class, BINDING);
        let mut message = Message::builder(message_type, self.transaction, MessageWriteMutSlice::new(out));
        for attribute in attributes {
            message.add_attribute(*attribute).ok()?;
        }
        if let Some(key) = &self.key {
            message.add_message_integrity_with_key(key, IntegrityAlgorithm::Sha1).ok()?;
        }
        if self.fingerprint {
            message.add_fingerprint().ok()?;
        }
        Some(message.finish())
    }
}

/// Without the key.
impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("transaction", &self.transaction).finish_non_exhaustive()
    }
}

fn padded(length: u16) -> usize {
    usize::from(length).next_multiple_of(4)
}

#[allow(clippy::result_large_err, reason = "a fault is looked at where it is made and goes no further")]
fn require_binding_request(message_type: MessageType) -> Result<(), CheckFault> {
    match (message_type.class(), message_type.method()) {
        (MessageClass::Request, BINDING) => Ok(()),
        (MessageClass::Indication, BINDING) => Err(CheckFault::Indication),
        _ => Err(CheckFault::NotARequest),
    }
}

/// USERNAME is `ours:theirs` (RFC 8445 §7.2.2). Without a colon all of it is ours.
fn halves(username: &[u8]) -> (&[u8], &[u8]) {
    match username.iter().position(|byte| *byte == b':') {
        Some(colon) => (&username[..colon], &username[colon + 1..]),
        None => (username, &[]),
    }
}

fn remote_ufrag(theirs: &[u8]) -> Option<String> {
    let is_plausible = (4..=MAX_REMOTE_UFRAG).contains(&theirs.len()) && theirs.iter().all(u8::is_ascii_graphic);
    is_plausible.then(|| String::from_utf8_lossy(theirs).into_owned())
}
