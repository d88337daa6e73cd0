//! Simulcast of publishers: what is accepted, answered and left out.

use oneport_rtp::ids::{Rid, Ssrc};
use oneport_sdp::{Capabilities, Layer, Negotiated, Offer, Semantics, negotiate_publish, write_answer};

use crate::fixture::{MID, RID, VIDEO, capabilities, local, offer, one, opus, play, publish, vp8};
use crate::validator::{sections, validate, value, values};

const RRID: &str = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id";

/// A publisher's video section with these lines more.
fn video(lines: &str) -> String {
    offer(&[&format!("{VIDEO}a=extmap:3 {MID}\na=extmap:4 {RID}\n{lines}")])
}

/// The a=rid and a=simulcast lines of the answer.
fn answered(text: &str) -> Vec<String> {
    let answer = write_answer(&publish(text).unwrap(), &local(0));
    assert_eq!(validate(text, &answer, "recvonly"), 1);
    let lines = answer.lines().filter(|line| line.starts_with("a=rid:") || line.starts_with("a=simulcast:"));
    lines.map(|line| line["a=".len()..].to_owned()).collect()
}

fn rid(text: &str) -> Layer {
    Layer::Rid(Rid::new(text.as_bytes()).unwrap())
}

fn layers(text: &str) -> Vec<Layer> {
    publish(text).unwrap().media.pop().unwrap().layers
}

#[test]
fn browsers_get_their_layers_in_their_order() {
    for name in ["chromium-publish-simulcast", "firefox-publish-simulcast"] {
        let negotiated = publish(&one(name)).unwrap();
        assert_eq!(negotiated.media[1].layers, [rid("h"), rid("m"), rid("l")], "{name}");
        let answer = write_answer(&negotiated, &local(0));
        let parts = sections(&answer);
        assert_eq!(values(&parts[2], "a=rid:"), ["h recv", "m recv", "l recv"], "{name}");
        assert_eq!(value(&parts[2], "a=simulcast:"), "recv h;m;l", "{name}");
        assert!(negotiated.media[0].layers.is_empty() && values(&parts[1], "a=rid:").is_empty(), "{name}");
    }
}

#[test]
fn extensions_for_rids_come_with_simulcast_only() {
    let uris = |negotiated: &Negotiated| -> Vec<String> {
        negotiated.media[0].extensions.iter().map(|extension| extension.uri.clone()).collect()
    };
    let lines = format!("a=extmap:5 {RRID}\na=rid:h send\n");
    let ours = Capabilities { extensions: vec![MID, RID, RRID], ..capabilities() };
    let of = |text: &str, ours: &Capabilities| negotiate_publish(&Offer::parse(text).unwrap(), ours).unwrap();
    let plain = video(&lines);
    assert_eq!(uris(&of(&plain, &ours)), [MID]);
    let simulcast = plain + "a=simulcast:send h\n";
    assert_eq!(uris(&of(&simulcast, &ours)), [MID, RID, RRID]);
    let off = of(&simulcast, &Capabilities { simulcast: false, ..ours.clone() });
    assert_eq!((uris(&off), &off.media[0].layers[..]), (vec![MID.to_owned()], &[][..]));
    let viewer = play(&simulcast.replace("sendonly", "recvonly"), &[vp8()]).unwrap();
    assert_eq!((uris(&viewer), viewer.media[0].simulcast.is_none()), (vec![MID.to_owned()], true));
}

#[test]
fn without_an_extension_to_carry_rids_there_is_no_simulcast() {
    let text = offer(&[&format!("{VIDEO}a=rid:h send\na=rid:l send\na=simulcast:send h;l\n")]);
    assert_eq!((answered(&text), layers(&text)), (vec![], vec![]));
}

