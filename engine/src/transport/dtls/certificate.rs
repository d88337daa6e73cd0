//! Our DTLS certificate and the fingerprints that SDP gives of it (RFC 8122, RFC 8827 §6.5).

use crate::control::{Digest, Fingerprint};
use openssl::asn1::Asn1Time;
use openssl::bn::{BigNum, MsbOption};
use openssl::ec::{EcGroup, EcKey};
use openssl::error::ErrorStack;
use openssl::hash::MessageDigest;
use openssl::nid::Nid;
use openssl::pkey::{PKey, Private};
use openssl::x509::{X509, X509Builder, X509Name, X509Ref};

/// Nobody looks at the dates, since the fingerprint is the proof, but some peers refuse a certificate that is not valid yet by
/// their clock.
const CLOCK_SKEW_DAYS: i32 = 1;
const SECONDS_A_DAY: i64 = 24 * 60 * 60;
const VALID_DAYS: u32 = 365;
/// 64 bits of serial number, as the CA/Browser Forum asks for: two certificates of one server differ.
const SERIAL_BITS: i32 = 64;

/// A self-signed certificate and its key.
#[derive(Clone)]
pub struct Certificate {
    pub(super) key: PKey<Private>,
    pub(super) x509: X509,
}

impl Certificate {
    /// A new one: ECDSA on P-256, which every WebRTC peer must take (RFC 8827 §6.5), valid for a year.
    pub fn generate() -> Result<Certificate, ErrorStack> {
        let group = EcGroup::from_curve_name(Nid::X9_62_PRIME256V1)?;
        Certificate::self_signed(PKey::from_ec_key(EcKey::generate(&group)?)?)
    }

    /// A new certificate for a key.
    pub(super) fn self_signed(key: PKey<Private>) -> Result<Certificate, ErrorStack> {
        let mut serial = BigNum::new()?;
        serial.rand(SERIAL_BITS, MsbOption::MAYBE_ZERO, false)?;
        let name = random_name()?;
        let mut builder = X509Builder::new()?;
        builder.set_version(2)?;
        builder.set_serial_number(&*serial.to_asn1_integer()?)?;
        builder.set_subject_name(&name)?;
        builder.set_issuer_name(&name)?;
        builder.set_not_before(&*yesterday()?)?;
        builder.set_not_after(&*Asn1Time::days_from_now(VALID_DAYS)?)?;
        builder.set_pubkey(&key)?;
        builder.sign(&key, MessageDigest::sha256())?;
        Ok(Certificate { key, x509: builder.build() })
    }

    /// The fingerprints: sha-256 first, which everybody knows, then sha-384 and sha-512.
    pub fn fingerprints(&self) -> Result<Vec<Fingerprint>, ErrorStack> {
        [Digest::Sha256, Digest::Sha384, Digest::Sha512].into_iter().map(|digest| self.fingerprint(digest)).collect()
    }

    /// The fingerprint by one digest.
    pub fn fingerprint(&self, digest: Digest) -> Result<Fingerprint, ErrorStack> {
        fingerprint(&self.x509, digest)
    }
}

/// A certificate's fingerprint.
pub(super) fn fingerprint(x509: &X509Ref, digest: Digest) -> Result<Fingerprint, ErrorStack> {
    let algorithm = match digest {
        Digest::Sha256 => MessageDigest::sha256(),
        Digest::Sha384 => MessageDigest::sha384(),
        Digest::Sha512 => MessageDigest::sha512(),
    };
    Ok(Fingerprint { digest, bytes: x509.digest(algorithm)?.to_vec() })
}

/// Says nothing about the server, so that certificates tell no more than their fingerprints do.
fn random_name() -> Result<X509Name, ErrorStack> {
    let mut bytes = [0; 8];
    openssl::rand::rand_bytes(&mut bytes)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut name = X509Name::builder()?;
    name.append_entry_by_nid(Nid::COMMONNAME, &text)?;
    Ok(name.build())
}

/// Yesterday by OpenSSL's clock, which the end of the validity is taken from too.
fn yesterday() -> Result<Asn1Time, ErrorStack> {
    let since_1970 = Asn1Time::from_unix(0)?.diff(&*Asn1Time::days_from_now(0)?)?;
    Asn1Time::from_unix(i64::from(since_1970.days - CLOCK_SKEW_DAYS) * SECONDS_A_DAY + i64::from(since_1970.secs))
}
