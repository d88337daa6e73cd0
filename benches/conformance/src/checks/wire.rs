//! What happens over UDP: ICE, consent, DTLS (RFC 8445, RFC 7675, RFC 8842, RFC 6347).

use super::{Clause, both};
use crate::context::{Attempt, Context, Scene};
use crate::offer::Offer;
use crate::report::Level::{Must, Should};
use crate::report::{Outcome, Shortfall, expect};
use crate::session::Side;
use crate::stun::{Answer, Probe};
use std::time::Duration;

/// As long as an answer takes that is still to come.
const SILENCE: Duration = Duration::from_millis(1000);
/// RFC 7675 §5.1: 30 seconds, and some for the server to look.
const CONSENT_EXPIRY: Duration = Duration::from_secs(36);

const TRANSPORT_SECTION: [&str; 2] = ["RFC 9725 §4.4", "WHEP §4.6"];
const SETUP_SECTION: [&str; 2] = ["RFC 9725 §4.4.4", "WHEP §4.6"];
const HELLO_SECTION: [&str; 2] = ["RFC 6347 §4.2.3", "RFC 6347 §4.2.3"];
const IDENTITY_SECTION: [&str; 2] = ["RFC 5763 §5", "RFC 5763 §5"];
const ICE_SECTION: [&str; 2] = ["RFC 8445 §7.3", "RFC 8445 §7.3"];
const ROLES_SECTION: [&str; 2] = ["RFC 8445 §7.3.1.1", "RFC 8445 §7.3.1.1"];
const CONSENT_SECTION: [&str; 2] = ["RFC 7675 §5.1", "RFC 7675 §5.1"];

pub(super) const CLAUSES: &[Clause] = &[
    both(Must, "connect", TRANSPORT_SECTION, "ICE, DTLS and SRTP get through", connect),
    both(Should, "setup-active", SETUP_SECTION, "an offer of setup:active works", |context, side| {
        setup_role(context, side, "active")
    }),
    both(Should, "setup-passive", SETUP_SECTION, "an offer of setup:passive works, or 422 or 400", |context, side| {
        setup_role(context, side, "passive")
    }),
    both(Must, "fragmented-hello", HELLO_SECTION, "a ClientHello in two fragments is taken", fragmented_hello),
    both(
        Must,
        "wrong-fingerprint",
        IDENTITY_SECTION,
        "a certificate that is not that of the offer is refused",
        wrong_fingerprint,
    ),
    both(Must, "check-answered", ICE_SECTION, "a check's answer is signed and tells our address", check_answered),
    both(
        Must,
        "bad-integrity",
        ["RFC 8489 §9.1.3", "RFC 8489 §9.1.3"],
        "a check with a wrong password: 401 or silence",
        bad_integrity,
    ),
    both(
        Must,
        "unknown-ufrag",
        ["RFC 8445 §7.3", "RFC 8445 §7.3"],
        "a check for an unknown ufrag: an error or silence",
        unknown_ufrag,
    ),
    both(Must, "role-conflict", ROLES_SECTION, "a lite server refuses a controlled client with 487", role_conflict),
    both(Must, "consent", CONSENT_SECTION, "consent checks of a client are answered all along", consent_answered),
    both(Must, "consent-expiry", CONSENT_SECTION, "a client that falls silent is dropped after 30 s", consent_expiry),
];

fn connect(context: &Context, side: Side) -> Outcome {
    context.scene(side)?.connect()
}

fn setup_role(context: &Context, side: Side, role: &'static str) -> Outcome {
    match context.attempt(side, |offer| offer.setup = role)? {
        Attempt::Refused(reply) => {
            expect(matches!(reply.status, 400 | 422), format!("201, or 422 or 400, for setup:{role}"), reply.brief())
        }
        Attempt::Open(mut scene) => {
            let expected = if role == "active" { "passive" } else { "active" };
            let answer = scene.subject()?.answer()?;
            let found = answer.all("setup");
            expect(found.iter().all(|one| *one == expected), format!("a=setup:{expected}"), format!("{found:?}"))?;
            scene.connect()
        }
    }
}

/// A session whose part in DTLS is the client's, whatever the server would choose.
fn as_dtls_client(context: &Context, side: Side, bend: impl FnOnce(&mut Offer)) -> Result<Scene, Shortfall> {
    let mut scene = context.scene_with(side, |offer| {
        offer.setup = "active";
        bend(offer);
    })?;
    scene.subject()?.start()?;
    Ok(scene)
}

