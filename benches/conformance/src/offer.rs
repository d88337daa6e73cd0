//! The offers that are sent: complete and plain ones (RFC 9429 §5.2.1), of which a check bends what it is about.

use std::fmt::Write as _;

/// The MediaStream of every offer.
const STREAM: &str = "conformance";
/// `a=cname` and the CNAME of RTCP.
pub(crate) const CNAME: &str = "conformance@client";

/// A codec and its payload type.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Codec {
    pub(crate) payload_type: u8,
    /// As in `a=rtpmap`.
    pub(crate) rtpmap: &'static str,
    fmtp: Option<&'static str>,
}

impl Codec {
    pub(crate) const fn new(payload_type: u8, rtpmap: &'static str, fmtp: Option<&'static str>) -> Codec {
        Codec { payload_type, rtpmap, fmtp }
    }
}

const H264: &str = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f";

/// An m-section.
#[derive(Clone, Debug)]
pub(crate) struct Section {
    pub(crate) kind: &'static str,
    pub(crate) mid: String,
    pub(crate) direction: &'static str,
    pub(crate) codecs: Vec<Codec>,
    /// `a=bundle-only` with port 0 (RFC 9143 §6).
    pub(crate) bundle_only: bool,
    /// The RIDs of a simulcast offer (RFC 8853).
    pub(crate) rids: Vec<&'static str>,
    /// Of what is sent.
    pub(crate) ssrc: u32,
}

impl Section {
    fn sends(&self) -> bool {
        self.direction.starts_with("send")
    }
}

/// ICE and DTLS of an offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Transport {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    /// The value of `a=fingerprint`.
    pub(crate) fingerprint: String,
    /// Values of `a=candidate`.
    pub(crate) candidates: Vec<String>,
}

/// A whole offer.
#[derive(Clone, Debug)]
pub(crate) struct Offer {
    pub(crate) transport: Transport,
    pub(crate) setup: &'static str,
    pub(crate) sections: Vec<Section>,
}

impl Offer {
    /// Audio (Opus) and video (VP8, H.264), sent.
    pub(crate) fn publish(transport: Transport) -> Offer {
        let audio = section("audio", "0", "sendonly", vec![Codec::new(111, "opus/48000/2", Some("useinbandfec=1"))]);
        let vp8 = Codec::new(96, "VP8/90000", None);
        let video = section("video", "1", "sendonly", vec![vp8, Codec::new(102, "H264/90000", Some(H264))]);
        Offer { transport, setup: "actpass", sections: vec![audio, video] }
    }

    /// Audio and video with as many codecs as WHEP recommends, received, under other payload types than they are published.
    pub(crate) fn play(transport: Transport) -> Offer {
        let opus = Codec::new(109, "opus/48000/2", Some("useinbandfec=1"));
        let pcm = [Codec::new(0, "PCMU/8000", None), Codec::new(8, "PCMA/8000", None)];
        let audio = section("audio", "a", "recvonly", [opus].into_iter().chain(pcm).collect());
        let codecs = vec![
            Codec::new(120, "VP8/90000", None),
            Codec::new(121, "H264/90000", Some(H264)),
            Codec::new(122, "VP9/90000", Some("profile-id=0")),
            Codec::new(123, "AV1/90000", None),
        ];
        Offer { transport, setup: "actpass", sections: vec![audio, section("video", "v", "recvonly", codecs)] }
    }

    /// The section of a kind, when it was not taken out.
    pub(crate) fn section(&mut self, kind: &str) -> Option<&mut Section> {
        self.sections.iter_mut().find(|section| section.kind == kind)
    }

    pub(crate) fn keep(&mut self, kind: &str) {
        self.sections.retain(|section| section.kind == kind);
    }

    pub(crate) fn direct(&mut self, direction: &'static str) {
        self.sections.iter_mut().for_each(|section| section.direction = direction);
    }

    /// The SDP.
    pub(crate) fn text(&self) -> String {
        let mids: Vec<&str> = self.sections.iter().map(|section| section.mid.as_str()).collect();
        let mut sdp = "v=0\r\no=- 5228595038118931041 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n".to_owned();
        line(&mut sdp, &format!("group:BUNDLE {}", mids.join(" ")));
        line(&mut sdp, "extmap-allow-mixed");
        line(&mut sdp, &format!("msid-semantic: WMS {STREAM}"));
        for section in &self.sections {
            self.write_section(&mut sdp, section);
        }
        sdp
    }

    fn write_section(&self, sdp: &mut String, section: &Section) {
        let types: Vec<String> = section.codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        let port = if section.bundle_only { 0 } else { 9 };
        let _ = write!(sdp, "m={} {port} UDP/TLS/RTP/SAVPF {}\r\nc=IN IP4 0.0.0.0\r\n", section.kind, types.join(" "));
        line(sdp, "rtcp:9 IN IP4 0.0.0.0");
        self.write_transport(sdp, section);
        line(sdp, &format!("mid:{}", section.mid));
        line(sdp, "extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid");
        if !section.rids.is_empty() {
            line(sdp, "extmap:10 urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id");
            line(sdp, "extmap:11 urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id");
        }
        line(sdp, section.direction);
        if section.sends() {
            line(sdp, &format!("msid:{STREAM} {}-track", section.kind));
        }
        line(sdp, "rtcp-mux");
        line(sdp, "rtcp-mux-only");
        line(sdp, "rtcp-rsize");
        write_codecs(sdp, section);
        write_sources(sdp, section);
    }

