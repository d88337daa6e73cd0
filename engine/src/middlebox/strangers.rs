//! What a shard knows of sessions that are not its own: those whose checks it has answered and that nobody owns yet, those that
//! another shard owns, and those that have ended.
//!
//! ```text
//!             check                  nomination, or DTLS
//!  (nothing) ───────► answered here ─────────────────────► claimed ──Grant────► a session of this shard
//!                          │                                  ├─────Elsewhere─► foreign: datagrams go to the owner
//!                          └──────── time, or Forget ─────────┴─────Forget────► ended: answered by nobody
//! ```

use crate::control::{CheckRefusal, SessionId};
use crate::flow::Flow;
use crate::session::CheckLog;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

/// How long after its birth an unowned session's checks are answered without asking. Later ones are claimed at once. Also how
/// long an ended session is remembered; an older ufrag is not answered on trust anyway.
pub(crate) const YOUTH: Duration = Duration::from_secs(90);
/// Sessions in each of the three tables: 100,000 sessions on one shard, with room for those that come and go.
const MAX_SESSIONS: usize = 1 << 18;
/// Flows of a session that are remembered: a client has some candidates, not many.
pub(crate) const MAX_FLOWS: usize = 16;
/// Datagrams kept while a claim is under way: a ClientHello in two fragments, twice, and checks between.
const MAX_QUEUED: usize = 8;
/// A claim that got no answer is made again after this time.
const CLAIM_TIMEOUT: Duration = Duration::from_secs(1);

/// A session that was seen here and is not owned here.
#[derive(Default, Debug)]
pub(crate) struct Unclaimed {
    /// From where it was seen.
    pub flows: Vec<Flow>,
    /// Where its client nominated.
    pub nominated: Option<Flow>,
    /// What waits for the claim's outcome.
    pub queue: Vec<(Flow, Vec<u8>)>,
    /// The sources of its checks that were told.
    pub checks: CheckLog,
    claimed: Option<Instant>,
    expires: Option<Instant>,
}

#[derive(Debug)]
struct Foreign {
    owner: usize,
    flows: Vec<Flow>,
    checks: CheckLog,
}

/// See the module's text.
#[derive(Default, Debug)]
pub(crate) struct Strangers {
    unclaimed: HashMap<SessionId, Unclaimed>,
    foreign: HashMap<SessionId, Foreign>,
    ended: HashMap<SessionId, Instant>,
}

impl Strangers {
    /// Whether the session is known to have ended.
    pub(crate) fn has_ended(&self, session: SessionId) -> bool {
        self.ended.contains_key(&session)
    }

    /// The shard that owns the session, where that is known.
    pub(crate) fn owner(&self, session: SessionId) -> Option<usize> {
        self.foreign.get(&session).map(|foreign| foreign.owner)
    }

    /// Remembers that the session uses `flow`; false when it has no room for more.
    pub(crate) fn remember(&mut self, now: Instant, session: SessionId, flow: Flow) -> bool {
        let flows = match self.foreign.get_mut(&session) {
            Some(foreign) => &mut foreign.flows,
            None => match self.unclaimed(now, session) {
                Some(unclaimed) => &mut unclaimed.flows,
                None => return false,
            },
        };
        if !flows.contains(&flow) {
            if flows.len() >= MAX_FLOWS {
                return false;
            }
            flows.push(flow);
        }
        true
    }

    /// Whether a check of the session from there is worth telling.
    pub(crate) fn is_news(
        &mut self,
        now: Instant,
        session: SessionId,
        remote: SocketAddr,
        refused: Option<CheckRefusal>,
    ) -> bool {
        if let Some(foreign) = self.foreign.get_mut(&session) {
            return foreign.checks.is_new(remote, refused);
        }
        self.unclaimed(now, session).is_some_and(|unclaimed| unclaimed.checks.is_new(remote, refused))
    }

    /// Remembers where the session's client nominated.
    pub(crate) fn nominate(&mut self, now: Instant, session: SessionId, flow: Flow) {
        if let Some(unclaimed) = self.unclaimed(now, session) {
            unclaimed.nominated = Some(flow);
        }
    }

    /// Keeps a datagram until the claim's outcome. `Some(true)` when the control core is to be asked now, `None` when there was
    /// no room for it.
    pub(crate) fn queue(&mut self, now: Instant, session: SessionId, flow: Flow, datagram: &[u8]) -> Option<bool> {
        let unclaimed = self.unclaimed(now, session)?;
        if unclaimed.queue.len() >= MAX_QUEUED {
            unclaimed.queue.remove(0);
        }
        unclaimed.queue.push((flow, datagram.to_vec()));
        let asked_lately = unclaimed.claimed.is_some_and(|at| now < at + CLAIM_TIMEOUT);
        if !asked_lately {
            unclaimed.claimed = Some(now);
        }
        Some(!asked_lately)
    }

