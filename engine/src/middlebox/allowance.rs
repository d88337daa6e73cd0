//! How much may be told that anybody can provoke: so many at once, and so many a second.

use std::time::Instant;

/// At once.
const BURST: f64 = 32.0;
/// A second.
const RATE: f64 = 10.0;

/// See the module's text.
#[derive(Debug, Default)]
pub(super) struct Allowance {
    /// When it was looked at last, and how much was left.
    last: Option<(Instant, f64)>,
}

impl Allowance {
    /// Takes one, if there is one.
    pub(super) fn take(&mut self, now: Instant) -> bool {
        let (since, left) = self.last.unwrap_or((now, BURST));
        let left = (left + now.saturating_duration_since(since).as_secs_f64() * RATE).min(BURST);
        let has = left >= 1.0;
        self.last = Some((now, if has { left - 1.0 } else { left }));
        has
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_flood_gets_its_burst_and_then_its_rate() {
        let start = Instant::now();
        let mut allowance = Allowance::default();
        let taken = |allowance: &mut Allowance, now| (0..1000).filter(|_| allowance.take(now)).count();
        assert_eq!(taken(&mut allowance, start), 32);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(1)), 10);
        assert_eq!(taken(&mut allowance, start + Duration::from_secs(60)), 32);
    }
}
