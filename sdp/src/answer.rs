//! The text of an answer (RFC 9429 §5.3.1) for an ICE-lite server (RFC 8445 §2.5) whose every m-section shares one transport.
//!
//! The transport attributes are repeated in each accepted section, although BUNDLE asks for them in the tagged one only: several
//! clients look for them in the section that they happen to read.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use oneport_rtp::ids::Ssrc;
use sdp_types::{Connection, Media, Origin, Session, Time};

use crate::candidate::{self, Candidate};
use crate::negotiated::{Negotiated, NegotiatedMedia};
use crate::rtp_section;

/// The stream that a viewer is sent in one m-section.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// SSRC of the packets.
    pub ssrc: Ssrc,
    /// SSRC of their retransmissions (RFC 4588), if there are any.
    pub rtx_ssrc: Option<Ssrc>,
    /// Canonical name; the same for audio and video, so that the viewer plays them in sync.
    pub cname: String,
    /// MediaStream identifier.
    pub stream_id: String,
    /// MediaStreamTrack identifier.
    pub track_id: String,
}

/// Our side of the transport and, for a viewer, the streams.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDescription {
    /// Our user fragment.
    pub ice_ufrag: String,
    /// Our ICE password.
    pub ice_pwd: String,
    /// Hash function and hash of our certificate.
    pub fingerprints: Vec<(String, Vec<u8>)>,
    /// Where we are reached, in the order of preference among addresses of one family and scope.
    pub candidates: Vec<SocketAddr>,
    /// Number of the `o=` line.
    pub session_id: u64,
    /// For each m-section what is sent in it; `None` or missing where nothing is.
    pub sources: Vec<Option<Source>>,
}

/// Writes the answer.
pub fn write_answer(negotiated: &Negotiated, local: &LocalDescription) -> String {
    write_description(negotiated, local, negotiated.setup.as_str())
}

/// Writes an answer, or an offer that is like one but for `a=setup`.
pub(crate) fn write_description(negotiated: &Negotiated, local: &LocalDescription, setup: &str) -> String {
    let candidates = candidate::in_order(&local.candidates);
    let origin = Origin::with_ip_addr(local.session_id, 1, Ipv4Addr::LOCALHOST);
    let mut session = Session::new(origin, "-");
    session.times.push(Time::new(0, 0));
    if let Some(mids) = &negotiated.bundle {
        let mids: Vec<&str> = mids.iter().map(|mid| mid.as_str()).collect();
        session.add_attribute_with_value("group", format!("BUNDLE {}", mids.join(" ")));
    }
    session.add_attribute_from_str("ice-lite");
    if negotiated.ice2 {
        session.add_attribute_with_value("ice-options", "ice2");
    }
    if negotiated.extmap_allow_mixed {
        session.add_attribute_from_str("extmap-allow-mixed");
    }
    for (index, media) in negotiated.media.iter().enumerate() {
        let mut section = open_section(media, &candidates);
        if media.accepted {
            write_transport(&mut section, local, setup);
            match media.max_message_size {
                Some(size) => write_data(&mut section, size),
                None => rtp_section::write_rtp(&mut section, media),
            }
            if let Some(source) = local.sources.get(index).and_then(Option::as_ref) {
                rtp_section::write_source(&mut section, source);
            }
            for candidate in &candidates {
                section.add_attribute_with_value("candidate", candidate);
            }
            section.add_attribute_from_str("end-of-candidates");
        }
        session.medias.push(section);
    }
    let mut text = Vec::new();
    session.write(&mut text).expect("a Vec takes whatever is written to it");
    String::from_utf8(text).expect("all parts are strings")
}

/// The m-line with what is written whether or not the section is accepted.
fn open_section(media: &NegotiatedMedia, candidates: &[Candidate]) -> Media {
    let unknown = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9);
    let mut default = candidates.first().map_or(unknown, Candidate::address);
    let mut format_list = media.format_list.clone();
    if media.accepted {
        if media.max_message_size.is_none() {
            format_list = rtp_section::format_list(media);
        }
    } else {
        default = SocketAddr::new(unknown.ip(), 0);
    }
    let mut section = Media {
        media: media.kind.to_string(),
        port: default.port(),
        num_ports: None,
        proto: media.protocol.clone(),
        fmt: format_list,
        media_title: None,
        connections: vec![Connection::from_ip_addr(default.ip())],
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    };
    if let Some(mid) = media.mid {
        section.add_attribute_with_value("mid", mid);
    }
    if media.max_message_size.is_none() {
        section.add_attribute_from_str(media.direction.as_str());
    }
    section
}

/// RFC 8841 §5 and §6. The port is ours, whatever the client's.
fn write_data(section: &mut Media, max_message_size: u32) {
    section.add_attribute_with_value("sctp-port", 5000);
    section.add_attribute_with_value("max-message-size", max_message_size);
}

fn write_transport(section: &mut Media, local: &LocalDescription, setup: &str) {
    section.add_attribute_with_value("ice-ufrag", &local.ice_ufrag);
    section.add_attribute_with_value("ice-pwd", &local.ice_pwd);
    for (algorithm, bytes) in &local.fingerprints {
        let hex: Vec<String> = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        section.add_attribute_with_value("fingerprint", format!("{algorithm} {}", hex.join(":")));
    }
    section.add_attribute_with_value("setup", setup);
}
