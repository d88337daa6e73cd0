//! A description that the server sent, an answer or a counter-offer, as far as the peer and the checks need it.

use oneport_engine::control::{Digest, Fingerprint};
use sdp_types::{Media, Session};
use std::net::{IpAddr, SocketAddr};

/// See the module's text.
#[derive(Clone, Debug)]
pub struct Description {
    /// As it was parsed.
    pub session: Session,
}

impl Description {
    /// Reads SDP.
    pub fn parse(bytes: &[u8]) -> Result<Description, String> {
        Ok(Description { session: Session::parse(bytes).map_err(|error| format!("SDP that does not parse: {error}"))? })
    }

    /// The m-sections.
    pub fn medias(&self) -> &[Media] {
        &self.session.medias
    }

    /// The accepted section of a kind.
    pub fn media(&self, kind: &str) -> Option<&Media> {
        self.medias().iter().find(|media| media.media == kind && media.port != 0)
    }

    /// An attribute of the first section that has it, or of the session (RFC 8839 §4.4.1.1 allows both for ICE).
    pub fn anywhere(&self, name: &str) -> Option<&str> {
        let in_media = self.medias().iter().find_map(|media| value(media, name));
        in_media.or_else(|| {
            let session = self.session.attributes.iter();
            session.filter(|attribute| attribute.attribute == name).find_map(|one| one.value.as_deref())
        })
    }

    /// Whether a flag stands in the session or any section.
    pub fn has(&self, name: &str) -> bool {
        self.session.has_attribute(name) || self.medias().iter().any(|media| media.has_attribute(name))
    }

    /// Whether the server is ICE-lite.
    pub fn is_lite(&self) -> bool {
        self.has("ice-lite")
    }

    /// Values of an attribute in every section and the session.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let session = self.session.attributes.iter();
        let attributes = session.chain(self.medias().iter().flat_map(|media| &media.attributes));
        attributes.filter(|attribute| attribute.attribute == name).filter_map(|one| one.value.as_deref()).collect()
    }

    /// Where UDP candidates of the first component are, as far as they are addresses.
    pub fn candidates(&self) -> Vec<SocketAddr> {
        candidate_addresses(self.all("candidate").into_iter())
    }

    /// The certificate's fingerprints, as far as their digests are known.
    pub fn fingerprints(&self) -> Vec<Fingerprint> {
        self.all("fingerprint").into_iter().filter_map(fingerprint).collect()
    }

    /// The mids, in order; `None` where there is none.
    pub fn mids(&self) -> Vec<Option<&str>> {
        self.medias().iter().map(|media| value(media, "mid")).collect()
    }

    /// The mids of `a=group:BUNDLE`.
    pub fn bundle(&self) -> Vec<&str> {
        let groups = self.session.attributes.iter().filter(|attribute| attribute.attribute == "group");
        let group = groups.filter_map(|attribute| attribute.value.as_deref()?.strip_prefix("BUNDLE")).next();
        group.unwrap_or_default().split_ascii_whitespace().collect()
    }
}

/// The first value of an attribute of a section.
pub fn value<'a>(media: &'a Media, name: &str) -> Option<&'a str> {
    media.attributes.iter().find(|attribute| attribute.attribute == name)?.value.as_deref()
}

/// All values of an attribute of a section.
pub fn values<'a>(media: &'a Media, name: &'a str) -> impl Iterator<Item = &'a str> {
    media.attributes.iter().filter(move |attribute| attribute.attribute == name).filter_map(|one| one.value.as_deref())
}

/// The direction of a section; `sendrecv` is what none means (RFC 8866 §6.7).
pub fn direction(media: &Media) -> &str {
    let named = media.attributes.iter().map(|attribute| attribute.attribute.as_str());
    named
        .into_iter()
        .find(|name| matches!(*name, "sendonly" | "recvonly" | "sendrecv" | "inactive"))
        .unwrap_or("sendrecv")
}

/// Payload type and codec of each `a=rtpmap` whose type the m-line has, in its order.
pub fn codecs(media: &Media) -> Vec<(u8, String)> {
    let types = media.fmt.split_ascii_whitespace();
    let rtpmap = |wanted: &str| {
        values(media, "rtpmap")
            .find_map(|map| map.split_once(' ').filter(|(number, _)| *number == wanted).map(|(_, codec)| codec))
    };
    types.filter_map(|number| Some((number.parse().ok()?, rtpmap(number)?.trim().to_ascii_lowercase()))).collect()
}

