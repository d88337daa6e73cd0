//! What real clients do that a parser might trip over, one test each.

use oneport_rtp::ids::{PayloadType, Ssrc};
use oneport_rtp::payload::Codec;
use oneport_sdp::{CandidateSummary, Direction, Kind, Offer, Setup, write_answer};

use crate::fixture::{AUDIO, FINGERPRINT, MID, RID, SESSION, VIDEO, h264, local, offer, one, opus, play, publish, vp8};
use crate::validator::{sections, validate, values};

#[test]
fn ffmpeg_offers_passive_and_gets_active() {
    let text = one("ffmpeg-publish");
    assert!(text.contains("a=setup:passive"));
    assert_eq!(publish(&text).unwrap().setup, Setup::Active);
    assert_eq!(publish(&one("ffmpeg-active-publish")).unwrap().setup, Setup::Passive);
    assert_eq!(publish(&one("chromium-publish")).unwrap().setup, Setup::Passive);
}

#[test]
fn an_offer_without_candidates_is_answered() {
    let text = one("ffmpeg-publish");
    assert!(!text.contains("a=candidate"));
    assert!(publish(&text).is_ok());
}

#[test]
fn port_0_with_bundle_only_is_not_refused() {
    let text = one("firefox-publish-simulcast");
    assert!(text.contains("m=video 0 ") && text.contains("a=bundle-only"));
    assert!(publish(&text).unwrap().media.iter().all(|media| media.accepted));
}

#[test]
fn port_0_without_bundle_only_stays_refused() {
    let text = offer(&[AUDIO, &VIDEO.replace("m=video 9", "m=video 0")]);
    let negotiated = publish(&text).unwrap();
    assert_eq!(negotiated.media.iter().map(|media| media.accepted).collect::<Vec<_>>(), [true, false]);
    let answer = write_answer(&negotiated, &local(0));
    assert_eq!(validate(&text, &answer, "recvonly"), 1);
    assert!(answer.contains("a=group:BUNDLE 0\r\n") && answer.contains("m=video 0 UDP/TLS/RTP/SAVPF 96\r\n"));
}

#[test]
fn chromium_simulcast_has_no_ssrcs_and_firefox_has_primary_ones() {
    let chromium = publish(&one("chromium-publish-simulcast")).unwrap();
    assert!(chromium.media[1].ssrcs.is_empty());
    let firefox = publish(&one("firefox-publish-simulcast")).unwrap();
    assert_eq!(firefox.media[1].ssrcs, [Ssrc(1_793_834_257), Ssrc(204_309_144), Ssrc(2_979_512_015)]);
}

#[test]
fn an_extension_with_a_direction_is_answered_with_the_opposite_one() {
    let answer = write_answer(&publish(&one("firefox-publish-simulcast")).unwrap(), &local(0));
    assert!(answer.contains(&format!("a=extmap:9/recvonly {RID}\r\n")));
    let wrong_way = AUDIO.to_owned() + &format!("a=extmap:9/recvonly {RID}\na=extmap:4 {MID}\n");
    let kept = &publish(&offer(&[&wrong_way])).unwrap().media[0].extensions;
    assert_eq!(kept.iter().map(|extension| extension.id).collect::<Vec<_>>(), [4]);
}

#[test]
fn mids_may_be_words() {
    let text = offer(&[&AUDIO.replace("mid:0", "mid:audio0")]).replace("BUNDLE 0 1", "BUNDLE audio0");
    let answer = write_answer(&publish(&text).unwrap(), &local(0));
    assert_eq!(validate(&text, &answer, "recvonly"), 1);
    assert!(answer.contains("a=group:BUNDLE audio0\r\n"));
}

#[test]
fn mids_may_be_missing() {
    let text = offer(&[&AUDIO.replace("a=mid:0\n", "")]).replace("a=group:BUNDLE 0 1\n", "");
    let negotiated = publish(&text).unwrap();
    assert_eq!((negotiated.media[0].mid, &negotiated.bundle), (None, &None));
    assert_eq!(validate(&text, &write_answer(&negotiated, &local(0)), "recvonly"), 1);
}

