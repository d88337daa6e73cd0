//! The table of all keys: where each stands in the file, what it may hold, and which field it sets. A key that is not here is a
//! fault; `deploy/oneport.example.toml` and `docs/configuration.md` are tested against it.

use super::Config;
use super::value::{self, Misfit, Parsed, Value};
use oneport_rtp::payload::MediaKind;
use std::num::NonZeroUsize;

/// A Linux host has at most this many cores in practice, and a SO_REUSEPORT group may have more sockets than that.
pub(crate) const MAX_SHARDS: usize = 1024;

/// An answer holds a candidate for each, and clients try every one of them.
const MAX_PUBLIC_ADDRESSES: usize = 16;

/// The kernel takes a C int, doubled.
const SOCKET_BUFFER_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=1 << 30;

/// From a few frames to some seconds of any video.
const HISTORY_BYTES: std::ops::RangeInclusive<usize> = 64 << 10..=256 << 20;

/// A thousand requests per millisecond: a higher limit is none.
const MAX_RATE: usize = 1_000_000;

/// 10 Gbit/s.
const MAX_KBPS: usize = 10_000_000;

/// A list that is longer than this is another program's business.
const MAX_ITEMS: usize = 1024;

/// Browsers warn of more than a few, as each makes them slower to connect.
const MAX_ICE_SERVERS: usize = 16;

/// 30 days, in seconds.
const MONTH_S: usize = 30 * 24 * HOUR_S;

/// One hour: a longer deadline is none.
const HOUR_S: usize = 3600;

