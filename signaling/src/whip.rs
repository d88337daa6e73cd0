//! `POST /whip/{app}/{stream}` (RFC 9725 §4.2): a publisher's offer becomes a session.

use crate::admission::Opener;
use crate::http::{Request, Response};
use crate::name::StreamName;
use crate::negotiate::{Agreement, opening};
use crate::policy::Takeover;
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;
use oneport_engine::control::{Role, SessionId};
use std::time::Instant;

pub(crate) fn post(
    signaling: &Signaling,
    request: &Request,
    name: StreamName,
    opener: Option<Opener>,
) -> Result<Response, Problem> {
    let offer = session::offer(request)?;
    let replaces = replaced(signaling, &name, opener.as_ref())?;
    let terms = signaling.terms(request, &name)?;
    let agreement = Agreement::to_publish(&offer, &terms).map_err(|problem| {
        session::refused(signaling, request, opening(Role::Publish, request, &name, &offer), problem)
    })?;
    session::open(signaling, request, name, (&offer, &agreement), (opener, replaces))
}

/// The publisher that makes room, if there is one. It does so for nobody with another token than its own.
fn replaced(signaling: &Signaling, name: &StreamName, opener: Option<&Opener>) -> Result<Option<SessionId>, Problem> {
    let registry = signaling.registry.borrow();
    let Some(publisher) = registry.publisher(name) else { return Ok(None) };
    let makes_room = match signaling.config.whip.takeover {
        _ if registry.session(publisher).is_some_and(|session| session.opener.as_ref() != opener) => false,
        Takeover::Reject => false,
        Takeover::Replace => true,
        Takeover::ReplaceIfSilent => registry.is_silent(name, Instant::now()),
    };
    if makes_room { Ok(Some(publisher)) } else { Err(Problem::AlreadyPublished(name.clone())) }
}