fn fragmented_hello(context: &Context, side: Side) -> Outcome {
    let mut scene = as_dtls_client(context, side, |_| {})?;
    scene.subject()?.peer()?.splits_hello = true;
    scene.connect()
}

fn wrong_fingerprint(context: &Context, side: Side) -> Outcome {
    let mut scene = as_dtls_client(context, side, |offer| {
        offer.transport.fingerprint = format!("sha-256 {}", vec!["5A"; 32].join(":"));
    })?;
    // A server that looks after the handshake closes then, or sends nothing and takes nothing.
    scene.run(SILENCE * 2);
    let session = scene.subject()?;
    let (connected, progress) = (session.is_connected(), session.progress());
    expect(!connected, "no DTLS with a stranger's certificate", progress)
}

/// What came back to a check that `bend` made of an honest one.
fn probe(context: &Context, side: Side, bend: impl FnOnce(&mut Probe)) -> Result<(Option<Answer>, Scene), Shortfall> {
    let mut scene = context.scene(side)?;
    scene.connect()?;
    let peer = scene.subject()?.peer()?;
    let mut probe = peer.probe();
    bend(&mut probe);
    let transaction = peer.send_probe(probe)?;
    let answer_of =
        |scene: &mut Scene| scene.subject().ok().and_then(|session| session.peer.as_ref()?.answer_to(transaction));
    scene.wait_for(SILENCE, |scene| answer_of(scene).is_some());
    Ok((answer_of(&mut scene), scene))
}

fn check_answered(context: &Context, side: Side) -> Outcome {
    let (answer, mut scene) = probe(context, side, |_| {})?;
    let ports = scene.subject()?.peer()?.ports();
    let is_right = matches!(answer, Some(Answer::Success { mapped: Some(mapped), is_signed: true, has_fingerprint: true })
        if ports.contains(&mapped.port()));
    let expected = format!(
        "a signed success response with FINGERPRINT and our address (port out of {ports:?}, if there is no NAT)"
    );
    expect(is_right, expected, format!("{answer:?}"))
}

fn is_no_success(answer: Option<Answer>, code: u16) -> Outcome {
    let is_right = answer.is_none_or(|answer| answer == Answer::Error(code));
    expect(is_right, format!("{code} or silence"), format!("{answer:?}"))
}

fn bad_integrity(context: &Context, side: Side) -> Outcome {
    let (answer, mut scene) = probe(context, side, |probe| probe.pwd = "wrong-password-of-the-right-size".to_owned())?;
    is_no_success(answer, 401)?;
    scene.media_flows()
}

fn unknown_ufrag(context: &Context, side: Side) -> Outcome {
    let (answer, _scene) = probe(context, side, |probe| probe.username = "nobodyhere:ours".to_owned())?;
    let is_success = matches!(answer, Some(Answer::Success { .. }));
    expect(!is_success, "an error or silence", format!("{answer:?}"))
}

fn role_conflict(context: &Context, side: Side) -> Outcome {
    let (answer, mut scene) = probe(context, side, |probe| probe.controlled = true)?;
    if !scene.subject()?.answer()?.is_lite() {
        return Err(Shortfall::not_applicable("the server is no ICE-lite agent, and may switch roles"));
    }
    expect(answer == Some(Answer::Error(487)), "487 (Role Conflict)", format!("{answer:?}"))
}

fn consent_answered(context: &Context, side: Side) -> Outcome {
    let mut scene = context.live(side)?;
    for round in 0..4 {
        scene.run(SILENCE);
        let peer = scene.subject()?.peer()?;
        let transaction = peer.send_probe(peer.probe())?;
        let answered = scene.wait(|scene| {
            let answer = scene.subject().ok().and_then(|session| session.peer.as_ref()?.answer_to(transaction));
            matches!(answer, Some(Answer::Success { is_signed: true, .. }))
        });
        expect(answered, "each consent check is answered", format!("none to that after {} s", round + 1))?;
    }
    Ok(())
}

fn consent_expiry(context: &Context, side: Side) -> Outcome {
    if !context.slow {
        return Err(Shortfall::not_applicable("it takes 36 s, and --slow is not given"));
    }
    let mut scene = context.live(side)?;
    scene.subject()?.peer()?.is_silent = true;
    scene.run(CONSENT_EXPIRY);
    let before = scene.packets();
    scene.run(SILENCE);
    if side == Side::Whep {
        let after = scene.packets() - before;
        expect(after == 0, "no media to a client without consent", format!("{after} packets in a second"))?;
    }
    let reply = scene.subject()?.delete()?;
    expect(matches!(reply.status, 404 | 410), "404 or 410 for the session", reply.brief())
}
