//! Random numbers where RFC 3550 wants them: SSRCs, first sequence numbers and timestamps. No secrets.

/// A random number; the kernel has been asked before, at the engine's start, and does not fail afterwards.
pub(crate) fn number() -> u32 {
    getrandom::u32().unwrap_or(0x9e37_79b9)
}
