//! Which formats are chosen, in which order, and what the answer says of them.

use oneport_rtp::payload::{Codec, Format, H264Profile, Variant};
use oneport_sdp::{
    Bitrates, Capabilities, Offer, OfferedFormat, Rejection, negotiate_play, negotiate_publish, write_answer,
};

use crate::fixture::{AUDIO, VIDEO, capabilities, h264, local, offer, one, opus, play, publish, vp8};
use crate::validator::{sections, value};

/// A video section with these formats, from 96 on: what follows the payload type in each one's rtpmap, and its fmtp.
fn video(formats: &[(&str, &str)]) -> String {
    let numbers: String = (96..).zip(formats).map(|(number, _)| format!(" {number}")).collect();
    let lines = (96..).zip(formats).map(|(number, (map, fmtp))| {
        let fmtp = if fmtp.is_empty() { String::new() } else { format!("a=fmtp:{number} {fmtp}\n") };
        format!("a=rtpmap:{number} {map}/90000\n{fmtp}")
    });
    let lines: String = lines.collect();
    format!("m=video 9 UDP/TLS/RTP/SAVPF{numbers}\na=mid:1\na=sendonly\na=rtcp-mux\n{lines}")
}

fn viewer(section: &str) -> String {
    offer(&[section]).replace("sendonly", "recvonly")
}

fn numbers(formats: &[OfferedFormat]) -> Vec<u8> {
    formats.iter().map(|format| format.payload_type.0).collect()
}

fn preferring(codecs: &[Codec]) -> Capabilities {
    Capabilities { codecs: codecs.to_vec(), ..capabilities() }
}

const CHROMIUM_AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 13 126\na=mid:0\na=sendonly\na=rtcp-mux\n\
     a=rtpmap:111 opus/48000/2\na=rtpmap:63 red/48000/2\na=fmtp:63 111/111\na=rtpmap:9 G722/8000\n\
     a=rtpmap:13 CN/8000\na=rtpmap:126 telephone-event/8000\n";

#[test]
fn a_publisher_gets_the_first_of_our_codecs() {
    let offer = Offer::parse(&offer(&[&video(&[("VP8", ""), ("H264", "packetization-mode=1"), ("AV1", "")])])).unwrap();
    for (codecs, chosen) in [
        (vec![Codec::H264, Codec::Vp8], 97),
        (vec![Codec::Vp8, Codec::H264], 96),
        (vec![Codec::H265, Codec::Av1, Codec::H264], 98),
    ] {
        let negotiated = negotiate_publish(&offer, &preferring(&codecs)).unwrap();
        assert_eq!(numbers(&negotiated.media[0].formats), [chosen], "{codecs:?}");
    }
}

#[test]
fn within_h264_mode_1_comes_before_mode_0_and_then_the_offers_order_holds() {
    let formats = [
        ("H264", "packetization-mode=0;profile-level-id=42e01f"),
        ("H264", "packetization-mode=1;profile-level-id=4d001f"),
        ("H264", "packetization-mode=1;profile-level-id=42e01f"),
    ];
    assert_eq!(numbers(&publish(&offer(&[&video(&formats)])).unwrap().media[0].formats), [97]);
    assert_eq!(numbers(&publish(&offer(&[&video(&formats[..1])])).unwrap().media[0].formats), [96]);
    assert_eq!(numbers(&play(&viewer(&video(&formats)), &[]).unwrap().media[0].formats), [97, 98, 96]);
}

#[test]
fn a_viewer_gets_what_is_published_first_and_then_our_order() {
    let text = viewer(&video(&[("AV1", ""), ("VP9", ""), ("VP8", ""), ("H264", "packetization-mode=1")]));
    let offer = Offer::parse(&text).unwrap();
    let ours = preferring(&[Codec::H264, Codec::Av1, Codec::Vp8]);
    let formats = |published: &[Format]| negotiate_play(&offer, &ours, published).unwrap().media[0].formats.clone();
    assert_eq!(numbers(&formats(&[])), [99, 96, 98]);
    assert_eq!(numbers(&formats(&[vp8()])), [98, 99, 96], "every common format stays");
}

#[test]
fn a_viewer_and_the_server_without_a_common_codec_are_told_both_lists() {
    let offer = Offer::parse(&viewer(&video(&[("VP9", ""), ("theora", "")]))).unwrap();
    let rejection = negotiate_play(&offer, &preferring(&[Codec::Opus, Codec::H264, Codec::Vp8]), &[]).unwrap_err();
    let sentence = rejection.to_string();
    assert!(sentence.contains("VP9, theora") && sentence.contains("H264, VP8"), "{sentence}");
    assert!(!sentence.contains("opus"), "{sentence}");
}

#[test]
fn a_viewer_that_asks_for_another_codec_than_the_published_is_told_so() {
    let offer = Offer::parse(&viewer(&video(&[("VP8", ""), ("H264", "packetization-mode=1")]))).unwrap();
    let rejection = negotiate_play(&offer, &preferring(&[Codec::H264]), &[vp8()]).unwrap_err();
    assert_eq!(
        rejection.to_string(),
        "m-section 0 (video, mid 1, line 10) may not be sent the video that is published, which is VP8: allowed here, or by the \
         request, are H264; offered are VP8, H264"
    );
}

