//! How a viewer that joins gets the past: the last keyframe and what followed, faster than it came and until it has caught up with the
//! present. Its timestamps are condensed (`Rewriter::begin_in_the_past`), so that it is decoded and not watched.

use crate::forward::Group;
use std::time::{Duration, Instant};

/// Time between two instalments.
pub(super) const TICK: Duration = Duration::from_millis(5);
/// The past is sent this many times as fast as it came ...
const SPEED: u64 = 6;
/// ... and at this rate at least, in bytes per tick: 12 Mbit/s.
const MIN_PER_TICK: u64 = 7500;
/// Ticks of the past's timestamps that become one of the viewer's: a second is 15 ms.
pub(super) const CONDENSED: u32 = 64;

/// Where in a track's history a viewer is.
#[derive(Debug)]
pub(super) struct CatchUp {
    /// Number of the next entry.
    pub next: u64,
    due: Instant,
    per_tick: u64,
    /// Bytes that were sent beyond a tick's share.
    debt: u64,
}

impl CatchUp {
    pub(super) fn new(now: Instant, group: &Group) -> CatchUp {
        let ticks = (group.age.as_micros() / TICK.as_micros()).max(1) as u64;
        let per_tick = (group.bytes as u64 * SPEED / ticks).max(MIN_PER_TICK);
        CatchUp { next: group.first, due: now, per_tick, debt: 0 }
    }

    pub(super) fn due(&self) -> Instant {
        self.due
    }

    /// Bytes that may be sent now.
    pub(super) fn instalment(&mut self, now: Instant) -> u64 {
        let mut share = 0;
        while self.due <= now {
            self.due += TICK;
            share += self.per_tick;
        }
        let share = share.min(self.per_tick * 4);
        let paid = share.saturating_sub(self.debt);
        self.debt = self.debt.saturating_sub(share);
        paid
    }

    /// So many bytes were sent beyond the instalment.
    pub(super) fn overdraw(&mut self, bytes: u64) {
        self.debt += bytes;
    }
}
