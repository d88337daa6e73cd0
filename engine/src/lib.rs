//! The media engine: one UDP port, one executor per core.

pub mod control;
