//! WHIP and WHEP: a pool of threads that post offers and read answers, and delete sessions at the end.

use crate::cli::{AudioCodec, Feedback, Options, VideoCodec};
use oneport_conformance::answer::{Description, payload_type, value};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};
use ureq::Agent;
use ureq::tls::{TlsConfig, TlsProvider};
use url::Url;

/// No answer is longer.
const MAX_REPLY: u64 = 1 << 20;

/// Which way a session goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Role {
    Publish,
    Play,
}

/// ICE and DTLS of a client, as its offer has them.
#[derive(Clone, Debug)]
pub(crate) struct Local {
    pub(crate) ufrag: String,
    pub(crate) pwd: String,
    pub(crate) fingerprint: String,
    /// Sources of audio and video.
    pub(crate) ssrcs: [u32; 2],
    pub(crate) candidate: SocketAddr,
}

/// The payload type, and the ids of extensions, that a section was answered with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Section {
    pub(crate) payload_type: u8,
    pub(crate) rtx: Option<u8>,
    pub(crate) transport_cc: Option<u8>,
}

/// A session as the server made it.
#[derive(Clone, Debug)]
pub(crate) struct Answered {
    pub(crate) description: Description,
    pub(crate) url: Option<Url>,
    pub(crate) remote: SocketAddr,
    pub(crate) audio: Option<Section>,
    pub(crate) video: Option<Section>,
    /// From the request's first byte to the answer.
    pub(crate) took: Duration,
    pub(crate) asked_at: Instant,
}

/// What is the same for all requests.
#[derive(Clone)]
pub(crate) struct Http {
    agent: Agent,
    token: Option<String>,
}

const TRANSPORT_CC: &str = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01";

impl Http {
    pub(crate) fn new(options: &Options) -> Http {
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).disable_verification(options.insecure).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(30)))
            .max_idle_connections_per_host(64)
            .tls_config(tls);
        Http { agent: config.build().into(), token: options.token.clone() }
    }

    /// Posts an offer; an error in words.
    pub(crate) fn post(&self, endpoint: &str, offer: &str, options: &Options) -> Result<Answered, String> {
        let asked_at = Instant::now();
        let mut request = self.agent.post(endpoint).header("Content-Type", "application/sdp");
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let mut response = request.send(offer).map_err(|error| format!("HTTP: {error}"))?;
        let status = response.status().as_u16();
        let location = response.headers().get("location").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let body = response.body_mut().with_config().limit(MAX_REPLY).read_to_vec();
        let body = body.map_err(|error| format!("HTTP: {error}"))?;
        let took = asked_at.elapsed();
        if status != 201 {
            return Err(format!("HTTP {status}"));
        }
        let base = Url::parse(endpoint).map_err(|error| format!("the URL: {error}"))?;
        let description = Description::parse(&body)?;
        let remote = remote_of(&description, &base).ok_or("the answer has no candidate")?;
        let section = |kind: &str, codec: Option<&str>| {
            let media = description.media(kind)?;
            let payload_type = payload_type(media, codec?)?;
            let apt = format!("apt={payload_type}");
            let rtx = media.attributes.iter().filter(|attribute| attribute.attribute == "fmtp").find_map(|attribute| {
                let (number, parameters) = attribute.value.as_deref()?.split_once(' ')?;
                parameters.split(';').any(|parameter| parameter.trim() == apt).then(|| number.parse().ok())?
            });
            let extension =
                media.attributes.iter().filter(|attribute| attribute.attribute == "extmap").find_map(|attribute| {
                    let (id, uri) = attribute.value.as_deref()?.split_once(' ')?;
                    (uri.trim() == TRANSPORT_CC).then(|| id.split('/').next()?.parse().ok())?
                });
            Some(Section { payload_type, rtx, transport_cc: extension })
        };
        let (audio, video) = (
            section("audio", audio_name(options.audio)),
            section("video", video_format(options.codec).map(|(name, ..)| name)),
        );
        let url = location.and_then(|location| base.join(&location).ok());
        Ok(Answered { url, remote, audio, video, took, asked_at, description })
    }

    /// Ends a session; nobody waits for the answer's meaning.
    pub(crate) fn delete(&self, url: &Url) {
        let mut request = self.agent.delete(url.as_str());
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let _ = request.call();
    }
}

/// The candidate at the address that HTTP is served on, or the first of the family that is spoken here.
fn remote_of(description: &Description, base: &Url) -> Option<SocketAddr> {
    let candidates: Vec<SocketAddr> = description.candidates().into_iter().filter(SocketAddr::is_ipv4).collect();
    let hosts: Vec<IpAddr> = base.socket_addrs(|| None).ok()?.into_iter().map(|address| address.ip()).collect();
    let local = candidates.iter().find(|candidate| hosts.contains(&candidate.ip()));
    local.or(candidates.first()).copied()
}

fn audio_name(codec: AudioCodec) -> Option<&'static str> {
    (codec == AudioCodec::Opus).then_some("opus")
}

