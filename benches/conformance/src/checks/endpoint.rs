//! The endpoint as an HTTP resource: GET, HEAD, OPTIONS, CORS, unknown methods (RFC 9725 §4.1, §4.2; RFC 9110 §9).

use super::{Clause, both, whep};
use crate::context::Context;
use crate::http::Reply;
use crate::report::Level::{May, Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;

/// A page of another origin.
const ORIGIN: &str = "https://conformance.example";

const HTTP_SECTION: [&str; 2] = ["RFC 9725 §4.1", "WHEP §4.1"];
const SETUP_SECTION: [&str; 2] = ["RFC 9725 §4.2", "WHEP §4.4"];
const SERVERS_SECTION: [&str; 2] = ["RFC 9725 §4.6", "WHEP §4.8"];
const METHODS_SECTION: [&str; 2] = ["RFC 9110 §15.5.6", "RFC 9110 §15.5.6"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "get-endpoint", HTTP_SECTION, "GET on the endpoint: 2xx without content", get_endpoint),
    both(Must, "head-endpoint", HTTP_SECTION, "HEAD on the endpoint: 2xx without content", head_endpoint),
    both(Must, "get-session", HTTP_SECTION, "GET on the session URL: 2xx without content", get_session),
    both(Must, "head-session", HTTP_SECTION, "HEAD on the session URL: 2xx without content", head_session),
    whep(Should, "discovery", "WHEP §4.2", "HEAD says what the endpoint takes: 200, application/sdp", discovery),
    whep(Must, "discovery-get", "WHEP §4.2", "GET has the Content-Type of HEAD", discovery_by_get),
    both(Must, "options", SETUP_SECTION, "OPTIONS on the endpoint: 200", options),
    both(Should, "accept-post", SETUP_SECTION, "OPTIONS has Accept-Post: application/sdp", accept_post),
    both(Must, "preflight", SETUP_SECTION, "CORS preflight of POST lets a page publish or play", preflight),
    both(
        Must,
        "preflight-session",
        SETUP_SECTION,
        "CORS preflight of PATCH and DELETE on the session URL",
        preflight_session,
    ),
    both(May, "preflight-private-network", SETUP_SECTION, "preflight of Private Network Access", private_network),
    both(
        Should,
        "preflight-without-servers",
        SERVERS_SECTION,
        "a preflight tells no ICE servers",
        no_servers_on_preflight,
    ),
    both(Must, "expose-headers", SETUP_SECTION, "a page can read Location, ETag and Link of the 201", expose_headers),
    both(Must, "method-not-allowed", METHODS_SECTION, "405 carries Allow", method_not_allowed),
    both(Should, "unknown-method", ["RFC 9110 §9.1", "RFC 9110 §9.1"], "an unknown method: 501 or 405", unknown_method),
];

fn has_no_content(reply: &Reply) -> Outcome {
    expect(reply.is_success() && reply.body.is_empty(), "2xx without content", reply.brief())
}

fn get_endpoint(context: &Context, side: Side) -> Outcome {
    has_no_content(&context.call("GET", side)?.send()?)
}

fn head_endpoint(context: &Context, side: Side) -> Outcome {
    has_no_content(&context.call("HEAD", side)?.send()?)
}

fn get_session(context: &Context, side: Side) -> Outcome {
    has_no_content(&context.scene(side)?.subject()?.call("GET").send()?)
}

fn head_session(context: &Context, side: Side) -> Outcome {
    has_no_content(&context.scene(side)?.subject()?.call("HEAD").send()?)
}

fn discovery(context: &Context, side: Side) -> Outcome {
    let reply = context.call("HEAD", side)?.send()?;
    let is_sdp = reply.media_type().as_deref() == Some("application/sdp");
    expect(reply.status == 200 && is_sdp, "200 with Content-Type: application/sdp", reply.brief())
}

fn discovery_by_get(context: &Context, side: Side) -> Outcome {
    let [head, get] = ["HEAD", "GET"].map(|method| Ok(context.call(method, side)?.send()?.media_type()));
    let (head, get): (Option<String>, Option<String>) = (head?, get?);
    expect(head == get, "the same Content-Type in both", format!("HEAD {head:?}, GET {get:?}"))
}

fn options(context: &Context, side: Side) -> Outcome {
    let reply = context.call("OPTIONS", side)?.anonymous().send()?;
    expect(reply.status == 200, "200 without Authorization", reply.brief())
}

fn accept_post(context: &Context, side: Side) -> Outcome {
    let reply = context.call("OPTIONS", side)?.send()?;
    expect(reply.lists("accept-post", "application/sdp"), "Accept-Post: application/sdp", reply.list("accept-post"))
}

