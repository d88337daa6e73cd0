//! Counter-offers: what is offered, and what is made of its answers.

use oneport_rtp::ids::Ssrc;
use oneport_rtp::payload::{Codec, Format, MediaKind, Variant};
use oneport_sdp::{Capabilities, Counter, LocalDescription, Negotiated, Offer, Rejection, Setup, Source};

fn capabilities() -> Capabilities {
    Capabilities {
        codecs: Codec::ALL.to_vec(),
        extensions: vec!["urn:ietf:params:rtp-hdrext:sdes:mid"],
        video_feedback: vec!["nack pli"],
        ..Capabilities::default()
    }
}

fn counter(published: &[Format]) -> Counter {
    Counter::new(capabilities(), published).expect("something to offer")
}

fn written(counter: &Counter) -> String {
    let source = |ssrc| Source {
        ssrc: Ssrc(ssrc),
        rtx_ssrc: None,
        cname: "cname".to_owned(),
        stream_id: "stream".to_owned(),
        track_id: format!("track{ssrc}"),
    };
    counter.write(&LocalDescription {
        ice_ufrag: "ours".to_owned(),
        ice_pwd: "ourpasswordourpassword".to_owned(),
        fingerprints: vec![("sha-256".to_owned(), vec![0xab; 32])],
        candidates: vec!["192.0.2.1:8000".parse().unwrap()],
        session_id: 7,
        sources: vec![Some(source(1)), Some(source(2))],
    })
}

/// An answer of Chromium's shape that keeps Opus and, with its parameters, one video format.
fn answer(video: &str) -> String {
    let transport = "c=IN IP4 0.0.0.0\r\na=ice-ufrag:mine\r\na=ice-pwd:myownpasswordmyownpassword\r\na=setup:active\r\n\
                     a=fingerprint:sha-256 00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF\r\n\
                     a=rtcp-mux\r\na=rtcp-rsize\r\na=recvonly\r\na=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid\r\n";
    let number = video.split(' ').next().unwrap();
    format!(
        "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n\
         m=audio 9 UDP/TLS/RTP/SAVPF 111\r\n{transport}a=mid:0\r\na=rtpmap:111 opus/48000/2\r\n\
         m=video 9 UDP/TLS/RTP/SAVPF {number}\r\n{transport}a=mid:1\r\na=rtpmap:{video}\r\n"
    )
}

fn accepted(answer: &str) -> Result<Negotiated, Rejection> {
    counter(&[]).accept(&Offer::parse(answer).expect("SDP"))
}

#[test]
fn the_offer_is_whole_and_ours() {
    let text = written(&counter(&[]));
    let offer = Offer::parse(&text).expect("what is written can be read");
    assert_eq!(offer.media.len(), 2);
    for line in [
        "a=group:BUNDLE 0 1",
        "a=ice-lite",
        "a=sendonly",
        "a=setup:actpass",
        "a=rtcp-mux",
        "a=rtcp-rsize",
        "a=msid:stream track1",
        "a=ssrc:2 cname:cname",
        "a=candidate:1 1 udp 2130706431 192.0.2.1 8000 typ host",
        "a=end-of-candidates",
        "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    ] {
        assert!(text.contains(&format!("{line}\r\n")), "{line} is missing in\n{text}");
    }
    for codec in ["opus/48000/2", "PCMU/8000", "VP8/90000", "VP9/90000", "H264/90000", "AV1/90000", "H265/90000"] {
        assert!(text.contains(codec), "{codec}");
    }
    assert!(!text.contains("transport-cc") && !text.contains("rtx/"), "what is not honoured is not offered");
}

#[test]
fn what_is_published_is_offered_first() {
    let av1 =
        Format { codec: Codec::Av1, clock_rate: 90_000, variant: Variant::Tiered { profile: 0, tier: 0, level: 5 } };
    let counter = counter(&[av1]);
    let video = counter.offered().media.iter().find(|media| media.kind.media() == Some(MediaKind::Video)).unwrap();
    assert_eq!(video.formats[0].format.codec, Codec::Av1);
    assert!(video.formats.len() > 5, "and all others too");
}

#[test]
fn an_answer_decides_formats_roles_and_credentials() {
    let agreed = accepted(&answer("96 VP8/90000")).unwrap();
    assert_eq!((agreed.ice_ufrag.as_str(), agreed.setup), ("mine", Setup::Passive));
    let codecs: Vec<Codec> = agreed.media.iter().flat_map(|media| &media.formats).map(|own| own.format.codec).collect();
    assert_eq!(codecs, [Codec::Opus, Codec::Vp8]);
    let passive = accepted(&answer("96 VP8/90000").replace("a=setup:active", "a=setup:passive")).unwrap();
    assert_eq!(passive.setup, Setup::Active);
}

#[test]
fn a_section_may_be_refused_and_not_all_of_them() {
    let audio_only = answer("96 VP8/90000").replace("m=video 9", "m=video 0").replace("BUNDLE 0 1", "BUNDLE 0");
    let agreed = accepted(&audio_only).unwrap();
    assert_eq!(agreed.media.iter().map(|media| media.accepted).collect::<Vec<_>>(), [true, false]);
    let nothing = audio_only.replace("m=audio 9", "m=audio 0");
    assert!(matches!(accepted(&nothing), Err(Rejection::NothingUsable { .. })));
}

#[test]
fn what_answers_another_offer_is_refused() {
    let good = answer("96 VP8/90000");
    let cut = good.find("m=video").unwrap();
    assert!(matches!(accepted(&good[..cut]), Err(Rejection::OtherSections { offered: 2, answered: 1 })));
    assert!(matches!(accepted(&answer("97 VP8/90000")), Err(Rejection::OtherSection { .. })));
    assert!(matches!(accepted(&good.replace("a=mid:1", "a=mid:2")), Err(Rejection::OtherSection { .. })));
    let undecided = good.replace("a=setup:active", "a=setup:actpass");
    assert!(matches!(accepted(&undecided), Err(Rejection::UndecidedSetup { .. })));
    let sending = good.replace("a=recvonly", "a=sendonly");
    assert!(matches!(accepted(&sending), Err(Rejection::WrongDirection { .. })));
    let bare = good.replace("a=fingerprint", "a=no-fingerprint");
    assert!(matches!(accepted(&bare), Err(Rejection::NoFingerprint { .. })));
}

#[test]
fn inactive_refuses_a_section_and_a_mid_may_be_left_out() {
    let whole = answer("96 VP8/90000");
    let number = {
        let text = written(&counter(&[]));
        let line = text.lines().find(|line| line.ends_with(" VP8/90000")).unwrap().to_owned();
        line.trim_start_matches("a=rtpmap:").split(' ').next().unwrap().to_owned()
    };
    let whole = whole.replace("96", &number);
    let (audio, video) = whole.split_once("m=video").unwrap();
    let text = format!("{}m=video{}", audio.replace("a=recvonly", "a=inactive").replace("a=mid:0\r\n", ""), video);
    let agreed = accepted(&text).unwrap();
    assert_eq!(agreed.media.iter().map(|media| media.accepted).collect::<Vec<_>>(), [false, true]);
    assert_eq!(agreed.media[0].mid.map(|mid| mid.to_string()).as_deref(), Some("0"));
    assert!(accepted(&text.replace("a=recvonly", "a=inactive")).is_err(), "nothing is left");
}
