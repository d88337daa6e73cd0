//! WHEP's core extensions, where the 201 advertises them: server-sent events and layer selection (webrtc-http-egress-events).

use super::{Clause, whep};
use crate::context::{Attempt, Context, Scene};
use crate::events::{Notice, listen};
use crate::http::Reply;
use crate::links::Link;
use crate::report::Level::Must;
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;
use std::sync::mpsc::Receiver;
use url::Url;

const EVENTS: &str = "urn:ietf:params:whep:ext:core:server-sent-events";
const LAYER: &str = "urn:ietf:params:whep:ext:core:layer";
const JSON: &str = "application/json";

const EVENTS_SECTION: &str = "WHEP events, server-sent events";
const LAYER_SECTION: &str = "WHEP events, layer selection";

pub(super) const CLAUSES: &[Clause] = &[
    whep(Must, "sse-create", EVENTS_SECTION, "POST of wanted events: 201 with Location", create),
    whep(Must, "sse-stream", EVENTS_SECTION, "GET on it: 200, text/event-stream", stream),
    whep(Must, "sse-unknown-event", EVENTS_SECTION, "a wanted event that is not advertised: 400", unknown_event),
    whep(Must, "sse-malformed", EVENTS_SECTION, "a body that is no JSON array: 4xx", malformed),
    whep(
        Must,
        "sse-active-inactive",
        EVENTS_SECTION,
        "a publisher that leaves and comes: inactive, active",
        active_inactive,
    ),
    whep(Must, "sse-delete", EVENTS_SECTION, "DELETE of a stream: 2xx, and GET is 404 then", delete),
    whep(Must, "sse-ends-with-session", EVENTS_SECTION, "the streams of a session end with it", ends_with_session),
    whep(Must, "layer-needs-events", LAYER_SECTION, "layer selection comes with the layers event", layer_needs_events),
    whep(Must, "layer-automatic", LAYER_SECTION, "POST {}: 200, or an error with problem details", layer_automatic),
    whep(Must, "layer-malformed", LAYER_SECTION, "POST of what is no JSON: 4xx", layer_malformed),
];

/// The link of an extension, and its URL.
fn extension(scene: &mut Scene, rel: &str) -> Result<(Link, Url), Shortfall> {
    let reply = &scene.subject()?.reply;
    let link = reply.links().into_iter().find(|link| link.has_rel(rel));
    let link = link.ok_or_else(|| Shortfall::not_applicable(format!("the 201 does not advertise {rel}")))?;
    let url = reply.url.join(&link.target).map_err(|error| Shortfall::fail("a URL in the Link", error.to_string()))?;
    Ok((link, url))
}

/// What the server says it has of `active` and `inactive`, as a JSON array.
fn wanted(link: &Link) -> String {
    let listed = link.param("events").unwrap_or_default();
    let listed: Vec<&str> =
        listed.split(',').map(str::trim).filter(|one| matches!(*one, "active" | "inactive")).collect();
    serde_json::json!(listed).to_string()
}

/// Asks for a stream of events.
fn ask(context: &Context, scene: &mut Scene) -> Result<(Reply, Url), Shortfall> {
    let (link, url) = extension(scene, EVENTS)?;
    let reply = context.http.call("POST", &url).header("Content-Type", JSON).body(wanted(&link)).send()?;
    let location = reply.location().filter(|_| reply.status == 201);
    let location = location.ok_or_else(|| Shortfall::fail("201 with a Location", reply.brief()))?;
    Ok((reply, location))
}

fn create(context: &Context, side: Side) -> Outcome {
    ask(context, &mut context.scene(side)?).map(|_| ())
}

/// A connected viewer that listens.
fn listening(context: &Context, side: Side) -> Result<(Scene, Url, Receiver<Notice>), Shortfall> {
    let mut scene = context.scene(side)?;
    extension(&mut scene, EVENTS)?;
    scene.connect()?;
    let (_, url) = ask(context, &mut scene)?;
    let notices = listen(context.http.clone(), url.clone());
    let opened = next(&mut scene, &notices, |_| true);
    let expected = Notice::Open(200, "text/event-stream".to_owned());
    expect(opened.as_ref() == Some(&expected), "200, text/event-stream", format!("{opened:?}"))?;
    Ok((scene, url, notices))
}

/// The next notice that is looked for.
fn next(scene: &mut Scene, notices: &Receiver<Notice>, is_it: impl Fn(&Notice) -> bool) -> Option<Notice> {
    let mut found = None;
    scene.wait(|_| {
        found = notices.try_iter().find(|notice| is_it(notice));
        found.is_some()
    });
    found
}