/// What a browser asks before the request itself: never with credentials.
fn ask(context: &Context, side: Side, method: &'static str) -> Result<Reply, Shortfall> {
    let call = context.call("OPTIONS", side)?.anonymous().header("Origin", ORIGIN);
    call.header("Access-Control-Request-Method", method)
        .header("Access-Control-Request-Headers", "authorization,content-type")
        .send()
}

/// The Fetch standard's §4.8: origin, method and headers are allowed. `*` never stands for Authorization.
fn allows(reply: &Reply, method: &str, headers: &[&str]) -> Outcome {
    expect(reply.is_success(), "2xx without Authorization", reply.brief())?;
    let origin = reply.header("access-control-allow-origin");
    let is_allowed = matches!(origin, Some("*")) || origin == Some(ORIGIN);
    expect(is_allowed, format!("Access-Control-Allow-Origin: * or {ORIGIN}"), format!("{origin:?}"))?;
    let methods = "access-control-allow-methods";
    // POST, GET and HEAD are allowed to everybody.
    let named = method == "POST" || reply.lists(methods, method) || reply.lists(methods, "*");
    expect(named, format!("Access-Control-Allow-Methods with {method}"), reply.list(methods))?;
    for header in headers {
        let list = "access-control-allow-headers";
        let named = reply.lists(list, header) || *header != "authorization" && reply.lists(list, "*");
        expect(named, format!("Access-Control-Allow-Headers with {header}"), reply.list(list))?;
    }
    Ok(())
}

fn preflight(context: &Context, side: Side) -> Outcome {
    let reply = ask(context, side, "POST")?;
    expect(reply.status == 200, "200 without Authorization", reply.brief())?;
    allows(&reply, "POST", &["authorization", "content-type"])
}

fn preflight_session(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let methods = [("DELETE", "authorization"), ("PATCH", "authorization,content-type,if-match")];
    // A server without PATCH need not let pages send it.
    let has_patch = super::patch::is_served(session)?;
    for (method, headers) in methods.into_iter().filter(|(method, _)| has_patch || *method != "PATCH") {
        let call = session.call("OPTIONS").anonymous().header("Origin", ORIGIN);
        let call = call.header("Access-Control-Request-Method", method);
        let reply = call.header("Access-Control-Request-Headers", headers).send()?;
        allows(&reply, method, &headers.split(',').collect::<Vec<_>>())?;
    }
    Ok(())
}

fn private_network(context: &Context, side: Side) -> Outcome {
    let call = context.call("OPTIONS", side)?.anonymous().header("Origin", ORIGIN);
    let call = call.header("Access-Control-Request-Method", "POST");
    let reply = call.header("Access-Control-Request-Private-Network", "true").send()?;
    let name = "access-control-allow-private-network";
    expect(reply.header(name) == Some("true"), "Access-Control-Allow-Private-Network: true", reply.list(name))
}

fn no_servers_on_preflight(context: &Context, side: Side) -> Outcome {
    let reply = ask(context, side, "POST")?;
    let has_servers = reply.links().iter().any(|link| link.has_rel("ice-server"));
    expect(!has_servers, "no Link with rel=ice-server", reply.list("link"))
}

fn expose_headers(context: &Context, side: Side) -> Outcome {
    let mut scene = context.stage(side)?;
    let (_identity, offer) = context.offer(side)?;
    let call = context.call("POST", side)?.header("Origin", ORIGIN).header("Content-Type", "application/sdp");
    let reply = call.body(offer.text()).send()?;
    scene.run(std::time::Duration::ZERO);
    let location = reply.location().ok_or_else(|| Shortfall::fail("201 with a Location", reply.brief()))?;
    let _ = context.http.call("DELETE", &location).send();
    let list = "access-control-expose-headers";
    let needed = ["Location", "ETag", "Link"].into_iter().filter(|name| reply.header(name).is_some());
    for name in needed {
        let exposed = reply.lists(list, name) || reply.lists(list, "*");
        expect(exposed, format!("{list} with {name}"), reply.list(list))?;
    }
    let origin = reply.header("access-control-allow-origin");
    expect(matches!(origin, Some("*")) || origin == Some(ORIGIN), "Access-Control-Allow-Origin", format!("{origin:?}"))
}

fn method_not_allowed(context: &Context, side: Side) -> Outcome {
    let reply = context.call("PUT", side)?.header("Content-Type", "text/plain").body("x").send()?;
    match reply.status {
        405 => expect(reply.header("allow").is_some(), "405 with Allow", "405 without"),
        other => Err(Shortfall::not_applicable(format!("PUT is answered with {other}"))),
    }
}

fn unknown_method(context: &Context, side: Side) -> Outcome {
    let reply = context.call("BREW", side)?.send()?;
    expect(matches!(reply.status, 501 | 405), "501 or 405", reply.brief())
}
