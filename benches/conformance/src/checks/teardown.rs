//! DELETE over HTTP and what it does on the wire (RFC 9725 §4.2, draft-ietf-wish-whep §4.4; RFC 7675 §5.2).

use super::{Clause, both};
use crate::context::Context;
use crate::peer::Peer;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;
use crate::stun::Answer;
use std::time::Duration;

/// As long as an answer takes that is still to come.
const SILENCE: Duration = Duration::from_millis(1000);

const SETUP_SECTION: [&str; 2] = ["RFC 9725 §4.2", "WHEP §4.4"];
const TAGS_SECTION: [&str; 2] = ["RFC 9725 §4.3.1", "WHEP §4.5"];
const CONSENT_SECTION: [&str; 2] = ["RFC 7675 §5.2", "RFC 7675 §5.2"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "delete", SETUP_SECTION, "DELETE on the session URL: 200", delete),
    both(Should, "delete-repeated", SETUP_SECTION, "DELETE of an ended session: 404 or 410", delete_repeated),
    both(Should, "unknown-session", SETUP_SECTION, "DELETE of an unknown session: 404", unknown_session),
    both(Must, "delete-stale-tag", TAGS_SECTION, "DELETE takes no heed of If-Match", delete_stale),
    both(Must, "delete-close-notify", SETUP_SECTION, "DELETE sends a DTLS close_notify", close_notify),
    both(Must, "delete-revokes-consent", CONSENT_SECTION, "after DELETE, checks are answered no more", revokes_consent),
];

fn delete(context: &Context, side: Side) -> Outcome {
    let reply = context.scene(side)?.subject()?.delete()?;
    expect(reply.status == 200, "200", reply.brief())
}

fn delete_repeated(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    session.delete()?;
    let reply = session.delete()?;
    expect(matches!(reply.status, 404 | 410), "404 or 410", reply.brief())
}

fn unknown_session(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let mut url = session.url.clone();
    let mut path: Vec<char> = url.path().chars().collect();
    if let Some(char) = path.iter_mut().rev().find(|char| char.is_ascii_alphanumeric()) {
        *char = if *char == 'A' { 'B' } else { 'A' };
    }
    url.set_path(&path.iter().collect::<String>());
    let reply = context.http.call("DELETE", &url).send()?;
    expect(
        matches!(reply.status, 404 | 410),
        "404 for a session URL of which one character is another",
        reply.brief(),
    )?;
    let reply = session.delete()?;
    expect(reply.status == 200, "the session itself is still there", reply.brief())
}

fn delete_stale(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let reply = session.call("DELETE").header("If-Match", "\"no-such-tag\"").send()?;
    expect(reply.status == 200, "200", reply.brief())?;
    let again = session.delete()?;
    expect(matches!(again.status, 404 | 410), "404 or 410 for the next DELETE", again.brief())
}

fn close_notify(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    scene.subject()?.delete()?;
    let closed =
        scene.wait(|scene| scene.subject().is_ok_and(|session| session.peer.as_ref().is_some_and(Peer::is_closed)));
    let progress = scene.subject()?.progress();
    expect(closed, "a close_notify", progress)
}

fn revokes_consent(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    scene.subject()?.delete()?;
    scene.run(SILENCE / 4);
    let peer = scene.subject()?.peer()?;
    let transaction = peer.send_probe(peer.probe())?;
    scene.run(SILENCE);
    match scene.subject()?.peer()?.answer_to(transaction) {
        Some(Answer::Success { .. }) => Err(Shortfall::fail("no answer to a check", "a success response")),
        _ => Ok(()),
    }
}
