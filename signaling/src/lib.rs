//! oneport-signaling
