//! ICE restarts, over HTTP and on the wire (RFC 9725 §4.3.3, draft-ietf-wish-whep §4.5; RFC 8445 §9).

use super::patch::{is_strong, is_unsupported, patch};
use super::{Clause, both};
use crate::context::{Context, Scene};
use crate::fragment::{FRAGMENT, Fragment, write_fragment};
use crate::http::Reply;
use crate::offer::Transport;
use crate::peer::random_token;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::{Session, Side};
use crate::stun::Answer;

const RESTART_SECTION: [&str; 2] = ["RFC 9725 §4.3.3", "WHEP §4.5"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "restart", RESTART_SECTION, "a restart: 200, a fragment, a new ETag", restarted),
    both(
        Must,
        "restart-credentials",
        RESTART_SECTION,
        "the fragment has new credentials and the candidates",
        credentials,
    ),
    both(
        Should,
        "restart-quoted-star",
        RESTART_SECTION,
        "If-Match: \"*\", as in the RFC's example",
        |context, side| accepts(context, side, "\"*\""),
    ),
    both(Must, "restart-star", RESTART_SECTION, "If-Match: *, as RFC 9110 §13.1.1 writes it", |context, side| {
        accepts(context, side, "*")
    }),
    both(Must, "restart-stale-tag", RESTART_SECTION, "a restart with a stale entity-tag: 412", stale_tag),
    both(Must, "restart-retires-tag", RESTART_SECTION, "the entity-tag from before a restart is stale", retires_tag),
    both(Must, "restart-options", RESTART_SECTION, "ice-lite and ice-options are those of the answer", options),
    both(Must, "restart-failed", RESTART_SECTION, "a restart that fails keeps the session", failed),
    both(
        Must,
        "restart-before-nomination",
        RESTART_SECTION,
        "until it is complete, media goes over the old pair",
        before_nomination,
    ),
    both(Must, "restart-new-pair", RESTART_SECTION, "the new credentials work, without a new DTLS handshake", new_pair),
    both(
        Must,
        "restart-new-address",
        RESTART_SECTION,
        "media follows a client that restarts from another port",
        new_address,
    ),
    both(Must, "restart-twice", RESTART_SECTION, "a restart can follow a restart", twice),
];

/// New credentials, the old candidates.
fn fresh(session: &Session) -> Result<Transport, Shortfall> {
    let transport = session.offer.transport.clone();
    Ok(Transport { ufrag: random_token(8)?, pwd: random_token(24)?, ..transport })
}

fn restart(session: &Session, tag: &str, transport: &Transport) -> Result<Reply, Shortfall> {
    let reply = patch(session, Some(tag), &write_fragment(&session.offer, transport, true))?;
    if is_unsupported(&reply) || reply.status == 422 {
        return Err(Shortfall::not_applicable(format!("the server restarts no ICE ({})", reply.status)));
    }
    Ok(reply)
}

/// A restart that is to succeed.
fn restarted_as(session: &Session, transport: &Transport) -> Result<Reply, Shortfall> {
    let mut reply = restart(session, "*", transport)?;
    // Whether both stars are taken is a check of its own.
    if reply.status == 412 {
        reply = restart(session, "\"*\"", transport)?;
    }
    expect(reply.status == 200, "200", reply.brief())?;
    Ok(reply)
}

fn restarted(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let reply = restarted_as(session, &fresh(session)?)?;
    let kind = reply.media_type();
    expect(kind.as_deref() == Some(FRAGMENT), format!("Content-Type: {FRAGMENT}"), reply.brief())?;
    let tag = reply.header("etag").unwrap_or_default();
    let is_new = is_strong(tag) && session.reply.header("etag") != Some(tag);
    expect(is_new, "a new strong ETag", format!("{:?}, then {tag:?}", session.reply.header("etag")))
}

fn credentials(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let fragment = Fragment::parse(&restarted_as(session, &fresh(session)?)?.text());
    let (ufrag, pwd) = (fragment.value("ice-ufrag"), fragment.value("ice-pwd"));
    super::answer::are_credentials(ufrag, pwd)?;
    let answer = session.answer()?;
    let is_new = ufrag != answer.anywhere("ice-ufrag") && pwd != answer.anywhere("ice-pwd");
    expect(is_new, "another ufrag and another password than before", format!("{ufrag:?}"))?;
    expect(!fragment.candidates().is_empty(), "the server's candidates", "none that is a UDP address")
}

fn accepts(context: &Context, side: Side, star: &str) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let reply = restart(session, star, &fresh(session)?)?;
    expect(reply.status == 200, format!("200 for If-Match: {star}"), reply.brief())
}

fn stale_tag(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let reply = restart(session, "\"no-such-tag\"", &fresh(session)?)?;
    expect(reply.status == 412, "412", reply.brief())
}

