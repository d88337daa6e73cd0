//! The second half of a negotiation: what the accepted sections have in common, BUNDLE (RFC 9143 §7.3) and the transport, and the
//! terms of each section.

use oneport_rtp::ids::Mid;

use crate::media::{Direction, Kind, OfferedExtension, OfferedFormat, OfferedMedia};
use crate::negotiate::{Choice, Role};
use crate::negotiated::{Capabilities, Negotiated, NegotiatedMedia};
use crate::offer::Offer;
use crate::rejection::{Rejection, Section};
use crate::simulcast::{self, Layer, Simulcast};
use crate::transport::{Setup, Transport};

/// RFC 8852 §4: which layer a packet belongs to, and of which layer it is a retransmission. Answered with simulcast only.
const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";
const REPAIRED_RID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// Checks what the accepted sections have in common, and puts the answer together.
pub(crate) fn conclude(
    offer: &Offer,
    ours: &Capabilities,
    role: Role,
    chosen: Vec<Option<Choice>>,
) -> Result<Negotiated, Rejection> {
    if let Some(line) = offer.ice_lite {
        return Err(Rejection::IceLite { line });
    }
    if chosen.iter().all(Option::is_none) {
        return Err(Rejection::NothingUsable { sections: Section::all_of(offer) });
    }
    let is_accepted =
        |media: &OfferedMedia, choice: &Option<Choice>| choice.is_some() || data_of(media, offer, ours).is_some();
    let accepted: Vec<&OfferedMedia> = offer
        .media
        .iter()
        .zip(&chosen)
        .filter(|(media, choice)| is_accepted(media, choice))
        .map(|(media, _)| media)
        .collect();
    let tagged = *accepted.first().ok_or(Rejection::NothingUsable { sections: Section::all_of(offer) })?;
    let stray = accepted.iter().find(|media| accepted.len() > 1 && !offer.bundles(media));
    if let Some(stray) = stray {
        return Err(Rejection::NotBundled { section: Section::of(stray) });
    }
    let bundle = bundle_of(offer, &accepted);
    let tagged = match bundle.as_ref().and_then(|mids| mids.first()) {
        Some(first) => accepted.iter().find(|media| media.mid == Some(*first)).copied().unwrap_or(tagged),
        None => tagged,
    };
    let (transport, setup) = transport_of(tagged, &accepted)?;
    let no_credentials = || Rejection::NoIceCredentials { section: Section::of(tagged) };
    let (ice_ufrag, ice_pwd) = transport.ice.ok_or_else(no_credentials)?;
    let media = offer.media.iter().zip(chosen).map(|(media, choice)| match data_of(media, offer, ours) {
        Some(max_message_size) => data_section(media, max_message_size, ours, role),
        None => negotiated_media(media, choice, ours, role),
    });
    Ok(Negotiated {
        ice_ufrag,
        ice_pwd,
        fingerprints: transport.fingerprints,
        setup,
        media: media.collect(),
        bundle,
        extmap_allow_mixed: offer.extmap_allow_mixed,
        ice2: offer.ice2,
    })
}

/// The accepted mids in the order of the offer's group, so that the tagged section stays the tagged one (RFC 9143 §7.3.1).
fn bundle_of(offer: &Offer, accepted: &[&OfferedMedia]) -> Option<Vec<Mid>> {
    let mut mids: Vec<Mid> = Vec::new();
    for mid in offer.bundle.as_ref()? {
        if accepted.iter().any(|media| media.mid == Some(*mid)) && !mids.contains(mid) {
            mids.push(*mid);
        }
    }
    (!mids.is_empty()).then_some(mids)
}

/// The transport of the bundle: the tagged section's, with gaps filled from the others, since clients differ in where they write it.
fn transport_of(tagged: &OfferedMedia, accepted: &[&OfferedMedia]) -> Result<(Transport, Setup), Rejection> {
    let whole = accepted.iter().fold(tagged.transport.clone(), |whole, media| whole.or(Some(&media.transport)));
    if whole.fingerprints.is_empty() {
        return Err(Rejection::NoFingerprint { section: Section::of(tagged) });
    }
    match Setup::answering(whole.setup.as_deref()) {
        Some(setup) => Ok((whole, setup)),
        None => {
            let offered = whole.setup.unwrap_or_default();
            Err(Rejection::BadSetup { section: Section::of(tagged), offered })
        }
    }
}

