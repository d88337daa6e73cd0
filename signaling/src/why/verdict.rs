//! The one sentence that says how a session fares, and if it fails, what is to blame and what to do. Pure rules on a trace.

use super::trace::{State, Trace};
use oneport_engine::control::{CheckRefusal, EndReason, Role};
use oneport_rtp::payload::MediaKind;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, SystemTime};

/// As long as this, nothing is said to be wrong yet.
const PATIENCE: Duration = Duration::from_secs(3);

/// A verdict: a code that stays the same, and the sentence.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Verdict {
    pub(crate) code: &'static str,
    pub(crate) text: String,
}

fn verdict(code: &'static str, text: impl Into<String>) -> Verdict {
    Verdict { code, text: text.into() }
}

impl Verdict {
    /// The verdict on a session at this time.
    pub(crate) fn of(trace: &Trace, now: SystemTime) -> Verdict {
        if let Some(problem) = &trace.problem {
            return verdict("refused", problem.clone());
        }
        match &trace.end {
            Some((_, reason, _)) => ended(trace, reason),
            None => under_way(trace, now),
        }
    }

    /// Whether there is something to mend.
    pub(crate) fn is_failure(&self) -> bool {
        !matches!(
            self.code,
            "ok" | "connecting" | "waiting-for-publisher" | "deleted" | "closed-by-peer" | "shutdown" | "replaced"
        )
    }
}

fn under_way(trace: &Trace, now: SystemTime) -> Verdict {
    if trace.state == State::Connected {
        return connected(trace, now);
    }
    let age = now.duration_since(trace.began).unwrap_or_default();
    if age < PATIENCE {
        return verdict("connecting", format!("The session is being set up: {}.", trace.state.name()));
    }
    not_connected(trace)
}

fn ended(trace: &Trace, reason: &EndReason) -> Verdict {
    match reason {
        EndReason::SetupTimeout | EndReason::DtlsTimeout => not_connected(trace),
        EndReason::FingerprintMismatch => verdict(
            "fingerprint-mismatch",
            "The certificate that came is not the one whose fingerprint the client's SDP gave: the SDP was altered on its way, or \
             somebody else answers in the client's place.",
        ),
        EndReason::DtlsFailed(error) => verdict(
            "dtls-failed",
            format!(
                "The DTLS handshake failed: {error}. Client and server have no cipher suite or SRTP profile in common, or one side refused the other's certificate."
            ),
        ),
        EndReason::ConsentExpired => verdict(
            "consent-lost",
            "The client has not been heard of for 30 s: it lost its network, went to sleep, or was ended without a goodbye.",
        ),
        EndReason::Replaced => verdict("replaced", "Another publisher took over the stream."),
        EndReason::Shutdown => verdict("shutdown", "The server was stopped."),
        // Whoever gives up before it is connected wants to know why it was not.
        EndReason::Deleted | EndReason::ClosedByPeer if trace.reached < State::Connected && has_waited(trace) => {
            not_connected(trace)
        }
        EndReason::Deleted => {
            let from = trace.deleted_by.map(|by| format!(" from {}", by.ip())).unwrap_or_default();
            verdict("deleted", format!("The session was ended by a request{from}."))
        }
        EndReason::ClosedByPeer => verdict("closed-by-peer", "The client said goodbye."),
    }
}

fn has_waited(trace: &Trace) -> bool {
    let ended = trace.end.as_ref().map_or(trace.began, |(at, ..)| *at);
    ended.duration_since(trace.began).unwrap_or_default() >= PATIENCE
}

/// Why there is no connection, by how far it came.
fn not_connected(trace: &Trace) -> Verdict {
    let reached = if trace.state == State::Ended { trace.reached } else { trace.state };
    if reached == State::Securing {
        return not_secured(trace);
    }
    if !trace.answered.is_empty() {
        let from = list(&trace.answered);
        return verdict(
            "no-nomination",
            format!(
                "Connectivity checks came from {from} and were answered, but the client chose no path: the answers do not reach it (a \
                 firewall or a router on the way lets UDP through in one direction only), or it was closed."
            ),
        );
    }
    if let Some(verdict) = refused_checks(trace) {
        return verdict;
    }
    if !trace.strays.is_empty() {
        let from = list(&trace.strays);
        return verdict(
            "unknown-ufrag",
            format!(
                "Connectivity checks came from {from}, but for a ufrag that this server never gave: the answer was altered on its way to \
                 the client, or belongs to another server or to this one before it was restarted."
            ),
        );
    }
    no_udp(trace)
}

fn not_secured(trace: &Trace) -> Verdict {
    if trace.has_dtls {
        return verdict(
            "dtls-timeout",
            "The DTLS handshake began and did not come to its end: large datagrams are lost on the way (a path that takes less than \
             1,200 bytes), or the client stopped.",
        );
    }
    verdict(
        "no-dtls",
        "A path was found, but no DTLS came from the client over it: its half of the handshake did not start, or a firewall lets STUN \
         through and nothing else.",
    )
}

