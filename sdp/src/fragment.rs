//! SDP fragments (RFC 8840 §4.4) as WHIP and WHEP send them with PATCH (RFC 9725 §4.3): candidates that are trickled, and the
//! credentials of an ICE restart.
//!
//! Whether a fragment restarts ICE depends on the present credentials, and so is decided by who knows them.

use std::fmt::Write;
use std::net::SocketAddr;

use oneport_rtp::ids::Mid;
use oneport_rtp::payload::MediaKind;

use crate::candidate;
use crate::remote_candidate::RemoteCandidate;

/// Longest fragment that is read, in bytes.
const MAX_FRAGMENT: usize = 32 * 1024;
/// Most candidates of one fragment.
const MAX_CANDIDATES: usize = 64;
/// How much of a faulty line is repeated to the client.
const QUOTED: usize = 80;

/// What a client trickles, or restarts ICE with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Fragment {
    /// User fragment and password of the client's ICE session, where they are given.
    pub credentials: Option<(String, String)>,
    /// The candidates at addresses, for UDP.
    pub candidates: Vec<RemoteCandidate>,
    /// How many candidates were passed over: for TCP, behind names, or of kinds that are not known here (RFC 9725 §4.3.2).
    pub discarded: usize,
    /// `a=end-of-candidates`
    pub end_of_candidates: bool,
}

/// Why a body is not a fragment. The display of each is fit to be shown to the client's developer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[allow(missing_docs, reason = "each variant's sentence says what it and its fields are")]
pub enum FragmentError {
    #[error("it is {0} bytes long, at most {MAX_FRAGMENT} are read")]
    TooLong(usize),
    #[error("line {number}, \"{text}\": {reason}")]
    Line { number: usize, text: String, reason: &'static str },
    #[error("it has a=ice-ufrag or a=ice-pwd without the other")]
    HalfCredentials,
    #[error("it has neither credentials nor candidates nor a=end-of-candidates")]
    Empty,
}

impl Fragment {
    /// Reads a fragment, with what clients are known to leave in it: LF for CRLF, blank lines, a bare `a=`, no m-line or several.
    pub fn parse(text: &str) -> Result<Fragment, FragmentError> {
        if text.len() > MAX_FRAGMENT {
            return Err(FragmentError::TooLong(text.len()));
        }
        let mut reading = Reading::default();
        for (index, line) in text.trim_start_matches('\u{feff}').split('\n').enumerate() {
            let line = line.trim_end();
            reading.take(line).map_err(|reason| fault(index + 1, line, reason))?;
        }
        reading.finish()
    }
}

fn fault(number: usize, line: &str, reason: &'static str) -> FragmentError {
    let text = line.chars().filter(|c| !c.is_control()).take(QUOTED).collect();
    FragmentError::Line { number, text, reason }
}

/// A fragment while it is read.
#[derive(Default)]
struct Reading {
    ufrag: Option<String>,
    pwd: Option<String>,
    fragment: Fragment,
    seen: usize,
}

impl Reading {
    fn take(&mut self, line: &str) -> Result<(), &'static str> {
        if line.contains(char::is_control) {
            return Err("there is a control character in it");
        }
        match line.as_bytes() {
            [] | [b'a', b'='] => Ok(()),
            [b'a', b'=', ..] => self.take_attribute(&line[2..]),
            // The pseudo m-line (RFC 8840 §9.1), and what else a whole description has.
            [b'a'..=b'z', b'=', ..] => Ok(()),
            _ => Err("a line of SDP begins with one small letter and \"=\""),
        }
    }

