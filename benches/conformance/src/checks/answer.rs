//! The answer, line by line (RFC 9429 §5.3.1, RFC 9725 §4.2 to §4.8, draft-ietf-wish-whep §4.3.5, §4.6).

use super::{Clause, both, whep, whip};
use crate::answer::{Description, codecs, direction, value, values};
use crate::context::{Attempt, Context};
use crate::offer::Offer;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;
use std::collections::BTreeSet;

const JSEP_SECTION: [&str; 2] = ["RFC 9429 §5.3.1", "RFC 9429 §5.3.1"];
const BUNDLE_SECTION: [&str; 2] = ["RFC 9725 §4.4.1", "WHEP §4.6.1"];
const MUX_ONLY_SECTION: [&str; 2] = ["RFC 8858 §3", "RFC 8858 §3"];
const SETUP_SECTION: [&str; 2] = ["RFC 9725 §4.4.4", "WHEP §4.3"];
const TRICKLE_SECTION: [&str; 2] = ["RFC 9725 §4.3.2", "WHEP §4.5"];
const SERVERS_SECTION: [&str; 2] = ["RFC 9725 §4.6", "WHEP §4.8"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "answer-sections", JSEP_SECTION, "as many m-sections as the offer, in its order", sections),
    both(Must, "answer-mids", JSEP_SECTION, "each section echoes its mid", mids),
    both(
        Must,
        "answer-direction",
        ["RFC 9725 §4.2", "WHEP §4.3.5"],
        "WHIP answers recvonly, WHEP sendonly",
        direction_is_right,
    ),
    both(Must, "answer-bundle", BUNDLE_SECTION, "one BUNDLE group of all sections", bundled),
    both(Must, "answer-rtcp-mux", BUNDLE_SECTION, "a=rtcp-mux in each section", |context, side| {
        in_each(context, side, "rtcp-mux")
    }),
    both(Must, "answer-rtcp-mux-only", MUX_ONLY_SECTION, "a=rtcp-mux-only in each section", |context, side| {
        in_each(context, side, "rtcp-mux-only")
    }),
    both(Must, "answer-setup", SETUP_SECTION, "actpass is answered with active or passive", setup_is_chosen),
    both(
        Must,
        "answer-dtls",
        ["RFC 8842 §5.3", "RFC 8842 §5.3"],
        "a fingerprint by a digest that clients have",
        fingerprint,
    ),
    both(
        Must,
        "answer-ice",
        ["RFC 8839 §5.4", "RFC 8839 §5.4"],
        "ufrag and pwd of the prescribed length",
        ice_credentials,
    ),
    both(Must, "answer-candidates", TRICKLE_SECTION, "all candidates of the server, as it cannot trickle", candidates),
    both(
        Should,
        "answer-end-of-candidates",
        ["RFC 8840 §4.3", "RFC 8840 §4.3"],
        "a=end-of-candidates",
        end_of_candidates,
    ),
    both(
        Must,
        "answer-codecs",
        ["RFC 9429 §5.3.1", "RFC 9429 §5.3.1"],
        "only codecs of the offer, under its numbers",
        codecs_were_offered,
    ),
    both(
        Must,
        "answer-extensions",
        ["RFC 8285 §6", "RFC 8285 §6"],
        "only header extensions of the offer, under its ids",
        extensions,
    ),
    whip(Must, "answer-simulcast", "RFC 8853 §5.3.2", "simulcast is mirrored: recv, in the offer's order", simulcast),
    whep(Must, "answer-msid", "WHEP §4.6.2", "a=msid of one stream in each section", msid),
    whep(Should, "answer-all-codecs", "WHEP §4.3.6", "every codec that can be forwarded is kept", all_codecs),
    both(Must, "ice-servers", SERVERS_SECTION, "ICE servers are STUN and TURN URIs with credentials", ice_servers),
    both(
        Must,
        "extension-links",
        ["RFC 9725 §4.9", "WHEP §4.10"],
        "extensions are Links with URNs of the registry",
        extension_links,
    ),
];

/// The usual answer, and the offer that it answers.
fn exchange(context: &Context, side: Side) -> Result<(Offer, Description), Shortfall> {
    let mut scene = context.scene(side)?;
    let session = scene.subject()?;
    Ok((session.offer.clone(), session.answer()?))
}

