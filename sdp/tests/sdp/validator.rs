//! Checks an answer against its offer as RFC 3264 and RFC 9429 ask for it. It reads both texts by itself, line by line, so that a
//! fault of the crate's parser cannot hide one of its writer.

use std::collections::HashSet;

/// The lines of the session, then those of each m-section.
pub(crate) fn sections(text: &str) -> Vec<Vec<&str>> {
    let mut sections = vec![Vec::new()];
    for line in text.lines().filter(|line| !line.trim().is_empty()) {
        if line.starts_with("m=") {
            sections.push(Vec::new());
        }
        sections.last_mut().expect("one at least").push(line.trim_end());
    }
    sections
}

/// Values of the lines that begin so.
pub(crate) fn values<'a>(section: &[&'a str], prefix: &str) -> Vec<&'a str> {
    section.iter().filter_map(|line| line.strip_prefix(prefix)).collect()
}

/// The one value of the line that begins so.
pub(crate) fn value<'a>(section: &[&'a str], prefix: &str) -> &'a str {
    let found = values(section, prefix);
    assert_eq!(found.len(), 1, "{prefix} in {section:#?}");
    found[0]
}

/// Validates the whole answer; `direction` is what accepted sections have to say. Returns how many are accepted.
pub(crate) fn validate(offer: &str, answer: &str, direction: &str) -> usize {
    assert!(answer.ends_with("\r\n") && answer.matches('\n').count() == answer.matches("\r\n").count());
    let parsed = oneport_sdp::Offer::parse(answer).expect("an answer is an SDP like any other");
    let (offered, answered) = (sections(offer), sections(answer));
    assert_eq!(parsed.media.len(), answered.len() - 1);
    assert_eq!(offered.len(), answered.len(), "as many m-lines as in the offer");
    validate_session(&answered[0]);
    let mut accepted_mids = HashSet::new();
    let mut accepted = 0;
    for (theirs, ours) in offered[1..].iter().zip(&answered[1..]) {
        assert_eq!(values(theirs, "a=mid:"), values(ours, "a=mid:"));
        let (m_line, line) = (fields(theirs), fields(ours));
        assert_eq!((m_line[0], m_line[2]), (line[0], line[2]), "kind and protocol");
        if line[1] == "0" {
            assert!(ours.contains(&"a=inactive"));
            continue;
        }
        accepted += 1;
        accepted_mids.extend(values(ours, "a=mid:"));
        assert!(ours.contains(&format!("a={direction}").as_str()), "{ours:#?}");
        validate_formats(theirs, ours);
        validate_extensions(&offered[0], theirs, ours);
        validate_transport(&offered[0], theirs, ours);
    }
    validate_bundle(&offered[0], &answered[0], &accepted_mids);
    accepted
}

fn fields<'a>(section: &[&'a str]) -> Vec<&'a str> {
    section[0]["m=".len()..].split(' ').collect()
}

fn validate_session(session: &[&str]) {
    let keys: String = session.iter().take(4).map(|line| &line[..1]).collect();
    assert_eq!(keys, "vost", "the mandatory lines in their order");
    assert_eq!(session[0], "v=0");
    assert!(session.contains(&"a=ice-lite"));
}

fn validate_bundle(offered: &[&str], answered: &[&str], accepted: &HashSet<&str>) {
    let groups = values(answered, "a=group:");
    if values(offered, "a=group:BUNDLE").is_empty() {
        assert!(groups.is_empty(), "no group that was not offered");
        return;
    }
    assert_eq!(groups.len(), 1);
    let mids: HashSet<&str> = groups[0].split(' ').skip(1).collect();
    assert!(groups[0].starts_with("BUNDLE ") && mids == *accepted, "{groups:?} {accepted:?}");
}

