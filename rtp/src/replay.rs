//! Which of the last 1,024 indices have arrived: SRTP's replay list (RFC 3711 §3.3.2), and what tells a retransmission from a duplicate.
//!
//! ```text
//!                bit (index mod 1,024)
//!   too old  |<------ 1,024 indices ------>|  ahead: always new
//!                                   highest^
//! ```

/// Indices that the window remembers. The RFC asks for at least 64; at 1,024 a burst of retransmissions for a
/// high-rate video layer, a second old, is still told from a replay.
const WINDOW: u64 = 1024;
const WORDS: usize = (WINDOW / 64) as usize;

/// Why an index is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stale {
    /// A packet with this index has been authenticated before.
    Replayed,
    /// The index lies behind the window, so nobody can tell.
    TooOld,
}

/// The indices seen of one stream; it exists from the stream's first authenticated packet on.
#[derive(Clone, Debug)]
pub struct ReplayWindow {
    highest: u64,
    seen: [u64; WORDS],
}

impl ReplayWindow {
    /// A window that has seen `first` only.
    pub fn starting_at(first: u64) -> Self {
        let mut window = Self { highest: first, seen: [0; WORDS] };
        window.mark(first);
        window
    }

    /// The highest index.
    pub fn highest(&self) -> u64 {
        self.highest
    }

    /// Whether a packet with `index` may still be new. It does not remember the index: the packet has to be
    /// authenticated first.
    pub fn check(&self, index: u64) -> Result<(), Stale> {
        match self.highest.checked_sub(index) {
            Some(age) if age >= WINDOW => Err(Stale::TooOld),
            Some(_) if self.seen[word(index)] & bit(index) != 0 => Err(Stale::Replayed),
            _ => Ok(()),
        }
    }

    /// Remembers the `index` of an authenticated packet, for which [`check`](Self::check) said yes.
    pub fn accept(&mut self, index: u64) {
        debug_assert_eq!(self.check(index), Ok(()));
        match index.checked_sub(self.highest) {
            Some(ahead) if ahead >= WINDOW => self.seen = [0; WORDS],
            Some(_) => (self.highest + 1..index).for_each(|skipped| self.seen[word(skipped)] &= !bit(skipped)),
            None => {}
        }
        self.highest = self.highest.max(index);
        self.mark(index);
    }

    /// Remembers an index, if it is new.
    pub fn take(&mut self, index: u64) -> Result<(), Stale> {
        self.check(index).map(|()| self.accept(index))
    }

    fn mark(&mut self, index: u64) {
        self.seen[word(index)] |= bit(index);
    }
}

fn word(index: u64) -> usize {
    (index / 64) as usize % WORDS
}

fn bit(index: u64) -> u64 {
    1 << (index % 64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_index_of_the_window_is_accepted_once() {
        let mut window = ReplayWindow::starting_at(5_000);
        for index in (5_000 - WINDOW + 1..5_000).rev() {
            assert_eq!(window.check(index), Ok(()));
            window.accept(index);
            assert_eq!(window.check(index), Err(Stale::Replayed));
        }
        assert_eq!(window.check(5_000), Err(Stale::Replayed));
        assert_eq!(window.check(5_000 - WINDOW), Err(Stale::TooOld));
    }

    #[test]
    fn a_gap_leaves_the_skipped_indices_new() {
        let mut window = ReplayWindow::starting_at(0);
        (1..2 * WINDOW).for_each(|index| window.accept(index));
        window.accept(3 * WINDOW - 2);
        for skipped in 2 * WINDOW..3 * WINDOW - 2 {
            assert_eq!(window.check(skipped), Ok(()), "{skipped}");
        }
        assert_eq!(window.check(2 * WINDOW - 1), Err(Stale::Replayed));
    }

    #[test]
    fn the_window_agrees_with_a_set_of_all_indices() {
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut window = ReplayWindow::starting_at(70_000);
        let mut seen = HashSet::from([70_000u64]);
        for _ in 0..200_000 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let reach = if state >> 60 == 0 { 3_000 } else { 40 };
            let index = window.highest() + 20 - ((state >> 33) % reach).min(window.highest());
            let expected = match window.highest().checked_sub(index) {
                Some(age) if age >= WINDOW => Err(Stale::TooOld),
                _ if seen.contains(&index) => Err(Stale::Replayed),
                _ => Ok(()),
            };
            assert_eq!(window.check(index), expected);
            if expected.is_ok() {
                window.accept(index);
                seen.insert(index);
            }
        }
    }
}
