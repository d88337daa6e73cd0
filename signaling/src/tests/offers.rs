//! Every recorded offer of a real client, through POST.

use super::Desk;
use oneport_engine::control::{Extension, LayerSpec};
use oneport_rtp::ids::Rid;

fn offers() -> Vec<(String, String)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdp/tests/corpus");
    let files = std::fs::read_dir(folder).expect("the offers").map(|entry| entry.expect("an entry").path());
    files
        .map(|path| {
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            (name, std::fs::read_to_string(&path).expect("text"))
        })
        .collect()
}

fn section_lines(sdp: &str) -> Vec<&str> {
    sdp.lines().filter(|line| line.starts_with("m=")).collect()
}

fn check_answer(name: &str, offer: &str, answer: &str, direction: &str) {
    let (asked, given) = (section_lines(offer), section_lines(answer));
    assert_eq!(asked.len(), given.len(), "{name}");
    for (asked, given) in asked.iter().zip(&given) {
        assert_eq!(asked.split(' ').next(), given.split(' ').next(), "{name}: the kinds stay in order");
        assert_ne!(given.split(' ').nth(1), Some("0"), "{name}: no section is rejected");
    }
    let count = |wanted: &str| answer.lines().filter(|line| *line == wanted).count();
    assert_eq!(count(&format!("a={direction}")), given.len(), "{name}\n{answer}");
    assert_eq!(count("a=rtcp-mux"), given.len(), "{name}");
    assert_eq!(count("a=rtcp-mux-only"), given.len(), "{name}: RFC 9725 section 4.4.1");
    assert_eq!(count("a=ice-lite"), 1, "{name}");
    assert!(answer.contains("a=ice-ufrag:ufrag123+") && answer.contains("a=candidate:"), "{name}\n{answer}");
    assert!(answer.ends_with("\r\n") && !answer.replace("\r\n", "").contains(['\r', '\n']), "{name}");
}

#[test]
fn every_recorded_offer_is_answered() {
    let mut seen = 0;
    for (name, offer) in offers() {
        let desk = Desk::unlimited();
        let response = if name.contains("publish") {
            desk.offer("/whip/cam", &offer)
        } else {
            assert_eq!(
                desk.offer("/whip/cam", include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp")).status,
                201
            );
            desk.offer("/whep/cam", &offer)
        };
        let answer = String::from_utf8(response.body.into_owned()).expect("text");
        assert_eq!(response.status, 201, "{name}: {answer}");
        check_answer(&name, &offer, &answer, if name.contains("publish") { "recvonly" } else { "sendonly" });
        seen += 1;
    }
    assert!(seen >= 20, "{seen} offers");
}

#[test]
fn a_viewer_that_lacks_the_codec_is_told_its_name() {
    let desk = Desk::new();
    desk.offer("/whip/cam", include_str!("../../../sdp/tests/corpus/ffmpeg-publish.offer.sdp"));
    let play = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");
    let without = play.replace(" H264/90000", " VP8/90000");
    let response = desk.offer("/whep/cam", &without);
    assert_eq!(response.status, 422);
    assert!(super::detail(&response).contains("H264"), "{}", super::detail(&response));
}

#[test]
fn bad_offers_are_told_apart() {
    let desk = Desk::new();
    let publish = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
    let play = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");
    for malformed in ["", "v=0", "hello", "v=1\r\n", "{\"sdp\":\"\"}"] {
        assert_eq!(desk.offer("/whip/cam", malformed).status, 400, "{malformed:?}");
    }
    assert_eq!(desk.offer("/whip/cam", play).status, 422, "recvonly cannot publish");
    assert_eq!(desk.offer("/whip/cam", publish).status, 201);
    assert_eq!(desk.offer("/whep/cam", publish).status, 422, "sendonly cannot play");
    let no_ice = publish.lines().filter(|line| !line.contains("ice-")).map(|line| line.to_owned() + "\r\n");
    assert!(matches!(desk.offer("/whip/b", &no_ice.collect::<String>()).status, 400 | 422));
}

/// Cut anywhere, an offer is refused or answered, and never more than that.
#[test]
fn cut_offers_never_do_worse_than_an_error() {
    let desk = Desk::unlimited();
    for (name, offer) in offers() {
        for length in (0..offer.len()).step_by(97).filter(|length| offer.is_char_boundary(*length)) {
            let response = desk.offer(&format!("/whip/{name}-{length}"), &offer[..length]);
            assert!(matches!(response.status, 201 | 400 | 422), "{name} cut at {length}: {}", response.status);
        }
    }
}

#[test]
fn layers_of_a_simulcast_offer_reach_the_engine() {
    let desk = Desk::new();
    let offer = include_str!("../../../sdp/tests/corpus/chromium-publish-simulcast.offer.sdp");
    assert_eq!(desk.offer("/whip/cam", offer).status, 201);
    let opened = desk.engine.opened.borrow();
    let layers: Vec<LayerSpec> = ["h", "m", "l"].map(|rid| LayerSpec::Rid(Rid::new(rid.as_bytes()).unwrap())).to_vec();
    assert!(opened[0].tracks[0].layers.is_empty());
    assert_eq!(opened[0].tracks[1].layers, layers);
    let rids = |track: usize| opened[0].tracks[track].extensions.iter().any(|known| known.extension == Extension::Rid);
    assert_eq!((rids(0), rids(1)), (false, true));
}
