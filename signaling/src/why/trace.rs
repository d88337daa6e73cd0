//! What is known of one session's way, as it happened.

use crate::name::StreamName;
use oneport_engine::control::{CheckRefusal, EndReason, Event, Role, SessionId, Step, Totals};
use oneport_rtp::payload::MediaKind;
use serde_json::{Map, Value, json};
use std::net::SocketAddr;
use std::time::SystemTime;

/// Steps of one session; more are counted and not kept.
const MAX_STEPS: usize = 64;
/// Characters of a text that a client chose.
const MAX_TEXT: usize = 256;
/// Codecs, candidates and the like of one offer.
const MAX_ITEMS: usize = 16;

/// How a session begins, as offer and answer say it.
#[derive(Clone, Debug)]
pub(crate) struct Opening {
    pub(crate) role: Role,
    pub(crate) stream: StreamName,
    /// Where the request came from.
    pub(crate) peer: Option<SocketAddr>,
    pub(crate) user_agent: Option<String>,
    /// `a=ice-ufrag` of the client, by which a stray check is known for its own.
    pub(crate) client_ufrag: String,
    pub(crate) offered_codecs: Vec<String>,
    /// In words, such as `host udp 192.0.2.1:5000`.
    pub(crate) offered_candidates: Vec<String>,
    pub(crate) agreed_codecs: Vec<String>,
    /// Where the answer says that we are.
    pub(crate) announced: Vec<SocketAddr>,
    /// The kinds of the session's tracks.
    pub(crate) tracks: Vec<MediaKind>,
}

impl Opening {
    /// Bounds what the client chose, and takes out what would disturb a terminal or a page.
    pub(crate) fn bounded(mut self) -> Opening {
        self.user_agent = self.user_agent.map(|text| bounded(&text));
        self.client_ufrag = bounded(&self.client_ufrag);
        for list in [&mut self.offered_codecs, &mut self.offered_candidates, &mut self.agreed_codecs] {
            list.truncate(MAX_ITEMS);
            list.iter_mut().for_each(|text| *text = bounded(text));
        }
        self
    }
}

pub(crate) fn bounded(text: &str) -> String {
    text.chars().take(MAX_TEXT).map(|c| if c.is_control() { ' ' } else { c }).collect()
}

/// Something that came by HTTP.
#[derive(Clone, Debug)]
pub(crate) enum Note {
    /// Candidates by PATCH.
    Trickled { usable: usize, discarded: usize },
    /// New credentials by PATCH.
    Restarted,
    /// The answer to a counter-offer.
    Answered,
    /// DELETE, from there.
    Deleted { by: Option<SocketAddr> },
}

/// How far a session has come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum State {
    /// An answer is out, and nothing came.
    Waiting,
    /// Checks came.
    Checking,
    /// A pair is nominated.
    Securing,
    /// SRTP is keyed.
    Connected,
    /// It is over.
    Ended,
    /// The offer was not accepted.
    Refused,
}

impl State {
    pub(crate) fn name(self) -> &'static str {
        match self {
            State::Waiting => "waiting",
            State::Checking => "checking",
            State::Securing => "securing",
            State::Connected => "connected",
            State::Ended => "ended",
            State::Refused => "refused",
        }
    }
}

/// What happened, when, and in words.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) at: SystemTime,
    pub(crate) event: &'static str,
    pub(crate) fields: Map<String, Value>,
    pub(crate) text: String,
}

/// See the module's text. What verdicts depend on is kept apart from the entries, which are bounded.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) opening: Opening,
    pub(crate) began: SystemTime,
    pub(crate) state: State,
    /// The state before the end.
    pub(crate) reached: State,
    pub(crate) entries: Vec<Entry>,
    pub(crate) dropped: usize,
    /// Sources whose checks were answered.
    pub(crate) answered: Vec<SocketAddr>,
    /// Sources whose checks were refused, and why.
    pub(crate) refused: Vec<(SocketAddr, CheckRefusal)>,
    /// Sources whose checks had the client's ufrag and none of ours.
    pub(crate) strays: Vec<SocketAddr>,
    pub(crate) has_dtls: bool,
    pub(crate) profile: Option<&'static str>,
    /// Tracks of which a packet, or a keyframe, has passed.
    pub(crate) packets: Vec<usize>,
    pub(crate) keyframes: Vec<usize>,
    /// Payload types of packets that belong to no track.
    pub(crate) unknown: Vec<u8>,
    pub(crate) flows: bool,
    pub(crate) deleted_by: Option<SocketAddr>,
    /// The DELETE that follows a goodbye over DTLS has come.
    pub(crate) is_deleted: bool,
    pub(crate) end: Option<(SystemTime, EndReason, Totals)>,
    /// Why the offer was not accepted.
    pub(crate) problem: Option<String>,
}