/// One key.
pub(super) struct Key {
    /// The table that it stands in.
    pub(super) section: &'static str,
    /// Its name there.
    pub(super) name: &'static str,
    /// Sets the field, or says why not.
    pub(super) set: fn(&mut Config, &Value<'_>) -> Result<(), Vec<Misfit>>,
}

impl Key {
    /// `section.name`.
    pub(super) fn path(&self) -> String {
        format!("{}.{}", self.section, self.name)
    }
}

const fn key(
    section: &'static str,
    name: &'static str,
    set: fn(&mut Config, &Value<'_>) -> Result<(), Vec<Misfit>>,
) -> Key {
    Key { section, name, set }
}

fn put<T>(field: &mut T, parsed: Parsed<T>) -> Result<(), Vec<Misfit>> {
    *field = parsed?;
    Ok(())
}

/// Every key, in the order of the example file.
pub(super) const KEYS: &[Key] = &[
    key("http", "listen", |c, v| put(&mut c.http.listen, value::listen(v))),
    key("http", "max_connections", |c, v| put(&mut c.http.max_connections, value::integer(v, 1..=1_000_000))),
    key("http", "max_body_bytes", |c, v| put(&mut c.http.max_body_bytes, value::integer(v, 4 << 10..=16 << 20))),
    key("http", "header_timeout_s", |c, v| put(&mut c.http.header_timeout, value::seconds(v, 1..=HOUR_S))),
    key("http", "body_timeout_s", |c, v| put(&mut c.http.body_timeout, value::seconds(v, 1..=HOUR_S))),
    key("http", "idle_timeout_s", |c, v| put(&mut c.http.idle_timeout, value::seconds(v, 1..=HOUR_S))),
    key("http", "trusted_proxies", |c, v| {
        put(&mut c.http.trusted_proxies.0, value::items(v, "a network such as \"10.0.0.0/8\"", MAX_ITEMS))
    }),
    key("http", "allowed_origins", |c, v| {
        put(&mut c.http.allowed_origins.0, value::items(v, "an origin such as \"https://www.example.com\"", MAX_ITEMS))
    }),
    key("auth", "publish_tokens", |c, v| put(&mut c.auth.publish_tokens, value::items(v, "a token", MAX_ITEMS))),
    key("auth", "play_tokens", |c, v| put(&mut c.auth.play_tokens, value::items(v, "a token", MAX_ITEMS))),
    key("limits", "requests_per_second_per_address", |c, v| {
        put(&mut c.limits.per_address.per_second, value::count(v, 0..=MAX_RATE))
    }),
    key("limits", "request_burst_per_address", |c, v| {
        put(&mut c.limits.per_address.burst, value::count(v, 1..=MAX_RATE))
    }),
    key("limits", "requests_per_second_per_token", |c, v| {
        put(&mut c.limits.per_token.per_second, value::count(v, 0..=MAX_RATE))
    }),
    key("limits", "request_burst_per_token", |c, v| put(&mut c.limits.per_token.burst, value::count(v, 1..=MAX_RATE))),
    key("limits", "half_open_per_address", |c, v| {
        put(&mut c.limits.half_open_per_address, value::integer(v, 0..=10_000_000))
    }),
    key("redirect", "table", |c, v| {
        put(&mut c.redirect.0, value::items(v, "a rule such as \"live/cam* https://node2.example\"", MAX_ITEMS))
    }),
    key("ice", "servers", |c, v| {
        put(&mut c.ice.servers, value::items(v, "a URI such as \"stun:stun.example.com:3478\"", MAX_ICE_SERVERS))
    }),
    key("ice", "turn_username", |c, v| put(&mut c.ice.turn_username, value::word(v, "a name"))),
    key("ice", "turn_credential", |c, v| put(&mut c.ice.turn_credential, value::word(v, "a password"))),
    key("ice", "turn_secret", |c, v| put(&mut c.ice.turn_secret, value::word(v, "a secret"))),
    key("ice", "turn_ttl_s", |c, v| put(&mut c.ice.turn_ttl, value::seconds(v, 60..=MONTH_S))),
    key("whip", "takeover", |c, v| put(&mut c.whip.takeover, value::word(v, "one of the policies, as a string"))),
    key("whep", "no_publisher", |c, v| {
        put(&mut c.whep.no_publisher, value::word(v, "one of the policies, as a string"))
    }),
    key("whep", "wait_s", |c, v| put(&mut c.whep.wait, value::seconds(v, 1..=HOUR_S))),
    key("whep", "counter_offer_s", |c, v| put(&mut c.whep.counter_offer, value::seconds(v, 1..=HOUR_S))),
    key("data", "enabled", |c, v| put(&mut c.data.enabled, value::switch(v))),
    key("data", "viewers_may_send", |c, v| put(&mut c.data.viewers_may_send, value::switch(v))),
    key("echo", "enabled", |c, v| put(&mut c.echo, value::switch(v))),
    key("media", "listen", |c, v| put(&mut c.media.listen, value::listen(v))),
    key("media", "public_addresses", |c, v| {
        put(&mut c.media.public_addresses, value::addresses(v, MAX_PUBLIC_ADDRESSES))
    }),
    key("media", "shards", |c, v| put(&mut c.media.shards, value::integer(v, 0..=MAX_SHARDS).map(NonZeroUsize::new))),
    key("media", "receive_buffer_bytes", |c, v| {
        put(&mut c.media.receive_buffer_bytes, value::integer(v, SOCKET_BUFFER_BYTES))
    }),
    key("media", "send_buffer_bytes", |c, v| {
        put(&mut c.media.send_buffer_bytes, value::integer(v, SOCKET_BUFFER_BYTES))
    }),
    key("media", "max_sessions", |c, v| put(&mut c.media.max_sessions, value::integer(v, 1..=10_000_000))),
    key("media", "video_codecs", |c, v| put(&mut c.media.video_codecs, value::codecs(v, MediaKind::Video))),
    key("media", "audio_codecs", |c, v| put(&mut c.media.audio_codecs, value::codecs(v, MediaKind::Audio))),
    key("media", "video_min_kbps", |c, v| {
        put(&mut c.media.video_bitrate.min_kbps, value::count_or_none(v, 0..=MAX_KBPS))
    }),
    key("media", "video_start_kbps", |c, v| {
        put(&mut c.media.video_bitrate.start_kbps, value::count_or_none(v, 0..=MAX_KBPS))
    }),
    key("media", "video_max_kbps", |c, v| {
        put(&mut c.media.video_bitrate.max_kbps, value::count_or_none(v, 0..=MAX_KBPS))
    }),
    key("media", "history_bytes", |c, v| put(&mut c.media.history_bytes, value::integer(v, HISTORY_BYTES))),
    key("media", "history_ms", |c, v| put(&mut c.media.history, value::milliseconds(v, 100..=10_000))),
    key("media", "start_group_s", |c, v| put(&mut c.media.start_group, value::seconds(v, 0..=60))),
    key("media", "keyframe_interval_ms", |c, v| {
        put(&mut c.media.keyframe_interval, value::milliseconds(v, 50..=60_000))
    }),
    key("media", "remb_kbps", |c, v| put(&mut c.media.remb_kbps, value::count(v, 100..=MAX_KBPS))),
    key("media", "coalesce_max_ms", |c, v| put(&mut c.media.coalesce_max, value::milliseconds(v, 0..=50))),
    key("streams", "codecs", |c, v| {
        put(&mut c.streams.0, value::items(v, "a rule such as \"live/cam* h264,vp8,opus\"", MAX_ITEMS))
    }),
    key("session", "setup_timeout_s", |c, v| put(&mut c.session.setup_timeout, value::seconds(v, 1..=HOUR_S))),
    key("session", "dtls_timeout_s", |c, v| put(&mut c.session.dtls_timeout, value::seconds(v, 1..=HOUR_S))),
    key("session", "consent_timeout_s", |c, v| put(&mut c.session.consent_timeout, value::seconds(v, 1..=HOUR_S))),
    key("log", "level", |c, v| put(&mut c.log.level, value::level(v))),
];

/// How like two names must be (0 to 1) for one to be a likely slip of the other.
const LIKE: f64 = 0.8;

/// What an unknown key was probably meant to be, as the end of a sentence.
pub(super) fn suggestion(section: &str, name: &str) -> Option<String> {
    if let Some(key) = KEYS.iter().find(|key| key.name == name && key.section != section) {
        return Some(format!("did you mean {}?", key.path()));
    }
    let here = KEYS.iter().filter(|key| key.section == section);
    let there = KEYS.iter().filter(|key| key.section != section);
    closest(here, name).or_else(|| closest(there, name)).map(|key| format!("did you mean {}?", key.path()))
}

fn closest<'k>(keys: impl Iterator<Item = &'k Key>, name: &str) -> Option<&'k Key> {
    let scored = keys.map(|key| (strsim::jaro_winkler(key.name, name), key)).filter(|(score, _)| *score >= LIKE);
    scored.max_by(|(a, _), (b, _)| a.total_cmp(b)).map(|(_, key)| key)
}

/// What an unknown section was probably meant to be.
pub(super) fn section_suggestion(section: &str) -> Option<String> {
    let keys = KEYS.iter().map(|key| (strsim::jaro_winkler(key.section, section), key));
    let (score, key) = keys.max_by(|(a, _), (b, _)| a.total_cmp(b))?;
    (score >= LIKE).then(|| format!("did you mean [{}]?", key.section))
}

/// Whether a table of this name exists.
pub(super) fn is_section(name: &str) -> bool {
    KEYS.iter().any(|key| key.section == name)
}
