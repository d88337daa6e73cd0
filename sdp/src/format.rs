//! Payload formats of an m-section: `a=rtpmap` (RFC 8866 §6.6), what depends on `a=fmtp`, and `a=rtcp-fb` (RFC 4585 §4.2).

use std::ops::RangeInclusive;

use oneport_rtp::ids::PayloadType;
use oneport_rtp::payload::{Codec, Format, Variant};

use crate::fmtp::Parameters;
use crate::media::{Attributes, Kind, OfferedFormat};

/// Formats that carry or repair others; nobody calls them codecs. Telephone events and comfort noise go with them: a client does not
/// miss them in an answer.
const AUXILIARY: [&str; 8] = ["rtx", "red", "ulpfec", "flexfec", "flexfec-03", "telephone-event", "CN", "parityfec"];

/// Payload types whose packets look like RTCP when both share a port (RFC 5761 §4).
const LIKE_RTCP: RangeInclusive<u8> = 64..=95;

/// Most feedback values that are kept of one format. Browsers have five.
const MAX_FEEDBACK: usize = 32;

/// An `a=rtpmap`, or what RFC 3551 §6 says of a static payload type.
struct RtpMap<'a> {
    name: &'a str,
    clock_rate: u32,
    channels: u8,
}

/// The formats of known codecs and the names of all codecs, both in the order of the m-line.
pub(crate) fn read(kind: &Kind, list: &str, attributes: Attributes<'_>) -> (Vec<OfferedFormat>, Vec<String>) {
    let mut formats: Vec<OfferedFormat> = Vec::new();
    let mut names: Vec<String> = Vec::new();
    let mut seen = [false; 128];
    let mut retransmissions: Vec<Retransmission> = Vec::new();
    for number in list.split_whitespace().filter_map(|number| number.parse::<u8>().ok()) {
        let first = seen.get_mut(usize::from(number)).is_some_and(|seen| !std::mem::replace(seen, true));
        if !first || LIKE_RTCP.contains(&number) {
            continue;
        }
        let Some(map) = rtpmap(number, attributes) else { continue };
        let auxiliary = AUXILIARY.iter().any(|name| name.eq_ignore_ascii_case(map.name));
        if !auxiliary && !names.iter().any(|name| name.eq_ignore_ascii_case(map.name)) {
            names.push(map.name.to_owned());
        }
        retransmissions.extend(retransmission(number, &map, attributes));
        formats.extend(offered_format(kind, number, &map, attributes));
    }
    for format in &mut formats {
        let clock_rate = format.format.clock_rate;
        let own = retransmissions.iter().find(|rtx| rtx.of == format.payload_type && rtx.clock_rate == clock_rate);
        format.rtx = own.map(|rtx| rtx.payload_type);
    }
    (formats, names)
}

/// A format of retransmissions.
struct Retransmission {
    payload_type: PayloadType,
    /// The payload type that is sent again.
    of: PayloadType,
    clock_rate: u32,
}

/// `rtx` with `apt` (RFC 4588 §8.6).
fn retransmission(number: u8, map: &RtpMap<'_>, attributes: Attributes<'_>) -> Option<Retransmission> {
    if !map.name.eq_ignore_ascii_case("rtx") {
        return None;
    }
    let fmtp = of_payload_type(number, "fmtp", attributes).next()?;
    let of = PayloadType(Parameters(fmtp).value("apt")?.parse().ok()?);
    Some(Retransmission { payload_type: PayloadType(number), of, clock_rate: map.clock_rate })
}

/// The attribute's value for one payload type.
fn of_payload_type<'a>(number: u8, name: &str, attributes: Attributes<'a>) -> impl Iterator<Item = &'a str> {
    attributes.values(name).filter_map(move |value| {
        let (payload_type, rest) = value.split_once(char::is_whitespace)?;
        (payload_type.parse() == Ok(number)).then_some(rest.trim())
    })
}

fn rtpmap(number: u8, attributes: Attributes<'_>) -> Option<RtpMap<'_>> {
    let Some(map) = of_payload_type(number, "rtpmap", attributes).next() else {
        let name = match number {
            0 => "PCMU",
            8 => "PCMA",
            _ => return None,
        };
        return Some(RtpMap { name, clock_rate: 8000, channels: 1 });
    };
    let mut fields = map.split('/');
    let name = fields.next()?;
    let clock_rate = fields.next()?.trim().parse().ok()?;
    let channels = fields.next().map_or(Some(1), |channels| channels.trim().parse().ok())?;
    Some(RtpMap { name, clock_rate, channels })
}

/// The format, if its codec is known, belongs in this kind of section and has the clock rate that is registered for it.
fn offered_format(kind: &Kind, number: u8, map: &RtpMap<'_>, attributes: Attributes<'_>) -> Option<OfferedFormat> {
    let codec = Codec::from_encoding_name(map.name)?;
    if kind.media() != Some(codec.kind()) || map.clock_rate != clock_rate(codec) {
        return None;
    }
    let fmtp = of_payload_type(number, "fmtp", attributes).next();
    let variant = variant(codec, Parameters(fmtp.unwrap_or_default()))?;
    Some(OfferedFormat {
        payload_type: PayloadType(number),
        format: Format { codec, clock_rate: map.clock_rate, variant },
        channels: map.channels,
        fmtp: fmtp.map(str::to_owned),
        feedback: feedback(number, attributes),
        rtx: None,
    })
}

fn clock_rate(codec: Codec) -> u32 {
    match codec {
        Codec::Opus | Codec::Red => 48_000,
        Codec::Pcmu | Codec::Pcma => 8_000,
        _ => 90_000,
    }
}

/// What tells formats of one codec apart. `None` for a variant that nobody forwards, such as H264 packetization mode 2.
fn variant(codec: Codec, parameters: Parameters<'_>) -> Option<Variant> {
    Some(match codec {
        Codec::H264 => Variant::H264 {
            profile: parameters.h264_profile(),
            packetization_mode: parameters.number("packetization-mode", 0).filter(|mode| *mode <= 1)?,
        },
        // RFC 7798 §7.1
        Codec::H265 => Variant::Tiered {
            profile: parameters.number("profile-id", 1)?,
            tier: parameters.number("tier-flag", 0)?,
            level: parameters.number("level-id", 93)?,
        },
        Codec::Vp9 => Variant::Profile(parameters.number("profile-id", 0)?),
        // RTP Payload Format For AV1, section 7.2
        Codec::Av1 => Variant::Tiered {
            profile: parameters.number("profile", 0)?,
            tier: parameters.number("tier", 0)?,
            level: parameters.number("level-idx", 5)?,
        },
        _ => Variant::Plain,
    })
}

/// The feedback of one payload type and of all (`*`), each value once and with single spaces.
fn feedback(number: u8, attributes: Attributes<'_>) -> Vec<String> {
    let mut kept: Vec<String> = Vec::new();
    for value in attributes.values("rtcp-fb") {
        let mut words = value.split_whitespace();
        let of_this = words.next().is_some_and(|word| word == "*" || word.parse() == Ok(number));
        if !of_this {
            continue;
        }
        let value = words.collect::<Vec<_>>().join(" ");
        if kept.len() < MAX_FEEDBACK && !value.is_empty() && !kept.contains(&value) {
            kept.push(value);
        }
    }
    kept
}
