//! The answers to all recorded offers, letter by letter, in `tests/answers`: a change of what is answered shows itself as a diff.
//!
//! `ONEPORT_WRITE_ANSWERS=1 cargo test -p oneport-sdp golden` writes them anew. They are kept with LF, as git shows them best; the
//! validator sees to CRLF.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use oneport_rtp::payload::Format;
use oneport_sdp::{Capabilities, Negotiated, Offer, Rejection, negotiate_play, negotiate_publish, write_answer};

use crate::fixture::{MID, RID, capabilities, h264, local, opus, recorded, vp8};

/// What a forwarder without loss recovery has.
fn forwarder() -> Capabilities {
    let extensions = vec![
        MID,
        RID,
        "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id",
        "urn:ietf:params:rtp-hdrext:ssrc-audio-level",
        "urn:ietf:params:rtp-hdrext:toffset",
        "urn:3gpp:video-orientation",
        "http://www.webrtc.org/experiments/rtp-hdrext/playout-delay",
        "https://aomediacodec.github.io/av1-rtp-spec/#dependency-descriptor-rtp-header-extension",
    ];
    Capabilities { extensions, ..capabilities() }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/answers")
}

/// File name and text of what comes of a negotiation: the answer, or the sentence of the rejection.
fn outcome(name: &str, negotiated: Result<Negotiated, Rejection>, sources: u32) -> (String, String) {
    match negotiated {
        Ok(negotiated) => {
            let answer = write_answer(&negotiated, &local(sources));
            (format!("{name}.answer.sdp"), answer.replace("\r\n", "\n"))
        }
        Err(rejection) => (format!("{name}.rejection.txt"), format!("{rejection}\n")),
    }
}

/// All outcomes: one for each publisher, and for each viewer one for each video codec that may be published.
fn outcomes() -> Vec<(String, String)> {
    let ours = forwarder();
    let parse = |text: &str| Offer::parse(text).expect("an offer");
    let bare = |file: &str| file.trim_end_matches(".offer.sdp").to_owned();
    let published: [(&str, Format); 2] = [("vp8", vp8()), ("h264", h264())];
    let mut outcomes: Vec<_> = recorded("-publish")
        .iter()
        .map(|(file, text)| outcome(&bare(file), negotiate_publish(&parse(text), &ours), 0))
        .collect();
    for (file, text) in recorded("-play") {
        let name = |codec: &str| format!("{}.{codec}", bare(&file));
        outcomes
            .extend(published.map(|(codec, video)| {
                outcome(&name(codec), negotiate_play(&parse(&text), &ours, &[opus(), video]), 2)
            }));
    }
    outcomes
}

fn check(file: &str, text: &str) -> Option<String> {
    let path = folder().join(file);
    if std::env::var_os("ONEPORT_WRITE_ANSWERS").is_some() {
        fs::write(&path, text).expect("the folder of answers");
        return None;
    }
    let Ok(golden) = fs::read_to_string(&path) else { return Some(format!("{file} is not there")) };
    let lines = golden.lines().zip(text.lines()).enumerate();
    let mut different = lines.filter(|(_, (golden, now))| golden != now).map(|(n, (golden, now))| {
        let n = n + 1;
        format!("{file}:{n}: \"{golden}\" is now \"{now}\"")
    });
    different.next().or_else(|| (golden != text).then(|| format!("{file} is longer or shorter")))
}

#[test]
fn golden_answers_stay_as_they_are() {
    let outcomes = outcomes();
    let faults: Vec<String> = outcomes.iter().filter_map(|(file, text)| check(file, text)).collect();
    assert!(faults.is_empty(), "see the head of golden.rs for how to write them anew:\n{}", faults.join("\n"));
    let kept: BTreeSet<String> = fs::read_dir(folder())
        .expect("the folder of answers")
        .map(|file| file.expect("a file").file_name().to_string_lossy().into_owned())
        .collect();
    let expected: BTreeSet<String> = outcomes.into_iter().map(|(file, _)| file).collect();
    assert_eq!(kept, expected, "one file for each outcome");
}