fn validate_formats(theirs: &[&str], ours: &[&str]) {
    let (offered, answered) = (&fields(theirs)[3..], &fields(ours)[3..]);
    assert!(!answered.is_empty());
    let mut seen = HashSet::new();
    for number in answered {
        assert!(offered.contains(number) && seen.insert(number), "{number} in {offered:?}");
        let of_number = |section: &[&str], name: &str| -> Vec<String> {
            values(section, &format!("a={name}:{number} ")).into_iter().map(str::to_owned).collect()
        };
        let map = of_number(ours, "rtpmap");
        assert_eq!(map.len(), 1);
        if let Some(offered_map) = of_number(theirs, "rtpmap").first() {
            let plain = |map: &str| map.to_ascii_lowercase().trim_end_matches("/1").to_owned();
            assert_eq!(plain(&map[0]), plain(offered_map));
        }
        let parameters = |section: &[&str]| -> Vec<String> {
            of_number(section, "fmtp").iter().flat_map(|fmtp| fmtp.split(';')).map(str::to_owned).collect()
        };
        let offered_parameters = parameters(theirs);
        for parameter in parameters(ours) {
            let legal = offered_parameters.contains(&parameter) || answers(&parameter, &offered_parameters);
            assert!(legal, "{parameter} for {offered_parameters:?}");
        }
        let feedback = of_number(theirs, "rtcp-fb");
        assert!(of_number(ours, "rtcp-fb").iter().all(|value| feedback.contains(value)));
    }
    for name in ["rtpmap", "fmtp", "rtcp-fb"] {
        for value in values(ours, &format!("a={name}:")) {
            let number = value.split(' ').next().expect("a payload type");
            assert!(answered.contains(&number), "{name} of {number}, which is not in the m-line");
        }
    }
}

/// Whether a parameter that was not offered so may stand in the answer: the other side's name of stereo, another level where levels may
/// differ, and what libwebrtc reads of bitrates.
fn answers(parameter: &str, offered: &[String]) -> bool {
    let has = |wanted: &str| offered.iter().any(|parameter| parameter == wanted);
    let same_profile = |id: &str| {
        let offered = offered.iter().find_map(|parameter| parameter.strip_prefix("profile-level-id="));
        offered.is_some_and(|offered| offered[..4].eq_ignore_ascii_case(&id[..4]))
    };
    match parameter.split_once('=') {
        Some(("stereo", "1")) => has("sprop-stereo=1"),
        Some(("sprop-stereo", "1")) => has("stereo=1"),
        Some(("profile-level-id", id)) => has("level-asymmetry-allowed=1") && same_profile(id),
        Some((name, _)) => name.starts_with("x-google-") && name.ends_with("-bitrate"),
        None => false,
    }
}

fn validate_extensions(session: &[&str], theirs: &[&str], ours: &[&str]) {
    let read = |value: &str| {
        let (id, uri) = value.split_once(' ').expect("id and uri");
        let (id, direction) = id.split_once('/').unwrap_or((id, ""));
        (id.to_owned(), direction.to_owned(), uri.to_owned())
    };
    let offered: Vec<_> =
        values(session, "a=extmap:").into_iter().chain(values(theirs, "a=extmap:")).map(read).collect();
    let mut ids = HashSet::new();
    for (id, direction, uri) in values(ours, "a=extmap:").into_iter().map(read) {
        let matching = offered.iter().find(|(offered_id, _, offered_uri)| *offered_id == id && *offered_uri == uri);
        let expected = match matching.expect("an extension that was offered").1.as_str() {
            "sendonly" => "recvonly",
            "recvonly" => "sendonly",
            "" => "",
            other => panic!("{other}"),
        };
        assert_eq!(direction, expected);
        assert!(ids.insert(id), "one identifier twice");
    }
}

fn validate_transport(session: &[&str], theirs: &[&str], ours: &[&str]) {
    assert!(value(ours, "a=ice-ufrag:").len() >= 4 && value(ours, "a=ice-pwd:").len() >= 22);
    let (algorithm, hex) = value(ours, "a=fingerprint:").split_once(' ').expect("algorithm and hash");
    assert_eq!((algorithm, hex.split(':').count()), ("sha-256", 32));
    let offered = values(theirs, "a=setup:").into_iter().chain(values(session, "a=setup:")).next().expect("a role");
    let legal = match offered {
        "actpass" | "active" => "passive",
        "passive" => "active",
        other => panic!("{other}"),
    };
    assert_eq!(value(ours, "a=setup:"), legal);
    let has = |line: &str| ours.contains(&line);
    assert!(has("a=rtcp-mux") && has("a=end-of-candidates") && has("a=rtcp-mux-only"));
    assert!(!has("a=rtcp-rsize") || theirs.contains(&"a=rtcp-rsize"));
    let candidates: Vec<Vec<&str>> =
        values(ours, "a=candidate:").into_iter().map(|value| value.split(' ').collect()).collect();
    let priorities: Vec<u32> = candidates.iter().map(|fields| fields[3].parse().expect("a priority")).collect();
    assert!(!priorities.is_empty() && priorities.is_sorted_by(|a, b| a > b));
    assert!(candidates.iter().all(|fields| fields[1] == "1" && fields[2] == "udp" && fields[6..] == ["typ", "host"]));
    assert_eq!(fields(ours)[1], candidates[0][5], "the m-line's port is the first candidate's");
    assert!(value(ours, "c=").ends_with(candidates[0][4]));
}