/// The payload type of a codec such as `vp8`.
pub fn payload_type(media: &Media, name: &str) -> Option<u8> {
    let is_it = |codec: &str| codec.split('/').next() == Some(name);
    codecs(media).into_iter().find(|(_, codec)| is_it(codec)).map(|(number, _)| number)
}

/// The addresses of candidate attributes.
pub fn candidate_addresses<'a>(candidates: impl Iterator<Item = &'a str>) -> Vec<SocketAddr> {
    let mut addresses: Vec<SocketAddr> = Vec::new();
    for candidate in candidates {
        if let Some(address) = candidate_address(candidate)
            && !addresses.contains(&address)
        {
            addresses.push(address);
        }
    }
    addresses
}

/// `foundation component transport priority address port typ …` (RFC 8839 §5.1).
fn candidate_address(candidate: &str) -> Option<SocketAddr> {
    let fields: Vec<&str> = candidate.split_ascii_whitespace().collect();
    let [_, component, transport, _, address, port, ..] = fields.as_slice() else { return None };
    if *component != "1" || !transport.eq_ignore_ascii_case("udp") {
        return None;
    }
    Some(SocketAddr::new(address.parse::<IpAddr>().ok()?, port.parse().ok()?))
}

fn fingerprint(text: &str) -> Option<Fingerprint> {
    let (name, hex) = text.trim().split_once(' ')?;
    let byte = |pair: &str| u8::from_str_radix(pair, 16).ok();
    let bytes = hex.trim().split(':').map(byte).collect::<Option<Vec<u8>>>()?;
    Some(Fingerprint { digest: Digest::from_name(name)?, bytes })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=ice-lite\r\na=group:BUNDLE 0 1\r\n\
        a=fingerprint:sha-256 0A:ff\r\n\
        m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=mid:0\r\na=ice-ufrag:uf\r\na=recvonly\r\na=rtpmap:111 opus/48000/2\r\n\
        a=candidate:1 1 UDP 1 127.0.0.1 8000 typ host\r\na=candidate:2 1 tcp 1 127.0.0.1 8000 typ host\r\n\
        a=candidate:3 2 udp 1 127.0.0.1 8001 typ host\r\na=candidate:4 1 udp 1 host.local 8000 typ host\r\n\
        m=video 0 UDP/TLS/RTP/SAVPF 97 96\r\na=mid:1\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:98 VP9/90000\r\n";

    #[test]
    fn what_an_answer_says() {
        let answer = Description::parse(ANSWER.as_bytes()).unwrap();
        assert!(answer.is_lite());
        assert_eq!(answer.bundle(), ["0", "1"]);
        assert_eq!(answer.mids(), [Some("0"), Some("1")]);
        assert_eq!(answer.anywhere("ice-ufrag"), Some("uf"));
        assert_eq!(answer.candidates(), ["127.0.0.1:8000".parse().unwrap()]);
        assert_eq!(answer.fingerprints()[0].bytes, [0x0a, 0xff]);
        assert!(answer.media("video").is_none(), "it was rejected");
        assert_eq!(direction(&answer.medias()[0]), "recvonly");
        assert_eq!(direction(&answer.medias()[1]), "sendrecv");
    }

    #[test]
    fn only_types_of_the_m_line_count() {
        let answer = Description::parse(ANSWER.as_bytes()).unwrap();
        assert_eq!(codecs(&answer.medias()[1]), [(96, "vp8/90000".to_owned())]);
        assert_eq!(payload_type(&answer.medias()[0], "opus"), Some(111));
        assert_eq!(payload_type(&answer.medias()[1], "vp9"), None);
    }

    #[test]
    fn what_is_no_sdp_is_an_error() {
        assert!(Description::parse(b"{}").is_err());
        assert!(Description::parse(&[0xff; 9]).is_err());
        assert_eq!(fingerprint("sha-256"), None);
        assert_eq!(fingerprint("sha-256 GG"), None);
        assert_eq!(fingerprint("md2 AA"), None);
    }
}