fn retires_tag(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let (old, transport) = (session.etag(), fresh(session)?);
    let reply = restarted_as(session, &transport)?;
    let new = reply.header("etag").unwrap_or_default().to_owned();
    let fragment = write_fragment(&session.offer, &transport, true);
    let reply = patch(session, Some(&old?), &fragment)?;
    expect(reply.status == 412, "412 with the old entity-tag", reply.brief())?;
    let reply = patch(session, Some(&new), &fragment)?;
    expect(matches!(reply.status, 204 | 422), "204 for candidates with the new entity-tag", reply.brief())
}

fn options(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let fragment = Fragment::parse(&restarted_as(session, &fresh(session)?)?.text());
    let answer = session.answer()?;
    let lite = (answer.is_lite(), fragment.value("ice-lite").is_some());
    expect(lite.0 == lite.1, format!("ice-lite: {}", lite.0), lite.1.to_string())?;
    let options = (answer.anywhere("ice-options"), fragment.value("ice-options"));
    let sorted = |options: Option<&str>| {
        let mut options: Vec<String> =
            options.unwrap_or_default().split_ascii_whitespace().map(str::to_owned).collect();
        options.sort();
        options
    };
    expect(sorted(options.0) == sorted(options.1), format!("ice-options {:?}", options.0), format!("{:?}", options.1))
}

fn failed(context: &Context, side: Side) -> Outcome {
    drop(restarting(context, side)?);
    let mut scene = context.live(side)?;
    let session = scene.subject()?;
    let short = Transport { ufrag: "x".to_owned(), pwd: "y".to_owned(), ..session.offer.transport.clone() };
    let reply = patch(session, Some("*"), &write_fragment(&session.offer, &short, true))?;
    expect(reply.is_client_error(), "4xx for a ufrag and a password that are too short", reply.brief())?;
    scene.media_flows()
}

/// A session of a server that restarts ICE.
fn restarting(context: &Context, side: Side) -> Result<Scene, Shortfall> {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    restarted_as(session, &fresh(session)?)?;
    Ok(scene)
}

fn before_nomination(context: &Context, side: Side) -> Outcome {
    drop(restarting(context, side)?);
    let mut scene = context.live(side)?;
    let session = scene.subject()?;
    restarted_as(session, &fresh(session)?)?;
    scene.media_flows()
}

/// Restarts over HTTP and ICE.
fn change_pair(scene: &mut Scene) -> Outcome {
    let session = scene.subject()?;
    let transport = fresh(session)?;
    change_pair_as(scene, transport)
}

fn change_pair_as(scene: &mut Scene, transport: Transport) -> Outcome {
    let session = scene.subject()?;
    let fragment = Fragment::parse(&restarted_as(session, &transport)?.text());
    let (Some(ufrag), Some(pwd)) = (fragment.value("ice-ufrag"), fragment.value("ice-pwd")) else {
        return Err(Shortfall::fail("a ufrag and a password in the fragment", "none"));
    };
    let remote = (ufrag.to_owned(), pwd.to_owned());
    session.offer.transport = transport.clone();
    let peer = session.peer()?;
    peer.restart(remote, (transport.ufrag, transport.pwd), fragment.candidates());
    let before = peer.answered_checks();
    let answered = scene.wait(|scene| {
        scene.subject().is_ok_and(|session| session.peer.as_ref().is_some_and(|peer| peer.answered_checks() > before))
    });
    expect(answered, "a check with the new credentials is answered", "none is")
}

fn new_pair(context: &Context, side: Side) -> Outcome {
    drop(restarting(context, side)?);
    let mut scene = context.live(side)?;
    let handshakes = scene.subject()?.peer()?.handshakes;
    change_pair(&mut scene)?;
    let peer = scene.subject()?.peer()?;
    let transaction = peer.send_probe(peer.probe())?;
    scene.media_flows()?;
    let session = scene.subject()?;
    let is_connected = session.is_connected();
    let peer = session.peer()?;
    let answer = peer.answer_to(transaction);
    let is_right = matches!(answer, Some(Answer::Success { is_signed: true, .. }));
    expect(is_right, "a consent check with the new credentials is answered", format!("{answer:?}"))?;
    let again = peer.handshakes - handshakes;
    expect(is_connected && again == 0, "the same DTLS association", format!("{again} handshake datagrams"))
}

fn new_address(context: &Context, side: Side) -> Outcome {
    drop(restarting(context, side)?);
    let mut scene = context.live(side)?;
    let session = scene.subject()?;
    let transport = fresh(session)?;
    let candidates = session.peer()?.change_ports()?;
    change_pair_as(&mut scene, Transport { candidates, ..transport })?;
    scene.media_flows()?;
    if side == Side::Whep {
        let packets = scene.subject()?.peer()?.fresh_packets;
        expect(packets > 0, "media at the new port", "none")?;
    }
    Ok(())
}

fn twice(context: &Context, side: Side) -> Outcome {
    drop(restarting(context, side)?);
    let mut scene = context.live(side)?;
    change_pair(&mut scene)?;
    change_pair(&mut scene)?;
    scene.media_flows()
}
