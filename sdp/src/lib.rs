//! oneport-sdp
