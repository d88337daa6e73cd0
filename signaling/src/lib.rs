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
mod announce;
mod authority;
pub mod cors;
mod health;
pub mod http;
pub mod ice_servers;
mod journal;
pub mod limits;
pub mod name;
mod negotiate;
mod pages;
pub mod policy;
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
mod whep;
mod whip;

pub use signaling::{EnginePort, Signaling, SignalingConfig};
