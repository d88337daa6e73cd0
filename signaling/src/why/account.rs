//! The account of a session as JSON: what `GET /session/{id}/why` answers. Times are milliseconds from the offer.

use super::trace::{Entry, Trace};
use super::verdict::Verdict;
use oneport_engine::control::Role;
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::SystemTime;

/// See the module's text and `docs/why.md`.
#[derive(Serialize, Debug)]
pub(crate) struct Account {
    /// `publish` or `play`.
    role: &'static str,
    /// `app/stream`.
    stream: String,
    /// `waiting`, `checking`, `securing`, `connected`, `ended` or `refused`.
    state: &'static str,
    verdict: Judged,
    /// When the offer came, as RFC 3339 writes it, in UTC.
    began_at: String,
    /// What happened, in its order.
    steps: Vec<Happened>,
    /// Steps that were too many to be kept.
    dropped_steps: usize,
    /// Milliseconds from the offer to the first keyframe, received of a publisher or sent to a viewer.
    first_keyframe_ms: Option<u64>,
    /// What the session carried, once it has ended.
    totals: Option<Carried>,
}

#[derive(Serialize, Debug)]
struct Judged {
    code: &'static str,
    text: String,
}

#[derive(Serialize, Debug)]
struct Happened {
    /// Milliseconds from the offer.
    at_ms: u64,
    event: &'static str,
    text: String,
    #[serde(flatten)]
    fields: Map<String, Value>,
}

/// Packets and bytes are of RTP as it was on the wire.
#[derive(Serialize, Debug)]
struct Carried {
    duration_ms: u64,
    rx_packets: u64,
    rx_bytes: u64,
    tx_packets: u64,
    tx_bytes: u64,
}

impl Account {
    pub(super) fn of(trace: &Trace, verdict: &Verdict) -> Account {
        let first_keyframe = trace.entries.iter().find(|entry| entry.event == "first_keyframe");
        Account {
            role: match trace.opening.role {
                Role::Publish => "publish",
                Role::Play => "play",
                Role::Echo => "echo",
            },
            stream: trace.opening.stream.to_string(),
            state: trace.state.name(),
            verdict: Judged { code: verdict.code, text: verdict.text.clone() },
            began_at: humantime::format_rfc3339_millis(trace.began).to_string(),
            steps: trace.entries.iter().map(|entry| happened(entry, trace.began)).collect(),
            dropped_steps: trace.dropped,
            first_keyframe_ms: first_keyframe.map(|entry| since(trace.began, entry.at)),
            totals: trace.end.as_ref().map(|(_, _, totals)| Carried {
                duration_ms: totals.duration.as_millis() as u64,
                rx_packets: totals.rx_packets,
                rx_bytes: totals.rx_bytes,
                tx_packets: totals.tx_packets,
                tx_bytes: totals.tx_bytes,
            }),
        }
    }
}

fn happened(entry: &Entry, began: SystemTime) -> Happened {
    Happened {
        at_ms: since(began, entry.at),
        event: entry.event,
        text: entry.text.clone(),
        fields: entry.fields.clone(),
    }
}

fn since(began: SystemTime, at: SystemTime) -> u64 {
    at.duration_since(began).unwrap_or_default().as_millis() as u64
}