impl Trace {
    pub(crate) fn new(now: SystemTime, opening: Opening) -> Trace {
        let opening = opening.bounded();
        let mut trace = Trace {
            began: now,
            state: State::Waiting,
            reached: State::Waiting,
            entries: Vec::new(),
            dropped: 0,
            answered: Vec::new(),
            refused: Vec::new(),
            strays: Vec::new(),
            has_dtls: false,
            profile: None,
            packets: Vec::new(),
            keyframes: Vec::new(),
            unknown: Vec::new(),
            flows: false,
            deleted_by: None,
            is_deleted: false,
            end: None,
            problem: None,
            opening,
        };
        trace.tell_offer(now);
        trace
    }

    /// Adds an entry, if there is room.
    pub(crate) fn push(&mut self, now: SystemTime, event: &'static str, fields: Value, text: impl Into<String>) {
        if self.entries.len() >= MAX_STEPS {
            self.dropped += 1;
            return;
        }
        let fields = if let Value::Object(fields) = fields { fields } else { Map::new() };
        self.entries.push(Entry { at: now, event, fields, text: text.into() });
    }

    fn tell_offer(&mut self, now: SystemTime) {
        let opening = &self.opening;
        let from = opening.peer.map_or_else(|| "an unknown address".to_owned(), |peer| peer.ip().to_string());
        let by = opening.user_agent.as_ref().map(|agent| format!(" ({agent})")).unwrap_or_default();
        let candidates = match opening.offered_candidates.as_slice() {
            [] => "no candidates".to_owned(),
            some => some.join(", "),
        };
        let text = format!("offer from {from}{by} with {} and {candidates}", opening.offered_codecs.join(", "));
        let fields = json!({
            "from": opening.peer.map(|peer| peer.ip().to_string()),
            "user_agent": opening.user_agent,
            "codecs": opening.offered_codecs,
            "candidates": opening.offered_candidates,
        });
        self.push(now, "offer", fields, text);
    }

    /// The answer is out.
    pub(crate) fn answer(&mut self, now: SystemTime) {
        let announced: Vec<String> = self.opening.announced.iter().map(SocketAddr::to_string).collect();
        let codecs = self.opening.agreed_codecs.clone();
        let text = format!("answered with {} at {}", codecs.join(", "), announced.join(", "));
        self.push(now, "answer", json!({ "codecs": codecs, "candidates": announced }), text);
    }

    fn reach(&mut self, state: State) {
        if self.state < state {
            self.state = state;
        }
    }

    /// Takes note of what happened in the engine.
    pub(crate) fn handle_event(&mut self, now: SystemTime, event: &Event) {
        match event {
            Event::Nominated { remote, shard, .. } => {
                self.reach(State::Securing);
                let text = format!("{remote} nominated");
                self.push(now, "nominated", json!({ "remote": remote.to_string(), "shard": shard }), text);
            }
            Event::Connected { profile, .. } => {
                self.reach(State::Connected);
                self.profile = Some(profile);
                self.push(now, "connected", json!({ "srtp_profile": profile }), format!("DTLS is done, {profile}"));
            }
            Event::Flow { flows, .. } => {
                self.flows = *flows;
                let (event, text) = if *flows { ("media", "media arrives") } else { ("silence", "no media for 2 s") };
                self.push(now, event, Value::Null, text);
            }
            Event::Trace { step, .. } => self.handle_step(now, step),
            Event::Ended { reason, totals, .. } => {
                self.reached = self.state;
                self.state = State::Ended;
                self.end = Some((now, reason.clone(), *totals));
                self.push(now, "ended", Value::Null, reason.to_string());
            }
            Event::Layers { .. } | Event::StrayCheck { .. } | Event::Stopped => {}
        }
    }

