//! What was counted and measured, by each thread for itself and added up at the end.

use hdrhistogram::Histogram;
use std::collections::BTreeMap;
use std::time::Duration;

/// Of the longest time that is told apart, in µs.
const MAX_US: u64 = 120_000_000;

/// A histogram of microseconds.
#[derive(Clone, Debug)]
pub(crate) struct Times(Histogram<u64>);

impl Default for Times {
    fn default() -> Times {
        Times(Histogram::new_with_bounds(1, MAX_US, 3).expect("these bounds are valid"))
    }
}

impl Times {
    pub(crate) fn record(&mut self, time: Duration) {
        self.0.saturating_record((time.as_micros() as u64).max(1));
    }

    pub(crate) fn add(&mut self, other: &Times) {
        // Both have the same bounds.
        let _ = self.0.add(&other.0);
    }

    pub(crate) fn count(&self) -> u64 {
        self.0.len()
    }

    /// In µs.
    pub(crate) fn at(&self, percentile: f64) -> u64 {
        self.0.value_at_percentile(percentile)
    }

    pub(crate) fn max(&self) -> u64 {
        self.0.max()
    }

    pub(crate) fn mean(&self) -> f64 {
        self.0.mean()
    }
}

/// What a thread counts.
#[derive(Clone, Default, Debug)]
pub(crate) struct Stats {
    pub(crate) sessions_asked: u64,
    pub(crate) sessions_connected: u64,
    pub(crate) sessions_lost: u64,
    /// How many failed, by cause.
    pub(crate) failures: BTreeMap<String, u64>,
    pub(crate) packets_sent: u64,
    pub(crate) bytes_sent: u64,
    /// By sequence numbers, while it is measured.
    pub(crate) packets_expected: u64,
    pub(crate) packets_received: u64,
    pub(crate) packets_duplicate: u64,
    pub(crate) packets_reordered: u64,
    pub(crate) bytes_received: u64,
    /// More than a second after they were sent.
    pub(crate) packets_late: u64,
    /// That did not authenticate.
    pub(crate) packets_invalid: u64,
    pub(crate) nacks_sent: u64,
    pub(crate) retransmissions: u64,
    pub(crate) http: Times,
    pub(crate) ice: Times,
    pub(crate) dtls: Times,
    pub(crate) join: Times,
    pub(crate) first_keyframe: Times,
    pub(crate) latency: Times,
}

impl Stats {
    pub(crate) fn fail(&mut self, cause: impl Into<String>) {
        *self.failures.entry(cause.into()).or_default() += 1;
    }

    pub(crate) fn add(&mut self, other: &Stats) {
        self.sessions_asked += other.sessions_asked;
        self.sessions_connected += other.sessions_connected;
        self.sessions_lost += other.sessions_lost;
        for (cause, count) in &other.failures {
            *self.failures.entry(cause.clone()).or_default() += count;
        }
        self.packets_sent += other.packets_sent;
        self.bytes_sent += other.bytes_sent;
        self.packets_expected += other.packets_expected;
        self.packets_received += other.packets_received;
        self.packets_duplicate += other.packets_duplicate;
        self.packets_reordered += other.packets_reordered;
        self.bytes_received += other.bytes_received;
        self.packets_late += other.packets_late;
        self.packets_invalid += other.packets_invalid;
        self.nacks_sent += other.nacks_sent;
        self.retransmissions += other.retransmissions;
        for (mine, theirs) in [
            (&mut self.http, &other.http),
            (&mut self.ice, &other.ice),
            (&mut self.dtls, &other.dtls),
            (&mut self.join, &other.join),
            (&mut self.first_keyframe, &other.first_keyframe),
            (&mut self.latency, &other.latency),
        ] {
            mine.add(theirs);
        }
    }
}
