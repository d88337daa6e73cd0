//! POST: what comes of offers good and bad (RFC 9725 §4.2, §4.4, §5; draft-ietf-wish-whep §4.3).

use super::{Clause, both, whip};
use crate::context::{Attempt, Context};
use crate::http::Reply;
use crate::offer::Codec;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;

const SDP: Option<&str> = Some("application/sdp");
/// More than any offer has.
const TOO_LARGE: usize = 1 << 20;
/// A codec that nobody has.
const UNKNOWN: Codec = Codec::new(97, "X-CONFORMANCE/90000", None);

const SETUP_SECTION: [&str; 2] = ["RFC 9725 §4.2", "WHEP §4.3"];
const TYPES_SECTION: [&str; 2] = ["RFC 9110 §8.3.1", "RFC 9110 §8.3.1"];
const LARGE_SECTION: [&str; 2] = ["RFC 9110 §15.5.14", "RFC 9110 §15.5.14"];
const PROBLEM_SECTION: [&str; 2] = ["RFC 9725 §4.1", "WHEP §4.1"];
const CODECS_SECTION: [&str; 2] = ["RFC 9725 §4.4.3", "WHEP §4.3"];
const SINGLE_SECTION: [&str; 2] = ["RFC 9725 §4.4.2", "WHEP §4.6.2"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "https", ["RFC 9725 §5", "WHEP §5"], "the endpoint is served over HTTPS", https),
    both(Must, "create", SETUP_SECTION, "POST: 201, application/sdp, Location, an answer", create),
    both(Must, "redirect", ["RFC 9725 §4.5", "WHEP §4.7"], "POST is redirected by 307 or 308 only", redirect),
    both(Should, "unguessable", ["RFC 9725 §5", "WHEP §5"], "session URLs have 128 random bits", unguessable),
    both(Must, "type-parameters", TYPES_SECTION, "Content-Type may have parameters", type_parameters),
    both(Must, "type-case", TYPES_SECTION, "Content-Type is compared without case", type_case),
    both(Must, "wrong-type", SETUP_SECTION, "another Content-Type: 4xx", wrong_type),
    both(Should, "wrong-type-415", SETUP_SECTION, "another Content-Type: 415 with Accept-Post", wrong_type_415),
    both(Must, "malformed", SETUP_SECTION, "malformed SDP: 4xx", malformed),
    both(Should, "malformed-400", SETUP_SECTION, "malformed SDP: 400", malformed_400),
    both(Should, "too-large", LARGE_SECTION, "a body of 1 MiB: 413", too_large),
    both(Should, "problem-details", PROBLEM_SECTION, "errors carry problem details (RFC 9457)", problem_details),
    both(Should, "no-common-codec", CODECS_SECTION, "no common codec at all: 422 or 400", no_common_codec),
    whip(Should, "partial", "RFC 9725 §4.4.3", "no common codec of one section: the whole is refused", partial),
    both(Must, "wrong-direction", SETUP_SECTION, "an offer of the wrong direction: 422 or 400", wrong_direction),
    both(Must, "inactive", SETUP_SECTION, "an inactive offer: 422 or 400", inactive),
    both(Must, "sendrecv", SETUP_SECTION, "a sendrecv offer is accepted", sendrecv),
    both(Must, "audio-only", SINGLE_SECTION, "an offer of audio alone is accepted", |context, side| {
        only(context, side, "audio")
    }),
    both(Must, "video-only", SINGLE_SECTION, "an offer of video alone is accepted", |context, side| {
        only(context, side, "video")
    }),
    both(
        Must,
        "bundle-only",
        ["RFC 9725 §4.4.1", "WHEP §4.6.1"],
        "bundle-only with port 0 is no rejected section",
        bundle_only,
    ),
    whip(
        Should,
        "second-publisher",
        "RFC 9110 §15.5.10",
        "a second publisher: 409, or it takes over",
        second_publisher,
    ),
];

fn https(context: &Context, side: Side) -> Outcome {
    match context.endpoint(side)?.scheme() {
        "https" => Ok(()),
        _ => Err(Shortfall::not_applicable("the URL given is plain HTTP; a proxy may stand before the server")),
    }
}

