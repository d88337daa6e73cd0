//! PATCH: entity-tags, preconditions, trickled candidates (RFC 9725 §4.3.1, §4.3.2; draft-ietf-wish-whep §4.5).

use super::{Clause, both};
use crate::context::{Context, Scene};
use crate::fragment::{FRAGMENT, write_fragment};
use crate::http::Reply;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::{Session, Side};

/// No tag that a server gives.
const STALE: &str = "\"no-such-tag\"";

const PATCH_SECTION: [&str; 2] = ["RFC 9725 §4.3.1", "WHEP §4.5"];
const TRICKLE_SECTION: [&str; 2] = ["RFC 9725 §4.3.2", "WHEP §4.5"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "patch-unsupported", PATCH_SECTION, "a server without PATCH answers 405 with Allow", unsupported),
    both(Must, "etag", PATCH_SECTION, "the 201 has a strong ETag", etag),
    both(
        Should,
        "accept-patch",
        ["RFC 5789 §3.1", "RFC 5789 §3.1"],
        "OPTIONS on the session URL has Accept-Patch",
        accept_patch,
    ),
    both(Must, "patch-wrong-type", PATCH_SECTION, "PATCH of another Content-Type: 4xx", wrong_type),
    both(Should, "patch-wrong-type-415", PATCH_SECTION, "PATCH of another Content-Type: 415", wrong_type_415),
    both(Must, "patch-malformed", PATCH_SECTION, "PATCH of a malformed fragment: 4xx", malformed),
    both(Should, "patch-malformed-400", PATCH_SECTION, "PATCH of a malformed fragment: 400", malformed_400),
    both(Must, "patch-no-if-match", PATCH_SECTION, "PATCH without If-Match: 428", no_if_match),
    both(Must, "patch-stale-tag", PATCH_SECTION, "PATCH with another entity-tag: 412", stale_tag),
    both(Must, "trickle", TRICKLE_SECTION, "trickled candidates: 204 without body and ETag", trickle_204),
    both(Must, "trickle-unusable", TRICKLE_SECTION, "candidates of no use are discarded, the rest is taken", unusable),
    both(Should, "trickle-tag-list", ["RFC 9110 §13.1.1"; 2], "If-Match may list several entity-tags", tag_list),
    both(Must, "trickle-keeps-media", TRICKLE_SECTION, "media goes on over trickled candidates", keeps_media),
    both(Must, "patch-ended", ["RFC 9725 §4.2", "WHEP §4.4"], "PATCH of an ended session: 404 or 410", ended),
];

/// Sends a fragment.
pub(super) fn patch(session: &Session, if_match: Option<&str>, body: &str) -> Result<Reply, Shortfall> {
    let call = session.call("PATCH").header("Content-Type", FRAGMENT).body(body);
    match if_match {
        Some(tag) => call.header("If-Match", tag).send(),
        None => call.send(),
    }
}

/// A fragment that tells nothing new.
fn trickled(session: &Session) -> String {
    write_fragment(&session.offer, &session.offer.transport, true)
}

/// Whether a reply says that what was asked for is not served at all.
pub(super) fn is_unsupported(reply: &Reply) -> bool {
    matches!(reply.status, 405 | 501)
}

/// Whether a session takes PATCH.
pub(super) fn is_served(session: &Session) -> Result<bool, Shortfall> {
    Ok(!is_unsupported(&patch(session, session.reply.header("etag"), &trickled(session))?))
}

/// A session of a server that has PATCH.
fn patchable(context: &Context, side: Side) -> Result<Scene, Shortfall> {
    let mut scene = context.scene(side)?;
    match is_served(scene.subject()?)? {
        true => Ok(scene),
        false => Err(Shortfall::not_applicable("the server has no PATCH")),
    }
}

/// The same with one that takes trickled candidates.
fn trickling(context: &Context, side: Side) -> Result<Scene, Shortfall> {
    let mut scene = patchable(context, side)?;
    let session = scene.subject()?;
    let reply = patch(session, session.reply.header("etag"), &trickled(session))?;
    if reply.status == 422 {
        return Err(Shortfall::not_applicable("the server takes no trickled candidates (422)"));
    }
    Ok(scene)
}

fn unsupported(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let reply = patch(session, session.reply.header("etag"), &trickled(session))?;
    match reply.status {
        405 => expect(reply.header("allow").is_some(), "405 with Allow", "405 without"),
        501 => Err(Shortfall::fail("405", "501")),
        _ => Err(Shortfall::not_applicable("the server has PATCH")),
    }
}

/// `"` *etagc `"` without `W/` (RFC 9110 §8.8.3).
pub(super) fn is_strong(tag: &str) -> bool {
    let inner = tag.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
    inner.is_some_and(|inner| !inner.is_empty() && !inner.contains(['"', ' ']))
}

fn etag(context: &Context, side: Side) -> Outcome {
    let mut scene = patchable(context, side)?;
    let tag = scene.subject()?.etag()?;
    expect(is_strong(&tag), "a strong entity-tag in double quotes", tag)
}

fn accept_patch(context: &Context, side: Side) -> Outcome {
    let mut scene = patchable(context, side)?;
    let reply = scene.subject()?.call("OPTIONS").send()?;
    let list = "accept-patch";
    expect(reply.lists(list, FRAGMENT), format!("Accept-Patch: {FRAGMENT}"), reply.list(list))
}