/// Name in lower case, `a=rtpmap` and `a=fmtp`.
fn video_format(codec: VideoCodec) -> Option<(&'static str, &'static str, Option<&'static str>)> {
    Some(match codec {
        VideoCodec::Vp8 => ("vp8", "VP8/90000", None),
        VideoCodec::Vp9 => ("vp9", "VP9/90000", Some("profile-id=0")),
        VideoCodec::H264 => {
            ("h264", "H264/90000", Some("level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"))
        }
        VideoCodec::H265 => ("h265", "H265/90000", Some("profile-id=1;tier-flag=0;level-id=93;tx-mode=SRST")),
        VideoCodec::Av1 => ("av1", "AV1/90000", Some("level-idx=5;profile=0;tier=0")),
        VideoCodec::None => return None,
    })
}

/// The offer of a client.
pub(crate) fn offer(role: Role, local: &Local, options: &Options) -> String {
    let mut kinds = Vec::new();
    if options.audio == AudioCodec::Opus {
        kinds.push(("audio", 111, "opus/48000/2", Some("minptime=10;useinbandfec=1")));
    }
    if let Some((_, rtpmap, fmtp)) = video_format(options.codec) {
        kinds.push(("video", 96, rtpmap, fmtp));
    }
    let mids: Vec<String> = (0..kinds.len()).map(|mid| mid.to_string()).collect();
    let mut sdp = format!(
        "v=0\r\no=- 4611 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {}\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS load\r\n",
        mids.join(" ")
    );
    for (mid, (kind, number, rtpmap, fmtp)) in kinds.into_iter().enumerate() {
        let is_video = kind == "video";
        let types = if is_video { format!("{number} {}", number + 1) } else { number.to_string() };
        let direction = if role == Role::Publish { "sendonly" } else { "recvonly" };
        let Local { ufrag, pwd, fingerprint, ssrcs, candidate } = local;
        sdp += &format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF {types}\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\na=ice-ufrag:{ufrag}\r\na=ice-pwd:{pwd}\r\n\
             a=ice-options:trickle\r\na=fingerprint:{fingerprint}\r\na=setup:actpass\r\na=mid:{mid}\r\na={direction}\r\na=rtcp-mux\r\na=rtcp-rsize\r\n\
             a=candidate:1 1 udp 2130706431 {} {} typ host\r\na=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r\na=rtpmap:{number} {rtpmap}\r\n",
            candidate.ip(),
            candidate.port()
        );
        if let Some(fmtp) = fmtp {
            sdp += &format!("a=fmtp:{number} {fmtp}\r\n");
        }
        if options.feedback == Feedback::Browser && role == Role::Play {
            sdp += &format!("a=extmap:3 {TRANSPORT_CC}\r\na=rtcp-fb:{number} transport-cc\r\n");
        }
        if is_video {
            let rtx = number + 1;
            sdp += &format!(
                "a=rtcp-fb:{number} nack\r\na=rtcp-fb:{number} nack pli\r\na=rtcp-fb:{number} ccm fir\r\na=rtpmap:{rtx} rtx/90000\r\na=fmtp:{rtx} apt={number}\r\n"
            );
        }
        if role == Role::Publish {
            let ssrc = ssrcs[usize::from(is_video)];
            sdp += &format!("a=msid:load {kind}\r\na=ssrc:{ssrc} cname:load\r\na=ssrc:{ssrc} msid:load {kind}\r\n");
        }
    }
    sdp
}

/// The SSRC that a section's answer names first, where it does.
pub(crate) fn ssrc_of(description: &Description, kind: &str) -> Option<u32> {
    value(description.media(kind)?, "ssrc")?.split_ascii_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[test]
    fn offers_are_sdp_with_what_was_asked_for() {
        let local = Local {
            ufrag: "abcd".to_owned(),
            pwd: "0123456789abcdefghijkl".to_owned(),
            fingerprint: "sha-256 AA:BB".to_owned(),
            ssrcs: [1, 2],
            candidate: "127.0.0.1:9".parse().unwrap(),
        };
        for codec in ["vp8", "vp9", "h264", "h265", "av1"] {
            let options = Options::parse_from(["oneport-load", "--whip", "http://a", "--codec", codec]);
            for role in [Role::Publish, Role::Play] {
                let text = offer(role, &local, &options);
                let parsed = Description::parse(text.as_bytes()).unwrap();
                assert_eq!(parsed.bundle(), ["0", "1"]);
                assert_eq!(payload_type(parsed.media("video").unwrap(), codec), Some(96));
                assert_eq!(ssrc_of(&parsed, "video"), (role == Role::Publish).then_some(2));
            }
        }
        let options = Options::parse_from(["oneport-load", "--whip", "http://a", "--codec", "none"]);
        assert_eq!(Description::parse(offer(Role::Play, &local, &options).as_bytes()).unwrap().medias().len(), 1);
    }
}
