//! Our side of the negotiation, and short offers that a test changes in one place.

use std::path::Path;

use oneport_rtp::ids::Ssrc;
use oneport_rtp::payload::{Codec, Format, H264Profile, Variant};
use oneport_sdp::{
    Capabilities, LocalDescription, Negotiated, Offer, Rejection, Source, negotiate_play, negotiate_publish,
};

pub(crate) const MID: &str = "urn:ietf:params:rtp-hdrext:sdes:mid";
pub(crate) const RID: &str = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id";

pub(crate) const FINGERPRINT: &str = "a=fingerprint:sha-256 00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F";
pub(crate) const SESSION: &str = "v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\nt=0 0\na=group:BUNDLE 0 1\na=ice-ufrag:a+/b\na=ice-pwd:0123456789012345678901\na=setup:actpass\n";
pub(crate) const AUDIO: &str =
    "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=mid:0\na=sendonly\na=rtcp-mux\na=rtpmap:111 opus/48000/2\n";
pub(crate) const VIDEO: &str =
    "m=video 9 UDP/TLS/RTP/SAVPF 96\na=mid:1\na=sendonly\na=rtcp-mux\na=rtpmap:96 VP8/90000\na=rtcp-fb:96 nack pli\n";

/// A publisher's offer: the session, its fingerprint and the given sections.
pub(crate) fn offer(sections: &[&str]) -> String {
    format!("{SESSION}{FINGERPRINT}\n{}", sections.concat())
}

pub(crate) fn capabilities() -> Capabilities {
    Capabilities {
        codecs: Codec::ALL.to_vec(),
        extensions: vec![MID, RID],
        video_feedback: vec!["nack pli", "ccm fir"],
        simulcast: true,
        ..Capabilities::default()
    }
}

pub(crate) fn publish(text: &str) -> Result<Negotiated, Rejection> {
    negotiate_publish(&Offer::parse(text).expect("an offer"), &capabilities())
}

pub(crate) fn play(text: &str, published: &[Format]) -> Result<Negotiated, Rejection> {
    negotiate_play(&Offer::parse(text).expect("an offer"), &capabilities(), published)
}

pub(crate) fn opus() -> Format {
    Format { codec: Codec::Opus, clock_rate: 48_000, variant: Variant::Plain }
}

pub(crate) fn vp8() -> Format {
    Format { codec: Codec::Vp8, clock_rate: 90_000, variant: Variant::Plain }
}

pub(crate) fn h264() -> Format {
    let variant = Variant::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode: 1 };
    Format { codec: Codec::H264, clock_rate: 90_000, variant }
}

/// Our transport, and a source for each of so many sections.
pub(crate) fn local(sources: u32) -> LocalDescription {
    let source = |n| Source {
        ssrc: Ssrc(1000 + n),
        rtx_ssrc: None,
        cname: "c".to_owned(),
        stream_id: "stream".to_owned(),
        track_id: format!("track-{n}"),
    };
    LocalDescription {
        ice_ufrag: "ourufrag".to_owned(),
        ice_pwd: "ourpasswordhastwentytwocharacters".to_owned(),
        fingerprints: vec![("sha-256".to_owned(), (0..32).map(|byte| byte * 8).collect())],
        candidates: vec!["192.0.2.1:3478".parse().unwrap(), "[2001:db8::1]:3478".parse().unwrap()],
        session_id: 4_294_967_296,
        sources: (0..sources).map(|n| Some(source(n))).collect(),
    }
}

/// Names and texts of the corpus's offers whose name has the given part.
pub(crate) fn recorded(part: &str) -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let files = std::fs::read_dir(folder).expect("the corpus").map(|file| file.expect("a file").path());
    let named = files.map(|path| (path.file_name().unwrap().to_string_lossy().into_owned(), path));
    let mut found: Vec<(String, String)> = named
        .filter(|(name, _)| name.contains(part))
        .map(|(name, path)| (name, std::fs::read_to_string(path).expect("text")))
        .collect();
    found.sort();
    assert!(!found.is_empty(), "no offer is named like {part}");
    found
}

/// One offer of the corpus.
pub(crate) fn one(name: &str) -> String {
    recorded(&format!("{name}.offer.sdp")).into_iter().find(|(file, _)| file.starts_with(name)).expect(name).1
}
