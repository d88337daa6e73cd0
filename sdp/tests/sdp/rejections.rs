//! Offers that are turned away, and the sentences that say why.

use oneport_rtp::payload::{Codec, Format, Variant};
use oneport_sdp::{MAX_OFFER, Offer, Rejection, SdpError};

use crate::fixture::{AUDIO, SESSION, VIDEO, h264, offer, opus, play, publish, vp8};

fn refused(text: &str) -> String {
    publish(text).expect_err("a rejection").to_string()
}

#[test]
fn a_direction_that_does_not_suit_is_named_with_its_section() {
    let viewer = offer(&[AUDIO, &VIDEO.replace("sendonly", "recvonly")]);
    assert_eq!(
        refused(&viewer),
        "m-section 1 (video, mid 1, line 15) is recvonly, but to publish the offer has to say sendonly or sendrecv"
    );
    let rejection = play(&offer(&[AUDIO]), &[opus()]).unwrap_err();
    assert!(matches!(rejection, Rejection::WrongDirection { .. }), "{rejection}");
}

#[test]
fn an_inactive_section_neither_publishes_nor_plays() {
    let text = offer(&[AUDIO, &VIDEO.replace("sendonly", "inactive")]);
    let is_named =
        |rejection: &Rejection| matches!(rejection, Rejection::WrongDirection { section, .. } if section.index == 1);
    assert!(is_named(&publish(&text).unwrap_err()));
    assert!(is_named(&play(&text.replace("sendonly", "recvonly"), &[opus()]).unwrap_err()));
}

#[test]
fn the_transport_has_to_be_whole() {
    let whole = offer(&[AUDIO]);
    assert!(refused(&format!("{SESSION}{AUDIO}")).contains("no a=fingerprint"));
    assert!(refused(&whole.replace("a=ice-ufrag", "a=x-ufrag")).contains("a=ice-ufrag"));
    assert!(refused(&whole.replace("a=ice-pwd:0123", "a=ice-pwd:")).contains("a=ice-pwd"));
    assert!(refused(&whole.replace("a=rtcp-mux\n", "")).contains("no a=rtcp-mux"));
    assert!(refused(&whole.replace("actpass", "holdconn")).contains("a=setup:holdconn"));
    assert!(refused(&whole.replace("s=-\n", "s=-\na=ice-lite\n")).contains("full ICE agent"));
    assert!(refused(&whole.replace("UDP/TLS/RTP/SAVPF", "TCP/RTP/AVP")).contains("TCP/RTP/AVP"));
}

#[test]
fn sections_outside_of_the_bundle_are_refused() {
    let text = offer(&[AUDIO, VIDEO]).replace("BUNDLE 0 1", "BUNDLE 0");
    assert!(refused(&text).starts_with("m-section 1 (video, mid 1, line 15) is not in the a=group:BUNDLE"));
    assert!(publish(&offer(&[AUDIO]).replace("a=group:BUNDLE 0 1\n", "")).is_ok(), "one alone needs no bundle");
}

#[test]
fn a_second_video_section_is_refused() {
    let second = VIDEO.replace("mid:1", "mid:2");
    assert!(
        refused(&offer(&[VIDEO, &second])).contains("m-section 1 (video, mid 2, line 16) is a second video section")
    );
}

#[test]
fn an_answer_is_never_partial() {
    let video = VIDEO.replace("VP8", "theora");
    let rejection = publish(&offer(&[AUDIO, &video])).unwrap_err();
    let Rejection::NoCommonCodec { offered, ours, .. } = &rejection else { panic!("{rejection}") };
    assert_eq!(offered, &["theora"]);
    assert_eq!(ours, &[Codec::Vp8, Codec::Vp9, Codec::H264, Codec::H265, Codec::Av1]);
    assert!(rejection.to_string().contains("offered are theora, accepted are VP8, VP9, H264, H265, AV1"));
}

#[test]
fn a_viewer_without_the_published_codec_is_told_so() {
    let viewer = offer(&[AUDIO, VIDEO]).replace("sendonly", "recvonly");
    let rejection = play(&viewer, &[opus(), h264()]).unwrap_err();
    assert_eq!(
        rejection.to_string(),
        "m-section 1 (video, mid 1, line 15) cannot take the video that is published, which is H264 with packetization-mode 1: \
         offered are VP8"
    );
}

#[test]
fn a_viewer_with_another_variant_of_the_codec_is_told_which() {
    let video = VIDEO.replace("VP8", "H264").replace("SAVPF 96", "SAVPF 96 97 98") + "a=rtpmap:97 VP8/90000\n";
    let viewer = offer(&[&(video + "a=rtpmap:98 H264/90000\n")]).replace("sendonly", "recvonly");
    let rejection = play(&viewer, &[h264()]).unwrap_err();
    assert!(matches!(rejection, Rejection::CodecNotOffered { published, .. } if published == h264()));
    let sentence = rejection.to_string();
    assert!(sentence.ends_with("packetization-mode 1: offered are VP8, H264 with packetization-mode 0"), "{sentence}");
}

#[test]
fn a_rejection_counts_lines_as_they_came() {
    let text = offer(&[AUDIO, VIDEO]).replace("a=mid:0\n", "\r\na=\r\na=mid:0\r\n").replace("sendonly", "recvonly");
    let Rejection::WrongDirection { section, .. } = publish(&text).unwrap_err() else { panic!("a wrong direction") };
    assert_eq!((section.index, section.line), (0, 10));
    let kept = Offer::parse(&text).unwrap().media;
    assert_eq!(kept[1].line, 17);
    assert!(text.lines().nth(16).unwrap().starts_with("m=video"));
}

