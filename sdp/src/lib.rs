//! SDP (RFC 8866) as WHIP (RFC 9725) and WHEP use it: the text of an offer becomes a typed [`Offer`], what both sides can do
//! becomes a [`Negotiated`], and that with our own transport parameters becomes the text of the answer (RFC 9429 §5.3).
//!
//! Nothing here draws random numbers, opens sockets or knows HTTP: the signaling crate supplies credentials and addresses and
//! turns a [`Rejection`] into a status code.

mod answer;
mod candidate;
mod conclude;
mod counter;
mod fmtp;
mod format;
mod fragment;
mod media;
mod negotiate;
mod negotiated;
mod offer;
mod preference;
mod profile_level_id;
mod rejection;
mod remote_candidate;
mod rtp_section;
mod simulcast;
mod streams;
mod text;
mod transport;

pub use answer::{LocalDescription, Source, write_answer};
pub use counter::Counter;
pub use fragment::{Fragment, FragmentError, LocalFragment, write_fragment};
pub use media::{Direction, Kind, OfferedExtension, OfferedFormat, OfferedMedia};
pub use negotiate::{negotiate_echo, negotiate_play, negotiate_publish};
pub use negotiated::{Bitrates, Capabilities, Negotiated, NegotiatedMedia};
pub use offer::{MAX_OFFER, MAX_SECTIONS, Offer};
pub use preference::{PreferenceError, preference};
pub use rejection::{Rejection, Section};
pub use remote_candidate::{CandidateAddress, CandidateSummary, CandidateType, RemoteCandidate};
pub use simulcast::{Alternative, Layer, MAX_LAYERS, OfferedRid, Simulcast};
pub use streams::Semantics;
pub use text::SdpError;
pub use transport::{OfferedFingerprint, Setup};
