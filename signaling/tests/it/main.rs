//! Tests of the crate from outside: request framing without sockets, and the server over real TCP.

mod framing;
mod server;
mod sessions;
mod tls;
mod wire;
