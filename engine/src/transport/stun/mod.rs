//! STUN for ICE (RFC 8489, RFC 8445 §7.3): connectivity checks read and answered on the lite side ([`Check`]), written and their
//! answers read on the full side ([`BindingRequest`]), which simulated peers and the load generator are.
//!
//! A check is answered from its own bytes and the process's key alone. No answer is longer than its request, so that nobody can
//! have us send more to a forged address than was sent to us.
//!
//! Left to others: whether the session lives, what a nomination means, consent (RFC 7675).

mod check;
mod message;
mod request;
#[cfg(test)]
mod tests;

pub use check::{Check, CheckFault, Refusal};
pub use request::{Answer, AnswerFault, BindingRequest};

/// Room for any answer of ours.
pub const MAX_ANSWER: usize = 128;
/// Room for any request of ours, with the longest ufrags that RFC 8839 §5.4 allows.
pub const MAX_REQUEST: usize = 20 + (4 + 513 + 3) + 8 + 12 + 4 + 24 + 8;
