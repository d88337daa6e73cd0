//! Counter-offers (WHEP §4.3.2): for a client that would rather answer than offer, the server makes the offer, as the body of a
//! 406, and the client answers it with PATCH.
//!
//! ```text
//!  POST /whep/{app}/{stream}      no body, or ?counter-offer=1  ──► 406, SDP offer, Location: /session/{id}
//!  PATCH /session/{id}            SDP answer                    ──► 204
//! ```
//!
//! The engine reserves the session and ends it when no answer comes; nothing here looks at a clock for that.

use crate::admission::Opener;
use crate::http::{Request, Response};
use crate::journal;
use crate::name::StreamName;
use crate::negotiate::{self, Agreement, Egress};
use crate::problem::Problem;
use crate::public_id::PublicId;
use crate::registry::{IceSession, Session};
use crate::session;
use crate::signaling::Signaling;
use crate::why::{Note, Opening};
use oneport_engine::control::{Command, Refusal, Reply, Role, SessionId};
use oneport_rtp::payload::Format;
use oneport_sdp::Counter;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

/// The offers that were not answered yet.
#[derive(Default)]
pub(crate) struct CounterOffers(HashMap<SessionId, Pending>);

struct Pending {
    counter: Counter,
    egress: Egress,
    announced: Vec<SocketAddr>,
}

impl CounterOffers {
    /// The session has ended, or was deleted.
    pub(crate) fn forget(&mut self, session: SessionId) {
        self.0.remove(&session);
    }
}

/// Whether a request asks for an offer instead of making one.
pub(crate) fn is_wanted(request: &Request) -> bool {
    let asked = request.parameter("counter-offer").is_some_and(|value| value != "0");
    asked || request.body.is_empty() && (request.has_content_type("application/sdp") || request.has_no_content_type())
}

/// Answers with 406 and our offer.
pub(crate) fn make(
    signaling: &Signaling,
    request: &Request,
    name: StreamName,
    opener: Option<Opener>,
    published: &[Format],
) -> Result<Response, Problem> {
    let validity = signaling.config.whep.counter_offer;
    let counter = negotiate::counter(&signaling.terms(request, &name)?, published)?;
    let half_open = signaling.admission.begin(request)?;
    let public_id = PublicId::random().map_err(session::no_randomness)?;
    let egress = Egress::random(&name).map_err(session::no_randomness)?;
    let local = match signaling.engine.submit(Command::Reserve { validity }) {
        Reply::Opened(local) => local,
        Reply::Refused(refusal) => return Err(Problem::from_refusal(refusal, &name)),
        _ => return Err(Problem::Internal("the engine did not reserve the session")),
    };
    let addresses = session::told(signaling, request, &local);
    let announced = addresses.iter().map(|ip| SocketAddr::new(*ip, local.port)).collect();
    let offer = negotiate::counter_offer(&counter, &local, &addresses, &egress);
    let ice = IceSession { entity_tag: local.ufrag.clone(), ..IceSession::default() };
    let (formats, sections) = (Vec::new(), Vec::new());
    let (told_name, role) = (name.clone(), Role::Play);
    let session = Session { public_id, name, role, opener, ice, formats, sections, ice2: false };
    signaling.registry.borrow_mut().reserve(local.session, session);
    signaling.registry.borrow_mut().set_half_open(local.session, half_open);
    signaling.counter_offers.borrow_mut().0.insert(local.session, Pending { counter, egress, announced });
    let until = httpdate::fmt_http_date(SystemTime::now() + validity);
    let media_type = format!("application/sdp; valid-until=\"{until}\"");
    let mut response = Response::new(406).with("Content-Type", media_type);
    response.body = offer.into_bytes().into();
    Ok(session::describe(signaling, response, (public_id, &told_name), &local.ufrag, Role::Play))
}

/// Takes the answer to our offer, and answers with 204.
pub(crate) fn answered(
    signaling: &Signaling,
    request: &Request,
    id: SessionId,
    session: Session,
) -> Result<Response, Problem> {
    let answer = session::description(request)?;
    let agreement = match signaling.counter_offers.borrow().0.get(&id) {
        Some(pending) => Agreement::countered(&pending.counter, &answer)?,
        None => return Err(Problem::NoCounterOffer),
    };
    let Some(Pending { egress, announced, .. }) = signaling.counter_offers.borrow_mut().0.remove(&id) else {
        return Err(Problem::NoCounterOffer);
    };
    let stream = signaling.registry.borrow_mut().stream(&session.name);
    let spec = agreement.spec(stream, &egress, None);
    match signaling.engine.submit(Command::Complete { session: id, spec }) {
        Reply::Done => {}
        Reply::Refused(Refusal::UnknownSession) => {
            signaling.close(id);
            return Err(Problem::UnknownSession);
        }
        _ => return Err(Problem::Internal("the engine did not complete the session")),
    }
    let session = agreement.session(session.public_id, session.name, session.opener, &session.ice.entity_tag);
    journal::begun(id, &session, request.peer);
    let opening = Opening { announced, ..agreement.opening(request, &session.name, &answer) };
    signaling.traces.borrow_mut().begin(SystemTime::now(), id, session.public_id, opening);
    signaling.note(id, &Note::Answered);
    signaling.registry.borrow_mut().enter(Instant::now(), id, session);
    Ok(Response::new(204))
}
