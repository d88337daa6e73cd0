//! What all DTLS sessions of the process share: the certificate, and one SSL_CTX for both roles.

use super::certificate::Certificate;
use super::keying;
use oneport_rtp::srtp::Profile;
use openssl::error::ErrorStack;
use openssl::ssl::{
    SslContext, SslContextBuilder, SslMethod, SslMode, SslOptions, SslSessionCacheMode, SslVerifyMode, SslVersion,
};
use std::time::Duration;

/// Forward secrecy and AES-GCM only. RFC 8827 §6.5 demands the first of each peer; aiortc has no suite but ECDSA ones, and peers
/// with an RSA certificate need the others when they are the server. ChaCha20 would serve nobody, as DTLS carries no media here,
/// and with one overhead for all suites the gate knows the shortest record that can be valid.
const CIPHERS: &str = "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:\
                       ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384";

/// In order of preference. P-224 is here only because in TLS 1.2 a certificate's curve must be among the groups
/// (`tls12_check_peer_sigalg`: "wrong curve"), and FFmpeg over GnuTLS makes a P-224 one.
const GROUPS: &str = "X25519:P-256:P-384:P-521:P-224";

/// How the handshakes are done.
#[derive(Clone, Debug)]
pub struct DtlsConfig {
    /// Time to the first retransmission of a flight. RFC 6347 §4.2.4.1 recommends 1 s and allows less; on a path that ICE has
    /// just proved, 100 ms is what browsers do. Under 16 ms it would be expired when it starts (see `ffi`).
    pub initial_rto: Duration,
    /// Upper end of the doubling. OpenSSL gives up at the thirteenth expiry, with the defaults 19 s after the first flight.
    pub max_rto: Duration,
    /// Longest datagram that we send. 1,200 bytes pass wherever QUIC does.
    pub mtu: u32,
    /// SRTP protection profiles, most wanted first: as server we choose by this order, not by the client's.
    pub profiles: Vec<Profile>,
    /// How long an unproven fatal alert has to stand until it is believed.
    pub alert_grace: Duration,
}

impl Default for DtlsConfig {
    fn default() -> DtlsConfig {
        DtlsConfig {
            initial_rto: Duration::from_millis(100),
            max_rto: Duration::from_secs(2),
            mtu: 1200,
            profiles: keying::PREFERENCE.to_vec(),
            alert_grace: Duration::from_secs(1),
        }
    }
}

/// Certificate and settings, shared by all sessions. Cheap to clone.
#[derive(Clone)]
pub struct DtlsContext {
    pub(super) ssl: SslContext,
    pub(super) config: DtlsConfig,
    certificate: Certificate,
}

impl DtlsContext {
    /// The context for a certificate.
    ///
    /// # Errors
    ///
    /// What OpenSSL refuses of certificate or settings.
    pub fn new(certificate: Certificate, config: DtlsConfig) -> Result<DtlsContext, ErrorStack> {
        let mut builder = SslContextBuilder::new(SslMethod::dtls())?;
        restrict_protocol(&mut builder)?;
        builder.set_tlsext_use_srtp(&profile_list(&config.profiles))?;
        builder.set_private_key(&certificate.key)?;
        builder.set_certificate(&certificate.x509)?;
        builder.check_private_key()?;
        Ok(DtlsContext { ssl: builder.build(), config, certificate })
    }

    /// The certificate that peers are shown.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }
}

fn restrict_protocol(builder: &mut SslContextBuilder) -> Result<(), ErrorStack> {
    builder.set_min_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_max_proto_version(Some(SslVersion::DTLS1_2))?;
    builder.set_cipher_list(CIPHERS)?;
    builder.set_groups_list(GROUPS)?;
    builder.set_options(
        SslOptions::NO_QUERY_MTU
            | SslOptions::NO_TICKET
            | SslOptions::NO_RENEGOTIATION
            | SslOptions::NO_COMPRESSION
            | SslOptions::CIPHER_SERVER_PREFERENCE,
    );
    // A connected session seldom reads or writes a record.
    builder.set_mode(SslMode::RELEASE_BUFFERS);
    builder.set_session_cache_mode(SslSessionCacheMode::OFF);
    // The fingerprint in the SDP is the proof, no authority is; each session sets the callback that compares it.
    builder.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    Ok(())
}

fn profile_list(profiles: &[Profile]) -> String {
    profiles.iter().map(|profile| keying::openssl_name(*profile)).collect::<Vec<_>>().join(":")
}