#[test]
fn an_h264_format_keeps_its_profile_and_mode() {
    let negotiated = play(&one("chromium-play"), &[h264()]).unwrap();
    let formats = &negotiated.media[1].formats;
    let h264: Vec<Variant> =
        formats.iter().filter(|f| f.format.codec == Codec::H264).map(|f| f.format.variant).collect();
    let constrained =
        |packetization_mode| Variant::H264 { profile: H264Profile::ConstrainedBaseline, packetization_mode };
    assert_eq!(h264[0], constrained(1), "the published one first");
    assert!(h264.contains(&constrained(0)), "packetization mode 0 is kept");
    assert!(formats.iter().any(|format| format.format.codec == Codec::Vp8), "and so are other codecs");
}

#[test]
fn a_publisher_whose_levels_may_differ_is_not_held_down() {
    let fmtp = "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=64001f";
    let answered = |text: &str| {
        let answer = write_answer(&publish(text).unwrap(), &local(0));
        value(&sections(&answer)[1], "a=fmtp:").to_owned()
    };
    assert_eq!(answered(&offer(&[&video(&[("H264", fmtp)])])), format!("96 {}", fmtp.replace("1f", "34")));
    let symmetric = "packetization-mode=1;profile-level-id=64001f";
    assert_eq!(answered(&offer(&[&video(&[("H264", symmetric)])])), format!("96 {symmetric}"));
    let text = viewer(&video(&[("H264", fmtp)]));
    let answer = write_answer(&play(&text, &[]).unwrap(), &local(1));
    assert_eq!(value(&sections(&answer)[1], "a=fmtp:"), format!("96 {fmtp}"), "a viewer's level is its own");
}

#[test]
fn profile_and_tier_of_av1_and_h265_are_compared() {
    let tiered = |codec, profile, tier, level| {
        let variant = Variant::Tiered { profile, tier, level };
        Format { codec, clock_rate: 90_000, variant }
    };
    let formats = [("AV1", ""), ("AV1", "profile=1;tier=1;level-idx=9"), ("H265", "profile-id=2;level-id=120")];
    let text = viewer(&video(&formats));
    let first = |published| play(&text, &[published]).map(|negotiated| negotiated.media[0].formats[0].payload_type.0);
    assert_eq!(first(tiered(Codec::Av1, 0, 0, 5)), Ok(96), "the defaults");
    assert_eq!(first(tiered(Codec::Av1, 0, 0, 13)), Ok(96), "a level that may not be reached is no reason to refuse");
    assert_eq!(first(tiered(Codec::Av1, 1, 0, 5)), Ok(97), "the high tier takes the main one");
    assert_eq!(first(tiered(Codec::H265, 2, 0, 93)), Ok(98));
    for missing in [tiered(Codec::Av1, 0, 1, 5), tiered(Codec::Av1, 2, 0, 5), tiered(Codec::H265, 1, 0, 93)] {
        let rejection = first(missing).unwrap_err();
        assert!(matches!(rejection, Rejection::CodecNotOffered { published, .. } if published == missing));
    }
}

#[test]
fn opus_parameters_are_mirrored() {
    let audio = AUDIO.to_owned() + "a=fmtp:111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;usedtx=1\n";
    let answer = write_answer(&publish(&offer(&[&audio])).unwrap(), &local(0));
    let part = sections(&answer);
    assert_eq!(value(&part[1], "a=fmtp:"), "111 minptime=10;useinbandfec=1;stereo=1;sprop-stereo=1;usedtx=1");
}

#[test]
fn stereo_comes_out_stereo() {
    let with = |fmtp: &str| offer(&[&format!("{AUDIO}a=fmtp:111 {fmtp}\n")]);
    let published = write_answer(&publish(&with("sprop-stereo=1")).unwrap(), &local(0));
    assert!(value(&sections(&published)[1], "a=fmtp:").split([' ', ';']).any(|parameter| parameter == "stereo=1"));
    let played = play(&with("stereo=1").replace("sendonly", "recvonly"), &[opus()]).unwrap();
    assert_eq!(value(&sections(&write_answer(&played, &local(1)))[1], "a=fmtp:"), "111 stereo=1;sprop-stereo=1");
}

#[test]
fn red_goes_with_opus() {
    let answer = write_answer(&publish(&offer(&[CHROMIUM_AUDIO])).unwrap(), &local(0));
    assert!(
        answer.contains("m=audio 3478 UDP/TLS/RTP/SAVPF 111 63\r\n"),
        "and events and noise are left out:\n{answer}"
    );
    assert!(answer.contains("a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n"), "{answer}");
    let red = Format { codec: Codec::Red, ..opus() };
    for published in [vec![], vec![opus()], vec![opus(), red]] {
        let negotiated = play(&viewer(CHROMIUM_AUDIO), &published).unwrap();
        assert_eq!(numbers(&negotiated.media[0].formats), [111, 0, 63], "{published:?}");
    }
}