fn refused_checks(trace: &Trace) -> Option<Verdict> {
    let (remote, refusal) = trace.refused.first()?;
    Some(match refusal {
        CheckRefusal::BadIntegrity => verdict(
            "wrong-password",
            format!(
                "Connectivity checks came from {remote} with a wrong password: the client does not use the ice-pwd of the answer that it \
                 was given. It mixed up two answers, or something between changed the answer."
            ),
        ),
        CheckRefusal::Incomplete => verdict(
            "bad-checks",
            format!(
                "Connectivity checks came from {remote} without USERNAME or MESSAGE-INTEGRITY, which ICE needs (RFC 8445 §7.2.2)."
            ),
        ),
        CheckRefusal::RoleConflict => verdict(
            "role-conflict",
            format!(
                "The client at {remote} takes itself for the controlled side. This server is ICE-lite, so the client has to be controlling."
            ),
        ),
        CheckRefusal::Stale => verdict(
            "stale-credentials",
            format!("The client at {remote} still uses the credentials from before its ICE restart."),
        ),
        CheckRefusal::UnknownAttribute => verdict(
            "bad-checks",
            format!(
                "Connectivity checks came from {remote} with an attribute that has to be understood and is not known here."
            ),
        ),
    })
}

fn no_udp(trace: &Trace) -> Verdict {
    let announced = &trace.opening.announced;
    let peer = trace.opening.peer.map(|peer| peer.ip());
    if announced.is_empty() {
        return verdict(
            "no-candidates",
            "The answer named no address: this server has none that the client could reach. Set media.public_addresses.",
        );
    }
    let at = list(announced);
    let unreachable =
        peer.is_some_and(|peer| is_public(peer) && !announced.iter().any(|address| is_public(address.ip())));
    if unreachable {
        return verdict(
            "no-udp-private-address",
            format!(
                "No UDP packet from you arrived at {at}: those addresses are private, and you come from the Internet. The server has to \
                 announce its public address (media.public_addresses)."
            ),
        );
    }
    verdict(
        "no-udp",
        format!(
            "No UDP packet from you arrived at {at}: the port is closed by a firewall, or the announced address is wrong."
        ),
    )
}

fn connected(trace: &Trace, now: SystemTime) -> Verdict {
    let age = now.duration_since(trace.began).unwrap_or_default();
    let missing: Vec<String> = (0..trace.opening.tracks.len())
        .filter(|track| !trace.packets.contains(track))
        .map(|track| trace.track(track))
        .collect();
    if trace.packets.is_empty() && age >= PATIENCE {
        return without_media(trace);
    }
    let is_video = |track: &&usize| trace.opening.tracks.get(**track) == Some(&MediaKind::Video);
    let keyless = trace.packets.iter().filter(is_video).any(|track| !trace.keyframes.contains(track));
    if keyless && age >= PATIENCE {
        return verdict(
            "no-keyframe",
            "Video packets pass, but no keyframe has come yet: the picture stays black until the publisher sends one. Set a shorter keyframe \
             interval in the encoder (two seconds is usual).",
        );
    }
    if trace.opening.role == Role::Publish && !trace.flows && !trace.packets.is_empty() {
        return verdict("silent", "Connected, but nothing has been sent for two seconds or more.");
    }
    let codecs = trace.opening.agreed_codecs.join(", ");
    if trace.opening.role == Role::Echo {
        return verdict("ok", format!("Connected: everything that comes is sent back ({codecs})."));
    }
    let verb = if trace.opening.role == Role::Publish { "sends" } else { "receives" };
    let without = if missing.is_empty() || age < PATIENCE {
        String::new()
    } else {
        format!(" Nothing has come of {} yet.", missing.join(", "))
    };
    verdict("ok", format!("Connected: {verb} ({codecs}).{without}"))
}

fn without_media(trace: &Trace) -> Verdict {
    if let Some(payload_type) = trace.unknown.first() {
        return verdict(
            "unknown-media",
            format!(
                "Connected, but the packets that come have a payload type ({payload_type}) or an SSRC that was not agreed on."
            ),
        );
    }
    match trace.opening.role {
        Role::Echo => verdict("ok", "Connected: everything that comes is sent back."),
        Role::Publish => {
            verdict("no-media", "Connected, but no media has come: the encoder has not started, or sends nothing.")
        }
        Role::Play => verdict(
            "waiting-for-publisher",
            "Connected, and waiting: nobody publishes this stream at present, or its publisher sends nothing.",
        ),
    }
}

/// Up to four addresses in words.
fn list(addresses: &[SocketAddr]) -> String {
    let shown: Vec<String> = addresses.iter().take(4).map(SocketAddr::to_string).collect();
    let more = if addresses.len() > 4 { ", …" } else { "" };
    format!("{}{more}", shown.join(", "))
}

fn is_public(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => !(ip.is_private() || ip.is_loopback() || ip.is_link_local() || is_shared(ip.octets())),
        IpAddr::V6(ip) => !(ip.is_loopback() || ip.is_unicast_link_local() || ip.is_unique_local()),
    }
}

/// 100.64.0.0/10, behind a provider's NAT (RFC 6598).
fn is_shared([a, b, ..]: [u8; 4]) -> bool {
    a == 100 && b & 0xc0 == 64
}
