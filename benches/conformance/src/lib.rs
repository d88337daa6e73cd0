//! What the conformance suite has in common with other clients of any WHIP and WHEP server.

pub mod answer;
