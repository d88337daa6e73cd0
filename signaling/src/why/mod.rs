//! Why a session connects, or does not: a short account of each, kept from its offer until ten minutes after its end.
//!
//! ```text
//!  offer, answer, PATCH, DELETE ──► Trace ──► Verdict: one sentence that names the cause
//!  the engine's events ───────────►   │
//!                                     └────► Account: GET /session/{id}/why
//! ```
//!
//! `now` is an argument. Bounded: a trace by its number of steps, ended ones by age, number and bytes, live ones by the sessions.

mod account;
#[cfg(test)]
mod tests;
mod trace;
mod verdict;

pub(crate) use account::Account;
pub(crate) use trace::{Note, Opening};

use crate::public_id::PublicId;
use oneport_engine::control::{EndReason, Event, SessionId};
use std::collections::{HashMap, VecDeque};
use std::time::{Duration, SystemTime};
use trace::{State, Trace, bounded, session_of};
use verdict::Verdict;

/// How long the account of an ended session is kept.
const KEPT: Duration = Duration::from_secs(600);
/// How many of them.
const MAX_ENDED: usize = 4096;
/// Their bytes together, about.
const MAX_BYTES: usize = 8 << 20;

/// The accounts of all sessions.
#[derive(Default, Debug)]
pub(crate) struct Traces {
    live: HashMap<SessionId, (PublicId, Trace)>,
    by_public_id: HashMap<PublicId, SessionId>,
    /// Whose check a stray one may be.
    by_ufrag: HashMap<String, SessionId>,
    ended: HashMap<PublicId, Trace>,
    /// The ended ones in the order of their ends.
    order: VecDeque<(SystemTime, PublicId)>,
    bytes: usize,
}

impl Traces {
    /// A session has been answered.
    pub(crate) fn begin(&mut self, now: SystemTime, session: SessionId, id: PublicId, opening: Opening) {
        let mut trace = Trace::new(now, opening);
        trace.answer(now);
        self.by_ufrag.insert(trace.opening.client_ufrag.clone(), session);
        self.by_public_id.insert(id, session);
        self.live.insert(session, (id, trace));
    }

    /// An offer was not accepted: it has an account, too, under an id of its own.
    pub(crate) fn refuse(&mut self, now: SystemTime, id: PublicId, opening: Opening, problem: &str) {
        let mut trace = Trace::new(now, opening);
        trace.state = State::Refused;
        trace.push(now, "refused", serde_json::Value::Null, bounded(problem));
        trace.problem = Some(bounded(problem));
        self.keep(now, id, trace);
    }

    /// Takes note of what happened in the engine. Gives the verdict on a session that has ended without having been connected as it
    /// should.
    pub(crate) fn handle_event(&mut self, now: SystemTime, event: &Event) -> Option<String> {
        if let Event::StrayCheck { remote, remote_ufrag } = event {
            let session = self.by_ufrag.get(remote_ufrag);
            if let Some((_, trace)) = session.and_then(|session| self.live.get_mut(session)) {
                trace.handle_stray(now, *remote);
            }
            return None;
        }
        let session = session_of(event)?;
        self.live.get_mut(&session)?.1.handle_event(now, event);
        if !matches!(event, Event::Ended { .. }) {
            return None;
        }
        let (id, trace) = self.live.remove(&session)?;
        self.by_public_id.remove(&id);
        if self.by_ufrag.get(&trace.opening.client_ufrag) == Some(&session) {
            self.by_ufrag.remove(&trace.opening.client_ufrag);
        }
        let verdict = Verdict::of(&trace, now);
        self.keep(now, id, trace);
        verdict.is_failure().then_some(verdict.text)
    }

    /// Takes note of what came by HTTP.
    pub(crate) fn note(&mut self, now: SystemTime, session: SessionId, note: &Note) {
        if let Some((_, trace)) = self.live.get_mut(&session) {
            trace.handle_note(now, note);
        }
    }

    /// The client has another ufrag since an ICE restart.
    pub(crate) fn renamed(&mut self, session: SessionId, ufrag: &str) {
        if let Some((_, trace)) = self.live.get_mut(&session) {
            self.by_ufrag.remove(&trace.opening.client_ufrag);
            trace.opening.client_ufrag = bounded(ufrag);
            self.by_ufrag.insert(trace.opening.client_ufrag.clone(), session);
        }
    }

    /// The account of a session, of a live one or one that has ended lately.
    pub(crate) fn account(&self, now: SystemTime, id: &PublicId) -> Option<Account> {
        let live = self.by_public_id.get(id).and_then(|session| self.live.get(session)).map(|(_, trace)| trace);
        let trace = live.or_else(|| self.ended.get(id))?;
        Some(Account::of(trace, &Verdict::of(trace, now)))
    }

    /// Whether this is the DELETE of a session that its client has said goodbye to over DTLS just before, as clients do that close
    /// their connection first. True once.
    pub(crate) fn is_goodbye(&mut self, id: &PublicId) -> bool {
        let trace = self.ended.get_mut(id);
        let closed = trace.filter(|trace| matches!(trace.end, Some((_, EndReason::ClosedByPeer, _))));
        closed.is_some_and(|trace| !std::mem::replace(&mut trace.is_deleted, true))
    }

    fn keep(&mut self, now: SystemTime, id: PublicId, trace: Trace) {
        self.bytes += trace.weight();
        self.order.push_back((now, id));
        self.ended.insert(id, trace);
        let is_old = |at: SystemTime| now.duration_since(at).unwrap_or_default() >= KEPT;
        while let Some((at, oldest)) = self.order.front().copied()
            && (is_old(at) || self.order.len() > MAX_ENDED || self.bytes > MAX_BYTES)
        {
            self.order.pop_front();
            if let Some(trace) = self.ended.remove(&oldest) {
                self.bytes = self.bytes.saturating_sub(trace.weight());
            }
        }
    }
}
