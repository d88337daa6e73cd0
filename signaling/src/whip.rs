//! `POST /whip/{app}/{stream}` (RFC 9725 §4.2): a publisher's offer becomes a session.

use crate::http::{Request, Response};
use crate::name::StreamName;
use crate::negotiate::{Agreement, opening};
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;
use oneport_engine::control::{Role, SessionId};
use std::time::Instant;

/// What becomes of a publisher whose stream another one offers to publish.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Takeover {
    /// It stays; the other is refused.
    Reject,
    /// It ends, and the other takes its place.
    Replace,
    /// It ends if nothing has come of it for two seconds; else the other is refused.
    #[default]
    ReplaceSilent,
}

pub(crate) fn post(signaling: &Signaling, request: &Request, name: StreamName) -> Result<Response, Problem> {
    let offer = session::offer(request)?;
    let replaces = replaced(signaling, &name)?;
    let terms = signaling.terms(request, &name)?;
    let agreement = Agreement::to_publish(&offer, &terms).map_err(|problem| {
        session::refused(signaling, request, opening(Role::Publish, request, &name, &offer), problem)
    })?;
    session::open(signaling, request, name, (&offer, &agreement), replaces)
}

/// The publisher that makes room, if there is one.
fn replaced(signaling: &Signaling, name: &StreamName) -> Result<Option<SessionId>, Problem> {
    let registry = signaling.registry.borrow();
    let Some(publisher) = registry.publisher(name) else { return Ok(None) };
    let makes_room = match signaling.config.takeover {
        Takeover::Reject => false,
        Takeover::Replace => true,
        Takeover::ReplaceSilent => registry.is_silent(name, Instant::now()),
    };
    if makes_room { Ok(Some(publisher)) } else { Err(Problem::AlreadyPublished(name.clone())) }
}
