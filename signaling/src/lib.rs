//! HTTP in front of the engine: WHIP (RFC 9725), WHEP (draft-ietf-wish-whep), the pages, and the health of the process.
//!
//! ```text
//!              server ── connection, framing (http)
//!                │ Request
//!            signaling ── route, proxy, limits, access, redirect, cors, problem
//!      ┌─────────┼──────────┬─────────┐
//!    pages   health   whip, whep, session ── negotiate ── oneport-sdp
//!                           │
//!                  registry │ Command ▼ ▲ Event
//!                         engine::control
//! ```

pub mod access;
mod admission;
mod announce;
mod authority;
pub mod cors;
mod counter_offer;
mod echo;
mod events;
mod health;
pub mod http;
pub mod ice_servers;
mod journal;
mod layer;
pub mod limits;
pub mod name;
mod negotiate;
mod pages;
mod patch;
pub mod policy;
mod precondition;
pub mod problem;
pub mod proxy;
pub mod public_id;
pub mod redirect;
pub mod registry;
mod route;
pub mod secret;
pub mod server;
mod session;
mod signaling;
pub mod stream_glob;
pub mod stream_rules;
#[cfg(test)]
mod tests;
pub mod tls;
mod whep;
mod whip;
mod why;

pub use signaling::{EnginePort, Signaling, SignalingConfig};