fn create(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    let kind = session.reply.media_type();
    expect(kind.as_deref() == Some("application/sdp"), "Content-Type: application/sdp", session.reply.brief())?;
    session.answer().map(|_| ())
}

fn redirect(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    let (_identity, offer) = context.offer(side)?;
    let reply = context.post(side, SDP, offer.text().as_bytes())?;
    match reply.status {
        300..400 => expect(matches!(reply.status, 307 | 308), "307 or 308", reply.brief()),
        other => Err(Shortfall::not_applicable(format!("POST is not redirected ({other})"))),
    }
}

/// 128 bits are 22 characters of base64, or 32 of hex. What both URLs have in common tells nothing.
fn unguessable(context: &Context, side: Side) -> Outcome {
    let first = context.scene(side)?.subject()?.url.clone();
    let second = context.scene(side)?.subject()?.url.clone();
    expect(first != second, "another URL for each session", second.as_str())?;
    let is_part = |char: char| !char.is_ascii_alphanumeric() && char != '-' && char != '_';
    let others: Vec<&str> = second.as_str().split(is_part).collect();
    let fresh = first.as_str().split(is_part).filter(|part| !others.contains(part));
    let bits = fresh.map(entropy_bits).max().unwrap_or(0);
    expect(bits >= 120, "a part of 128 bits that is fresh for each session", format!("{first}, then {second}"))
}

/// At most so many bits can be in a token, judged by its alphabet. A UUIDv4 has 122 (RFC 9562 §5.4).
fn entropy_bits(token: &str) -> usize {
    let is_hex = token.chars().all(|char| char.is_ascii_hexdigit() || char == '-');
    let is_decimal = token.chars().all(|char| char.is_ascii_digit() || char == '-');
    let digits = token.chars().filter(char::is_ascii_hexdigit).count();
    // log2 of 10 and 16; any other alphabet has at most 64. A hyphen counts only where it may be a digit.
    match (is_decimal, is_hex) {
        (true, _) => digits * 33 / 10,
        (_, true) => digits * 4,
        _ => token.chars().count() * 6,
    }
}

fn accepts_type(context: &Context, side: Side, kind: &str) -> Outcome {
    let _stage = context.stage(side)?;
    let (_identity, offer) = context.offer(side)?;
    let reply = context.post(side, Some(kind), offer.text().as_bytes())?;
    expect(reply.status == 201, format!("201 for Content-Type: {kind}"), reply.brief())
}

fn type_parameters(context: &Context, side: Side) -> Outcome {
    accepts_type(context, side, "application/sdp; charset=utf-8")
}

fn type_case(context: &Context, side: Side) -> Outcome {
    accepts_type(context, side, "Application/SDP")
}

fn with_type(context: &Context, side: Side, kind: Option<&str>) -> Result<Reply, Shortfall> {
    let (_identity, offer) = context.offer(side)?;
    context.post(side, kind, offer.text().as_bytes())
}

fn wrong_type(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    for kind in [Some("text/plain"), Some("application/json"), Some("application/sdpx"), None] {
        let reply = with_type(context, side, kind)?;
        expect(reply.is_client_error(), format!("4xx for Content-Type {kind:?}"), reply.brief())?;
    }
    Ok(())
}

fn wrong_type_415(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    let reply = with_type(context, side, Some("text/plain"))?;
    let got = format!("{} with Accept-Post: {:?}", reply.brief(), reply.list("accept-post"));
    let is_right = reply.status == 415 && reply.lists("accept-post", "application/sdp");
    expect(is_right, "415 with Accept-Post: application/sdp", got)
}

/// Bodies that are no SDP.
const MALFORMED: [&[u8]; 4] = [b"hello\r\n", b"v=0\r\nm=\r\n", b"{\"type\":\"offer\"}", &[0xff, 0xfe, 0, 1]];

fn malformed(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    for body in MALFORMED {
        let reply = context.post(side, SDP, body)?;
        expect(reply.is_client_error(), format!("4xx for {:?}", String::from_utf8_lossy(body)), reply.brief())?;
    }
    Ok(())
}

fn malformed_400(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    let reply = context.post(side, SDP, MALFORMED[0])?;
    expect(reply.status == 400, "400", reply.brief())
}