fn sections(context: &Context, side: Side) -> Outcome {
    for reversed in [false, true] {
        let mut scene = context.scene_with(side, |offer| {
            if reversed {
                offer.sections.reverse()
            }
        })?;
        let session = scene.subject()?;
        let answer = session.answer()?;
        let offered: Vec<&str> = session.offer.sections.iter().map(|section| section.kind).collect();
        let answered: Vec<&str> = answer.medias().iter().map(|media| media.media.as_str()).collect();
        expect(offered == answered, format!("sections {offered:?}"), format!("{answered:?}"))?;
        let foreign = answer.medias().iter().find(|media| media.proto != "UDP/TLS/RTP/SAVPF");
        expect(foreign.is_none(), "UDP/TLS/RTP/SAVPF, as offered", format!("{:?}", foreign.map(|media| &media.proto)))?;
    }
    Ok(())
}

fn mids(context: &Context, side: Side) -> Outcome {
    let (offer, answer) = exchange(context, side)?;
    let offered: Vec<Option<&str>> = offer.sections.iter().map(|section| Some(section.mid.as_str())).collect();
    expect(offered == answer.mids(), format!("mids {offered:?}"), format!("{:?}", answer.mids()))
}

/// Each accepted section has the direction of the server's side.
pub(super) fn directions(answer: &Description, side: Side) -> Outcome {
    let expected = if side == Side::Whip { "recvonly" } else { "sendonly" };
    let found: Vec<&str> = answer.medias().iter().filter(|media| media.port != 0).map(direction).collect();
    expect(found.iter().all(|one| *one == expected), format!("{expected} in each section"), format!("{found:?}"))
}

fn direction_is_right(context: &Context, side: Side) -> Outcome {
    directions(&exchange(context, side)?.1, side)
}

fn bundled(context: &Context, side: Side) -> Outcome {
    let (offer, answer) = exchange(context, side)?;
    let offered: Vec<&str> = offer.sections.iter().map(|section| section.mid.as_str()).collect();
    expect(
        answer.bundle() == offered,
        format!("a=group:BUNDLE {}", offered.join(" ")),
        format!("{:?}", answer.bundle()),
    )
}

fn in_each(context: &Context, side: Side, name: &str) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    let without = answer.medias().iter().filter(|media| media.port != 0 && !media.has_attribute(name)).count();
    expect(without == 0, format!("a={name} in each section"), format!("{without} sections without"))
}

fn setup_is_chosen(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    let found = answer.all("setup");
    let chosen = !found.is_empty() && found.iter().all(|setup| matches!(*setup, "active" | "passive"));
    expect(chosen, "a=setup:active or passive", format!("{found:?}"))
}

fn fingerprint(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    expect(!answer.fingerprints().is_empty(), "a=fingerprint by SHA-256", format!("{:?}", answer.all("fingerprint")))
}

fn ice_credentials(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    are_credentials(answer.anywhere("ice-ufrag"), answer.anywhere("ice-pwd"))
}

/// 4 to 256 and 22 to 256 ice-chars.
pub(super) fn are_credentials(ufrag: Option<&str>, pwd: Option<&str>) -> Outcome {
    let is_ice = |text: &str| text.chars().all(|char| char.is_ascii_alphanumeric() || matches!(char, '+' | '/'));
    let is_right =
        |text: Option<&str>, least: usize| text.is_some_and(|text| (least..=256).contains(&text.len()) && is_ice(text));
    let got = format!("{ufrag:?} and a password of {:?}", pwd.map(str::len));
    expect(is_right(ufrag, 4) && is_right(pwd, 22), "4 to 256 and 22 to 256 ice-chars", got)
}

fn candidates(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    let found = answer.all("candidate");
    expect(!answer.candidates().is_empty(), "at least one UDP candidate that is an address", format!("{found:?}"))
}

fn end_of_candidates(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    expect(answer.has("end-of-candidates"), "a=end-of-candidates", "none")
}

fn codecs_were_offered(context: &Context, side: Side) -> Outcome {
    let (offer, answer) = exchange(context, side)?;
    for (section, media) in offer.sections.iter().zip(answer.medias()) {
        let is_offered = |(number, name): &(u8, String)| {
            section.codecs.iter().any(|codec| codec.payload_type == *number && codec.rtpmap.eq_ignore_ascii_case(name))
        };
        let found = codecs(media);
        let all = !found.is_empty() && found.iter().all(is_offered);
        expect(
            all,
            format!("codecs out of {:?}", section.codecs),
            format!("m={} {} with {found:?}", media.media, media.fmt),
        )?;
        let unmapped = media.fmt.split_ascii_whitespace().count() - found.len();
        expect(unmapped == 0, "an a=rtpmap for each payload type", format!("{unmapped} without"))?;
    }
    Ok(())
}

fn extensions(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    for media in answer.medias() {
        let foreign = values(media, "extmap").find(|value| {
            let id = value.split([' ', '/']).next();
            id != Some("4") || !value.ends_with("urn:ietf:params:rtp-hdrext:sdes:mid")
        });
        expect(foreign.is_none(), "no extension but 4, the mid", format!("a=extmap:{}", foreign.unwrap_or_default()))?;
    }
    Ok(())
}

