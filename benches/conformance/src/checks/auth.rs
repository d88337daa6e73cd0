//! Bearer tokens (RFC 9725 §4.7, draft-ietf-wish-whep §4.9; RFC 6750 §3), as far as one that is right and one that is wrong tell.

use super::{Clause, both};
use crate::context::Context;
use crate::fragment::{FRAGMENT, write_fragment};
use crate::http::Reply;
use crate::report::Level::Must;
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;

/// Nobody's token.
const WRONG: &str = "Bearer conformance-wrong-token";

const AUTH_SECTION: [&str; 2] = ["RFC 9725 §4.7", "WHEP §4.9"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "auth-missing", AUTH_SECTION, "POST without a token: 401 with WWW-Authenticate: Bearer", missing),
    both(Must, "auth-wrong", AUTH_SECTION, "POST with a wrong token: 401 with WWW-Authenticate: Bearer", wrong),
    both(Must, "auth-delete", AUTH_SECTION, "DELETE with a wrong token: 401, and the session stays", delete),
    both(Must, "auth-patch", AUTH_SECTION, "PATCH with a wrong token: 401", patch),
    both(Must, "auth-preflight", AUTH_SECTION, "a preflight needs no token", preflight),
];

fn needs_token(context: &Context) -> Outcome {
    if context.token.is_some() { Ok(()) } else { Err(Shortfall::not_applicable("no --token is given")) }
}

/// 401 and a challenge for Bearer.
fn is_challenge(reply: &Reply) -> Outcome {
    let challenge = reply.list("www-authenticate");
    let bearer = challenge.to_ascii_lowercase().contains("bearer");
    expect(
        reply.status == 401 && bearer,
        "401 with WWW-Authenticate: Bearer",
        format!("{} with {challenge:?}", reply.brief()),
    )
}

fn post(context: &Context, side: Side, authorization: Option<&str>) -> Outcome {
    needs_token(context)?;
    let _stage = context.stage(side)?;
    let (_identity, offer) = context.offer(side)?;
    let mut call = context.call("POST", side)?.anonymous().header("Content-Type", "application/sdp").body(offer.text());
    if let Some(authorization) = authorization {
        call = call.header("Authorization", authorization);
    }
    let reply = call.send()?;
    if let Some(location) = reply.location().filter(|_| reply.status == 201) {
        let _ = context.http.call("DELETE", &location).send();
    }
    is_challenge(&reply)
}

fn missing(context: &Context, side: Side) -> Outcome {
    post(context, side, None)
}

fn wrong(context: &Context, side: Side) -> Outcome {
    post(context, side, Some(WRONG))
}

fn delete(context: &Context, side: Side) -> Outcome {
    needs_token(context)?;
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    is_challenge(&session.call("DELETE").anonymous().header("Authorization", WRONG).send()?)?;
    let reply = session.delete()?;
    expect(reply.status == 200, "200 with the right token, as the session is still there", reply.brief())
}

fn patch(context: &Context, side: Side) -> Outcome {
    needs_token(context)?;
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let fragment = write_fragment(&session.offer, &session.offer.transport, true);
    let call = session.call("PATCH").anonymous().header("Authorization", WRONG).header("Content-Type", FRAGMENT);
    let reply = call.header("If-Match", session.reply.header("etag").unwrap_or("*")).body(fragment).send()?;
    if super::patch::is_unsupported(&reply) {
        return Err(Shortfall::not_applicable("the server has no PATCH"));
    }
    is_challenge(&reply)
}

fn preflight(context: &Context, side: Side) -> Outcome {
    needs_token(context)?;
    let call = context.call("OPTIONS", side)?.anonymous().header("Origin", "https://conformance.example");
    let reply = call.header("Access-Control-Request-Method", "POST").send()?;
    expect(reply.status == 200, "200", reply.brief())
}
