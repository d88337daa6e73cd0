//! Sessions over HTTP: how an offer becomes one, in the steps that WHIP and WHEP share, and how DELETE ends it.

use crate::admission::Opener;
use crate::announce::announced;
use crate::http::{Request, Response};
use crate::journal;
use crate::name::StreamName;
use crate::negotiate::{Agreement, Egress};
use crate::problem::Problem;
use crate::public_id::PublicId;
use crate::registry::{IceSession, Session};
use crate::signaling::Signaling;
use crate::why::{Note, Opening};
use oneport_engine::control::{Command, EndReason, LocalTransport, Refusal, Reply, Role, SessionId};
use oneport_sdp::Offer;
use std::net::{IpAddr, SocketAddr};
use std::time::{Instant, SystemTime};

/// What the answers about a viewer's session say beyond its description: where events come from, and where layers are chosen.
const EVENTS_EXTENSION: &str = "urn:ietf:params:whep:ext:core:server-sent-events";
const LAYER_EXTENSION: &str = "urn:ietf:params:whep:ext:core:layer";

/// The offer in a request's body.
pub(crate) fn offer(request: &Request) -> Result<Offer, Problem> {
    if !request.has_content_type("application/sdp") {
        return Err(Problem::NotSdp);
    }
    description(request)
}

/// The description in a request's body, whatever its type.
pub(crate) fn description(request: &Request) -> Result<Offer, Problem> {
    let text = str::from_utf8(&request.body).map_err(|_| Problem::SdpSyntax("it is not UTF-8".to_owned()))?;
    Offer::parse(text).map_err(Problem::from)
}

/// Opens a session as agreed, in the place of the stream's publisher if `replaces` names it, and answers with 201.
pub(crate) fn open(
    signaling: &Signaling,
    request: &Request,
    name: StreamName,
    (offer, agreement): (&Offer, &Agreement),
    (opener, replaces): (Option<Opener>, Option<SessionId>),
) -> Result<Response, Problem> {
    let half_open = signaling.admission.begin(request)?;
    let public_id = PublicId::random().map_err(no_randomness)?;
    let egress = Egress::random(&name).map_err(no_randomness)?;
    let local = open_in_engine(signaling, &name, agreement, &egress, replaces)?;
    let addresses = told(signaling, request, &local);
    let told_sockets = addresses.iter().map(|ip| SocketAddr::new(*ip, local.port)).collect();
    let answer = agreement.answer(&local, &addresses, &egress);
    let told_name = name.clone();
    let session = agreement.session(public_id, name, opener, &local.ufrag);
    journal::begun(local.session, &session, request.peer);
    let opening = Opening { announced: told_sockets, ..agreement.opening(request, &session.name, offer) };
    signaling.traces.borrow_mut().begin(SystemTime::now(), local.session, public_id, opening);
    let mut registry = signaling.registry.borrow_mut();
    if let Some(replaced) = replaces {
        registry.close(replaced);
    }
    registry.enter(Instant::now(), local.session, session);
    registry.set_half_open(local.session, half_open);
    drop(registry);
    let response = Response::new(201).with_body("application/sdp", answer.into_bytes());
    Ok(describe(signaling, response, (public_id, &told_name), &local.ufrag, agreement.role()))
}

pub(crate) fn no_randomness(_: getrandom::Error) -> Problem {
    Problem::Internal("the kernel gives no random numbers")
}

/// The addresses that this client is told.
pub(crate) fn told(signaling: &Signaling, request: &Request, local: &LocalTransport) -> Vec<IpAddr> {
    let peer = request.peer.map(|peer| peer.ip());
    announced(&signaling.config.public_addresses, &local.addresses, peer)
}

/// The fields that lead from an answer or a counter-offer to the session.
pub(crate) fn describe(
    signaling: &Signaling,
    response: Response,
    (id, name): (PublicId, &StreamName),
    entity_tag: &str,
    role: Role,
) -> Response {
    let links = signaling.config.ice_servers.links(SystemTime::now(), &name.to_string());
    let response = links.into_iter().fold(response, |response, link| response.with("Link", link));
    let response = response
        .with("Location", format!("/session/{id}"))
        .with("ETag", format!("\"{entity_tag}\""))
        .with("Accept-Patch", crate::problem::ACCEPT_PATCH)
        .with("Cache-Control", "no-store");
    if role != Role::Play {
        return response;
    }
    let events = crate::events::NAMES.join(",");
    response
        .with("Link", format!("</session/{id}/events>; rel=\"{EVENTS_EXTENSION}\"; events=\"{events}\""))
        .with("Link", format!("</session/{id}/layer>; rel=\"{LAYER_EXTENSION}\""))
}

