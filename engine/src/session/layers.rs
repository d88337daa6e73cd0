//! Which layer of a publisher's track viewers get: the best that arrives, changed at a keyframe of the one that it changes to.
//!
//! The best is the one with the highest bitrate: RIDs tell nothing of quality (RFC 8853 §5.2 orders them by preference, and clients
//! do not), and publishers switch layers off from the top when their bandwidth shrinks.

use super::feed::Feed;
use crate::control::{LayerSpec, LayerState, TrackSpec};
use oneport_rtp::ids::Ssrc;
use oneport_rtp::packet::RtpPacket;
use oneport_rtp::payload::ParameterSets;
use std::time::{Duration, Instant};

/// How often the choice is looked at.
const REVIEW_INTERVAL: Duration = Duration::from_millis(500);
/// A layer of which nothing came for this long is left for another.
const LAYER_TIMEOUT: Duration = Duration::from_millis(600);
/// A change of layers is told this often at the most.
const TELL_INTERVAL: Duration = Duration::from_secs(1);
/// Reviews in which another layer has to be better before it is changed to.
const STREAK: u32 = 2;
/// More layers than any client sends.
pub(crate) const MAX_LAYERS: usize = 8;

/// The feeds of a track, and which of them is forwarded. A track without layers has one feed.
#[derive(Debug)]
pub(super) struct Layers {
    pub feeds: Vec<Feed>,
    /// Sources of retransmissions that told by their RID which feed they are of; a few at the most.
    rtx_feeds: Vec<(Ssrc, usize)>,
    /// Index of the feed that viewers get.
    forwarded: Option<usize>,
    /// Index of the one that they get from its next keyframe on.
    target: Option<usize>,
    /// Another that was better, and in how many reviews.
    better: Option<(usize, u32)>,
    /// Changes whenever `forwarded`, or its SSRC, does.
    epoch: u32,
    last_feed: Option<(usize, u32)>,
    next_review: Option<Instant>,
    told: Vec<bool>,
    told_forwarded: Option<usize>,
    told_at: Option<Instant>,
}

impl Layers {
    pub(super) fn new(spec: &TrackSpec, keyframe_interval: Duration) -> Layers {
        let count = spec.layers.len().clamp(1, MAX_LAYERS);
        let mut parameter_sets = ParameterSets::default();
        spec.parameter_sets.iter().for_each(|unit| parameter_sets.learn(unit));
        Layers {
            feeds: (0..count).map(|_| Feed::new(parameter_sets.clone(), keyframe_interval)).collect(),
            rtx_feeds: Vec::new(),
            forwarded: None,
            target: None,
            better: None,
            epoch: 0,
            last_feed: None,
            next_review: None,
            told: Vec::new(),
            told_forwarded: None,
            told_at: None,
        }
    }

    fn has_layers(&self) -> bool {
        self.feeds.len() > 1
    }

    /// Which feed a packet is of: by its RID in the extension `rid_id`, by a signalled SSRC, by an SSRC that had a RID before.
    pub(super) fn feed_of(&self, spec: &TrackSpec, rid_id: Option<u8>, packet: &RtpPacket<'_>) -> Option<usize> {
        if spec.layers.is_empty() {
            return Some(0);
        }
        let place = |wanted: &dyn Fn(&LayerSpec) -> bool| spec.layers.iter().take(MAX_LAYERS).position(wanted);
        if let Some(rid) = rid_id.and_then(|id| packet.extensions().find(id)) {
            return place(&|layer| matches!(layer, LayerSpec::Rid(own) if own.as_bytes() == rid));
        }
        place(&|layer| *layer == LayerSpec::Ssrc(packet.ssrc())).or_else(|| self.find(packet.ssrc()))
    }

    /// Which feed a retransmission is of: by its repaired RID, by the source that the offer pairs it with, by what is known of its
    /// source; or the only one.
    pub(super) fn rtx_feed_of(
        &mut self,
        spec: &TrackSpec,
        rid_id: Option<u8>,
        packet: &RtpPacket<'_>,
    ) -> Option<usize> {
        if !self.has_layers() {
            return Some(0);
        }
        let ssrc = packet.ssrc();
        if let Some(rid) = rid_id.and_then(|id| packet.extensions().find(id)) {
            let own = |layer: &LayerSpec| matches!(layer, LayerSpec::Rid(own) if own.as_bytes() == rid);
            let place = spec.layers.iter().take(MAX_LAYERS).position(own)?;
            self.rtx_feeds.retain(|(known, feed)| *known != ssrc && *feed != place);
            self.rtx_feeds.push((ssrc, place));
            return Some(place);
        }
        let paired = spec.rtx_ssrcs.iter().find(|(rtx, _)| *rtx == ssrc).map(|(_, media)| *media);
        let known = self.rtx_feeds.iter().find(|(rtx, _)| *rtx == ssrc).map(|(_, feed)| *feed);
        paired.and_then(|media| self.find(media)).or(known)
    }

