//! Certificates: ours, and the odd ones that peers have.

use super::*;
use openssl::ec::{EcGroup, EcKey};
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;

const LONG: Duration = Duration::from_secs(10);

fn context_with_key(key: PKey<Private>) -> DtlsContext {
    DtlsContext::new(Certificate::self_signed(key).unwrap(), patient()).unwrap()
}

fn ec(curve: Nid) -> PKey<Private> {
    PKey::from_ec_key(EcKey::generate(&EcGroup::from_curve_name(curve).unwrap()).unwrap()).unwrap()
}

#[test]
fn fingerprints_are_of_the_length_of_their_digest_with_sha_256_first() {
    let fingerprints = Certificate::generate().unwrap().fingerprints().unwrap();
    let lengths: Vec<_> =
        fingerprints.iter().map(|fingerprint| (fingerprint.digest, fingerprint.bytes.len())).collect();
    assert_eq!(lengths, [(Digest::Sha256, 32), (Digest::Sha384, 48), (Digest::Sha512, 64)]);
}

#[test]
fn two_certificates_differ() {
    let [one, other] = [Certificate::generate().unwrap(), Certificate::generate().unwrap()];
    assert_ne!(one.fingerprints().unwrap(), other.fingerprints().unwrap());
    let serial = |certificate: &Certificate| certificate.x509.serial_number().to_bn().unwrap().to_vec();
    assert_ne!(serial(&one), serial(&other));
}

#[test]
fn a_certificate_is_valid_since_yesterday_for_a_year() {
    let certificate = Certificate::generate().unwrap();
    let now = openssl::asn1::Asn1Time::days_from_now(0).unwrap();
    let before = certificate.x509.not_before().diff(&now).unwrap();
    let after = now.diff(certificate.x509.not_after()).unwrap();
    assert!((0..=1).contains(&before.days) && before.days * 86_400 + before.secs > 86_000, "{before:?}");
    assert!((364..=365).contains(&after.days), "{after:?}");
}

/// FFmpeg over GnuTLS makes a P-224 certificate, which OpenSSL refuses unless P-224 is among the groups.
#[test]
fn a_client_with_a_p_224_certificate_connects() {
    let mut pair = Pair::new(&context_with_key(ec(Nid::SECP224R1)), &PATIENT);
    pair.run(LONG);
    pair.assert_connected();
}

/// FFmpeg offers `setup:passive`: then it is the server, with the same certificate.
#[test]
fn a_server_with_a_p_224_certificate_connects() {
    let mut pair = Pair::new(&PATIENT, &context_with_key(ec(Nid::SECP224R1)));
    pair.run(LONG);
    pair.assert_connected();
}

#[test]
fn peers_with_a_p_384_certificate_connect() {
    let odd = context_with_key(ec(Nid::SECP384R1));
    for (client, server) in [(&odd, &*PATIENT), (&*PATIENT, &odd)] {
        let mut pair = Pair::new(client, server);
        pair.run(LONG);
        pair.assert_connected();
    }
}

#[test]
fn peers_with_an_rsa_certificate_connect() {
    let rsa = context_with_key(PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap());
    for (client, server) in [(&rsa, &*PATIENT), (&*PATIENT, &rsa)] {
        let mut pair = Pair::new(client, server);
        pair.run(LONG);
        pair.assert_connected();
    }
}
