//! Broken and hostile texts give an error or an answer, never a panic, and take no time that grows out of proportion.

use oneport_sdp::{
    Bitrates, Capabilities, MAX_LAYERS, MAX_OFFER, Offer, negotiate_play, negotiate_publish, write_answer,
};

use crate::fixture::{AUDIO, SESSION, capabilities, h264, local, offer, one, opus, recorded, vp8};

/// Reads the text and answers it in every way. Returns how many answers came out.
fn exercise(text: &str) -> usize {
    let offer = match Offer::parse(text) {
        Ok(offer) => offer,
        Err(error) => {
            assert!(error.to_string().len() < 1000);
            return 0;
        }
    };
    let bitrates = Some(Bitrates { min_kbps: Some(u32::MIN), start_kbps: None, max_kbps: Some(u32::MAX) });
    let ours = Capabilities { rtx: true, bitrates, ..capabilities() };
    let outcomes = [negotiate_publish(&offer, &ours), negotiate_play(&offer, &ours, &[opus(), vp8(), h264()])];
    let answers = outcomes.into_iter().filter_map(|outcome| match outcome {
        Ok(negotiated) => {
            assert!(negotiated.media.iter().all(|media| media.layers.len() <= MAX_LAYERS));
            Some(write_answer(&negotiated, &local(2)))
        }
        Err(rejection) => {
            let sentence = rejection.to_string();
            assert!(sentence.contains("line ") && sentence.len() < 4000, "{sentence}");
            None
        }
    });
    answers.inspect(|answer| assert!(!answer.replace("\r\n", "").contains(['\r', '\n', '\0']))).count()
}

#[test]
fn an_offer_cut_anywhere_is_no_panic() {
    let offers = recorded(".offer.sdp");
    let answered: usize = std::thread::scope(|scope| {
        let cuts = |text: &str| (0..text.len()).filter_map(|end| text.get(..end)).map(exercise).sum::<usize>();
        let threads: Vec<_> = offers.iter().map(|(_, text)| scope.spawn(move || cuts(text))).collect();
        threads.into_iter().map(|thread| thread.join().expect("no panic")).sum()
    });
    assert!(answered > 0, "cuts near the end still make an offer");
}

/// xorshift64: the same mutations at every run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % bound as u64) as usize
    }
}

/// One change: a byte replaced, a line removed, doubled or moved.
fn mutate(text: &str, random: &mut Random) -> String {
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let at = random.below(lines.len());
    match random.below(5) {
        0 => drop(lines.remove(at)),
        1 => lines.insert(at, lines[at].clone()),
        2 => {
            let to = random.below(lines.len());
            lines.swap(at, to);
        }
        _ => {
            const ODD: [char; 12] = ['\0', '\r', ' ', ':', '/', '=', ';', '0', '9', '-', '\u{e9}', '\u{10ffff}'];
            let mut chars: Vec<char> = lines[at].chars().collect();
            let place = random.below(chars.len().max(1));
            let odd = ODD[random.below(ODD.len())];
            chars.splice(place..(place + random.below(3)).min(chars.len()).max(place), [odd]);
            lines[at] = chars.into_iter().collect();
        }
    }
    lines.join("\r\n")
}

#[test]
fn mutated_offers_are_no_panic() {
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    let mut answered = 0;
    for (_, text) in recorded(".offer.sdp") {
        let mut mutated = text.clone();
        for round in 0..300 {
            mutated = if round % 12 == 0 { text.clone() } else { mutated };
            mutated = mutate(&mutated, &mut random);
            answered += exercise(&mutated);
        }
    }
    assert!(answered > 0, "some mutations do no harm");
}

#[test]
fn many_of_everything_stays_bounded() {
    let fill = |line: &dyn Fn(usize) -> String| -> String {
        let mut text = offer(&[AUDIO]);
        for n in 0.. {
            let next = line(n);
            if text.len() + next.len() > MAX_OFFER {
                break;
            }
            text.push_str(&next);
        }
        text
    };
    let ssrcs = Offer::parse(&fill(&|n| format!("a=ssrc:{n} cname:x\n"))).unwrap();
    assert_eq!(ssrcs.media[0].ssrcs.len(), 64);
    let groups = Offer::parse(&fill(&|n| format!("a=ssrc-group:FID {n}{}\n", " 7".repeat(200)))).unwrap();
    let groups = &groups.media[0].ssrc_groups;
    assert!(groups.len() == 64 && groups.iter().all(|(_, ssrcs)| ssrcs.len() == 64));
    let candidates = Offer::parse(&fill(&|n| format!("a=candidate:{n} 1 udp 1 h{n}.local 9 typ host\n"))).unwrap();
    assert_eq!(candidates.candidates().len(), 64);
    let rids = Offer::parse(&fill(&|n| format!("a=rid:r{n} send\na=simulcast:send {}\n", "r,r;".repeat(99)))).unwrap();
    assert_eq!((rids.media[0].rids.len(), rids.media[0].simulcast.len()), (32, MAX_LAYERS));
    let extensions = Offer::parse(&fill(&|n| format!("a=extmap:{n} urn:x{n}\n"))).unwrap();
    assert_eq!(extensions.media[0].extensions.len(), 254);
    let feedback = Offer::parse(&fill(&|n| format!("a=rtcp-fb:* x{n}\n"))).unwrap();
    assert_eq!(feedback.media[0].formats[0].feedback.len(), 32);
    let all: String = (0..100).flat_map(|_| 0..=255).map(|n| format!(" {n}")).take(15_000).collect();
    let formats = Offer::parse(&format!("{SESSION}m=audio 9 UDP/TLS/RTP/SAVPF{all}\n")).unwrap();
    assert_eq!(formats.media[0].formats.len(), 2, "the static ones, once each");
}

#[test]
fn nothing_of_the_offer_can_write_a_line_of_the_answer() {
    let text = one("ffmpeg-publish").replace("profile-level-id=42001e", "x=1\ra=ice-pwd:stolen\0");
    assert_eq!(exercise(&text), 0, "a carriage return within a line is a fault");
}
