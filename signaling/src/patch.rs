//! `PATCH /session/{id}`: trickled candidates and ICE restarts (RFC 9725 §4.3), and the answer to a counter-offer (WHEP §4.3.2).
//!
//! The server is ICE-lite: it checks nobody, so what a client trickles is read, measured and let go. Whether a fragment restarts
//! ICE is told by its credentials alone: others than the present ones are a restart.

use crate::counter_offer;
use crate::http::{Request, Response};
use crate::negotiate;
use crate::precondition::IfMatch;
use crate::problem::Problem;
use crate::registry::{IceSession, Session};
use crate::session;
use crate::signaling::Signaling;
use crate::why::Note;
use oneport_engine::control::{Command, LocalTransport, Refusal, Reply, Role, SessionId};
use oneport_sdp::Fragment;

pub(crate) fn patch(signaling: &Signaling, request: &Request, id: &str) -> Result<Response, Problem> {
    let (id, session) = session::to_change(signaling, request, id)?;
    if request.has_content_type("application/sdp") && session.role == Role::Play {
        return counter_offer::answered(signaling, request, id, session);
    }
    if !request.has_content_type("application/trickle-ice-sdpfrag") {
        return Err(Problem::NotAFragment);
    }
    let text = str::from_utf8(&request.body).map_err(|_| Problem::FragmentSyntax("it is not UTF-8".to_owned()))?;
    let fragment = Fragment::parse(text).map_err(|error| Problem::FragmentSyntax(error.to_string()))?;
    let matched = IfMatch::of(&request.headers, &session.ice.entity_tag)?;
    match new_credentials(&fragment, &session.ice) {
        // A wildcard would let a late candidate of an old ICE session pass for one of the present.
        None if matched == IfMatch::Any && fragment.credentials.is_none() => Err(Problem::PreconditionFailed),
        None => {
            let (usable, discarded) = (fragment.candidates.len(), fragment.discarded);
            signaling.note(id, &Note::Trickled { usable, discarded });
            Ok(Response::new(204))
        }
        Some((ufrag, pwd)) => restart(signaling, request, id, &session, (ufrag, pwd)),
    }
}

/// The credentials of a fragment that restarts ICE.
fn new_credentials(fragment: &Fragment, ice: &IceSession) -> Option<(String, String)> {
    let (ufrag, pwd) = fragment.credentials.clone()?;
    (ufrag != ice.client_ufrag || pwd != ice.client_pwd).then_some((ufrag, pwd))
}

fn restart(
    signaling: &Signaling,
    request: &Request,
    id: SessionId,
    session: &Session,
    (client_ufrag, client_pwd): (String, String),
) -> Result<Response, Problem> {
    let local = restart_in_engine(signaling, id)?;
    let body = negotiate::restart_answer(&local, &session::told(signaling, request, &local), session);
    signaling.note(id, &Note::Restarted);
    signaling.traces.borrow_mut().renamed(id, &client_ufrag);
    let ice = IceSession { entity_tag: local.ufrag.clone(), client_ufrag, client_pwd };
    signaling.registry.borrow_mut().restarted(id, ice);
    let response = Response::new(200).with_body("application/trickle-ice-sdpfrag", body.into_bytes());
    Ok(response.with("ETag", format!("\"{}\"", local.ufrag)).with("Cache-Control", "no-store"))
}

fn restart_in_engine(signaling: &Signaling, session: SessionId) -> Result<LocalTransport, Problem> {
    match signaling.engine.submit(Command::Restart { session }) {
        Reply::Opened(local) => Ok(local),
        Reply::Refused(Refusal::UnknownSession) => Err(Problem::UnknownSession),
        Reply::Refused(Refusal::Stopping) => Err(Problem::Stopping),
        _ => Err(Problem::Internal("the engine did not restart ICE")),
    }
}