#[test]
fn codec_names_have_any_case() {
    let media = &publish(&offer(&[&AUDIO.replace("opus", "OPUS")])).unwrap().media[0];
    assert_eq!(media.formats[0].format, opus());
}

#[test]
fn one_uri_may_have_two_identifiers_in_one_bundle() {
    let audio = AUDIO.to_owned() + &format!("a=extmap:1 {MID}\n");
    let video = VIDEO.to_owned() + &format!("a=extmap:3 {MID}\n");
    let media = publish(&offer(&[&audio, &video])).unwrap().media;
    assert_eq!((media[0].extensions[0].id, media[1].extensions[0].id), (1, 3));
}

#[test]
fn the_session_level_serves_every_section() {
    let session = SESSION.to_owned() + FINGERPRINT + &format!("\na=recvonly\na=extmap:5 {MID}\n");
    let text = session + &AUDIO.replace("a=sendonly\n", "");
    assert_eq!(Offer::parse(&text).unwrap().media[0].direction, Direction::RecvOnly);
    let negotiated = play(&text, &[opus()]).unwrap();
    assert_eq!(negotiated.ice_ufrag, "a+/b");
    assert_eq!(negotiated.fingerprints[0].bytes, (0..32).collect::<Vec<u8>>());
    assert_eq!(negotiated.media[0].extensions[0].id, 5);
}

#[test]
fn multiplexing_at_session_level_serves_every_section() {
    let text = offer(&[AUDIO, VIDEO]).replace("a=rtcp-mux\n", "").replace("s=-\n", "s=-\na=rtcp-mux\n");
    assert_eq!(validate(&text, &write_answer(&publish(&text).unwrap(), &local(0)), "recvonly"), 2);
}

#[test]
fn simulcast_without_any_ssrc_is_answered() {
    let firefox = one("firefox-publish-simulcast");
    let without: String =
        firefox.lines().filter(|line| !line.starts_with("a=ssrc")).map(|line| format!("{line}\r\n")).collect();
    let media = publish(&without).unwrap().media.remove(1);
    assert_eq!((media.layers.len(), media.ssrcs.len(), media.ssrc_groups.len()), (3, 0, 0));
}

#[test]
fn fingerprints_only_at_session_level_are_found() {
    for name in ["pion-publish", "firefox-publish", "datachannel-publish-h264"] {
        let text = one(name);
        let parts = sections(&text);
        assert_eq!(values(&parts[0], "a=fingerprint:").len(), 1, "{name}");
        assert!(parts[1..].iter().all(|section| values(section, "a=fingerprint:").is_empty()), "{name}");
        assert_eq!(publish(&text).unwrap().fingerprints.len(), 1, "{name}");
    }
}

#[test]
fn of_several_fingerprints_the_strong_ones_are_kept() {
    let found = publish(&one("aiortc-publish")).unwrap().fingerprints;
    let names: Vec<(&str, usize)> = found.iter().map(|f| (f.algorithm.as_str(), f.bytes.len())).collect();
    assert_eq!(names, [("sha-256", 32), ("sha-384", 48), ("sha-512", 64)]);
    let weak = "a=fingerprint:sha-1 00:01\na=fingerprint:sha-512 00:01\na=fingerprint:md5 zz\n";
    let text = format!("{SESSION}{weak}{}\n{AUDIO}", FINGERPRINT.replace("sha-256", "SHA-256"));
    let found = publish(&text).unwrap().fingerprints;
    assert_eq!((found.len(), found[0].algorithm.as_str()), (1, "sha-256"));
}

#[test]
fn candidates_are_counted_whatever_they_are() {
    let odd = "a=candidate:1 2 UDP 1 fe80::1%eth0 5000 typ host\na=candidate:2 1 tcp 1 8d.local 9 typ host tcptype active\n\
               a=candidate:\na=candidate:nonsense\na=candidate:3 1 udp 1 turn.example.org 5 typ relay raddr x rport y\n";
    let text = offer(&[&(AUDIO.to_owned() + odd)]);
    assert!(publish(&text).is_ok());
    let found = Offer::parse(&text).unwrap();
    let summary = CandidateSummary::of(found.candidates());
    assert_eq!(summary.to_string(), "1 host, 1 fqdn, 1 tcp at fe80::1, 8d.local, turn.example.org");
    assert_eq!(found.ice_ufrag(), Some("a+/b"));
}

