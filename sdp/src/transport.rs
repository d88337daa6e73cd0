//! What an m-section says of its transport: ICE credentials (RFC 8839 §5.4), certificate fingerprints (RFC 8122 §5) and the
//! DTLS role (RFC 8842 §5).

use crate::media::Attributes;

/// A certificate's hash out of `a=fingerprint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfferedFingerprint {
    /// The hash function's name in lower case: `sha-256`, `sha-384` or `sha-512`.
    pub algorithm: String,
    /// The hash.
    pub bytes: Vec<u8>,
}

/// The DTLS role that an `a=setup` of an answer stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setup {
    /// We send the ClientHello.
    Active,
    /// We wait for the ClientHello.
    Passive,
}

impl Setup {
    /// The value as it stands in `a=setup`.
    pub fn as_str(self) -> &'static str {
        match self {
            Setup::Active => "active",
            Setup::Passive => "passive",
        }
    }

    /// Our role for the offered value. An offer without one means `active` (RFC 4145 §4.1).
    pub(crate) fn answering(offered: Option<&str>) -> Option<Setup> {
        let offered = offered.unwrap_or("active");
        let is = |value: &str| offered.eq_ignore_ascii_case(value);
        if is("actpass") || is("active") { Some(Setup::Passive) } else { is("passive").then_some(Setup::Active) }
    }
}

/// The transport attributes that hold for one m-section: its own, or the session's.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Transport {
    pub(crate) ice: Option<(String, String)>,
    pub(crate) fingerprints: Vec<OfferedFingerprint>,
    pub(crate) setup: Option<String>,
}

impl Transport {
    pub(crate) fn read(attributes: Attributes<'_>, session: Option<&Transport>) -> Transport {
        let own = Transport {
            ice: credentials(attributes),
            fingerprints: fingerprints(attributes),
            setup: attributes.value("setup").map(str::to_owned),
        };
        own.or(session)
    }

    /// Fills what is missing here from there.
    pub(crate) fn or(mut self, fallback: Option<&Transport>) -> Transport {
        let Some(fallback) = fallback else { return self };
        self.ice = self.ice.or_else(|| fallback.ice.clone());
        self.setup = self.setup.or_else(|| fallback.setup.clone());
        if self.fingerprints.is_empty() {
            self.fingerprints.clone_from(&fallback.fingerprints);
        }
        self
    }
}

/// User fragment and password, if both have a length that RFC 8839 §5.4 allows.
fn credentials(attributes: Attributes<'_>) -> Option<(String, String)> {
    let of_length = |name, least: usize| {
        let value = attributes.value(name)?;
        let fits = (least..=256).contains(&value.len()) && value.bytes().all(|byte| byte.is_ascii_graphic());
        fits.then(|| value.to_owned())
    };
    Some((of_length("ice-ufrag", 4)?, of_length("ice-pwd", 22)?))
}

/// The fingerprints whose hash function is strong enough and whose length is the function's; others are passed over.
fn fingerprints(attributes: Attributes<'_>) -> Vec<OfferedFingerprint> {
    let mut kept: Vec<OfferedFingerprint> = Vec::new();
    for fingerprint in attributes.values("fingerprint").filter_map(fingerprint).take(16) {
        if !kept.contains(&fingerprint) {
            kept.push(fingerprint);
        }
    }
    kept
}

fn fingerprint(value: &str) -> Option<OfferedFingerprint> {
    let (algorithm, hex) = value.split_once(char::is_whitespace)?;
    let algorithm = algorithm.to_ascii_lowercase();
    let length = match algorithm.as_str() {
        "sha-256" => 32,
        "sha-384" => 48,
        "sha-512" => 64,
        _ => return None,
    };
    let byte = |pair: &str| match pair.as_bytes() {
        [high, low] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => u8::from_str_radix(pair, 16).ok(),
        _ => None,
    };
    let bytes: Vec<u8> = hex.trim().split(':').map(byte).collect::<Option<_>>()?;
    (bytes.len() == length).then_some(OfferedFingerprint { algorithm, bytes })
}
