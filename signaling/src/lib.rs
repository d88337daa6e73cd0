//! HTTP in front of the engine: WHIP (RFC 9725), WHEP (draft-ietf-wish-whep), the pages, and the health of the process.
//!
//! ```text
//!              server ── connection, framing (http)
//!                │ Request
//!            signaling ── route, cors, problem
//!      ┌─────────┼──────────┬─────────┐
//!    pages   health   whip, whep, session ── negotiate ── oneport-sdp
//!                           │
//!                  registry │ Command ▼ ▲ Event
//!                         engine::control
//! ```

mod announce;
mod cors;
mod counter_offer;
mod events;
mod health;
pub mod http;
mod journal;
mod layer;
pub mod name;
mod negotiate;
mod pages;
mod patch;
mod precondition;
pub mod problem;
pub mod public_id;
pub mod registry;
mod route;
pub mod server;
mod session;
mod signaling;
#[cfg(test)]
mod tests;
pub mod tls;
mod whep;
mod whip;
mod why;

pub use signaling::{EnginePort, Signaling, SignalingConfig};
pub use whep::NoPublisher;
pub use whip::Takeover;
