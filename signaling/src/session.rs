//! Sessions over HTTP: how an offer becomes one, in the steps that WHIP and WHEP share, and how DELETE ends it.

use crate::announce::announced;
use crate::http::{Request, Response};
use crate::journal;
use crate::name::StreamName;
use crate::negotiate::{Agreement, Egress};
use crate::problem::Problem;
use crate::public_id::PublicId;
use crate::registry::Session;
use crate::signaling::Signaling;
use oneport_engine::control::{Command, EndReason, LocalTransport, Refusal, Reply, SessionId};
use oneport_sdp::Offer;

/// The offer in a request's body.
pub(crate) fn offer(request: &Request) -> Result<Offer, Problem> {
    if !request.has_content_type("application/sdp") {
        return Err(Problem::NotSdp);
    }
    let text = str::from_utf8(&request.body).map_err(|_| Problem::SdpSyntax("it is not UTF-8".to_owned()))?;
    Offer::parse(text).map_err(Problem::from)
}

/// Opens a session as agreed, and answers with 201.
pub(crate) fn open(
    signaling: &Signaling,
    request: &Request,
    name: StreamName,
    agreement: Agreement,
) -> Result<Response, Problem> {
    let no_randomness = |_| Problem::Internal("the kernel gives no random numbers");
    let public_id = PublicId::random().map_err(no_randomness)?;
    let egress = Egress::random(&name).map_err(no_randomness)?;
    let local = open_in_engine(signaling, &name, &agreement, &egress)?;
    let peer = request.peer.map(|peer| peer.ip());
    let addresses = announced(&signaling.config.public_addresses, &local.addresses, peer);
    let answer = agreement.answer(&local, &addresses, &egress);
    let session = Session { public_id, name, role: agreement.role() };
    journal::begun(local.session, &session, request.peer);
    signaling.registry.borrow_mut().enter(local.session, session, agreement.formats());
    let response = Response::new(201).with_body("application/sdp", answer.into_bytes());
    Ok(response.with("Location", format!("/session/{public_id}")).with("Cache-Control", "no-store"))
}

fn open_in_engine(
    signaling: &Signaling,
    name: &StreamName,
    agreement: &Agreement,
    egress: &Egress,
) -> Result<LocalTransport, Problem> {
    let stream = signaling.registry.borrow_mut().stream(name);
    let reply = signaling.engine.submit(Command::Open(agreement.spec(stream, egress)));
    if let Reply::Opened(local) = reply {
        return Ok(local);
    }
    signaling.registry.borrow_mut().forget_unused(name);
    match reply {
        Reply::Refused(refusal) => Err(Problem::from_refusal(refusal, name)),
        _ => Err(Problem::Internal("the engine did not open the session")),
    }
}

/// The session of a URL.
pub(crate) fn find(signaling: &Signaling, id: &str) -> Result<SessionId, Problem> {
    let public_id = PublicId::parse(id).ok_or(Problem::UnknownSession)?;
    signaling.registry.borrow().find(&public_id).ok_or(Problem::UnknownSession)
}

/// `DELETE /session/{id}` (RFC 9725 §4.2). The stream is free for the next publisher at once.
pub(crate) fn delete(signaling: &Signaling, id: &str) -> Result<Response, Problem> {
    let session = find(signaling, id)?;
    let reply = signaling.engine.submit(Command::Close { session, reason: EndReason::Deleted });
    match reply {
        Reply::Done => {
            signaling.registry.borrow_mut().close(session);
            Ok(Response::new(200))
        }
        // It has ended by itself, and the event that says so is on its way.
        Reply::Refused(Refusal::UnknownSession) => {
            signaling.registry.borrow_mut().close(session);
            Err(Problem::UnknownSession)
        }
        _ => Err(Problem::Internal("the engine did not end the session")),
    }
}