    /// The claim's outcome is there: hands out what waited for it.
    pub(crate) fn take(&mut self, session: SessionId) -> Unclaimed {
        self.ended.remove(&session);
        self.unclaimed.remove(&session).unwrap_or_default()
    }

    /// Another shard owns the session.
    pub(crate) fn set_owner(&mut self, session: SessionId, owner: usize, flows: Vec<Flow>) {
        if self.foreign.len() < MAX_SESSIONS {
            self.foreign.insert(session, Foreign { owner, flows, checks: CheckLog::default() });
        }
    }

    /// The session has ended. Gives the flows that were remembered for it.
    pub(crate) fn forget(&mut self, now: Instant, session: SessionId) -> Vec<Flow> {
        if self.ended.len() < MAX_SESSIONS {
            self.ended.insert(session, now + YOUTH);
        }
        let mut flows = self.foreign.remove(&session).map_or(Vec::new(), |foreign| foreign.flows);
        flows.extend(self.unclaimed.remove(&session).into_iter().flat_map(|unclaimed| unclaimed.flows));
        flows
    }

    /// Whether there is nothing that will ever be too old.
    pub(crate) fn is_empty(&self) -> bool {
        self.ended.is_empty() && self.unclaimed.is_empty()
    }

    /// Drops what is too old to matter. Gives the flows that were remembered for it.
    pub(crate) fn sweep(&mut self, now: Instant) -> Vec<(SessionId, Flow)> {
        self.ended.retain(|_, expires| now < *expires);
        let mut flows = Vec::new();
        self.unclaimed.retain(|session, unclaimed| {
            let keep = unclaimed.expires.is_some_and(|expires| now < expires);
            if !keep {
                flows.extend(unclaimed.flows.iter().map(|flow| (*session, *flow)));
            }
            keep
        });
        flows
    }

    fn unclaimed(&mut self, now: Instant, session: SessionId) -> Option<&mut Unclaimed> {
        if self.unclaimed.len() >= MAX_SESSIONS && !self.unclaimed.contains_key(&session) {
            return None;
        }
        let unclaimed = self.unclaimed.entry(session).or_default();
        unclaimed.expires = Some(now + YOUTH);
        Some(unclaimed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SESSION: SessionId = SessionId(1);

    fn flow(port: u16) -> Flow {
        Flow::new(([192, 0, 2, 1], port).into(), None)
    }

    #[test]
    fn the_control_core_is_asked_once_a_second_and_datagrams_wait_within_bounds() {
        let now = Instant::now();
        let mut strangers = Strangers::default();
        assert_eq!(strangers.queue(now, SESSION, flow(1), b"first"), Some(true));
        for _ in 0..20 {
            assert_eq!(strangers.queue(now, SESSION, flow(1), b"more"), Some(false));
        }
        assert_eq!(strangers.queue(now + CLAIM_TIMEOUT, SESSION, flow(1), b"more"), Some(true));
        assert_eq!(strangers.take(SESSION).queue.len(), MAX_QUEUED);
        assert!(strangers.take(SESSION).queue.is_empty());
    }

    #[test]
    fn a_session_has_so_many_flows_and_no_more() {
        let mut strangers = Strangers::default();
        let remembered = (0..100).filter(|port| strangers.remember(Instant::now(), SESSION, flow(*port))).count();
        assert_eq!(remembered, MAX_FLOWS);
    }

    #[test]
    fn an_ended_session_is_remembered_for_as_long_as_its_ufrag_is_young() {
        let now = Instant::now();
        let mut strangers = Strangers::default();
        strangers.remember(now, SESSION, flow(1));
        assert_eq!(strangers.forget(now, SESSION), [flow(1)]);
        strangers.sweep(now + YOUTH - Duration::from_millis(1));
        assert!(strangers.has_ended(SESSION));
        strangers.sweep(now + YOUTH);
        assert!(!strangers.has_ended(SESSION));
    }

    #[test]
    fn what_nobody_claims_is_swept_with_its_flows() {
        let now = Instant::now();
        let mut strangers = Strangers::default();
        strangers.remember(now, SESSION, flow(1));
        assert!(strangers.sweep(now).is_empty());
        assert_eq!(strangers.sweep(now + YOUTH), [(SESSION, flow(1))]);
    }
}
