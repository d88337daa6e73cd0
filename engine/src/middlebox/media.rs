//! Media between sessions: what publishers sent goes into their stream's batch, and at the end of the turn to every viewer here
//! and, one batch each, to the other shards that have viewers.

use super::{Middlebox, Protocol};
use crate::config::Config;
use crate::control::{SessionId, StreamId};
use crate::forward::{Batch, HistoryLimits, Source, Turn};
use crate::message::{ChannelNews, Mesh};
use crate::outbox::{Outbox, Sink};
use crate::session::{Media, Outcome};
use crate::stats::Discard;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Items of a batch that does not wait any longer: a run takes no more.
const MAX_HELD: usize = 64;

impl Middlebox {
    /// Takes a datagram, other than STUN, of a session of ours.
    pub(super) fn handle_session_datagram<S: Sink>(
        &mut self,
        now: Instant,
        key: usize,
        protocol: Protocol,
        datagram: &mut [u8],
        out: &mut Outbox<S>,
    ) -> Result<(), Discard> {
        let session = &mut self.sessions[key];
        let outcome = match (protocol, &session.media) {
            // STUN goes by its ufrag, not by its flow.
            (Protocol::Stun, _) => return Err(Discard::StunMalformed),
            (Protocol::Dtls, _) => session.handle_dtls(now, datagram, out),
            (Protocol::Rtcp, Media::Play(_)) => {
                let histories = self.streams.histories(session.stream);
                session.handle_egress_srtcp(now, datagram, histories, out)?
            }
            (protocol, Media::Echo(_)) => {
                session.handle_echo(datagram, protocol == Protocol::Rtcp, out).map(|()| Outcome::Nothing)?
            }
            (Protocol::Rtp, Media::Play(_)) => return Err(Discard::NotAPublisher),
            (protocol, Media::Publish(_)) => {
                let stream = session.stream;
                let batch = self.streams.find(stream).and_then(|entry| entry.batch.as_mut());
                let batch = batch.ok_or(Discard::UnknownSource)?;
                let was_empty = batch.items.is_empty();
                let handled = match protocol {
                    Protocol::Rtcp => session.handle_ingest_srtcp(now, datagram, batch).map(|()| Outcome::Nothing),
                    _ => session.handle_srtp(now, datagram, batch),
                };
                if was_empty && !batch.items.is_empty() {
                    self.streams.mark(stream);
                }
                if handled.is_err() {
                    self.tell(key);
                }
                handled?
            }
        };
        self.settle(now, key, outcome, out);
        Ok(())
    }

    /// A batch may wait so long for the rest of its frame.
    pub(crate) fn set_window(&mut self, window: Duration) {
        self.window = window;
    }

    /// Sends what the turn has brought, but for frames that are worth waiting for.
    pub(crate) fn end_turn<S: Sink>(&mut self, now: Instant, out: &mut Outbox<S>) {
        let mut held = std::mem::take(&mut self.held);
        self.next_release = None;
        while let Some(stream) = self.streams.pop_dirty() {
            let Some(entry) = self.streams.find(stream) else { continue };
            let is_open = entry.batch.as_ref().is_some_and(|batch| batch.is_open && batch.items.len() < MAX_HELD);
            if is_open && !self.window.is_zero() {
                let until = *entry.held_until.get_or_insert(now + self.window);
                if now < until {
                    self.next_release = Some(self.next_release.map_or(until, |next| next.min(until)));
                    held.push(stream);
                    continue;
                }
            }
            entry.held_until = None;
            let Some(mut batch) = entry.batch.take() else { continue };
            entry.record(now, &batch);
            let subscribers = entry.subscribers.clone();
            self.deliver(now, stream, &batch, out);
            if !subscribers.is_empty() {
                let source = batch.source.clone();
                let shared = Arc::new(std::mem::replace(&mut batch, Batch::new(source)));
                let messages = subscribers.iter().map(|shard| (*shard, Mesh::Media(stream, shared.clone())));
                self.mesh.extend(messages);
            }
            batch.clear();
            if let Some(entry) = self.streams.find(stream) {
                entry.batch = Some(batch);
            }
        }
        held.drain(..).for_each(|stream| self.streams.mark(stream));
        self.held = held;
    }

    /// Sends a batch to the stream's viewers here.
    pub(super) fn deliver<S: Sink>(&mut self, now: Instant, stream: StreamId, batch: &Batch, out: &mut Outbox<S>) {
        let Some(entry) = self.streams.find(stream) else { return };
        let viewers = std::mem::take(&mut entry.viewers);
        for turn in Turn::split(batch) {
            for key in &viewers {
                if self.sessions[*key].deliver(now, &turn, out) {
                    self.schedule(*key);
                }
                if self.sessions[*key].account.has_steps() {
                    self.tell(*key);
                }
            }
        }
        if let Some(entry) = self.streams.find(stream) {
            entry.viewers = viewers;
        }
    }

