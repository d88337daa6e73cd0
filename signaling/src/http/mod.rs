//! HTTP/1.1 (RFC 9110, RFC 9112) as an origin server.
//!
//! ```text
//!   bytes ──► reader ──► Request ──► Handler ──► Response ──► bytes
//!             head, body             (signaling)
//!   └─ connection: one task for each TCP connection, deadlines ─┘
//!   └─ listener: the port; server: the set of connections ──────┘
//! ```
//!
//! `reader`, `head`, `body`, `request` and `response` know neither socket nor clock; `connection`, `listener` and
//! [`crate::server`] are the only places that do. What a request means is left to [`crate::route`].

mod body;
mod config;
pub(crate) mod connection;
mod error;
mod head;
pub(crate) mod listener;
mod reader;
mod request;
mod response;
pub(crate) mod stream;

pub use config::{Deadlines, HttpConfig, Limits};
pub use error::HttpError;
pub use listener::{BindError, Listener};
pub use reader::{Phase, RequestReader, Step};
pub use request::{Headers, Method, Request};
pub(crate) use response::reason_phrase;
pub use response::{Body, Pieces, Response};
