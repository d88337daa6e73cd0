//! The receiver's state per SSRC: its replay window, which also holds the highest index and so the ROC.

use crate::replay::ReplayWindow;

/// SSRCs remembered at once. One browser session has a dozen at most; the bound is against a peer, authenticated as
/// it is, that changes its SSRC with every packet.
const MAX_STREAMS: usize = 64;

/// A table of at most 64 SSRCs. A stream that is pushed out starts anew with its next packet, at ROC 0 and with
/// nothing remembered.
#[derive(Debug, Default)]
pub(super) struct Streams {
    streams: Vec<Stream>,
    /// Counts accepted packets, to tell which stream was used least recently.
    accepted: u64,
}

#[derive(Debug)]
struct Stream {
    ssrc: u32,
    last_accepted: u64,
    window: ReplayWindow,
}

impl Streams {
    /// The window of `ssrc`, if a packet of it was authenticated before.
    pub(super) fn window(&self, ssrc: u32) -> Option<&ReplayWindow> {
        self.streams.iter().find(|stream| stream.ssrc == ssrc).map(|stream| &stream.window)
    }

    /// Remembers the `index` of an authenticated packet. Only the first packet of an SSRC can allocate.
    pub(super) fn accept(&mut self, ssrc: u32, index: u64) {
        self.accepted += 1;
        let last_accepted = self.accepted;
        if let Some(stream) = self.streams.iter_mut().find(|stream| stream.ssrc == ssrc) {
            stream.last_accepted = last_accepted;
            stream.window.accept(index);
            return;
        }
        let stream = Stream { ssrc, last_accepted, window: ReplayWindow::starting_at(index) };
        if self.streams.len() < MAX_STREAMS {
            self.streams.push(stream);
        } else if let Some(oldest) = self.streams.iter_mut().min_by_key(|stream| stream.last_accepted) {
            *oldest = stream;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_least_recently_used_ssrc_makes_room() {
        let mut streams = Streams::default();
        (0..64).for_each(|ssrc| streams.accept(ssrc, 1));
        streams.accept(0, 2);
        streams.accept(1_000, 1);
        assert!(streams.window(0).is_some());
        assert!(streams.window(1).is_none());
        assert!(streams.window(1_000).is_some());
        assert_eq!(streams.streams.len(), MAX_STREAMS);
    }
}
