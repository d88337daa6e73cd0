//! What WHEP alone has: media from a publisher to a viewer, viewers without a publisher, counter-offers (draft-ietf-wish-whep §4.3).

use super::{Clause, whep};
use crate::answer::{Description, codecs, payload_type, values};
use crate::context::{Context, Scene};
use crate::offer::Transport;
use crate::peer::Identity;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Session;
use crate::session::Side;
use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::time::Duration;

const SDP: &str = "application/sdp";
/// 30 s is how long a counter-offer that does not say otherwise is good for (§4.3.2).
const COUNTER_OFFER_EXPIRY: Duration = Duration::from_secs(40);

pub(super) const CLAUSES: &[Clause] = &[
    whep(Must, "media", "WHEP §4.3", "audio and video come with the payload types and sources of the answer", media),
    whep(Should, "media-intact", "WHEP §4.3", "a frame of the publisher comes as it was sent", media_intact),
    whep(Must, "sender-reports", "RFC 3550 §6.4", "each source has sender reports and a CNAME", sender_reports),
    whep(Must, "keyframe-request", "RFC 8834 §5.1.2", "a PLI of the viewer reaches the publisher", keyframe_request),
    whep(Must, "no-publisher", "WHEP §4.3.8", "without a publisher: 201, or 409 with Retry-After", no_publisher),
    whep(Must, "counter-offer", "WHEP §4.3.2", "a counter-offer: 406, an SDP offer, Location", counter_offer),
    whep(Must, "counter-malformed", "WHEP §4.3.2", "a malformed answer to a counter-offer: 4xx", counter_malformed),
    whep(Must, "counter-answer", "WHEP §4.3.2", "an answer to a counter-offer: 204, and media", counter_answer),
    whep(Must, "counter-expired", "WHEP §4.3.2", "an answer to an expired counter-offer: 4xx", counter_expired),
];

fn viewer_flows(scene: &mut Scene) -> Result<BTreeSet<(u8, u32)>, Shortfall> {
    Ok(scene.subject()?.peer()?.inbox.flows.clone())
}

fn media(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    let answer = scene.subject()?.answer()?;
    let mut expected = Vec::new();
    for (kind, codec) in [("audio", "opus"), ("video", "vp8")] {
        let number = answer.media(kind).and_then(|media| payload_type(media, codec));
        expected.push(number.ok_or_else(|| Shortfall::fail(format!("{codec} in the answer"), "none"))?);
    }
    let has_all =
        |flows: &BTreeSet<(u8, u32)>| expected.iter().all(|number| flows.iter().any(|(other, _)| other == number));
    scene.wait(|scene| viewer_flows(scene).is_ok_and(|flows| has_all(&flows)));
    let flows = viewer_flows(&mut scene)?;
    expect(has_all(&flows), format!("packets of the types {expected:?}"), format!("(type, SSRC) {flows:?}"))?;
    let negotiated: Vec<u8> = answer.medias().iter().flat_map(codecs).map(|(number, _)| number).collect();
    expect(
        flows.iter().all(|(number, _)| negotiated.contains(number)),
        format!("types out of {negotiated:?}"),
        format!("{flows:?}"),
    )?;
    let announced: Vec<u32> = answer.medias().iter().flat_map(|media| values(media, "ssrc")).filter_map(ssrc).collect();
    let known = announced.is_empty() || flows.iter().all(|(_, source)| announced.contains(source));
    expect(known, format!("sources out of {announced:?}"), format!("{flows:?}"))?;
    let malformed = scene.subject()?.peer()?.inbox.malformed;
    expect(malformed == 0, "RTP and RTCP that can be read", format!("{malformed} packets that cannot"))
}

/// The source of an `a=ssrc` value.
fn ssrc(value: &str) -> Option<u32> {
    value.split(' ').next()?.parse().ok()
}

fn media_intact(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    let whole = scene.wait(|scene| frames(scene) > 0);
    expect(whole, "a packet with the VP8 frame that was sent", "none")
}

fn frames(scene: &mut Scene) -> u64 {
    scene.subject().ok().and_then(|session| session.peer.as_ref()).map_or(0, |peer| peer.inbox.whole_frames)
}

fn sender_reports(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    let missing = |scene: &mut Scene| -> Vec<u32> {
        let Some(peer) = scene.subject().ok().and_then(|session| session.peer.as_ref()) else { return vec![0] };
        let (reports, cnames) = (&peer.inbox.reports, &peer.inbox.cnames);
        let sources = peer.inbox.flows.iter().map(|(_, source)| *source);
        let is_told = |source: &u32| reports.contains(source) && cnames.iter().any(|(of, _)| of == source);
        sources.filter(|source| !is_told(source)).collect()
    };
    // RFC 3550 §6.2: the first report may take half of 5 s, and half as much more.
    scene.wait_for(context.patience.max(Duration::from_secs(8)), |scene| missing(scene).is_empty());
    let missing = missing(&mut scene);
    expect(missing.is_empty(), "SR and CNAME of each source", format!("not of {missing:?}"))
}

fn keyframe_request(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    let answer = scene.subject()?.answer()?;
    let number = answer.media("video").and_then(|media| payload_type(media, "vp8"));
    let source_of =
        |flows: BTreeSet<(u8, u32)>| flows.into_iter().find(|(other, _)| Some(*other) == number).map(|(_, ssrc)| ssrc);
    scene.wait(|scene| viewer_flows(scene).is_ok_and(|flows| source_of(flows).is_some()));
    let source = source_of(viewer_flows(&mut scene)?).ok_or_else(|| Shortfall::fail("VP8 at the viewer", "none"))?;
    // What the server asks by itself for a new viewer is over then.
    scene.run(Duration::from_secs(2));
    let before = requests(&mut scene);
    for _ in 0..3 {
        scene.subject()?.peer()?.request_keyframe(source);
        if scene.wait_for(context.patience / 3, |scene| requests(scene) > before) {
            return Ok(());
        }
    }
    Err(Shortfall::fail("a PLI or FIR at the publisher", "none"))
}