fn of_type(context: &Context, side: Side) -> Result<Reply, Shortfall> {
    let mut scene = patchable(context, side)?;
    let session = scene.subject()?;
    let call = session.call("PATCH").header("Content-Type", "text/plain").body(trickled(session));
    call.header("If-Match", session.reply.header("etag").unwrap_or("*")).send()
}

fn wrong_type(context: &Context, side: Side) -> Outcome {
    let reply = of_type(context, side)?;
    expect(reply.is_client_error(), "4xx", reply.brief())
}

fn wrong_type_415(context: &Context, side: Side) -> Outcome {
    let reply = of_type(context, side)?;
    expect(reply.status == 415, "415", reply.brief())
}

fn of_body(context: &Context, side: Side, body: &str) -> Result<Reply, Shortfall> {
    let mut scene = patchable(context, side)?;
    let session = scene.subject()?;
    patch(session, session.reply.header("etag"), body)
}

/// Not lines of SDP; a candidate that is none; a password that is too short.
const MALFORMED: [&str; 3] = [
    "this is no fragment\r\n",
    "a=ice-ufrag:abcd\r\na=ice-pwd:0123456789012345678901\r\nm=audio 9 X\r\na=mid:0\r\na=candidate:one two\r\n",
    "a=ice-ufrag:abcd\r\na=ice-pwd:short\r\nm=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n",
];

fn malformed(context: &Context, side: Side) -> Outcome {
    for body in [MALFORMED[0], MALFORMED[2]] {
        let reply = of_body(context, side, body)?;
        expect(reply.is_client_error(), format!("4xx for {body:?}"), reply.brief())?;
    }
    // Whether an unreadable candidate is one of no use or damages the fragment is the server's choice.
    let reply = of_body(context, side, MALFORMED[1])?;
    expect(reply.status < 500, "no 5xx for a damaged candidate", reply.brief())
}

fn malformed_400(context: &Context, side: Side) -> Outcome {
    let reply = of_body(context, side, MALFORMED[0])?;
    expect(reply.status == 400, "400", reply.brief())
}

fn no_if_match(context: &Context, side: Side) -> Outcome {
    let mut scene = patchable(context, side)?;
    let session = scene.subject()?;
    session.etag().map_err(|_| Shortfall::not_applicable("the server gives no entity-tags"))?;
    let reply = patch(session, None, &trickled(session))?;
    expect(reply.status == 428, "428", reply.brief())
}

fn stale_tag(context: &Context, side: Side) -> Outcome {
    let mut scene = patchable(context, side)?;
    let session = scene.subject()?;
    session.etag().map_err(|_| Shortfall::not_applicable("the server gives no entity-tags"))?;
    let reply = patch(session, Some(STALE), &trickled(session))?;
    expect(reply.status == 412, "412", reply.brief())
}

fn tag_list(context: &Context, side: Side) -> Outcome {
    let mut scene = trickling(context, side)?;
    let session = scene.subject()?;
    let tag = session.etag().map_err(|_| Shortfall::not_applicable("the server gives no entity-tags"))?;
    is_204(&patch(session, Some(&format!("{STALE}, {tag}")), &trickled(session))?)
}

fn is_204(reply: &Reply) -> Outcome {
    let got = format!("{} with ETag {:?}", reply.brief(), reply.header("etag"));
    let is_right = reply.status == 204 && reply.body.is_empty() && reply.header("etag").is_none();
    expect(is_right, "204 without body and ETag", got)
}

fn trickle_204(context: &Context, side: Side) -> Outcome {
    let mut scene = trickling(context, side)?;
    let session = scene.subject()?;
    is_204(&patch(session, session.reply.header("etag"), &trickled(session))?)
}

fn unusable(context: &Context, side: Side) -> Outcome {
    let mut scene = trickling(context, side)?;
    let session = scene.subject()?;
    let mut transport = session.offer.transport.clone();
    let unusable = [
        "7 1 udp 2113937151 2b1e1f1c-6c1d-4a2e-9d55-1f2e3d4c5b6a.local 51000 typ host",
        "8 1 udp 2113937151 client.conformance.example 51000 typ host",
        "9 1 tcp 1518280447 192.0.2.9 9 typ host tcptype active",
        "10 1 sctp 1518280447 192.0.2.9 9 typ host",
    ];
    transport.candidates.splice(0..0, unusable.map(str::to_owned));
    let fragment = write_fragment(&session.offer, &transport, true);
    is_204(&patch(session, session.reply.header("etag"), &fragment)?)
}

fn keeps_media(context: &Context, side: Side) -> Outcome {
    drop(trickling(context, side)?);
    let mut scene = context.live(side)?;
    let session = scene.subject()?;
    is_204(&patch(session, session.reply.header("etag"), &trickled(session))?)?;
    scene.media_flows()
}

fn ended(context: &Context, side: Side) -> Outcome {
    let mut scene = patchable(context, side)?;
    let session = scene.subject()?;
    session.delete()?;
    let reply = patch(session, session.reply.header("etag"), &trickled(session))?;
    expect(matches!(reply.status, 404 | 410), "404 or 410", reply.brief())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strong_tags_have_quotes_and_no_w() {
        assert!(is_strong("\"xyzzy\""));
        for weak in ["W/\"x\"", "x", "\"\"", "\"", "\"a\"b\""] {
            assert!(!is_strong(weak), "{weak}");
        }
    }
}
