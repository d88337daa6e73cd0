//! Whole answers, letter by letter.

use oneport_sdp::write_answer;

use crate::fixture::{AUDIO, MID, VIDEO, local, offer, opus, play, publish, vp8};

const TRANSPORT: &str = "a=ice-ufrag:ourufrag
a=ice-pwd:ourpasswordhastwentytwocharacters
a=fingerprint:sha-256 00:08:10:18:20:28:30:38:40:48:50:58:60:68:70:78:80:88:90:98:A0:A8:B0:B8:C0:C8:D0:D8:E0:E8:F0:F8
a=setup:passive
a=rtcp-mux
a=rtcp-mux-only
";

const CANDIDATES: &str = "a=candidate:1 1 udp 2130706431 2001:db8::1 3478 typ host
a=candidate:2 1 udp 2130706175 192.0.2.1 3478 typ host
a=end-of-candidates
";

const HEAD: &str = "v=0
o=- 4294967296 1 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=ice-lite
";

#[test]
fn an_answer_to_a_publisher() {
    let video =
        VIDEO.to_owned() + &format!("a=rtcp-rsize\na=extmap-allow-mixed\na=extmap:3 {MID}\na=extmap:4 urn:other\n");
    let answer = write_answer(&publish(&offer(&[AUDIO, &video])).unwrap(), &local(0));
    let expected = format!(
        "{HEAD}m=audio 3478 UDP/TLS/RTP/SAVPF 111
c=IN IP6 2001:db8::1
a=mid:0
a=recvonly
{TRANSPORT}a=rtpmap:111 opus/48000/2
{CANDIDATES}m=video 3478 UDP/TLS/RTP/SAVPF 96
c=IN IP6 2001:db8::1
a=mid:1
a=recvonly
{TRANSPORT}a=rtcp-rsize
a=extmap-allow-mixed
a=extmap:3 {MID}
a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
{CANDIDATES}"
    );
    assert_eq!(answer, expected.replace('\n', "\r\n"));
}

#[test]
fn an_answer_to_a_viewer_names_the_streams() {
    let viewer = offer(&[AUDIO, VIDEO]).replace("sendonly", "recvonly");
    let answer = write_answer(&play(&viewer, &[opus(), vp8()]).unwrap(), &local(2));
    let expected = format!(
        "{HEAD}m=audio 3478 UDP/TLS/RTP/SAVPF 111
c=IN IP6 2001:db8::1
a=mid:0
a=sendonly
{TRANSPORT}a=rtpmap:111 opus/48000/2
a=msid:stream track-0
a=ssrc:1000 cname:c
a=ssrc:1000 msid:stream track-0
{CANDIDATES}m=video 3478 UDP/TLS/RTP/SAVPF 96
c=IN IP6 2001:db8::1
a=mid:1
a=sendonly
{TRANSPORT}a=rtpmap:96 VP8/90000
a=rtcp-fb:96 nack pli
a=msid:stream track-1
a=ssrc:1001 cname:c
a=ssrc:1001 msid:stream track-1
{CANDIDATES}"
    );
    assert_eq!(answer, expected.replace('\n', "\r\n"));
}

#[test]
fn without_candidates_the_default_address_is_the_unknown_one() {
    let mut local = local(0);
    local.candidates.clear();
    let answer = write_answer(&publish(&offer(&[AUDIO])).unwrap(), &local);
    assert!(answer.contains("m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\n"));
}
