//! `POST /whip/{app}/{stream}` (RFC 9725 §4.2): a publisher's offer becomes a session.
//!
//! Trickled candidates, ICE restarts and entity tags (§4.3) are not served: PATCH is answered with 405, which clients take as
//! "no trickle".

use crate::http::{Request, Response};
use crate::name::StreamName;
use crate::negotiate::Agreement;
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;

pub(crate) fn post(signaling: &Signaling, request: &Request, name: StreamName) -> Result<Response, Problem> {
    let offer = session::offer(request)?;
    if signaling.registry.borrow().is_published(&name) {
        return Err(Problem::AlreadyPublished(name));
    }
    let agreement = Agreement::to_publish(&offer, &signaling.config.codecs)?;
    session::open(signaling, request, name, agreement)
}
