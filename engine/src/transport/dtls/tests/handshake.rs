//! Handshakes from beginning to end, and the association's end.

use super::network::{Weather, connected, fault};
use super::*;

const LONG: Duration = Duration::from_secs(10);

#[test]
fn both_ends_get_the_same_keys() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    assert_eq!(pair.assert_connected(), Profile::AeadAes128Gcm);
    let (_, keys) = connected(&pair.client_events);
    assert_eq!(keys.as_bytes().len(), 56);
    assert_eq!(keys.as_bytes(), connected(&pair.server_events).1.as_bytes());
    assert!(keys.as_bytes().iter().any(|byte| *byte != 0));
    assert_eq!(format!("{keys:?}"), "KeyingMaterial(..)");
}

#[test]
fn nothing_is_due_once_connected() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    assert_eq!((pair.client.next_timeout(), pair.server.next_timeout()), (None, None));
    assert!(pair.sent.len() <= 6, "no retransmission without loss: {} datagrams", pair.sent.len());
}

#[test]
fn no_datagram_is_longer_than_the_mtu() {
    let small = context(DtlsConfig { mtu: 300, ..patient() });
    let mut pair = Pair::new(&small, &small);
    pair.run(LONG);
    pair.assert_connected();
    assert!(pair.sent.iter().all(|(_, datagram)| datagram.len() <= 300));
    assert!(pair.sent.iter().filter(|(from_server, _)| *from_server).count() > 3, "the flight was cut");
}

/// Loss, reordering and duplication by 200 seeds: the handshake ends well each time, in each role.
#[test]
fn lost_reordered_and_duplicated_flights_connect() {
    // Short datagrams, so that each flight has several.
    let small = context(DtlsConfig { mtu: 300, ..impatient() });
    let weather = Weather { loss: 20, reorder: 30, duplicate: 20 };
    for seed in 0..200 {
        let context = if seed % 2 == 0 { &small } else { &*IMPATIENT };
        let mut pair = Pair::new(context, context).with_weather(seed, weather);
        pair.run(LONG);
        let ends = (pair.client_events.len(), pair.server_events.len());
        assert_eq!(ends, (1, 1), "seed {seed}: {:?} {:?}", pair.client_events, pair.server_events);
        pair.assert_connected();
    }
}

#[test]
fn a_client_with_another_certificate_is_refused_by_the_server() {
    let other = fingerprints(&context(patient()));
    let mut pair = Pair::expecting(&PATIENT, fingerprints(&PATIENT), &PATIENT, other);
    pair.run(LONG);
    assert_eq!(fault(&pair.server_events), &DtlsFault::FingerprintMismatch);
    // Told by an alert in the clear, which is believed after a while.
    assert_eq!(fault(&pair.client_events), &DtlsFault::Alert("bad_certificate".to_owned()));
}

#[test]
fn a_server_with_another_certificate_is_refused_by_the_client() {
    let other = fingerprints(&context(patient()));
    let mut pair = Pair::expecting(&PATIENT, other, &PATIENT, fingerprints(&PATIENT));
    pair.run(LONG);
    assert_eq!(fault(&pair.client_events), &DtlsFault::FingerprintMismatch);
    assert_eq!(fault(&pair.server_events), &DtlsFault::Alert("bad_certificate".to_owned()));
}

#[test]
fn a_fingerprint_of_another_digest_is_none() {
    let mut wrong = fingerprints(&PATIENT);
    wrong[0].digest = Digest::Sha512;
    let mut pair = Pair::expecting(&PATIENT, fingerprints(&PATIENT), &PATIENT, wrong);
    pair.run(LONG);
    assert_eq!(fault(&pair.server_events), &DtlsFault::FingerprintMismatch);
}

#[test]
fn a_fingerprint_cut_short_is_none() {
    for length in [0, 1, 31] {
        let mut cut = fingerprints(&PATIENT);
        cut[0].bytes.truncate(length);
        let mut pair = Pair::expecting(&PATIENT, fingerprints(&PATIENT), &PATIENT, cut);
        pair.run(LONG);
        assert_eq!(fault(&pair.server_events), &DtlsFault::FingerprintMismatch);
    }
}

#[test]
fn no_fingerprint_at_all_is_no_permission() {
    let mut pair = Pair::expecting(&PATIENT, fingerprints(&PATIENT), &PATIENT, Vec::new());
    pair.run(LONG);
    assert_eq!(fault(&pair.server_events), &DtlsFault::FingerprintMismatch);
}

