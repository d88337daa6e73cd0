//! `POST /whep/{app}/{stream}` (draft-ietf-wish-whep §4.3): a viewer's offer becomes a session, with a publisher or, as the
//! configuration has it, before there is one. A viewer whose publisher leaves stays, and sees the next one.

use crate::admission::Opener;
use crate::counter_offer;
use crate::http::{Request, Response};
use crate::name::StreamName;
use crate::negotiate::{Agreement, opening};
use crate::policy::NoPublisher;
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;
use futures_lite::future;
use glommio::timer::Timer;
use oneport_engine::control::Role;
use oneport_rtp::payload::Format;
use std::time::Instant;

pub(crate) async fn post(
    signaling: &Signaling,
    request: &Request,
    name: StreamName,
    opener: Option<Opener>,
) -> Result<Response, Problem> {
    if counter_offer::is_wanted(request) {
        let published = published(signaling, &name).await?;
        return counter_offer::make(signaling, request, name, opener, &published);
    }
    // Before any waiting: what is wrong with an offer is not better for a publisher.
    let offer = session::offer(request)?;
    let terms = signaling.terms(request, &name)?;
    let published = published(signaling, &name).await?;
    let agreement = Agreement::to_play(&offer, &terms, &published).map_err(|problem| {
        session::refused(signaling, request, opening(Role::Play, request, &name, &offer), problem)
    })?;
    session::open(signaling, request, name, (&offer, &agreement), (opener, None))
}

/// What is published, after waiting for it where the configuration says so. Nothing, where a viewer may come first.
async fn published(signaling: &Signaling, name: &StreamName) -> Result<Vec<Format>, Problem> {
    let present = || signaling.registry.borrow().published_formats(name).map(<[Format]>::to_vec);
    if let Some(formats) = present() {
        return Ok(formats);
    }
    match signaling.config.whep.no_publisher {
        NoPublisher::Accept => Ok(Vec::new()),
        NoPublisher::Reject => Err(Problem::NoPublisher(name.clone())),
        NoPublisher::Wait => {
            wait_for(signaling, name, Instant::now() + signaling.config.whep.wait).await;
            present().ok_or_else(|| Problem::NoPublisher(name.clone()))
        }
    }
}

/// Waits until somebody publishes under a name, or it is too late.
async fn wait_for(signaling: &Signaling, name: &StreamName, deadline: Instant) {
    let _waiting = Waiting { signaling, name };
    while signaling.registry.borrow().publisher(name).is_none() {
        let listener = signaling.registry.borrow_mut().listen(name);
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            break;
        }
        let late = async {
            Timer::new(left).await;
        };
        future::or(listener, late).await;
    }
}

/// A viewer that waits; the client may go meanwhile, and the stream is to be forgotten all the same.
struct Waiting<'a> {
    signaling: &'a Signaling,
    name: &'a StreamName,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.signaling.registry.borrow_mut().forget_unused(self.name);
    }
}