fn simulcast(context: &Context, side: Side) -> Outcome {
    let rids = ["h", "m", "l"];
    let attempt = context.attempt(side, |offer| {
        offer.section("video").into_iter().for_each(|section| section.rids = rids.to_vec());
    })?;
    let Attempt::Open(mut scene) = attempt else {
        return Err(Shortfall::not_applicable("the server refuses simulcast as a whole"));
    };
    let answer = scene.subject()?.answer()?;
    let video = answer.media("video").ok_or_else(|| Shortfall::fail("a section of video", "none"))?;
    let Some(simulcast) = value(video, "simulcast") else {
        let stray = values(video, "rid").next();
        expect(stray.is_none(), "no a=rid without a=simulcast", format!("{stray:?}"))?;
        return Err(Shortfall::not_applicable("the server answers without simulcast"));
    };
    let kept = simulcast.trim().strip_prefix("recv ");
    let kept = kept.ok_or_else(|| Shortfall::fail("a=simulcast:recv …", simulcast))?;
    // A tilde says that a layer is paused at first.
    let kept: Vec<&str> = kept.split(';').map(|rid| rid.trim_start_matches('~')).collect();
    let order: Vec<&str> = rids.into_iter().filter(|rid| kept.contains(rid)).collect();
    expect(order == kept, format!("rids out of {rids:?}, in this order"), simulcast)?;
    for rid in order {
        let mirrored = values(video, "rid").any(|value| value.split_ascii_whitespace().take(2).eq([rid, "recv"]));
        expect(mirrored, format!("a=rid:{rid} recv"), format!("{:?}", values(video, "rid").collect::<Vec<_>>()))?;
    }
    let has_rid = values(video, "extmap").any(|value| value.ends_with("sdes:rtp-stream-id"));
    expect(has_rid, "the header extension of RIDs", "none")
}

fn msid(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    let accepted = answer.medias().iter().filter(|media| media.port != 0);
    let found: Vec<Option<&str>> = accepted.map(|media| value(media, "msid")).collect();
    let streams: BTreeSet<Option<&str>> =
        found.iter().map(|msid| msid.and_then(|msid| msid.split_ascii_whitespace().next())).collect();
    let is_single = streams.len() == 1 && !streams.contains(&None) && !streams.contains(&Some("-"));
    expect(is_single, "an a=msid with the same stream in each section", format!("{found:?}"))
}

fn all_codecs(context: &Context, side: Side) -> Outcome {
    let (_, answer) = exchange(context, side)?;
    let found = answer.media("video").map(codecs).unwrap_or_default();
    expect(found.len() > 1, "more video codecs than the one that is published", format!("{found:?}"))
}

fn ice_servers(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let links = scene.subject()?.reply.links();
    let servers: Vec<_> = links.iter().filter(|link| link.has_rel("ice-server")).collect();
    if servers.is_empty() {
        return Err(Shortfall::not_applicable("the 201 has no Link with rel=ice-server"));
    }
    for link in servers {
        let scheme = link.target.split(':').next().unwrap_or_default().to_ascii_lowercase();
        expect(matches!(scheme.as_str(), "stun" | "stuns" | "turn" | "turns"), "a STUN or TURN URI", &link.target)?;
        let complete =
            scheme.starts_with("stun") || link.param("username").is_some() && link.param("credential").is_some();
        expect(complete, "username and credential of a TURN server", format!("{link:?}"))?;
        let kind = link.param("credential-type");
        expect(matches!(kind, None | Some("password")), "credential-type=\"password\"", format!("{kind:?}"))?;
    }
    Ok(())
}

fn extension_links(context: &Context, side: Side) -> Outcome {
    let mut scene = context.scene(side)?;
    let reply = &scene.subject()?.reply;
    let links = reply.links();
    let prefix = format!("urn:ietf:params:{side}:ext:");
    let rels = links.iter().flat_map(|link| link.rels().map(move |rel| (link, rel)));
    let extensions: Vec<_> = rels.filter(|(_, rel)| rel.contains(":ext:")).collect();
    let wrong = extensions
        .iter()
        .find(|(link, rel)| !rel.to_ascii_lowercase().starts_with(&prefix) || reply.url.join(&link.target).is_err());
    expect(wrong.is_none(), format!("rel=\"{prefix}…\" and a URL"), format!("{wrong:?}"))?;
    if !extensions.is_empty() { Ok(()) } else { Err(Shortfall::not_applicable("the 201 advertises no extension")) }
}