/// Keyframe requests that the publisher has got.
fn requests(scene: &mut Scene) -> u64 {
    scene.publisher.as_ref().and_then(|session| session.peer.as_ref()).map_or(0, |peer| peer.inbox.keyframe_requests)
}

fn no_publisher(context: &Context, side: Side) -> Outcome {
    let (_identity, offer) = context.offer(side)?;
    let reply = context.post(side, Some(SDP), offer.text().as_bytes())?;
    let seconds = reply.header("retry-after").is_some_and(|after| !after.trim().is_empty());
    let got = format!("{} with Retry-After {:?}", reply.brief(), reply.header("retry-after"));
    expect(reply.status == 201 || reply.status == 409 && seconds, "201, or 409 with Retry-After", got)
}

/// A counter-offer, with the session that it belongs to. An empty offer is what no server can answer with 201.
fn countered(context: &Context, side: Side) -> Result<(Scene, Transport), Shortfall> {
    let mut scene = context.stage(side)?;
    let (identity, offer): (Identity, _) = context.offer(side)?;
    let reply = context.call("POST", side)?.header("Content-Type", SDP).body("").send()?;
    if reply.status != 406 || reply.media_type().as_deref() != Some(SDP) {
        if let Some(location) = reply.location().filter(|_| reply.is_success()) {
            let _ = context.http.call("DELETE", &location).send();
        }
        return Err(Shortfall::not_applicable(format!("the server makes no counter-offers ({})", reply.brief())));
    }
    let transport = identity.transport.clone();
    scene.viewer = Some(Session::new(context.http.clone(), side, reply, offer, identity)?);
    Ok((scene, transport))
}

fn counter_offer(context: &Context, side: Side) -> Outcome {
    let (mut scene, _) = countered(context, side)?;
    let offer = scene.subject()?.answer()?;
    let found = offer.all("setup");
    let may_be_answered = found.iter().all(|setup| matches!(*setup, "actpass" | "passive" | "active"));
    expect(!offer.medias().is_empty() && may_be_answered, "an offer with sections and a=setup", format!("{found:?}"))?;
    super::answer::directions(&offer, side)
}

fn counter_malformed(context: &Context, side: Side) -> Outcome {
    let (mut scene, _) = countered(context, side)?;
    let reply = scene.subject()?.call("PATCH").header("Content-Type", SDP).body("no sdp\r\n").send()?;
    expect(reply.is_client_error(), "4xx", reply.brief())
}

fn counter_answer(context: &Context, side: Side) -> Outcome {
    let (mut scene, transport) = countered(context, side)?;
    let session = scene.subject()?;
    let offer = session.answer()?;
    let call = session.call("PATCH").header("Content-Type", SDP).body(answer_to(&offer, &transport));
    let reply = call.send()?;
    expect(reply.status == 204, "204", format!("{}: {}", reply.brief(), reply.text()))?;
    scene.connect()?;
    scene.media_flows()
}

fn counter_expired(context: &Context, side: Side) -> Outcome {
    let (mut scene, transport) = countered(context, side)?;
    if !context.slow {
        return Err(Shortfall::not_applicable("it takes 40 s, and --slow is not given"));
    }
    scene.run(COUNTER_OFFER_EXPIRY);
    let session = scene.subject()?;
    let answer = answer_to(&session.answer()?, &transport);
    let reply = session.call("PATCH").header("Content-Type", SDP).body(answer).send()?;
    expect(reply.is_client_error(), "4xx", reply.brief())
}

/// Takes all that is offered, as DTLS client.
fn answer_to(offer: &Description, transport: &Transport) -> String {
    let mids: Vec<&str> = offer.mids().into_iter().flatten().collect();
    let mut sdp = "v=0\r\no=- 5228595038118931041 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
    let _ = write!(sdp, "a=group:BUNDLE {}\r\n", mids.join(" "));
    for media in offer.medias() {
        let _ = write!(sdp, "m={} 9 {} {}\r\nc=IN IP4 0.0.0.0\r\n", media.media, media.proto, media.fmt);
        for name in ["mid", "rtpmap", "fmtp", "extmap"] {
            values(media, name).for_each(|value| {
                let _ = write!(sdp, "a={name}:{value}\r\n");
            });
        }
        let Transport { ufrag, pwd, fingerprint, candidates } = transport;
        let _ = write!(sdp, "a=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\na=fingerprint:{fingerprint}\r\n");
        sdp.push_str("a=setup:active\r\na=recvonly\r\na=rtcp-mux\r\na=rtcp-mux-only\r\n");
        for candidate in candidates {
            let _ = write!(sdp, "a=candidate:{candidate}\r\n");
        }
    }
    sdp
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::{Offer, tests::transport};

    #[test]
    fn an_answer_takes_what_was_offered() {
        let offer = Description::parse(Offer::publish(transport()).text().as_bytes()).unwrap();
        let answer = Description::parse(answer_to(&offer, &transport()).as_bytes()).unwrap();
        assert_eq!(answer.mids(), offer.mids());
        assert_eq!(answer.bundle(), offer.bundle());
        assert_eq!(answer.all("setup"), ["active", "active"]);
        assert_eq!(codecs(&answer.medias()[1]), codecs(&offer.medias()[1]));
    }
}