#[test]
fn candidates_behind_mdns_names_and_none_at_all_are_answered() {
    let summary = |name: &str| {
        let text = one(name);
        assert!(play(&text, &[vp8()]).is_ok(), "{name}");
        CandidateSummary::of(Offer::parse(&text).unwrap().candidates())
    };
    assert!(one("firefox-play-mdns").contains(".local"));
    assert!(summary("firefox-play-mdns").mdns > 0);
    assert_eq!(CandidateSummary::of(Offer::parse(&one("ffmpeg-publish")).unwrap().candidates()).to_string(), "none");
}

#[test]
fn a_bundle_of_sections_without_mids_is_none() {
    let without = |section: &str| {
        section.lines().filter(|line| !line.starts_with("a=mid")).map(|line| format!("{line}\n")).collect::<String>()
    };
    let text = offer(&[&without(AUDIO), &without(VIDEO)]).replace("a=group:BUNDLE 0 1\n", "");
    let sentence = publish(&text).unwrap_err().to_string();
    assert!(sentence.starts_with("m-section 0 (audio, no mid, line 9) is not in the a=group:BUNDLE"), "{sentence}");
}

#[test]
fn payload_types_below_64_are_used() {
    let negotiated = play(&one("chromium-play"), &[opus(), h264()]).unwrap();
    assert!(negotiated.media[1].formats.iter().any(|format| format.payload_type.0 < 64));
    let video = VIDEO.replace(" 96\n", " 35\n").replace(":96", ":35");
    assert_eq!(publish(&offer(&[&video])).unwrap().media[0].formats[0].payload_type, PayloadType(35));
}

#[test]
fn repair_redundancy_and_unknown_formats_are_passed_over() {
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 63 97 13 126 99 200 x 111\na=mid:0\na=rtcp-mux\na=rtpmap:63 red/48000/2\n\
                 a=rtpmap:97 rtx/48000\na=rtpmap:13 CN/8000\na=rtpmap:126 telephone-event/8000\na=rtpmap:99 speex/16000\n\
                 a=rtpmap:111 opus/48000/2\na=rtcp-xr:rcvr-rtt=all\n";
    let media = &publish(&offer(&[audio])).unwrap().media[0];
    assert_eq!(media.formats[0].payload_type, PayloadType(111));
    assert_eq!(Offer::parse(&offer(&[audio])).unwrap().media[0].codec_names, ["speex", "opus"]);
}

#[test]
fn static_payload_types_need_no_rtpmap() {
    for (number, codec) in [("8", Codec::Pcma), ("0", Codec::Pcmu)] {
        let audio = format!("m=audio 9 UDP/TLS/RTP/SAVPF {number}\na=mid:0\na=rtcp-mux\n");
        let negotiated = publish(&offer(&[&audio])).unwrap();
        assert_eq!(negotiated.media[0].formats[0].format.codec, codec);
        let answer = write_answer(&negotiated, &local(0));
        assert!(answer.contains(&format!("a=rtpmap:{number} {codec}/8000\r\n")));
    }
}

#[test]
fn a_lip_sync_group_is_no_bundle() {
    let text = one("datachannel-publish-h264");
    assert!(text.contains("a=group:LS"));
    let answer = write_answer(&publish(&text).unwrap(), &local(0));
    assert!(answer.contains("a=group:BUNDLE 0 1\r\n") && !answer.contains("group:LS"));
}

#[test]
fn a_bare_attribute_line_a_missing_time_and_blank_lines_are_repaired() {
    let text = offer(&[AUDIO]).replace("t=0 0\n", "").replace("a=rtcp-mux\n", "a=\n\na=rtcp-mux  \n");
    assert_eq!(publish(&text), publish(&offer(&[AUDIO])));
}

