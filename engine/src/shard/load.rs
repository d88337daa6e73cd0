//! How busy a shard is, and how long it may therefore wait for the rest of a frame.

use std::time::{Duration, Instant};

/// Time that an estimate is of.
const PERIOD: Duration = Duration::from_millis(100);
/// Below this share of the time a frame's packets go out as they come ...
const IDLE: f32 = 0.25;
/// ... and from this on they wait as long as they may.
const BUSY: f32 = 0.6;

/// See the module's text.
#[derive(Debug)]
pub(super) struct Load {
    since: Instant,
    busy: Duration,
    /// 0 to 1, of the last period.
    utilisation: f32,
}

impl Load {
    pub(super) fn new(now: Instant) -> Load {
        Load { since: now, busy: Duration::ZERO, utilisation: 0.0 }
    }

    /// A turn took from `begun` to `ended`. True when there is another estimate.
    pub(super) fn turn(&mut self, begun: Instant, ended: Instant) -> bool {
        self.busy += ended.saturating_duration_since(begun);
        let elapsed = ended.saturating_duration_since(self.since);
        if elapsed < PERIOD {
            return false;
        }
        // A shard that slept through several periods was idle in them.
        self.utilisation = (self.busy.as_secs_f32() / elapsed.as_secs_f32()).min(1.0);
        (self.since, self.busy) = (ended, Duration::ZERO);
        true
    }

    /// Of at most `max`, how long a batch may wait.
    pub(super) fn window(&self, max: Duration) -> Duration {
        max.mul_f32(((self.utilisation - IDLE) / (BUSY - IDLE)).clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_shard_does_not_wait_and_a_busy_one_as_long_as_it_may() {
        let max = Duration::from_millis(5);
        for (busy_us, window) in [(100, 0), (250, 0), (600, 5000), (1000, 5000)] {
            let mut now = Instant::now();
            let mut load = Load::new(now);
            for _ in 0..300 {
                load.turn(now, now + Duration::from_micros(busy_us));
                now += Duration::from_millis(1);
            }
            let estimated = load.window(max).as_micros() as i64;
            assert!((estimated - window).abs() < 300, "{busy_us} µs of a millisecond: {estimated}");
        }
    }
}