#[test]
fn red_never_stands_alone() {
    let offer = Offer::parse(&offer(&[CHROMIUM_AUDIO])).unwrap();
    let formats =
        |codecs: &[Codec]| negotiate_publish(&offer, &preferring(codecs)).map(|n| numbers(&n.media[0].formats));
    assert!(matches!(formats(&[Codec::Red]), Err(Rejection::NoCommonCodec { ours, .. }) if ours.is_empty()));
    assert_eq!(formats(&[Codec::Pcmu, Codec::Red, Codec::Opus]), Ok(vec![0]), "PCMU is not what it repeats");
    assert_eq!(formats(&[Codec::Opus]), Ok(vec![111]), "nor is it answered where it is not allowed");
    for other in ["", "a=fmtp:63 111/0\n", "a=fmtp:63 63/63\n", "a=fmtp:63 x\n"] {
        let text = crate::fixture::offer(&[&CHROMIUM_AUDIO.replace("a=fmtp:63 111/111\n", other)]);
        assert_eq!(numbers(&publish(&text).unwrap().media[0].formats), [111], "{other:?}");
    }
}

#[test]
fn retransmissions_belong_to_their_format() {
    let rtx = "a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\na=rtpmap:98 rtx/90000\na=fmtp:98 apt=120\na=rtpmap:99 rtx/8000\n\
               a=fmtp:99 apt=96\na=rtpmap:100 rtx/90000\n";
    let text = offer(&[&(VIDEO.replace("SAVPF 96", "SAVPF 100 99 98 97 96") + rtx)]);
    let offer = Offer::parse(&text).unwrap();
    let without = write_answer(&negotiate_publish(&offer, &capabilities()).unwrap(), &local(0));
    assert!(!without.contains("rtx"), "never what is not honoured");
    let negotiated = negotiate_publish(&offer, &Capabilities { rtx: true, ..capabilities() }).unwrap();
    assert_eq!(negotiated.media[0].formats[0].rtx.map(|number| number.0), Some(97));
    let answer = write_answer(&negotiated, &local(0));
    assert_eq!(crate::validator::validate(&text, &answer, "recvonly"), 1);
    assert!(answer.contains("m=video 3478 UDP/TLS/RTP/SAVPF 96 97\r\n"), "{answer}");
    assert!(answer.contains("a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"), "{answer}");
}

#[test]
fn audio_has_feedback_of_its_own() {
    let audio = AUDIO.to_owned() + "a=rtcp-fb:111 transport-cc\na=rtcp-fb:111 nack\n";
    let offer = Offer::parse(&offer(&[&audio, VIDEO])).unwrap();
    let ours = Capabilities { audio_feedback: vec!["nack"], ..capabilities() };
    let media = negotiate_publish(&offer, &ours).unwrap().media;
    assert_eq!(
        (&media[0].feedback[..], &media[1].feedback[..]),
        (&["nack".to_owned()][..], &["nack pli".to_owned()][..])
    );
}

#[test]
fn bitrates_stand_where_browsers_and_others_read_them() {
    let bitrates = Bitrates { min_kbps: Some(300), start_kbps: Some(1500), max_kbps: Some(6000) };
    let ours = Capabilities { bitrates: Some(bitrates), rtx: true, ..capabilities() };
    let rtx = "a=rtpmap:97 rtx/90000\na=fmtp:97 apt=96\n";
    let text = offer(&[CHROMIUM_AUDIO, &(VIDEO.replace("SAVPF 96", "SAVPF 96 97") + rtx)]);
    let answer = write_answer(&negotiate_publish(&Offer::parse(&text).unwrap(), &ours).unwrap(), &local(0));
    crate::validator::validate(&text, &answer, "recvonly");
    let parts = sections(&answer);
    assert_eq!(
        crate::validator::values(&parts[2], "a=fmtp:"),
        ["96 x-google-min-bitrate=300;x-google-start-bitrate=1500;x-google-max-bitrate=6000", "97 apt=96"]
    );
    assert_eq!(parts[2][1..4], ["c=IN IP6 2001:db8::1", "b=AS:6000", "b=TIAS:6000000"]);
    assert!(!parts[1].iter().any(|line| line.contains("x-google") || line.starts_with("b=")), "not for audio");
    let viewer = Offer::parse(&text.replace("sendonly", "recvonly")).unwrap();
    let answer = write_answer(&negotiate_play(&viewer, &ours, &[vp8()]).unwrap(), &local(2));
    assert!(!answer.contains("x-google") && !answer.contains("\r\nb="), "nor for a viewer");
}

#[test]
fn bitrates_follow_the_parameters_of_a_format_and_may_be_few() {
    let ours =
        Capabilities { bitrates: Some(Bitrates { min_kbps: Some(100), ..Bitrates::default() }), ..capabilities() };
    let text = offer(&[&video(&[("VP9", "profile-id=0")])]);
    let answer = write_answer(&negotiate_publish(&Offer::parse(&text).unwrap(), &ours).unwrap(), &local(0));
    assert_eq!(value(&sections(&answer)[1], "a=fmtp:"), "96 profile-id=0;x-google-min-bitrate=100");
    assert!(!answer.contains("\r\nb="));
}