    pub(super) fn set_publisher(&mut self, key: usize, stream: StreamId) {
        let Media::Publish(ingest) = &self.sessions[key].media else { return };
        let source = ingest.source().clone();
        let entry = self.streams.entry(stream);
        entry.publisher = Some(key);
        entry.batch = Some(Batch::new(source.clone()));
        entry.set_source(source.clone(), history_limits(&self.common.config));
        for viewer in &entry.viewers {
            self.sessions[*viewer].bind(&source);
        }
    }

    /// The other shard has viewers of our publisher's stream now.
    pub(super) fn subscribe<S: Sink>(&mut self, now: Instant, stream: StreamId, shard: usize, out: &mut Outbox<S>) {
        let Some(entry) = self.streams.find(stream) else { return };
        let (Some(key), Some(source)) = (entry.publisher, entry.source.clone()) else { return };
        if !entry.subscribers.contains(&shard) {
            entry.subscribers.push(shard);
        }
        let groups = entry.groups(now).map(Box::new);
        let is_new_needed = groups.is_none();
        let channels = entry.channels.clone();
        self.mesh.push_back((shard, Mesh::Source(stream, source, groups)));
        let opened = |spec| (shard, Mesh::Channel(stream, Arc::new(ChannelNews::Opened(spec))));
        self.mesh.extend(channels.into_iter().map(opened));
        if is_new_needed {
            self.request_all_keyframes(now, key, out);
        }
    }

    /// Another shard told who publishes.
    pub(super) fn set_source<S: Sink>(
        &mut self,
        now: Instant,
        stream: StreamId,
        source: &Arc<Source>,
        groups: Option<&Batch>,
        out: &mut Outbox<S>,
    ) {
        let Some(entry) = self.streams.find(stream) else { return };
        if entry.publisher.is_some() || entry.source.as_ref().is_some_and(|known| Arc::ptr_eq(known, source)) {
            return;
        }
        entry.set_source(source.clone(), history_limits(&self.common.config));
        if let Some(groups) = groups {
            entry.record(now, groups);
        }
        for viewer in entry.viewers.clone() {
            self.bind_viewer(now, viewer, out);
        }
    }

    /// Gives a viewer the stream's publisher, as far as it is known, and asks that for a keyframe.
    pub(super) fn bind_viewer<S: Sink>(&mut self, now: Instant, key: usize, out: &mut Outbox<S>) {
        let session = &mut self.sessions[key];
        match session.media {
            Media::Publish(_) => return self.request_all_keyframes(now, key, out),
            Media::Echo(_) => return,
            Media::Play(_) => {}
        }
        let source = self.streams.find(session.stream).and_then(|entry| entry.source.clone());
        if let Some(source) = source {
            session.bind(&source);
            if session.is_connected() {
                let wanted = session.join(now, self.streams.histories(session.stream));
                self.request_viewer_keyframes(now, key, wanted, out);
                self.open_channels(now, key, out);
                self.schedule(key);
            }
        }
    }

    /// Passes a viewer's wish on to the publisher, on whichever shard that is.
    pub(super) fn request_viewer_keyframes<S: Sink>(
        &mut self,
        now: Instant,
        key: usize,
        tracks: u32,
        out: &mut Outbox<S>,
    ) {
        let session = &self.sessions[key];
        let (Media::Play(egress), stream) = (&session.media, session.stream) else { return };
        let Some(source) = self.streams.find(stream).and_then(|entry| entry.source.clone()) else { return };
        let wanted: Vec<usize> = egress.source_tracks(tracks).collect();
        for track in wanted {
            if source.shard == self.shard {
                self.request_keyframe(now, source.publisher, track, out);
            } else {
                self.mesh.push_back((source.shard, Mesh::Keyframe(source.publisher, track as u8)));
            }
        }
    }

    pub(super) fn request_keyframe<S: Sink>(
        &mut self,
        now: Instant,
        publisher: SessionId,
        track: usize,
        out: &mut Outbox<S>,
    ) {
        if let Some(key) = self.by_id.get(&publisher).copied() {
            self.sessions[key].request_keyframe(now, track, out);
            self.schedule(key);
        }
    }

    fn request_all_keyframes<S: Sink>(&mut self, now: Instant, key: usize, out: &mut Outbox<S>) {
        let Media::Publish(ingest) = &self.sessions[key].media else { return };
        for track in 0..ingest.source().tracks.len() {
            self.sessions[key].request_keyframe(now, track, out);
        }
        self.schedule(key);
    }
}

fn history_limits(config: &Config) -> HistoryLimits {
    HistoryLimits { bytes: config.history_bytes, age: config.history_age, group: config.start_group }
}
