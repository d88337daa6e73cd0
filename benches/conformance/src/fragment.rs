//! Trickle ICE fragments (RFC 8840 §9), out and in, of the form that RFC 9725 §4.3 gives them.

use crate::answer::candidate_addresses;
use crate::offer::{Offer, Transport};
use std::fmt::Write as _;
use std::net::SocketAddr;

/// The media type.
pub(crate) const FRAGMENT: &str = "application/trickle-ice-sdpfrag";

/// The fragment of an offer's first section, with the ICE of `transport`.
pub(crate) fn write_fragment(offer: &Offer, transport: &Transport, is_last: bool) -> String {
    let mids: Vec<&str> = offer.sections.iter().map(|section| section.mid.as_str()).collect();
    let mut text = format!("a=ice-options:trickle ice2\r\na=group:BUNDLE {}\r\n", mids.join(" "));
    if let Some(first) = offer.sections.first() {
        let types: Vec<String> = first.codecs.iter().map(|codec| codec.payload_type.to_string()).collect();
        let _ = write!(text, "m={} 9 UDP/TLS/RTP/SAVPF {}\r\na=mid:{}\r\n", first.kind, types.join(" "), first.mid);
    }
    let _ = write!(text, "a=ice-ufrag:{}\r\na=ice-pwd:{}\r\n", transport.ufrag, transport.pwd);
    for candidate in &transport.candidates {
        let _ = write!(text, "a=candidate:{candidate}\r\n");
    }
    if is_last {
        text.push_str("a=end-of-candidates\r\n");
    }
    text
}

/// A fragment that a server sent.
#[derive(Clone, Debug)]
pub(crate) struct Fragment {
    attributes: Vec<(String, String)>,
}

impl Fragment {
    /// Reads the `a=` lines; a fragment has no others that matter.
    pub(crate) fn parse(text: &str) -> Fragment {
        let lines = text.lines().filter_map(|line| line.trim_end().strip_prefix("a="));
        let split = |line: &str| {
            let (name, value) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), value.to_owned())
        };
        Fragment { attributes: lines.map(split).collect() }
    }

    /// The first value of an attribute; empty for a flag.
    pub(crate) fn value(&self, name: &str) -> Option<&str> {
        self.attributes.iter().find(|(other, _)| other == name).map(|(_, value)| value.as_str())
    }

    pub(crate) fn candidates(&self) -> Vec<SocketAddr> {
        let candidates = self.attributes.iter().filter(|(name, _)| name == "candidate");
        candidate_addresses(candidates.map(|(_, value)| value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::offer::tests::transport;

    #[test]
    fn a_fragment_names_the_first_section_and_the_credentials() {
        let offer = Offer::publish(transport());
        let text = write_fragment(&offer, &offer.transport, true);
        let expected = "a=ice-options:trickle ice2\r\na=group:BUNDLE 0 1\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\n\
            a=ice-ufrag:abcd\r\na=ice-pwd:0123456789abcdefghijkl\r\n\
            a=candidate:1 1 udp 2130706431 127.0.0.1 5000 typ host\r\na=end-of-candidates\r\n";
        assert_eq!(text, expected);
    }

    #[test]
    fn a_fragment_is_read_line_by_line() {
        let text =
            "a=ice-lite\na=ice-ufrag:x:y\r\nm=audio 9 X 0\r\na=candidate:1 1 udp 1 ::1 9 typ host\r\nnonsense\r\n";
        let fragment = Fragment::parse(text);
        assert_eq!(fragment.value("ice-lite"), Some(""));
        assert_eq!(fragment.value("ice-ufrag"), Some("x:y"));
        assert_eq!(fragment.value("ice-pwd"), None);
        assert_eq!(fragment.candidates(), ["[::1]:9".parse().unwrap()]);
    }
}