/// The largest message of a section of data channels that is accepted. Without BUNDLE it would be a transport of its own.
fn data_of(media: &OfferedMedia, offer: &Offer, ours: &Capabilities) -> Option<u32> {
    ours.max_message_size.filter(|_| media.is_data() && !media.disabled && offer.bundles(media))
}

fn data_section(media: &OfferedMedia, max_message_size: u32, ours: &Capabilities, role: Role) -> NegotiatedMedia {
    let section = negotiated_media(media, None, ours, role);
    NegotiatedMedia { accepted: true, max_message_size: Some(max_message_size), ..section }
}

fn negotiated_media(media: &OfferedMedia, choice: Option<Choice>, ours: &Capabilities, role: Role) -> NegotiatedMedia {
    let accepted = choice.is_some();
    let mut formats = choice.map(|choice| choice.formats).unwrap_or_default();
    let feedback = honour_feedback(&mut formats, media, ours);
    let mut extensions = honoured_extensions(media, ours, role);
    extensions.retain(|_| accepted);
    let encoded = accepted && role == Role::Publish && media.kind == Kind::Video;
    let (simulcast, layers) = if encoded { layers_of(media, &formats, &extensions, ours) } else { (None, Vec::new()) };
    if simulcast.is_none() {
        extensions.retain(|extension| ![RID, REPAIRED_RID].contains(&extension.uri.as_str()));
    }
    NegotiatedMedia {
        kind: media.kind.clone(),
        mid: media.mid,
        max_message_size: None,
        accepted,
        formats,
        extensions,
        ssrcs: media.ssrcs.clone(),
        ssrc_groups: media.ssrc_groups.clone(),
        simulcast,
        layers,
        bitrates: ours.bitrates.filter(|_| encoded),
        feedback,
        direction: if accepted { role.answer() } else { Direction::Inactive },
        protocol: media.protocol.clone(),
        format_list: media.format_list.clone(),
        rtcp_rsize: media.rtcp_rsize,
        extmap_allow_mixed: media.extmap_allow_mixed,
    }
}

/// Leaves of the formats' feedback and retransmissions what we have too. Returns the feedback of all of them.
fn honour_feedback(formats: &mut [OfferedFormat], media: &OfferedMedia, ours: &Capabilities) -> Vec<String> {
    let honoured = if media.kind == Kind::Video { &ours.video_feedback } else { &ours.audio_feedback };
    let mut feedback: Vec<String> = Vec::new();
    for format in formats {
        format.rtx = format.rtx.filter(|_| ours.rtx);
        format.feedback.retain(|value| honoured.contains(&value.as_str()));
        // Both tell of the same packets, and one of them is enough.
        if format.feedback.iter().any(|value| value == "transport-cc") {
            format.feedback.retain(|value| value != "ack ccfb");
        }
        feedback.extend(format.feedback.iter().filter(|value| !feedback.contains(value)).cloned().collect::<Vec<_>>());
    }
    feedback
}

fn honoured_extensions(media: &OfferedMedia, ours: &Capabilities, role: Role) -> Vec<OfferedExtension> {
    let honoured = |extension: &&OfferedExtension| {
        ours.extensions.contains(&extension.uri.as_str())
            && extension.direction.is_none_or(|direction| role.suits(direction))
    };
    media.extensions.iter().filter(honoured).cloned().collect()
}

/// Simulcast by RIDs, if packets can carry them, or else by SSRCs.
fn layers_of(
    media: &OfferedMedia,
    formats: &[OfferedFormat],
    extensions: &[OfferedExtension],
    ours: &Capabilities,
) -> (Option<Simulcast>, Vec<Layer>) {
    if !ours.simulcast {
        return (None, Vec::new());
    }
    let carried = extensions.iter().any(|extension| extension.uri == RID);
    let simulcast = carried.then(|| Simulcast::accepted(media, formats)).flatten();
    let layers = simulcast.as_ref().map_or_else(|| simulcast::layers_by_ssrc(media), Simulcast::layers);
    (simulcast, layers)
}