    fn write_transport(&self, sdp: &mut String, section: &Section) {
        if section.bundle_only {
            line(sdp, "bundle-only");
        }
        line(sdp, &format!("ice-ufrag:{}", self.transport.ufrag));
        line(sdp, &format!("ice-pwd:{}", self.transport.pwd));
        line(sdp, "ice-options:trickle ice2");
        line(sdp, &format!("fingerprint:{}", self.transport.fingerprint));
        line(sdp, &format!("setup:{}", self.setup));
        if self.sections.first().is_some_and(|first| first.mid == section.mid) {
            self.transport.candidates.iter().for_each(|candidate| line(sdp, &format!("candidate:{candidate}")));
        }
    }
}

fn section(kind: &'static str, mid: &str, direction: &'static str, codecs: Vec<Codec>) -> Section {
    let ssrc = if kind == "audio" { 0x0a0d_1001 } else { 0x051d_e002 };
    Section { kind, mid: mid.to_owned(), direction, codecs, bundle_only: false, rids: Vec::new(), ssrc }
}

fn line(sdp: &mut String, attribute: &str) {
    let _ = write!(sdp, "a={attribute}\r\n");
}

fn write_codecs(sdp: &mut String, section: &Section) {
    for codec in &section.codecs {
        line(sdp, &format!("rtpmap:{} {}", codec.payload_type, codec.rtpmap));
        if let Some(fmtp) = codec.fmtp {
            line(sdp, &format!("fmtp:{} {fmtp}", codec.payload_type));
        }
        if section.kind == "video" {
            ["nack", "nack pli", "ccm fir"].iter().for_each(|kind| {
                line(sdp, &format!("rtcp-fb:{} {kind}", codec.payload_type));
            });
        }
    }
}

fn write_sources(sdp: &mut String, section: &Section) {
    if !section.sends() {
        return;
    }
    if section.rids.is_empty() {
        line(sdp, &format!("ssrc:{} cname:{CNAME}", section.ssrc));
        line(sdp, &format!("ssrc:{} msid:{STREAM} {}-track", section.ssrc, section.kind));
    } else {
        section.rids.iter().for_each(|rid| line(sdp, &format!("rid:{rid} send")));
        line(sdp, &format!("simulcast:send {}", section.rids.join(";")));
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use sdp_types::Session;

    pub(crate) fn transport() -> Transport {
        Transport {
            ufrag: "abcd".to_owned(),
            pwd: "0123456789abcdefghijkl".to_owned(),
            fingerprint: "sha-256 AA:BB".to_owned(),
            candidates: vec!["1 1 udp 2130706431 127.0.0.1 5000 typ host".to_owned()],
        }
    }

    fn parsed(offer: &Offer) -> Session {
        Session::parse(offer.text().as_bytes()).unwrap()
    }

    #[test]
    fn the_offers_are_sdp_with_the_transport_in_each_section() {
        for offer in [Offer::publish(transport()), Offer::play(transport())] {
            let session = parsed(&offer);
            assert_eq!(session.medias.len(), 2);
            for media in &session.medias {
                assert_eq!(media.get_first_attribute_value("ice-ufrag"), Some(Some("abcd")));
                assert_eq!(media.get_first_attribute_value("setup"), Some(Some("actpass")));
                assert!(media.has_attribute("rtcp-mux-only"));
            }
            let candidates = session.medias.iter().filter(|media| media.has_attribute("candidate")).count();
            assert_eq!(candidates, 1, "only with the offerer-tagged section");
        }
    }

    #[test]
    fn only_what_is_sent_has_sources_and_an_msid() {
        assert!(Offer::publish(transport()).text().contains("a=ssrc:"));
        let play = Offer::play(transport()).text();
        assert!(!play.contains("a=ssrc:") && !play.contains("a=msid:"));
    }

    #[test]
    fn a_bundle_only_section_has_port_0() {
        let mut offer = Offer::publish(transport());
        offer.section("video").unwrap().bundle_only = true;
        let session = parsed(&offer);
        assert_eq!((session.medias[0].port, session.medias[1].port), (9, 0));
        assert!(session.medias[1].has_attribute("bundle-only"));
    }

    #[test]
    fn a_simulcast_offer_names_rids_instead_of_sources() {
        let mut offer = Offer::publish(transport());
        offer.section("video").unwrap().rids = vec!["h", "l"];
        let text = offer.text();
        assert!(text.contains("a=rid:h send\r\na=rid:l send\r\na=simulcast:send h;l\r\n"));
        let session = parsed(&offer);
        assert!(!session.medias[1].has_attribute("ssrc"));
    }
}
