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