#[test]
fn lines_that_no_answer_depends_on_may_be_faulty() {
    let text = offer(&[AUDIO]).replace("o=- 1 1 IN IP4 0.0.0.0", "o=-").replace("t=0 0", "t=now\nb=much\nc=?");
    assert_eq!(publish(&text), publish(&offer(&[AUDIO])));
}

#[test]
fn a_stray_data_channel_is_answered_with_port_0() {
    let data = "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\na=sctp-port:5000\n";
    let text = offer(&[AUDIO, data]).replace("BUNDLE 0 1", "BUNDLE 0 2");
    let negotiated = publish(&text).unwrap();
    assert_eq!(negotiated.media[1].kind, Kind::Other("application".to_owned()));
    let answer = write_answer(&negotiated, &local(0));
    assert_eq!(validate(&text, &answer, "recvonly"), 1);
    assert!(answer.contains("m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n"));
}

#[test]
fn a_missing_setup_means_active() {
    assert_eq!(publish(&offer(&[AUDIO]).replace("a=setup:actpass\n", "")).unwrap().setup, Setup::Passive);
}

#[test]
fn firefox_does_not_limit_itself_by_its_own_receiver() {
    let text = one("firefox-publish");
    assert!(text.contains("max-fs=") && text.contains("maxplaybackrate="));
    let answer = write_answer(&publish(&text).unwrap(), &local(0));
    assert!(!answer.contains("max-fs=") && !answer.contains("maxplaybackrate="));
    assert!(answer.contains("a=fmtp:109 stereo=1;useinbandfec=1\r\n"), "{answer}");
}

#[test]
fn an_offer_may_end_without_a_line_end() {
    let text = offer(&[AUDIO, VIDEO]);
    assert_eq!(Offer::parse(text.trim_end()), Offer::parse(&text));
}

#[test]
fn any_name_of_the_secure_profile_is_taken_and_given_back() {
    for protocol in ["RTP/SAVPF", "RTP/AVP", "TCP/DTLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP"] {
        let text = offer(&[&AUDIO.replace("UDP/TLS/RTP/SAVPF", protocol)]);
        let answer = write_answer(&publish(&text).unwrap(), &local(0));
        assert_eq!(validate(&text, &answer, "recvonly"), 1);
        assert!(answer.contains(&format!(" {protocol} 111\r\n")));
    }
}

#[test]
fn payload_types_that_look_like_rtcp_are_passed_over() {
    let audio = "m=audio 9 UDP/TLS/RTP/SAVPF 72 64 95 96\na=mid:0\na=rtcp-mux\na=rtpmap:72 opus/48000/2\n\
                 a=rtpmap:64 opus/48000/2\na=rtpmap:95 opus/48000/2\na=rtpmap:96 opus/48000/2\n";
    let formats = Offer::parse(&offer(&[audio])).unwrap().media.remove(0).formats;
    assert_eq!(formats.iter().map(|format| format.payload_type.0).collect::<Vec<_>>(), [96]);
}

#[test]
fn of_the_ice_options_ice2_alone_is_answered() {
    let answered = |text: &str| write_answer(&play(text, &[opus()]).unwrap(), &local(2));
    let chromium = one("chromium-play");
    assert!(chromium.contains("a=ice-options:trickle"));
    assert!(!answered(&chromium).contains("ice-options"));
    assert!(one("datachannel-play").contains("a=ice-options:ice2,trickle"));
    for text in [one("datachannel-play"), chromium.replace("a=ice-options:trickle", "a=ice-options:trickle ice2")] {
        assert!(answered(&text).contains("a=ice-lite\r\na=ice-options:ice2\r\n"));
    }
}

#[test]
fn feedback_and_repair_that_are_not_honoured_are_not_answered() {
    let text = one("chromium-publish");
    let answer = write_answer(&publish(&text).unwrap(), &local(0));
    for feedback in ["transport-cc", "goog-remb", "nack", "rtx/90000"] {
        let ends_so = |line: &str| line.ends_with(feedback);
        assert!(text.lines().any(ends_so) && !answer.lines().any(ends_so), "{feedback}");
    }
    assert!(answer.contains("a=rtcp-fb:96 nack pli\r\n") && answer.contains("a=rtcp-fb:96 ccm fir\r\n"));
}