    fn handle_step(&mut self, now: SystemTime, step: &Step) {
        match step {
            Step::Check { remote, refused: None } => {
                self.reach(State::Checking);
                self.answered.push(*remote);
                let text = format!("connectivity check from {remote} answered");
                self.push(now, "check", json!({ "remote": remote.to_string() }), text);
            }
            Step::Check { remote, refused: Some(refusal) } => {
                self.reach(State::Checking);
                self.refused.push((*remote, *refusal));
                let why = refusal_in_words(*refusal);
                let fields = json!({ "remote": remote.to_string(), "refused": why });
                self.push(now, "check_refused", fields, format!("connectivity check from {remote} refused: {why}"));
            }
            Step::PairChanged { remote, restarted } => {
                let how = if *restarted { " by an ICE restart" } else { "" };
                let fields = json!({ "remote": remote.to_string(), "restarted": restarted });
                self.push(now, "pair_changed", fields, format!("the path changed to {remote}{how}"));
            }
            Step::DtlsStarted => {
                self.has_dtls = true;
                self.push(now, "dtls_started", Value::Null, "the first DTLS datagram of the client came");
            }
            Step::FirstPacket { track, ssrc, payload_type } => {
                self.packets.push(*track);
                let fields = json!({ "track": track, "ssrc": ssrc.0, "payload_type": payload_type.0 });
                self.push(now, "first_packet", fields, format!("first packet of {}", self.track(*track)));
            }
            Step::FirstKeyframe { track } => {
                self.keyframes.push(*track);
                self.push(now, "first_keyframe", json!({ "track": track }), "first keyframe");
            }
            Step::UnknownSource { ssrc, payload_type } => {
                self.unknown.push(payload_type.0);
                let fields = json!({ "ssrc": ssrc.0, "payload_type": payload_type.0 });
                let text = format!(
                    "RTP of an SSRC ({}) and payload type ({}) that were not agreed on",
                    ssrc.0, payload_type.0
                );
                self.push(now, "unknown_source", fields, text);
            }
        }
    }

    /// A check with this session's client ufrag and none of ours.
    pub(crate) fn handle_stray(&mut self, now: SystemTime, remote: SocketAddr) {
        if self.strays.len() >= 8 || self.strays.contains(&remote) {
            return;
        }
        self.strays.push(remote);
        let text = format!("connectivity check from {remote} for a ufrag that is of no session here");
        self.push(now, "check_stray", json!({ "remote": remote.to_string() }), text);
    }

    /// Takes note of what came by HTTP.
    pub(crate) fn handle_note(&mut self, now: SystemTime, note: &Note) {
        match note {
            Note::Trickled { usable, discarded } => {
                let text = format!("{usable} candidates trickled, {discarded} more of kinds that are not used here");
                self.push(now, "trickle", json!({ "usable": usable, "discarded": discarded }), text);
            }
            Note::Restarted => self.push(now, "restart", Value::Null, "ICE restart asked for and answered"),
            Note::Answered => self.push(now, "counter_answer", Value::Null, "the counter-offer was answered"),
            Note::Deleted { by } => {
                self.deleted_by = *by;
                let from = by.map_or_else(|| "an unknown address".to_owned(), |by| by.ip().to_string());
                self.push(now, "delete", json!({ "from": from }), format!("DELETE from {from}"));
            }
        }
    }

    /// A track in words.
    pub(crate) fn track(&self, track: usize) -> String {
        self.opening.tracks.get(track).map_or_else(|| format!("track {track}"), MediaKind::to_string)
    }

    /// Bytes that it holds, about.
    pub(crate) fn weight(&self) -> usize {
        let lists = [&self.opening.offered_codecs, &self.opening.offered_candidates, &self.opening.agreed_codecs];
        let texts: usize = lists.iter().flat_map(|list| list.iter()).map(String::len).sum();
        let entries: usize = self.entries.iter().map(|entry| 256 + entry.text.len() * 2).sum();
        512 + texts + entries
    }
}

/// Which session an event is about.
pub(crate) fn session_of(event: &Event) -> Option<SessionId> {
    match event {
        Event::Nominated { session, .. }
        | Event::Connected { session, .. }
        | Event::Flow { session, .. }
        | Event::Layers { session, .. }
        | Event::Trace { session, .. }
        | Event::Ended { session, .. } => Some(*session),
        Event::StrayCheck { .. } | Event::Stopped => None,
    }
}

fn refusal_in_words(refusal: CheckRefusal) -> &'static str {
    match refusal {
        CheckRefusal::BadIntegrity => "its password is not the one that the answer gave",
        CheckRefusal::Incomplete => "its USERNAME or MESSAGE-INTEGRITY is missing",
        CheckRefusal::RoleConflict => "the client takes itself for the controlled side, which this server always is",
        CheckRefusal::Stale => "its credentials are those from before an ICE restart",
        CheckRefusal::UnknownAttribute => "it has an attribute that has to be understood and is not known here",
    }
}
