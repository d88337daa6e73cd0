//! Data channels and echoes.

use oneport_sdp::{Capabilities, Negotiated, Offer, Rejection, Setup, negotiate_echo, negotiate_publish, write_answer};

use crate::fixture::{AUDIO, FINGERPRINT, SESSION, VIDEO, capabilities, local};

const DATA: &str =
    "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\na=mid:2\na=sctp-port:5000\na=max-message-size:262144\n";

fn offer(bundle: &str, sections: &[&str]) -> Offer {
    let session = SESSION.replace("BUNDLE 0 1", bundle);
    Offer::parse(&format!("{session}{FINGERPRINT}\n{}", sections.concat())).expect("an offer")
}

fn with_data() -> Capabilities {
    Capabilities { max_message_size: Some(65_536), ..capabilities() }
}

fn section(negotiated: &Negotiated, mid: &str) -> String {
    let text = write_answer(negotiated, &local(0));
    let sections = text.split("\r\nm=").skip(1);
    sections.map(str::to_owned).find(|section| section.contains(&format!("a=mid:{mid}"))).expect("the section")
}

#[test]
fn data_channels_are_answered_in_the_bundle_with_a_transport_and_nothing_of_rtp() {
    let negotiated = negotiate_publish(&offer("BUNDLE 0 1 2", &[AUDIO, VIDEO, DATA]), &with_data()).unwrap();
    assert_eq!(negotiated.bundle.as_ref().map(Vec::len), Some(3));
    let section = section(&negotiated, "2");
    assert!(section.starts_with("application "), "{section}");
    assert!(section.lines().next().unwrap().ends_with(" UDP/DTLS/SCTP webrtc-datachannel"));
    for line in ["a=sctp-port:5000", "a=max-message-size:65536", "a=setup:passive", "a=end-of-candidates"] {
        assert!(section.contains(line), "{line} in {section}");
    }
    for line in ["rtcp-mux", "a=recvonly", "a=sendrecv", "a=inactive", "msid"] {
        assert!(!section.contains(line), "{line} in {section}");
    }
    assert_eq!(negotiated.setup, Setup::Passive);
}

#[test]
fn they_are_refused_alone_where_they_are_switched_off_outside_of_the_bundle_or_of_the_old_form() {
    let old = "m=application 9 DTLS/SCTP 5000\na=mid:2\na=sctpmap:5000 webrtc-datachannel 1024\n";
    for (bundle, data, ours) in
        [("BUNDLE 0 1 2", DATA, capabilities()), ("BUNDLE 0 1", DATA, with_data()), ("BUNDLE 0 1 2", old, with_data())]
    {
        let negotiated = negotiate_publish(&offer(bundle, &[AUDIO, VIDEO, data]), &ours).unwrap();
        assert!(section(&negotiated, "2").starts_with("application 0 "), "{bundle}");
        assert!(negotiated.media[0].accepted && negotiated.media[1].accepted);
    }
    let alone = negotiate_publish(&offer("BUNDLE 2", &[DATA]), &with_data());
    assert!(matches!(alone, Err(Rejection::NothingUsable { .. })));
}

#[test]
fn an_echo_answers_every_codec_in_both_directions() {
    let both = |section: &str| section.replace("sendonly", "sendrecv");
    let video = format!("{}a=rtpmap:98 VP9/90000\n", both(VIDEO).replace("SAVPF 96", "SAVPF 96 98"));
    let negotiated = negotiate_echo(&offer("BUNDLE 0 1", &[&both(AUDIO), &video]), &capabilities()).unwrap();
    let section = section(&negotiated, "1");
    assert!(
        section.contains("a=sendrecv") && section.contains("VP8/90000") && section.contains("VP9/90000"),
        "{section}"
    );
    let one_way = negotiate_echo(&offer("BUNDLE 0 1", &[AUDIO]), &capabilities()).unwrap_err();
    assert!(one_way.to_string().contains("sendrecv"), "{one_way}");
}
