//! Data channels between sessions: what a publisher says goes to every viewer on the channel of the same label, and what a viewer says to
//! the publisher, where that is allowed. An echo session hears itself.

use super::Middlebox;
use crate::control::{Role, SessionId, StreamId};
use crate::message::{ChannelNews, Mesh};
use crate::outbox::{Outbox, Sink};
use crate::transport::sctp::ChannelEvent;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Instant;

/// Channels of a publisher that late viewers are told of.
const MAX_CHANNELS: usize = 64;

impl Middlebox {
    /// Passes on what happened on a session's data channels.
    pub(super) fn pass_data<S: Sink>(&mut self, now: Instant, key: usize, out: &mut Outbox<S>) {
        while let Some(event) = self.sessions[key].poll_channel_event() {
            match self.sessions[key].role() {
                Role::Echo => {
                    if let ChannelEvent::Message(channel, is_binary, message) = event {
                        self.sessions[key].with_data(out, |data| data.send(now, channel, is_binary, &message));
                    }
                }
                Role::Publish => self.publish_data(now, key, event, out),
                Role::Play => self.return_data(now, key, event, out),
            }
        }
    }

    fn publish_data<S: Sink>(&mut self, now: Instant, key: usize, event: ChannelEvent, out: &mut Outbox<S>) {
        let stream = self.sessions[key].stream;
        let label = |middlebox: &mut Middlebox, channel: u16, out: &mut Outbox<S>| {
            let session = &mut middlebox.sessions[key];
            session.with_data(out, |data| data.spec(channel).map(|spec| spec.label.clone())).flatten()
        };
        let news = match event {
            ChannelEvent::Opened(_, spec) => ChannelNews::Opened(spec),
            ChannelEvent::Message(channel, is_binary, message) => match label(self, channel, out) {
                Some(label) => ChannelNews::Message(label, is_binary, message),
                None => return,
            },
            ChannelEvent::Closed(spec) => ChannelNews::Closed(spec.label),
        };
        let news = Arc::new(news);
        let Some(entry) = self.streams.find(stream) else { return };
        let subscribers = entry.subscribers.clone();
        self.mesh.extend(subscribers.into_iter().map(|shard| (shard, Mesh::Channel(stream, news.clone()))));
        self.handle_channel_news(now, stream, &news, out);
    }

    /// Tells the viewers here.
    pub(super) fn handle_channel_news<S: Sink>(
        &mut self,
        now: Instant,
        stream: StreamId,
        news: &ChannelNews,
        out: &mut Outbox<S>,
    ) {
        let Some(entry) = self.streams.find(stream) else { return };
        match news {
            ChannelNews::Opened(spec) => {
                entry.channels.retain(|known| known.label != spec.label);
                if entry.channels.len() < MAX_CHANNELS {
                    entry.channels.push(spec.clone());
                }
            }
            ChannelNews::Closed(label) => entry.channels.retain(|known| known.label != *label),
            ChannelNews::Message(..) => {}
        }
        for viewer in entry.viewers.clone() {
            self.sessions[viewer].with_data(out, |data| match news {
                ChannelNews::Opened(spec) => data.open(now, spec.clone()),
                ChannelNews::Message(label, is_binary, message) => {
                    if let Some(channel) = data.find(label) {
                        data.send(now, channel, *is_binary, message);
                    }
                }
                ChannelNews::Closed(label) => {
                    if let Some(channel) = data.find(label) {
                        data.close(now, channel);
                    }
                }
            });
            self.schedule(viewer);
        }
    }

    /// Opens the publisher's channels for a viewer that joins.
    pub(super) fn open_channels<S: Sink>(&mut self, now: Instant, key: usize, out: &mut Outbox<S>) {
        let stream = self.sessions[key].stream;
        let channels = self.streams.find(stream).map(|entry| entry.channels.clone()).unwrap_or_default();
        for spec in channels {
            self.sessions[key].with_data(out, |data| data.open(now, spec));
        }
    }

    fn return_data<S: Sink>(&mut self, now: Instant, key: usize, event: ChannelEvent, out: &mut Outbox<S>) {
        let ChannelEvent::Message(channel, is_binary, message) = event else { return };
        if !self.common.config.viewers_may_send {
            return;
        }
        let session = &mut self.sessions[key];
        let stream = session.stream;
        let label = session.with_data(out, |data| data.spec(channel).map(|spec| spec.label.clone())).flatten();
        let source = self.streams.find(stream).and_then(|entry| entry.source.clone());
        let (Some(label), Some(source)) = (label, source) else { return };
        if source.shard == self.shard {
            self.handle_viewer_message(now, source.publisher, &label, (is_binary, message), out);
        } else {
            self.mesh.push_back((source.shard, Mesh::ViewerMessage(source.publisher, label, is_binary, message)));
        }
    }

    /// Gives a publisher of ours what a viewer said.
    pub(super) fn handle_viewer_message<S: Sink>(
        &mut self,
        now: Instant,
        publisher: SessionId,
        label: &str,
        (is_binary, message): (bool, Bytes),
        out: &mut Outbox<S>,
    ) {
        let Some(key) = self.by_id.get(&publisher).copied() else { return };
        self.sessions[key].with_data(out, |data| {
            if let Some(channel) = data.find(label) {
                data.send(now, channel, is_binary, &message);
            }
        });
        self.schedule(key);
    }
}