    /// The feed that this SSRC feeds.
    pub(super) fn find(&self, ssrc: Ssrc) -> Option<usize> {
        self.feeds.iter().position(|feed| feed.current.as_ref().is_some_and(|current| current.ssrc == ssrc))
    }

    /// The epoch of a feed's numbers, if viewers get it.
    pub(super) fn epoch_of(&self, feed: usize) -> Option<u32> {
        (self.last_feed == Some((feed, self.feeds[feed].changes))).then_some(self.epoch)
    }

    /// A packet of this feed came. The epoch that its number belongs to, and whether that is a new one; `None` when viewers do not get
    /// this feed.
    pub(super) fn forward(
        &mut self,
        now: Instant,
        feed: usize,
        is_keyframe: impl FnOnce() -> bool,
    ) -> Option<(u32, bool)> {
        if self.has_layers() && self.next_review.is_none() {
            self.next_review = Some(now + REVIEW_INTERVAL);
        }
        if self.forwarded.is_none() || (self.target == Some(feed) && is_keyframe()) {
            self.forwarded = Some(feed);
            self.target = None;
            self.better = None;
        }
        if self.forwarded != Some(feed) {
            return None;
        }
        let is_new = self.last_feed.replace((feed, self.feeds[feed].changes)) != Some((feed, self.feeds[feed].changes));
        if is_new {
            self.epoch = self.epoch.wrapping_add(1);
        }
        Some((self.epoch, is_new))
    }

    /// A source has ended.
    pub(super) fn bye(&mut self, now: Instant, ssrc: Ssrc) {
        let Some(feed) = self.find(ssrc) else { return };
        self.feeds[feed].current = None;
        if self.has_layers() {
            self.next_review = Some(now);
        }
    }

    /// Viewers want a keyframe.
    pub(super) fn request_keyframe(&mut self, now: Instant) {
        match self.forwarded {
            Some(feed) => self.feeds[feed].keyframes.request(now),
            None => self.feeds.iter_mut().for_each(|feed| feed.keyframes.request(now)),
        }
    }

    /// When [`Layers::review`] wants to be called.
    pub(super) fn next_timeout(&self) -> Option<Instant> {
        self.next_review
    }

    /// Looks at the choice, and begins a change where another is better. What is to be told of it.
    pub(super) fn review(&mut self, now: Instant, spec: &TrackSpec) -> Option<Vec<LayerState>> {
        self.next_review.take_if(|due| *due <= now)?;
        let active: Vec<bool> = self.feeds.iter().map(|feed| feed.is_active(now, LAYER_TIMEOUT)).collect();
        if active.contains(&true) {
            self.next_review = Some(now + REVIEW_INTERVAL);
        }
        self.choose(now, &active);
        if let Some(target) = self.target.filter(|target| self.feeds[*target].keyframes.next_timeout().is_none()) {
            self.feeds[target].keyframes.request(now);
        }
        self.tell(now, active, spec)
    }

    fn choose(&mut self, now: Instant, active: &[bool]) {
        let rate = |feed: usize| self.feeds[feed].bitrate_bps(now);
        self.target.take_if(|target| !active[*target]);
        let best = (0..active.len()).filter(|feed| active[*feed]).max_by_key(|feed| rate(*feed));
        let (Some(best), Some(forwarded)) = (best, self.forwarded) else { return };
        if !active[forwarded] {
            self.target = Some(best);
            return;
        }
        // A quarter more: layers differ by far more than that, and a still picture's by less.
        if best == forwarded || rate(best) < rate(forwarded) * 5 / 4 {
            self.better = None;
            self.target = None;
            return;
        }
        let streak = self.better.filter(|(feed, _)| *feed == best).map_or(1, |(_, count)| count + 1);
        self.better = Some((best, streak));
        if streak >= STREAK {
            self.target = Some(best);
        }
    }

    fn tell(&mut self, now: Instant, active: Vec<bool>, spec: &TrackSpec) -> Option<Vec<LayerState>> {
        let is_same = active == self.told && self.forwarded == self.told_forwarded;
        if is_same {
            return None;
        }
        if self.told_at.is_some_and(|told| now < told + TELL_INTERVAL) {
            self.next_review.get_or_insert(now + REVIEW_INTERVAL);
            return None;
        }
        let states = spec.layers.iter().zip(&self.feeds).enumerate().map(|(index, (layer, feed))| LayerState {
            layer: *layer,
            bitrate_bps: if active[index] { feed.bitrate_bps(now).max(1) } else { 0 },
            is_forwarded: self.forwarded == Some(index),
        });
        let states = states.collect();
        (self.told, self.told_forwarded, self.told_at) = (active, self.forwarded, Some(now));
        Some(states)
    }
}