fn open_in_engine(
    signaling: &Signaling,
    name: &StreamName,
    agreement: &Agreement,
    egress: &Egress,
    replaces: Option<SessionId>,
) -> Result<LocalTransport, Problem> {
    let stream = signaling.registry.borrow_mut().stream(name);
    let reply = signaling.engine.submit(Command::Open(agreement.spec(stream, egress, replaces)));
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

/// What is known of the session of a URL.
pub(crate) fn known(signaling: &Signaling, id: &str) -> Result<(SessionId, Session), Problem> {
    let id = find(signaling, id)?;
    let session = signaling.registry.borrow().session(id).cloned().ok_or(Problem::UnknownSession)?;
    Ok((id, session))
}

/// What is known of the session of a URL, for a request that may change it.
pub(crate) fn to_change(signaling: &Signaling, request: &Request, id: &str) -> Result<(SessionId, Session), Problem> {
    let (id, session) = known(signaling, id)?;
    signaling.admission.admit_to(&session, request)?;
    Ok((id, session))
}

/// `GET /session/{id}/why`, also for ten minutes after the session's end.
pub(crate) fn why(signaling: &Signaling, id: &str) -> Result<Response, Problem> {
    let public_id = PublicId::parse(id).ok_or(Problem::UnknownSession)?;
    let account = signaling.traces.borrow().account(SystemTime::now(), &public_id).ok_or(Problem::UnknownSession)?;
    let body = serde_json::to_vec(&account).map_err(|_| Problem::Internal("an account cannot be written"))?;
    Ok(Response::new(200).with_body("application/json", body).with("Cache-Control", "no-store"))
}

/// An offer was not accepted: that has an account, too, to which the problem leads.
pub(crate) fn refused(signaling: &Signaling, request: &Request, opening: Opening, problem: Problem) -> Problem {
    let Problem::Unacceptable(reason, _) = &problem else { return problem };
    let Ok(public_id) = PublicId::random() else { return problem };
    journal::refused(&opening.stream, request.peer, reason);
    let instance = format!("/session/{public_id}/why");
    signaling.traces.borrow_mut().refuse(SystemTime::now(), public_id, opening, &problem.to_string());
    Problem::Unacceptable(reason.clone(), Some(instance))
}

/// `DELETE /session/{id}` (RFC 9725 §4.2). The stream is free for the next publisher at once.
pub(crate) fn delete(signaling: &Signaling, request: &Request, id: &str) -> Result<Response, Problem> {
    let (session, _) = match to_change(signaling, request, id) {
        Ok(session) => session,
        Err(Problem::UnknownSession) => {
            let said_goodbye = PublicId::parse(id).is_some_and(|id| signaling.traces.borrow_mut().is_goodbye(&id));
            return if said_goodbye { Ok(Response::new(200)) } else { Err(Problem::UnknownSession) };
        }
        Err(problem) => return Err(problem),
    };
    signaling.note(session, &Note::Deleted { by: request.peer });
    let reply = signaling.engine.submit(Command::Close { session, reason: EndReason::Deleted });
    match reply {
        Reply::Done => {
            signaling.close(session);
            Ok(Response::new(200))
        }
        // It has ended by itself, and the event that says so is on its way.
        Reply::Refused(Refusal::UnknownSession) => {
            signaling.close(session);
            Err(Problem::UnknownSession)
        }
        _ => Err(Problem::Internal("the engine did not end the session")),
    }
}

impl Agreement {
    /// What the registry knows of the session.
    pub(crate) fn session(
        &self,
        public_id: PublicId,
        name: StreamName,
        opener: Option<Opener>,
        entity_tag: &str,
    ) -> Session {
        let (client_ufrag, client_pwd) = self.client_credentials();
        let ice = IceSession { entity_tag: entity_tag.to_owned(), client_ufrag, client_pwd };
        let (formats, sections) = (self.formats(), self.sections());
        Session { public_id, name, role: self.role(), opener, ice, formats, sections, ice2: self.ice2() }
    }
}