    fn take_attribute(&mut self, attribute: &str) -> Result<(), &'static str> {
        let (name, value) = attribute.split_once(':').unwrap_or((attribute, ""));
        match name {
            "ice-ufrag" => keep(&mut self.ufrag, value, 4, "an ice-ufrag has 4 to 256 ICE characters"),
            "ice-pwd" => keep(&mut self.pwd, value, 22, "an ice-pwd has 22 to 256 ICE characters"),
            "candidate" => self.take_candidate(value),
            "end-of-candidates" => {
                self.fragment.end_of_candidates = true;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    fn take_candidate(&mut self, value: &str) -> Result<(), &'static str> {
        self.seen += 1;
        if self.seen > MAX_CANDIDATES {
            return Err("there are too many candidates");
        }
        if value.split_whitespace().nth(7).is_none() {
            return Err("a candidate has a foundation, component, transport, priority, address, port and type");
        }
        match RemoteCandidate::parse(value) {
            Some(candidate) if candidate.is_reachable() => {
                self.fragment.candidates.push(candidate);
            }
            _ => self.fragment.discarded += 1,
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Fragment, FragmentError> {
        self.fragment.credentials = match (self.ufrag, self.pwd) {
            (Some(ufrag), Some(pwd)) => Some((ufrag, pwd)),
            (None, None) => None,
            _ => return Err(FragmentError::HalfCredentials),
        };
        let says_something = self.fragment.credentials.is_some() || self.seen > 0 || self.fragment.end_of_candidates;
        if says_something { Ok(self.fragment) } else { Err(FragmentError::Empty) }
    }
}

/// Keeps a credential of a legal form (RFC 8839 §5.4). Each section of a bundle may repeat it, and none may contradict another.
fn keep(kept: &mut Option<String>, value: &str, least: usize, form: &'static str) -> Result<(), &'static str> {
    // The alphabet has letters, digits, + and /. An offer's may have others, as some clients do not keep to it.
    if !(least..=256).contains(&value.len()) || !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(form);
    }
    match kept {
        Some(before) if before != value => Err("the sections of a bundle have one ICE session, and this names another"),
        _ => {
            *kept = Some(value.to_owned());
            Ok(())
        }
    }
}

/// Our half of an ICE session that was restarted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFragment {
    /// Our user fragment.
    pub ice_ufrag: String,
    /// Our ICE password.
    pub ice_pwd: String,
    /// Where we are reached, in the order of preference among addresses of one family and scope.
    pub candidates: Vec<SocketAddr>,
    /// The mids of the answer's BUNDLE group; empty without one.
    pub bundle: Vec<Mid>,
    /// The tagged section of the bundle: its mid, where the offer had one, and its kind.
    pub tagged: (Option<Mid>, MediaKind),
    /// `a=ice-options:ice2` was answered.
    pub ice2: bool,
}

/// Writes the answer to an ICE restart: what the answer to the offer said of ICE (RFC 9725 §4.3.3), with other values.
pub fn write_fragment(local: &LocalFragment) -> String {
    let (mid, kind) = &local.tagged;
    let mut text = String::from("a=ice-lite\r\n");
    let mut line = |line: std::fmt::Arguments<'_>| {
        let _ = write!(text, "{line}\r\n");
    };
    if !local.bundle.is_empty() {
        let mids: Vec<&str> = local.bundle.iter().map(Mid::as_str).collect();
        line(format_args!("a=group:BUNDLE {}", mids.join(" ")));
    }
    if local.ice2 {
        line(format_args!("a=ice-options:ice2"));
    }
    line(format_args!("a=ice-ufrag:{}", local.ice_ufrag));
    line(format_args!("a=ice-pwd:{}", local.ice_pwd));
    let kind = if *kind == MediaKind::Audio { "audio" } else { "video" };
    line(format_args!("m={kind} 9 UDP/TLS/RTP/SAVPF 0"));
    if let Some(mid) = mid {
        line(format_args!("a=mid:{mid}"));
    }
    for candidate in candidate::in_order(&local.candidates) {
        line(format_args!("a=candidate:{candidate}"));
    }
    line(format_args!("a=end-of-candidates"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const CREDENTIALS: &str = "a=ice-ufrag:vAO2\r\na=ice-pwd:g/Pm7nc1pdKo/xzVkWQkTEUM\r\n";
    const HOST: &str = "a=candidate:1 1 udp 2122260223 192.0.2.1 35026 typ host generation 0 ufrag vAO2\r\n";

    #[test]
    fn candidates_that_cannot_be_used_are_passed_over_and_counted() {
        let others = [
            "a=candidate:1 1 udp 1 9b36eaac-bb2e.local 1 typ host",
            "a=candidate:1 1 udp 1 turn.example.com 1 typ relay raddr 0.0.0.0 rport 0",
            "a=candidate:1 1 tcp 1 192.0.2.1 9 typ host tcptype active",
            "a=candidate:1 1 sctp 1 192.0.2.1 9 typ host",
            "a=candidate:1 1 udp 1 192.0.2.1 9 typ odd",
            "a=candidate:1 1 udp 1 0.0.0.0 9 typ host",
            "a=candidate:1 1 udp 1 192.0.2.1 0 typ host",
        ];
        let fragment = Fragment::parse(&format!("{CREDENTIALS}{HOST}{}", others.join("\n"))).unwrap();
        assert_eq!((fragment.candidates.len(), fragment.discarded), (1, others.len()));
    }

    #[test]
    fn what_real_clients_send_is_read() {
        let firefox =
            "a=ice-ufrag:vAO2\na=ice-pwd:g/Pm7nc1pdKo/xzVkWQkTEUM\nm=audio 9 UDP/TLS/RTP/SAVPF 0\na=\na=mid:0\n";
        let fragment = Fragment::parse(firefox).unwrap();
        let (ufrag, pwd) = fragment.credentials.unwrap();
        assert_eq!((ufrag.as_str(), pwd.as_str()), ("vAO2", "g/Pm7nc1pdKo/xzVkWQkTEUM"));
        assert!(Fragment::parse("a=end-of-candidates").unwrap().end_of_candidates);
        let whole =
            format!("v=0\r\no=- 0 0 IN IP4 0.0.0.0\r\ns=-\r\n{CREDENTIALS}m=video 9 X 0\r\n{CREDENTIALS}{HOST}");
        assert_eq!(Fragment::parse(&whole).unwrap().candidates.len(), 1);
    }

    #[test]
    fn each_fault_is_named_with_its_line() {
        let fault = |text: &str| Fragment::parse(text).unwrap_err().to_string();
        assert_eq!(fault(""), "it has neither credentials nor candidates nor a=end-of-candidates");
        assert_eq!(fault("a=mid:0\r\n"), fault(""));
        assert_eq!(fault("a=ice-ufrag:vAO2"), "it has a=ice-ufrag or a=ice-pwd without the other");
        assert!(fault("a=mid:0\r\nrubbish").starts_with("line 2, \"rubbish\": a line of SDP begins"));
        assert!(fault("a=ice-ufrag:abc\r\n").starts_with("line 1, \"a=ice-ufrag:abc\""));
        assert!(fault("a=ice-ufrag:ab cd\r\n").starts_with("line 1"));
        assert!(fault("a=ice-pwd:short\r\n").starts_with("line 1"));
        assert!(fault("a=candidate:1 1 udp\r\n").starts_with("line 1"));
        assert!(fault("a=ice-ufrag:abcd\na=ice-ufrag:abce\n").contains("names another"));
        assert!(fault(&HOST.repeat(MAX_CANDIDATES + 1)).contains("too many candidates"));
        assert!(fault(&"a".repeat(MAX_FRAGMENT + 1)).starts_with("it is 32769 bytes long"));
    }

    #[test]
    fn no_bytes_bring_it_down() {
        let whole = format!("{CREDENTIALS}m=audio 9 X 0\r\na=mid:0\r\n{HOST}a=end-of-candidates\r\n\u{fe0f}=\u{0}");
        for (end, _) in whole.char_indices() {
            let _ = Fragment::parse(&whole[..end]);
            let _ = Fragment::parse(&whole[end..]);
        }
    }

    #[test]
    fn what_is_written_can_be_read() {
        let local = LocalFragment {
            ice_ufrag: "ours".to_owned(),
            ice_pwd: "ourpasswordourpassword".to_owned(),
            candidates: vec!["192.0.2.1:8000".parse().unwrap(), "[2001:db8::1]:8000".parse().unwrap()],
            bundle: vec![Mid::new(b"0").unwrap(), Mid::new(b"1").unwrap()],
            tagged: (Mid::new(b"0"), MediaKind::Video),
            ice2: true,
        };
        let text = write_fragment(&local);
        assert_eq!(
            text,
            "a=ice-lite\r\na=group:BUNDLE 0 1\r\na=ice-options:ice2\r\na=ice-ufrag:ours\r\na=ice-pwd:ourpasswordourpassword\r\n\
             m=video 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n\
             a=candidate:1 1 udp 2130706431 2001:db8::1 8000 typ host\r\n\
             a=candidate:2 1 udp 2130706175 192.0.2.1 8000 typ host\r\na=end-of-candidates\r\n"
        );
        let read = Fragment::parse(&text).unwrap();
        assert_eq!(read.credentials, Some((local.ice_ufrag, local.ice_pwd)));
        assert_eq!(read.candidates.len(), 2);
    }
}