fn too_large(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    let (_identity, offer) = context.offer(side)?;
    let mut body = offer.text();
    while body.len() < TOO_LARGE {
        body.push_str("a=x-conformance:0123456789012345678901234567890123456789012345678901234567890123456789\r\n");
    }
    let reply = context.post(side, SDP, body.as_bytes())?;
    expect(reply.status == 413, "413", reply.brief())
}

fn problem_details(context: &Context, side: Side) -> Outcome {
    let _stage = context.stage(side)?;
    for (kind, body) in [(SDP, MALFORMED[0]), (Some("text/plain"), MALFORMED[0])] {
        let reply = context.post(side, kind, body)?;
        let is_problem = reply.media_type().as_deref() == Some("application/problem+json");
        expect(is_problem, "Content-Type: application/problem+json", reply.brief())?;
        let json: Option<serde_json::Value> = serde_json::from_slice(&reply.body).ok();
        let status = json.as_ref().and_then(|json| json.as_object()).map(|json| json.get("status").cloned());
        let agrees = status.is_some_and(|status| status.is_none_or(|status| status == reply.status));
        expect(agrees, "an object whose status is that of the reply", reply.text())?;
    }
    Ok(())
}

fn is_refused(reply: &Reply) -> Outcome {
    expect(matches!(reply.status, 400 | 422), "422 or 400", reply.brief())
}

fn no_common_codec(context: &Context, side: Side) -> Outcome {
    let reply = context.refusal(side, |offer| {
        offer.keep("video");
        offer.sections.iter_mut().for_each(|section| section.codecs = vec![UNKNOWN]);
    })?;
    // WHEP may answer with an offer of its own (§4.3.2).
    let counters = side == Side::Whep && reply.status == 406;
    if counters { Ok(()) } else { is_refused(&reply) }
}

fn partial(context: &Context, side: Side) -> Outcome {
    is_refused(&context.refusal(side, |offer| {
        offer.section("video").into_iter().for_each(|section| section.codecs = vec![UNKNOWN]);
    })?)
}

fn wrong_direction(context: &Context, side: Side) -> Outcome {
    let wrong = if side == Side::Whip { "recvonly" } else { "sendonly" };
    is_refused(&context.refusal(side, |offer| offer.direct(wrong))?)
}

fn inactive(context: &Context, side: Side) -> Outcome {
    is_refused(&context.refusal(side, |offer| offer.direct("inactive"))?)
}

fn sendrecv(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene_with(side, |offer| offer.direct("sendrecv"))?;
    super::answer::directions(&scene.subject()?.answer()?, side)
}

fn only(context: &Context, side: Side, kind: &str) -> Outcome {
    let mut scene = context.scene_with(side, |offer| offer.keep(kind))?;
    let answer = scene.subject()?.answer()?;
    let kinds: Vec<&str> = answer.medias().iter().map(|media| media.media.as_str()).collect();
    expect(
        kinds == [kind] && answer.media(kind).is_some(),
        format!("one accepted section of {kind}"),
        format!("{kinds:?}"),
    )
}

fn bundle_only(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene_with(side, |offer| {
        offer.sections.iter_mut().skip(1).for_each(|section| section.bundle_only = true);
    })?;
    let answer = scene.subject()?.answer()?;
    let ports: Vec<u16> = answer.medias().iter().map(|media| media.port).collect();
    expect(ports.len() == 2 && !ports.contains(&0), "two sections with a port", format!("ports {ports:?}"))
}

fn second_publisher(context: &Context, side: Side) -> Outcome {
    let _first = context.live(side)?;
    match context.attempt(side, |_| {}) {
        Ok(Attempt::Open(mut second)) => second.connect(),
        Ok(Attempt::Refused(reply)) => expect(reply.status == 409, "409, or 201 and a takeover", reply.brief()),
        // The usual way waits for the stream to become free.
        Err(Shortfall::Fail { got, .. }) if got.starts_with("409") => Ok(()),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entropy_of_usual_tokens() {
        assert!(entropy_bits("V1StGXR8_Z5jdHi6B-myTQ") >= 120, "128 bits of base64url");
        assert!(entropy_bits("0f8fad5b-d9cb-469f-a165-70867728950e") >= 120, "a UUID");
        assert!(entropy_bits("0123456789") < 40);
        assert!(entropy_bits("session7") < 64);
    }
}
