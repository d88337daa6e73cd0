//! Datagrams on their way out, collected per destination during a turn and handed over as runs.
//!
//! ```text
//!  slab  |seg|seg|seg|s|seg|seg|.................|
//!        └─ run: flow A ┘└ flow B ┘   room left
//! ```
//!
//! A run is what one `sendmsg` with `UDP_SEGMENT` takes: segments of one size to one flow, the last may be shorter and closes it.

use crate::flow::Flow;

/// Most segments of a run: the kernel's `UDP_MAX_SEGMENTS` of old; newer ones take 128.
const MAX_SEGMENTS: usize = 64;
/// Most bytes of a run: a UDP payload over IPv4 holds 65,507.
const MAX_RUN: usize = 65_507;
/// Bytes that are collected before they are handed over in mid-turn: 256 KiB stays in the L2 cache.
const SLAB: usize = 256 << 10;

/// Where runs go: the socket, or a simulated network.
pub(crate) trait Sink {
    /// Sends `bytes` to `flow` as datagrams of `segment` bytes, the last possibly shorter.
    fn send(&mut self, flow: Flow, bytes: &[u8], segment: usize);
}

struct Run {
    flow: Flow,
    start: usize,
    len: usize,
    segment: usize,
    segments: usize,
    closed: bool,
}

impl Run {
    fn takes(&self, flow: Flow, len: usize) -> bool {
        let same_flow = self.flow == flow && !self.closed;
        let fits = len <= self.segment && self.segments < MAX_SEGMENTS && self.len + len <= MAX_RUN;
        same_flow && fits
    }
}

/// The send slab of a shard.
pub(crate) struct Outbox<S> {
    sink: S,
    slab: Vec<u8>,
    used: usize,
    runs: Vec<Run>,
}

impl<S: Sink> Outbox<S> {
    /// An empty outbox in front of `sink`. Allocates its 256 KiB now and nothing later but the list of runs.
    pub(crate) fn new(sink: S) -> Outbox<S> {
        Outbox { sink, slab: vec![0; SLAB], used: 0, runs: Vec::with_capacity(256) }
    }

    /// What runs go to.
    #[cfg(test)]
    pub(crate) fn sink(&mut self) -> &mut S {
        &mut self.sink
    }

    /// Adds a datagram of at most `room` bytes (64 KiB at most) that `write` puts in place; it returns the length, 0 for none.
    pub(crate) fn push(&mut self, flow: Flow, room: usize, write: impl FnOnce(&mut [u8]) -> usize) {
        if self.used + room > self.slab.len() {
            self.flush();
        }
        let len = write(&mut self.slab[self.used..self.used + room]);
        debug_assert!(len <= room);
        if len == 0 {
            return;
        }
        match self.runs.last_mut() {
            Some(run) if run.takes(flow, len) => {
                run.len += len;
                run.segments += 1;
                run.closed = len < run.segment;
            }
            _ => self.runs.push(Run { flow, start: self.used, len, segment: len, segments: 1, closed: false }),
        }
        self.used += len;
    }

    /// Adds a datagram as it is.
    pub(crate) fn datagram(&mut self, flow: Flow, bytes: &[u8]) {
        self.push(flow, bytes.len(), |room| {
            room.copy_from_slice(bytes);
            bytes.len()
        });
    }

    /// Hands everything over.
    pub(crate) fn flush(&mut self) {
        for run in self.runs.drain(..) {
            self.sink.send(run.flow, &self.slab[run.start..run.start + run.len], run.segment);
        }
        self.used = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Runs(Vec<(Flow, usize, usize)>);

    impl Sink for Runs {
        fn send(&mut self, flow: Flow, bytes: &[u8], segment: usize) {
            self.0.push((flow, bytes.len(), segment));
        }
    }

    fn flow(port: u16) -> Flow {
        Flow::new(([127, 0, 0, 1], port).into(), None)
    }

    fn runs_of(datagrams: &[(u16, usize)]) -> Vec<(Flow, usize, usize)> {
        let mut outbox = Outbox::new(Runs::default());
        for &(port, len) in datagrams {
            outbox.push(flow(port), 1500, |_| len);
        }
        outbox.flush();
        std::mem::take(&mut outbox.sink().0)
    }

    #[test]
    fn equal_segments_join_and_a_shorter_one_closes_the_run() {
        let runs = runs_of(&[(1, 1200), (1, 1200), (1, 800), (1, 800), (1, 1200)]);
        assert_eq!(runs, [(flow(1), 3200, 1200), (flow(1), 800, 800), (flow(1), 1200, 1200)]);
    }

    #[test]
    fn another_flow_begins_another_run_and_nothing_written_is_nothing_sent() {
        let runs = runs_of(&[(1, 100), (2, 100), (2, 0), (2, 100)]);
        assert_eq!(runs, [(flow(1), 100, 100), (flow(2), 200, 100)]);
    }

    #[test]
    fn a_run_keeps_within_the_kernels_limits() {
        let by_count = runs_of(&vec![(1, 10); 65]);
        assert_eq!(by_count, [(flow(1), 640, 10), (flow(1), 10, 10)]);
        let by_bytes = runs_of(&vec![(1, 1400); 47]);
        assert_eq!(by_bytes, [(flow(1), 46 * 1400, 1400), (flow(1), 1400, 1400)]);
    }

    #[test]
    fn a_full_slab_is_handed_over_in_mid_turn() {
        let mut outbox = Outbox::new(Runs::default());
        for port in 0..400 {
            outbox.push(flow(port), 1500, |_| 1500);
        }
        let early = outbox.sink().0.len();
        assert!(early > 0 && early < 400);
        outbox.flush();
        assert_eq!(outbox.sink().0.len(), 400);
    }
}
