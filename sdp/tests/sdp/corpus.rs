//! Every recorded offer is answered, and every answer is valid.

use oneport_rtp::payload::Codec;
use oneport_sdp::{Rejection, write_answer};

use crate::fixture::{h264, local, opus, play, publish, recorded, vp8};
use crate::validator::validate;

#[test]
fn every_recorded_publisher_is_answered() {
    for (name, text) in recorded("-publish") {
        let negotiated = publish(&text).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        let answer = write_answer(&negotiated, &local(0));
        assert_eq!(validate(&text, &answer, "recvonly"), negotiated.media.len(), "{name}");
        for media in &negotiated.media {
            let primary = media.formats.iter().filter(|format| format.format.codec != Codec::Red).count();
            assert_eq!(primary, 1, "{name}");
        }
    }
}

#[test]
fn every_recorded_viewer_is_answered_or_has_no_decoder() {
    for video in [vp8(), h264()] {
        for (name, text) in recorded("-play") {
            match play(&text, &[opus(), video]) {
                Ok(negotiated) => {
                    let answer = write_answer(&negotiated, &local(2));
                    assert_eq!(validate(&text, &answer, "sendonly"), negotiated.media.len(), "{name}");
                    let first = negotiated.media.iter().find(|media| media.kind.as_str() == "video").unwrap();
                    assert!(first.formats[0].format.fitness_for(&video).is_some(), "{name}");
                }
                Err(Rejection::CodecNotOffered { published, offered, .. }) => {
                    assert_eq!(published, video, "{name}");
                    let missing = offered.iter().all(|codec| Codec::from_encoding_name(codec) != Some(video.codec));
                    assert!(missing, "{name} offers {offered:?}");
                }
                Err(rejection) => panic!("{name}: {rejection}"),
            }
        }
    }
}

#[test]
fn every_recorded_viewer_is_answered_before_anything_is_published() {
    for (name, text) in recorded("-play") {
        let negotiated = play(&text, &[]).unwrap_or_else(|rejection| panic!("{name}: {rejection}"));
        assert_eq!(
            validate(&text, &write_answer(&negotiated, &local(2)), "sendonly"),
            negotiated.media.len(),
            "{name}"
        );
    }
}

#[test]
fn a_recorded_offer_means_the_same_with_any_line_ends() {
    for (name, text) in recorded(".offer.sdp") {
        let lf = text.replace("\r\n", "\n");
        let mixed: String = lf
            .lines()
            .enumerate()
            .map(|(n, line)| format!("{line}{}", if n % 2 == 0 { "\n" } else { "\r\n" }))
            .collect();
        let parsed = oneport_sdp::Offer::parse(&text);
        assert!(parsed.is_ok(), "{name}");
        assert_eq!(parsed, oneport_sdp::Offer::parse(&lf), "{name}");
        assert_eq!(parsed, oneport_sdp::Offer::parse(&mixed), "{name}");
    }
}
