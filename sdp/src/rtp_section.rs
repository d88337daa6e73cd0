//! What an answer's m-section says of RTP: header extensions, formats with their feedback and retransmissions, layers, bitrates, and
//! the stream that a viewer is sent.

use oneport_rtp::ids::{PayloadType, Ssrc};
use oneport_rtp::payload::MediaKind;
use sdp_types::{Bandwidth, Media};

use crate::answer::Source;
use crate::fmtp::Parameters;
use crate::media::{Direction, OfferedFormat};
use crate::negotiated::{Bitrates, NegotiatedMedia};

/// The payload types of the m-line, each format's retransmissions behind it.
pub(crate) fn format_list(media: &NegotiatedMedia) -> String {
    let numbers = media.formats.iter().flat_map(|format| [Some(format.payload_type), format.rtx]).flatten();
    numbers.map(|number| number.0.to_string()).collect::<Vec<_>>().join(" ")
}

/// The RTP attributes of an accepted section.
pub(crate) fn write_rtp(section: &mut Media, media: &NegotiatedMedia) {
    section.add_attribute_from_str("rtcp-mux");
    // RFC 9725 §4.4.1 wants it here, against RFC 8858 §4.3: docs/decisions/0004.
    section.add_attribute_from_str("rtcp-mux-only");
    if media.rtcp_rsize {
        section.add_attribute_from_str("rtcp-rsize");
    }
    if media.extmap_allow_mixed {
        section.add_attribute_from_str("extmap-allow-mixed");
    }
    for extension in &media.extensions {
        // An extension that was offered with a direction is answered with the opposite one (RFC 8285 §7).
        let direction = extension.direction.map(|_| format!("/{}", media.direction.as_str())).unwrap_or_default();
        section.add_attribute_with_value("extmap", format!("{}{direction} {}", extension.id, extension.uri));
    }
    for format in &media.formats {
        write_format(section, format, media.direction, media.bitrates);
    }
    write_simulcast(section, media);
    write_bandwidth(section, media.bitrates);
}

fn write_format(section: &mut Media, offered: &OfferedFormat, direction: Direction, bitrates: Option<Bitrates>) {
    let number = offered.payload_type.0;
    let codec = offered.format.codec;
    let mut map = format!("{number} {}/{}", codec.encoding_name(), offered.format.clock_rate);
    if offered.channels > 1 {
        map.push_str(&format!("/{}", offered.channels));
    }
    section.add_attribute_with_value("rtpmap", map);
    let mut parameters: Vec<String> = Vec::new();
    parameters.extend(offered.fmtp.as_deref().and_then(|fmtp| Parameters(fmtp).answered(codec, direction)));
    if codec.kind() == MediaKind::Video {
        parameters.extend(bitrates.iter().flat_map(google_bitrates));
    }
    if !parameters.is_empty() {
        section.add_attribute_with_value("fmtp", format!("{number} {}", parameters.join(";")));
    }
    for feedback in &offered.feedback {
        section.add_attribute_with_value("rtcp-fb", format!("{number} {feedback}"));
    }
    if let Some(PayloadType(rtx)) = offered.rtx {
        section.add_attribute_with_value("rtpmap", format!("{rtx} rtx/{}", offered.format.clock_rate));
        section.add_attribute_with_value("fmtp", format!("{rtx} apt={number}"));
    }
}

/// libwebrtc takes an encoder's bounds from the format's parameters, in kbit/s.
fn google_bitrates(bitrates: &Bitrates) -> Vec<String> {
    let bounds = [("min", bitrates.min_kbps), ("start", bitrates.start_kbps), ("max", bitrates.max_kbps)];
    let given = bounds.iter().filter_map(|(name, kbps)| Some(format!("x-google-{name}-bitrate={}", (*kbps)?)));
    given.collect()
}

/// The upper bound for all other clients: `b=AS` in kbit/s (RFC 8866 §5.8) and `b=TIAS` in bit/s (RFC 3890 §6.2).
fn write_bandwidth(section: &mut Media, bitrates: Option<Bitrates>) {
    let Some(kbps) = bitrates.and_then(|bitrates| bitrates.max_kbps).map(u64::from) else { return };
    for (bwtype, bandwidth) in [("AS", kbps), ("TIAS", kbps * 1000)] {
        section.bandwidths.push(Bandwidth { bwtype: bwtype.to_owned(), bandwidth });
    }
}

/// RFC 8853 §5.3.2: every accepted rid from our side, and the layers in the offer's order.
fn write_simulcast(section: &mut Media, media: &NegotiatedMedia) {
    let Some(simulcast) = &media.simulcast else { return };
    for line in &simulcast.rids {
        let numbers: Vec<String> = line.payload_types.iter().map(|number| number.0.to_string()).collect();
        let restriction = if numbers.is_empty() { String::new() } else { format!(" pt={}", numbers.join(",")) };
        section.add_attribute_with_value("rid", format!("{} recv{restriction}", line.rid));
    }
    section.add_attribute_with_value("simulcast", simulcast);
}

/// The stream that is sent, with its retransmissions.
pub(crate) fn write_source(section: &mut Media, source: &Source) {
    let Source { ssrc, rtx_ssrc, cname, stream_id, track_id } = source;
    section.add_attribute_with_value("msid", format!("{stream_id} {track_id}"));
    if let Some(rtx) = rtx_ssrc {
        section.add_attribute_with_value("ssrc-group", format!("FID {} {}", ssrc.0, rtx.0));
    }
    for Ssrc(ssrc) in [Some(*ssrc), *rtx_ssrc].into_iter().flatten() {
        section.add_attribute_with_value("ssrc", format!("{ssrc} cname:{cname}"));
        section.add_attribute_with_value("ssrc", format!("{ssrc} msid:{stream_id} {track_id}"));
    }
}
