//! Whole handshakes between two of our own ends on a simulated network, recorded ClientHellos, and hostile bytes.

mod certificates;
mod corpus;
mod handshake;
mod hostile;
mod network;
mod remnant;
mod retransmission;

use super::*;
use crate::control::Digest;
use network::Pair;
use std::sync::LazyLock;

/// Retransmission timers of an unruly network: OpenSSL takes a timer with 15 ms to go for expired, so that 16 ms of virtual
/// time are 1 ms of real time.
const SHORT_RTO: Duration = Duration::from_millis(16);
const GRACE: Duration = Duration::from_millis(50);

/// Retransmits never, so that a test that stalls is not a test that fails.
fn patient() -> DtlsConfig {
    let never = Duration::from_secs(1000);
    DtlsConfig { initial_rto: never, max_rto: never, alert_grace: GRACE, ..DtlsConfig::default() }
}

/// Retransmits at once.
fn impatient() -> DtlsConfig {
    DtlsConfig { initial_rto: SHORT_RTO, max_rto: SHORT_RTO, ..patient() }
}

static PATIENT: LazyLock<DtlsContext> = LazyLock::new(|| context(patient()));
static IMPATIENT: LazyLock<DtlsContext> = LazyLock::new(|| context(impatient()));

fn context(config: DtlsConfig) -> DtlsContext {
    DtlsContext::new(Certificate::generate().unwrap(), config).unwrap()
}

/// A context that has these profiles only, in this order.
fn context_with_profiles(profiles: &[Profile]) -> DtlsContext {
    context(DtlsConfig { profiles: profiles.to_vec(), ..patient() })
}

fn fingerprints(context: &DtlsContext) -> Vec<Fingerprint> {
    vec![context.certificate().fingerprints().unwrap().remove(0)]
}
