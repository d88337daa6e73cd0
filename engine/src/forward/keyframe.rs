//! When a publisher is asked for a keyframe: many viewers' wishes become one request, not too often, until one comes.

use std::time::{Duration, Instant};

/// Requests that bring nothing are repeated this often at the most, so that a publisher which cannot make keyframes on demand (OBS)
/// is not asked forever; the next viewer's wish starts anew.
const MAX_REPEATS: u32 = 5;

/// The keyframe requests of one ingest track.
#[derive(Debug)]
pub(crate) struct KeyframeRequests {
    interval: Duration,
    sent: Option<Instant>,
    due: Option<Instant>,
    repeats: u32,
}

impl KeyframeRequests {
    /// At most one request per `interval`.
    pub(crate) fn new(interval: Duration) -> KeyframeRequests {
        KeyframeRequests { interval, sent: None, due: None, repeats: 0 }
    }

    /// A viewer wants a keyframe.
    pub(crate) fn request(&mut self, now: Instant) {
        self.repeats = 0;
        if self.due.is_none() {
            self.due = Some(self.sent.map_or(now, |sent| now.max(sent + self.interval)));
        }
    }

    /// A keyframe came.
    pub(crate) fn satisfied(&mut self) {
        self.due = None;
    }

    /// When [`KeyframeRequests::poll`] wants to be called.
    pub(crate) fn next_timeout(&self) -> Option<Instant> {
        self.due
    }

    /// Whether a request is to be sent now.
    pub(crate) fn poll(&mut self, now: Instant) -> bool {
        if self.due.is_none_or(|due| now < due) {
            return false;
        }
        self.sent = Some(now);
        self.repeats += 1;
        // A keyframe needs a round trip and an encoder's turn: one interval is too soon to call it lost.
        self.due = (self.repeats <= MAX_REPEATS).then(|| now + self.interval * 2);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INTERVAL: Duration = Duration::from_millis(500);

    #[test]
    fn many_wishes_are_one_request_per_interval() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::new(INTERVAL);
        let mut sent = 0;
        for ms in 0..2000 {
            let now = start + Duration::from_millis(ms);
            requests.request(now);
            if requests.poll(now) {
                sent += 1;
                requests.satisfied();
            }
        }
        assert_eq!(sent, 4);
    }

    #[test]
    fn a_request_is_repeated_until_the_keyframe_comes_and_not_forever() {
        let start = Instant::now();
        let mut requests = KeyframeRequests::new(INTERVAL);
        requests.request(start);
        let mut sent = 0;
        while let Some(due) = requests.next_timeout() {
            assert!(requests.poll(due));
            sent += 1;
        }
        assert_eq!(sent, 1 + MAX_REPEATS);
        requests.request(start + Duration::from_secs(60));
        assert!(requests.poll(start + Duration::from_secs(60)));
        requests.satisfied();
        assert_eq!(requests.next_timeout(), None);
    }
}
