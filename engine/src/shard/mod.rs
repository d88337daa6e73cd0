//! A shard: one pinned executor, one socket of the group, one middlebox. This half knows glommio and the kernel; what a
//! datagram means, the middlebox knows.
//!
//! ```text
//!            ┌──────────────────────────── shard ─────────────────────────────┐
//!  socket ──►│ Receiver ──► Middlebox ──► Outbox ──► Sender (one run a sendmsg)│──► socket
//!            │                ▲   │                                            │
//!            │   inbox of orders  │ notices, mesh messages                     │
//!            └────────────────▲───┼────────────────────────────────────────────┘
//!                 control core┘   └─► control core, other shards
//! ```

mod event_loop;
mod load;
mod mailbox;

pub(crate) use event_loop::Shard;
pub(crate) use mailbox::{Mailbox, Post, mailbox};
