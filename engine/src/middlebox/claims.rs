//! Connectivity checks, and how a session finds its shard: any shard answers any check, the nomination decides the owner.

use super::strangers::YOUTH;
use super::{Middlebox, Owner, Protocol};
use crate::control::{CheckRefusal, EndReason, Role, SessionId, SessionSpec, Step};
use crate::flow::Flow;
use crate::message::{Mesh, Notice};
use crate::outbox::{Outbox, Sink};
use crate::session::{Echo, Egress, Ingest, IngestPolicy, Media, Session, Timeouts};
use crate::stats::Discard;
use crate::transport::stun::{Check, CheckFault, MAX_ANSWER};
use std::time::Instant;

impl Middlebox {
    pub(super) fn handle_stun<S: Sink>(
        &mut self,
        now: Instant,
        flow: Flow,
        datagram: &[u8],
        out: &mut Outbox<S>,
    ) -> Result<(), Discard> {
        let check = match Check::parse(&self.common.ice, datagram) {
            Ok(check) => check,
            Err(fault) => return self.refuse_check(now, flow, &fault, out),
        };
        let session = check.claims.session;
        if self.strangers.has_ended(session) {
            return Err(Discard::SessionEnded);
        }
        if let Some(key) = self.by_id.get(&session).copied() {
            let generation = check.claims.generation;
            if !self.sessions[key].accepts(generation) {
                self.tell_refusal(now, session, flow, CheckRefusal::Stale);
                return Err(Discard::StunStale);
            }
            self.answer(&check, flow, out);
            self.adopt(now, key, flow, check.use_candidate.then_some(generation));
            self.tell(key);
            self.schedule(key);
            return Ok(());
        }
        if let Some(owner) = self.strangers.owner(session) {
            self.remember(now, session, flow);
            self.forward(owner, flow, datagram);
            return Ok(());
        }
        // Nobody's yet, or another shard's without our knowing. A young one is answered on the strength of its ufrag; an old one
        // that is not known to be alive may have ended long ago, so the control core is asked first.
        let age = check.claims.age(self.common.seconds(now));
        let young = u64::from(age) < YOUTH.as_secs();
        if young {
            self.answer(&check, flow, out);
        }
        self.remember(now, session, flow);
        if check.use_candidate {
            self.strangers.nominate(now, session, flow);
        }
        match check.use_candidate || !young {
            true => self.claim(now, session, flow, datagram),
            false => Ok(()),
        }
    }

    /// Takes a datagram that is not STUN, from a flow whose session is not ours.
    pub(super) fn handle_stranger_datagram(
        &mut self,
        now: Instant,
        session: SessionId,
        flow: Flow,
        protocol: Protocol,
        datagram: &[u8],
    ) -> Result<(), Discard> {
        if let Some(owner) = self.strangers.owner(session) {
            self.forward(owner, flow, datagram);
            return Ok(());
        }
        match protocol {
            Protocol::Dtls => self.claim(now, session, flow, datagram),
            _ => Err(Discard::NotKeyed),
        }
    }

    /// The claimed session is another shard's: what waited goes there, and so does all that follows.
    pub(super) fn set_elsewhere(&mut self, session: SessionId, owner: usize) {
        let waited = self.strangers.take(session);
        for flow in &waited.flows {
            self.flows.insert(*flow, Owner::Stranger(session));
        }
        self.strangers.set_owner(session, owner, waited.flows);
        for (flow, datagram) in waited.queue {
            self.forward(owner, flow, &datagram);
        }
    }

    pub(super) fn forget(&mut self, now: Instant, session: SessionId) {
        for flow in self.strangers.forget(now, session) {
            self.release(session, flow);
        }
        self.wake_sweep(now);
    }