/// aiortc gives three fingerprints in each m-line: one that matches is enough (RFC 8122 §5), of any digest.
#[test]
fn one_of_several_fingerprints_is_enough() {
    let right = PATIENT.certificate().fingerprints().unwrap();
    let wrong = Fingerprint { digest: Digest::Sha256, bytes: vec![7; 32] };
    for candidate in right {
        let several = vec![wrong.clone(), candidate];
        let mut pair = Pair::expecting(&PATIENT, several.clone(), &PATIENT, several);
        pair.run(LONG);
        pair.assert_connected();
    }
}

/// Chromium prefers CM_80: the server chooses by its own order.
#[test]
fn gcm_is_chosen_although_the_client_prefers_cm_80() {
    let chromium = context_with_profiles(&[Profile::Aes128CmSha1_80, Profile::AeadAes256Gcm, Profile::AeadAes128Gcm]);
    let mut pair = Pair::new(&chromium, &PATIENT);
    pair.run(LONG);
    assert_eq!(pair.assert_connected(), Profile::AeadAes128Gcm);
}

/// GStreamer 1.22 and FFmpeg have nothing else.
#[test]
fn a_client_with_cm_80_only_gets_it() {
    let gstreamer = context_with_profiles(&[Profile::Aes128CmSha1_80]);
    let mut pair = Pair::new(&gstreamer, &PATIENT);
    pair.run(LONG);
    assert_eq!(pair.assert_connected(), Profile::Aes128CmSha1_80);
    assert_eq!(connected(&pair.server_events).1.as_bytes().len(), 2 * (16 + 14));
}

#[test]
fn gcm_256_has_keys_of_256_bits() {
    let aiortc = context_with_profiles(&[Profile::AeadAes256Gcm]);
    let mut pair = Pair::new(&aiortc, &PATIENT);
    pair.run(LONG);
    assert_eq!(pair.assert_connected(), Profile::AeadAes256Gcm);
    assert_eq!(connected(&pair.server_events).1.as_bytes().len(), 2 * (32 + 12));
}

#[test]
fn without_a_common_srtp_profile_there_is_no_session() {
    let one = context_with_profiles(&[Profile::Aes128CmSha1_80]);
    let other = context_with_profiles(&[Profile::AeadAes128Gcm]);
    let mut pair = Pair::new(&one, &other);
    pair.run(LONG);
    assert_eq!(fault(&pair.server_events), &DtlsFault::NoSrtpProfile);
    assert_eq!(fault(&pair.client_events), &DtlsFault::NoSrtpProfile);
}

#[test]
fn close_notify_of_the_server_closes_the_client() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    pair.server.close(pair.now);
    pair.run(LONG);
    assert!(matches!(pair.client_events.last(), Some(DtlsEvent::Closed)), "{:?}", pair.client_events);
    assert_eq!(pair.server_events.len(), 1, "the end that closes has no more to say");
}

#[test]
fn close_notify_of_the_client_closes_the_server_and_is_answered() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    let before = pair.sent.len();
    pair.client.close(pair.now);
    pair.run(LONG);
    assert!(matches!(pair.server_events.last(), Some(DtlsEvent::Closed)), "{:?}", pair.server_events);
    assert_eq!(pair.sent.len() - before, 2, "a close_notify each way");
}

#[test]
fn closing_before_the_handshake_is_done_is_silent() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.server.close(pair.now);
    assert_eq!(pair.server.poll_transmit(), None);
    assert_eq!(pair.server.next_timeout(), None);
    pair.run(Duration::from_millis(100));
    assert!(pair.server_events.is_empty());
}

/// GStreamer 1.22 stops with "not-linked" and FFmpeg's muxer blocks when application data comes that nobody negotiated.
#[test]
fn no_application_data_is_ever_sent() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    pair.server.close(pair.now);
    pair.run(LONG);
    let types: Vec<u8> = pair.sent.iter().flat_map(|(_, datagram)| record_types(datagram)).collect();
    assert!(types.contains(&22) && types.contains(&21));
    assert!(!types.contains(&23));
}

fn record_types(mut datagram: &[u8]) -> Vec<u8> {
    let mut types = Vec::new();
    while let Some(header) = datagram.first_chunk::<13>() {
        types.push(header[0]);
        datagram = &datagram[13 + usize::from(u16::from_be_bytes([header[11], header[12]]))..];
    }
    types
}

/// A session is handed from shard to shard.
#[test]
fn a_session_can_move_to_another_thread() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(Duration::from_millis(1));
    let mut pair = std::thread::spawn(move || {
        pair.run(LONG);
        pair
    })
    .join()
    .unwrap();
    pair.run(LONG);
    pair.assert_connected();
}
