//! The media engine: ICE-lite, DTLS and SRTP of every session on one UDP port, one executor per core.
//!
//! Two halves. The protocol half (`transport`, `session`, `forward`, `middlebox`, `directory`) takes bytes and `now` and gives
//! bytes, events and the next deadline; it knows no socket, clock or runtime. The IO half (`udp`, `shard`, `engine`) knows glommio and the
//! kernel, and nothing of what is inside a datagram. Signaling sees [`control`] and [`Engine`].

mod addresses;
#[cfg(any(test, feature = "client"))]
pub mod client;
pub mod config;
pub mod control;
mod directory;
mod engine;
mod flow;
mod forward;
#[cfg(test)]
mod loopback;
mod message;
mod middlebox;
mod outbox;
mod random;
mod session;
mod shard;
#[cfg(test)]
mod sim;
pub mod stats;
#[cfg(test)]
mod testing;
pub mod transport;
mod udp;

pub use engine::{EXECUTOR_IO_MEMORY, Engine, Facts, StartError};