#[test]
fn alternatives_and_pauses_stay_as_they_are() {
    let text = video("a=rid:1 send\na=rid:2 send\na=rid:3 send\na=simulcast: recv 9 send 1,2;~3\n");
    assert_eq!(answered(&text), ["rid:1 recv", "rid:2 recv", "rid:3 recv", "simulcast:recv 1,2;~3"]);
    assert_eq!(layers(&text), [rid("1"), rid("3")], "a layer is its first alternative");
    let draft = video("a=rid:1 send\na=rid:3 send\na=simulcast: send rid=1;3\n");
    assert_eq!(layers(&draft), [rid("1"), rid("3")]);
}

#[test]
fn rids_that_cannot_be_received_are_left_out() {
    let text = video(
        "a=rid:a send pt=97,96;max-width=1280\na=rid:b recv\na=rid:c send max-fps=30;pt=97\na=rid:d send\n\
         a=rid:e sideways\na=simulcast:send a,c;b;unknown;c;d,a;e;;d\n",
    );
    assert_eq!(answered(&text), ["rid:a recv pt=96", "rid:d recv", "simulcast:recv a;d"]);
    assert_eq!(layers(&text), [rid("a"), rid("d")]);
    let none = video("a=rid:c send pt=97\na=simulcast:send c\n");
    assert_eq!((answered(&none), layers(&none)), (vec![], vec![]));
}

#[test]
fn at_most_eight_layers_are_taken() {
    let rids: String = (0..12).map(|n| format!("a=rid:r{n} send\n")).collect();
    let list: Vec<String> = (0..12).map(|n| format!("r{n}")).collect();
    let text = video(&format!("{rids}a=simulcast:send {}\n", list.join(";")));
    assert_eq!(layers(&text).len(), 8);
    assert_eq!(answered(&text).len(), 9);
}

#[test]
fn layers_may_be_an_ssrc_group() {
    let ssrcs: String = (1..=6).map(|n| format!("a=ssrc:{n} cname:x\n")).collect();
    let groups = "a=ssrc-group:SIM 1 2 3\na=ssrc-group:FID 1 4\na=ssrc-group:FID 2 5\na=ssrc-group:FID 3 6\n";
    let text = video(&format!("{groups}{ssrcs}"));
    assert_eq!(layers(&text), [1, 2, 3].map(|n| Layer::Ssrc(Ssrc(n))));
    assert!(answered(&text).is_empty(), "the older way has no answer");
    let media = publish(&text).unwrap().media.remove(0);
    assert_eq!(media.ssrcs, [Ssrc(1), Ssrc(2), Ssrc(3)]);
    assert_eq!(media.ssrc_groups[1], (Semantics::Fid, vec![Ssrc(1), Ssrc(4)]));
    let off = Capabilities { simulcast: false, ..capabilities() };
    assert!(negotiate_publish(&Offer::parse(&text).unwrap(), &off).unwrap().media[0].layers.is_empty());
}

#[test]
fn firefox_repairs_are_groups() {
    let media = publish(&one("firefox-publish-simulcast")).unwrap().media.remove(1);
    let fid: Vec<Ssrc> = media.ssrc_groups.iter().map(|(_, ssrcs)| ssrcs[0]).collect();
    assert_eq!(fid, media.ssrcs);
}

#[test]
fn a_viewer_is_told_the_stream_of_retransmissions() {
    let text = offer(&[VIDEO]).replace("sendonly", "recvonly");
    let mut description = local(1);
    description.sources[0].as_mut().unwrap().rtx_ssrc = Some(Ssrc(2000));
    let answer = write_answer(&play(&text, &[opus(), vp8()]).unwrap(), &description);
    let expected = "a=msid:stream track-0\r\na=ssrc-group:FID 1000 2000\r\na=ssrc:1000 cname:c\r\n\
                    a=ssrc:1000 msid:stream track-0\r\na=ssrc:2000 cname:c\r\na=ssrc:2000 msid:stream track-0\r\n";
    assert!(answer.contains(expected), "{answer}");
}