fn stream(context: &Context, side: Side) -> Outcome {
    listening(context, side).map(|_| ())
}

fn with_body(context: &Context, side: Side, body: &str) -> Result<Reply, Shortfall> {
    let mut scene = context.scene(side)?;
    let (_, url) = extension(&mut scene, EVENTS)?;
    context.http.call("POST", &url).header("Content-Type", JSON).body(body).send()
}

fn unknown_event(context: &Context, side: Side) -> Outcome {
    let reply = with_body(context, side, r#"["active","x-conformance"]"#)?;
    expect(reply.status == 400 && reply.location().is_none(), "400 without a Location", reply.brief())
}

fn malformed(context: &Context, side: Side) -> Outcome {
    for body in ["[\"active\"", "{\"events\":1}", "[1]"] {
        let reply = with_body(context, side, body)?;
        expect(reply.is_client_error(), format!("4xx for {body}"), reply.brief())?;
    }
    Ok(())
}

fn active_inactive(context: &Context, side: Side) -> Outcome {
    let (mut scene, _, notices) = listening(context, side)?;
    let (link, _) = extension(&mut scene, EVENTS)?;
    let both = wanted(&link);
    if both != r#"["active","inactive"]"# && both != r#"["inactive","active"]"# {
        return Err(Shortfall::not_applicable(format!("only {both} of the two are advertised")));
    }
    // The publisher's DELETE.
    scene.publisher = None;
    arrives(&mut scene, &notices, "inactive")?;
    let Attempt::Open(mut again) = context.attempt(Side::Whip, |_| {})? else {
        return Err(Shortfall::fail("the next publisher is accepted", "its offer is refused"));
    };
    scene.publisher = again.publisher.take();
    scene.connect()?;
    arrives(&mut scene, &notices, "active")
}

/// An event of this name, with one line of JSON.
fn arrives(scene: &mut Scene, notices: &Receiver<Notice>, name: &str) -> Outcome {
    let found = next(scene, notices, |notice| matches!(notice, Notice::Event(other, _) if other == name));
    let is_right = matches!(&found, Some(Notice::Event(_, data))
        if !data.contains('\n') && serde_json::from_str::<serde_json::Value>(data).is_ok());
    expect(is_right, format!("the event {name} with a line of JSON"), format!("{found:?}"))
}

fn delete(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let (_, url) = ask(context, &mut scene)?;
    let reply = context.http.call("DELETE", &url).send()?;
    expect(reply.is_success(), "2xx", reply.brief())?;
    let reply = context.http.call("GET", &url).send()?;
    expect(matches!(reply.status, 404 | 410), "404 or 410 for GET", reply.brief())
}

fn ends_with_session(context: &Context, side: Side) -> Outcome {
    let (mut scene, url, notices) = listening(context, side)?;
    scene.subject()?.delete()?;
    let ended = next(&mut scene, &notices, |notice| *notice == Notice::End);
    expect(ended.is_some(), "the open stream ends", "it stays open")?;
    let reply = context.http.call("GET", &url).send()?;
    expect(matches!(reply.status, 404 | 410), "404 or 410 for GET", reply.brief())
}

fn layer_needs_events(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    extension(&mut scene, LAYER)?;
    let events = extension(&mut scene, EVENTS).map_err(|_| Shortfall::fail("server-sent events", "not advertised"))?.0;
    let listed = events.param("events").unwrap_or_default();
    expect(listed.split(',').any(|one| one.trim() == "layers"), "the event layers", listed)
}

fn layer(context: &Context, side: Side, body: &str) -> Result<Reply, Shortfall> {
    let mut scene = context.scene(side)?;
    let (_, url) = extension(&mut scene, LAYER)?;
    context.http.call("POST", &url).header("Content-Type", JSON).body(body).send()
}

fn layer_automatic(context: &Context, side: Side) -> Outcome {
    let reply = layer(context, side, "{}")?;
    let is_problem = reply.is_client_error() && reply.media_type().as_deref() == Some("application/problem+json");
    expect(reply.status == 200 || is_problem, "200, or an error with problem details", reply.brief())
}

fn layer_malformed(context: &Context, side: Side) -> Outcome {
    let reply = layer(context, side, "{\"mediaId\":")?;
    expect(reply.is_client_error(), "4xx", reply.brief())
}
