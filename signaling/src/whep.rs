//! `POST /whep/{app}/{stream}` (draft-ietf-wish-whep §4.2): a viewer's offer becomes a session, once there is a publisher.
//!
//! The server makes no counter-offers, so 406 is never sent. A viewer whose publisher leaves stays, and sees the next one.

use crate::http::{Request, Response};
use crate::name::StreamName;
use crate::negotiate::Agreement;
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;

pub(crate) fn post(signaling: &Signaling, request: &Request, name: StreamName) -> Result<Response, Problem> {
    let offer = session::offer(request)?;
    let agreement = match signaling.registry.borrow().published_formats(&name) {
        Some(published) => Agreement::to_play(&offer, &signaling.config.codecs, published)?,
        None => return Err(Problem::NoPublisher(name)),
    };
    session::open(signaling, request, name, agreement)
}