#[test]
fn kinds_that_a_viewer_does_not_ask_for_are_not_sent() {
    let viewer = offer(&[AUDIO]).replace("sendonly", "recvonly");
    assert!(play(&viewer, &[opus(), h264()]).is_ok());
    let rejection = play(&viewer, &[vp8()]).unwrap_err();
    assert!(matches!(rejection, Rejection::NothingOffered { .. }), "{rejection}");
}

#[test]
fn a_profile_that_is_not_offered_is_not_played() {
    let vp9 = |profile| Format { codec: Codec::Vp9, clock_rate: 90_000, variant: Variant::Profile(profile) };
    let viewer = offer(&[&VIDEO.replace("VP8", "VP9")]).replace("sendonly", "recvonly");
    assert!(play(&viewer, &[vp9(0)]).is_ok());
    assert!(matches!(play(&viewer, &[vp9(2)]), Err(Rejection::CodecNotOffered { .. })));
}

#[test]
fn nothing_usable_is_said() {
    assert_eq!(
        refused(&offer(&[&AUDIO.replace("m=audio 9", "m=audio 0")])),
        "the offer has neither audio nor video that is turned on: it has m-section 0 (audio, mid 0, line 10)"
    );
}

#[test]
fn a_viewer_that_asks_for_another_kind_is_told_what_there_is() {
    let viewer = offer(&[VIDEO]).replace("sendonly", "recvonly");
    let red = Format { codec: Codec::Red, ..opus() };
    assert_eq!(
        play(&viewer, &[opus(), red]).unwrap_err().to_string(),
        "the stream has audio, of which the offer asks for nothing: it has m-section 0 (video, mid 1, line 10)"
    );
}

#[test]
fn a_full_ice_agent_is_asked_for_with_the_line() {
    assert!(
        refused(&offer(&[AUDIO]).replace("s=-\n", "s=-\na=ice-lite\n"))
            .starts_with("line 4 of the offer says a=ice-lite")
    );
}

#[test]
fn a_sentence_repeats_little_of_what_a_client_wrote() {
    let long = "x".repeat(9_000);
    let codecs: String = (97..127).map(|n| format!("a=rtpmap:{n} {long}{n}/90000\n")).take(6).collect();
    let numbers: String = (97..127).map(|n| format!(" {n}")).collect();
    let text = offer(&[&format!("m=video 9 UDP/TLS/RTP/SAVPF{numbers}\na=sendonly\na=rtcp-mux\n{codecs}")]);
    assert!(refused(&text).len() < 800, "{}", refused(&text));
    let many: String = (97..127).map(|n| format!("a=rtpmap:{n} codec{n}/90000\n")).collect();
    let text = offer(&[&format!("m=video 9 UDP/TLS/RTP/SAVPF{numbers}\na=sendonly\na=rtcp-mux\n{many}")]);
    assert!(refused(&text).contains("codec112, 14 more, accepted are VP8"), "{}", refused(&text));
    assert!(refused(&offer(&[&AUDIO.replace("UDP/TLS", &long)])).len() < 300);
    assert!(refused(&offer(&[AUDIO]).replace("actpass", &long)).len() < 300);
}

#[test]
fn a_fault_is_named_with_its_line() {
    let text = offer(&[AUDIO]).replace("m=audio 9", "m=audio nine").replace('\n', "\r\n");
    let error = Offer::parse(&text).unwrap_err().to_string();
    assert_eq!(
        error,
        "line 10 of the offer, \"m=audio nine UDP/TLS/RTP/SAVPF 111\": Media port is not what it should be"
    );
    let repaired = text.replace("s=-\r\n", "s=-\r\n\r\na=\r\n");
    assert!(Offer::parse(&repaired).unwrap_err().to_string().starts_with("line 12 of"), "lines count as they came");
    let text = offer(&[AUDIO]).replace("a=rtcp-mux", "rtcp-mux");
    assert!(Offer::parse(&text).unwrap_err().to_string().starts_with("line 13 of the offer, \"rtcp-mux\""));
}

#[test]
fn mids_are_different_and_short() {
    let twice = offer(&[AUDIO, &VIDEO.replace("mid:1", "mid:0")]);
    assert!(Offer::parse(&twice).unwrap_err().to_string().contains("same mid"));
    let long = offer(&[&AUDIO.replace("mid:0", "mid:01234567890123456")]);
    assert!(Offer::parse(&long).unwrap_err().to_string().contains("1 to 16"));
}

#[test]
fn what_is_no_offer_is_told_from_one() {
    assert_eq!(Offer::parse(""), Err(SdpError::NoVersion));
    assert_eq!(Offer::parse("{\"sdp\": 1}"), Err(SdpError::NoVersion));
    assert_eq!(Offer::parse("v=0\r\n"), Err(SdpError::NoMedia));
    assert_eq!(Offer::parse(&"v".repeat(MAX_OFFER + 1)), Err(SdpError::TooLong(MAX_OFFER + 1)));
    let sections = "m=audio 9 UDP/TLS/RTP/SAVPF 0\n";
    assert!(Offer::parse(&format!("v=0\n{}", sections.repeat(32))).is_ok());
    let too_many = Offer::parse(&format!("v=0\n{}", sections.repeat(33)));
    assert!(matches!(too_many, Err(SdpError::TooManySections { number: 34, .. })));
}
