//! `POST /echo`: a session that gets back whatever it sends, to try one's own network and devices. Answered as WHIP answers.

use crate::http::{Request, Response};
use crate::name::StreamName;
use crate::negotiate::{Agreement, opening};
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;
use oneport_engine::control::Role;

pub(crate) fn post(signaling: &Signaling, request: &Request) -> Result<Response, Problem> {
    if !signaling.config.echo {
        return Err(Problem::EchoOff);
    }
    let opener = signaling.admission.admit(Role::Echo, request)?;
    // Nobody else can play it: the engine has no stream for it.
    let name = StreamName::new("echo", "echo").map_err(Problem::BadName)?;
    let offer = session::offer(request)?;
    let terms = signaling.terms(request, &name)?;
    let agreement = Agreement::to_echo(&offer, &terms).map_err(|problem| {
        session::refused(signaling, request, opening(Role::Echo, request, &name, &offer), problem)
    })?;
    session::open(signaling, request, name, (&offer, &agreement), (opener, None))
}