    pub(super) fn make_session(
        &mut self,
        now: Instant,
        id: SessionId,
        generation: u8,
        spec: SessionSpec,
        flow: Flow,
    ) -> Result<Session, EndReason> {
        let config = &self.common.config;
        let media = match spec.role {
            Role::Publish => {
                let policy = IngestPolicy {
                    keyframe_interval: config.keyframe_interval,
                    max_bitrate_bps: config.publisher_max_bitrate_bps,
                };
                Media::Publish(Ingest::new(now, id, self.shard, &spec, policy))
            }
            Role::Play => Media::Play(Egress::new(now, &spec)),
            Role::Echo => Media::Echo(Echo::default()),
        };
        let timeouts = Timeouts { dtls: config.dtls_timeout, consent: config.consent_timeout };
        Session::new(now, (id, generation), spec, flow, &self.common.dtls, timeouts, media)
            .map_err(|fault| EndReason::DtlsFailed(fault.to_string()))
    }

    fn claim(&mut self, now: Instant, session: SessionId, flow: Flow, datagram: &[u8]) -> Result<(), Discard> {
        if self.strangers.queue(now, session, flow, datagram).ok_or(Discard::ClaimsFull)? {
            self.notices.push_back(Notice::Claim(session));
        }
        Ok(())
    }

    fn remember(&mut self, now: Instant, session: SessionId, flow: Flow) {
        if self.strangers.remember(now, session, flow) {
            self.flows.insert(flow, Owner::Stranger(session));
            if self.strangers.is_news(now, session, flow.remote, None) {
                self.notices.push_back(Notice::Trace(session, Step::Check { remote: flow.remote, refused: None }));
            }
        }
        self.wake_sweep(now);
    }

    fn forward(&mut self, owner: usize, flow: Flow, datagram: &[u8]) {
        self.stats.crossed.add(1);
        self.mesh.push_back((owner, Mesh::Datagram(flow, datagram.to_vec())));
    }

    fn answer<S: Sink>(&self, check: &Check, flow: Flow, out: &mut Outbox<S>) {
        out.push(flow, MAX_ANSWER, |room| check.success(flow.remote, room).unwrap_or(0));
    }

    /// Answers what is no check to be taken up, where it has an answer, tells of it, and says how it is counted.
    fn refuse_check<S: Sink>(
        &mut self,
        now: Instant,
        flow: Flow,
        fault: &CheckFault,
        out: &mut Outbox<S>,
    ) -> Result<(), Discard> {
        out.push(flow, MAX_ANSWER, |room| fault.response(room).unwrap_or(0));
        let (session, refusal, discard) = match fault {
            // A keepalive: nothing to do and nothing wrong.
            CheckFault::Indication => return Ok(()),
            CheckFault::Malformed | CheckFault::NotARequest => return Err(Discard::StunMalformed),
            CheckFault::UnknownUfrag(_, remote_ufrag) => {
                if let Some(remote_ufrag) = remote_ufrag.as_ref().filter(|_| self.strays.take(now)) {
                    self.notices.push_back(Notice::Stray(flow.remote, remote_ufrag.clone()));
                }
                return Err(Discard::StunUnauthenticated);
            }
            CheckFault::BadIntegrity(_, session) => {
                (Some(*session), CheckRefusal::BadIntegrity, Discard::StunUnauthenticated)
            }
            CheckFault::BadRequest(_, session) => (*session, CheckRefusal::Incomplete, Discard::StunRefused),
            CheckFault::UnknownAttributes(_, session) => {
                (Some(*session), CheckRefusal::UnknownAttribute, Discard::StunRefused)
            }
            CheckFault::RoleConflict(_, session) => (Some(*session), CheckRefusal::RoleConflict, Discard::StunRefused),
        };
        if let Some(session) = session {
            self.tell_refusal(now, session, flow, refusal);
        }
        Err(discard)
    }

    /// Tells of a check that names a session and was refused, once for each source and refusal.
    fn tell_refusal(&mut self, now: Instant, session: SessionId, flow: Flow, refusal: CheckRefusal) {
        let refused = Some(refusal);
        let is_news = match self.by_id.get(&session) {
            Some(key) => self.sessions[*key].account.checks.is_new(flow.remote, refused),
            None if self.strangers.has_ended(session) => false,
            None => self.strangers.is_news(now, session, flow.remote, refused),
        };
        if is_news {
            self.wake_sweep(now);
            self.notices.push_back(Notice::Trace(session, Step::Check { remote: flow.remote, refused }));
        }
    }
}
