//! Bytes from anybody: discarded, and the association lives on.

use super::network::{Random, connected, fault};
use super::*;

const LONG: Duration = Duration::from_secs(10);

fn record(content_type: u8, epoch: u16, sequence: u64, body: &[u8]) -> Vec<u8> {
    let mut record = vec![content_type, 0xfe, 0xfd];
    record.extend((u64::from(epoch) << 48 | sequence).to_be_bytes());
    record.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
    record.extend(body);
    record
}

/// Type, length, message number, fragment offset and fragment length.
fn fragment(message_type: u8, length: u32, number: u16, offset: u32, fragment_length: u32, body: &[u8]) -> Vec<u8> {
    let mut fragment = vec![message_type];
    fragment.extend(&length.to_be_bytes()[1..]);
    fragment.extend(number.to_be_bytes());
    fragment.extend(&offset.to_be_bytes()[1..]);
    fragment.extend(&fragment_length.to_be_bytes()[1..]);
    fragment.extend(body);
    fragment
}

/// What anybody can send who knows the addresses.
fn rubbish() -> Vec<Vec<u8>> {
    let body = [0; 100];
    vec![
        vec![],
        vec![22],
        vec![0xff; 1500],
        vec![22; 60_000],
        record(22, 0, 5, &[]),
        record(22, 0, 5, &[1]),
        record(22, 0, 5, &body[..11]),
        record(22, 0, 1 << 47, &[9; 12]),
        record(22, 0, 5, &fragment(1, 10, 0, 5, 20, &body[..20])),
        record(22, 0, 5, &fragment(1, 0xff_ffff, 0, 0, 100, &body)),
        record(22, 0, 5, &fragment(1, 100, 0, 0, 200, &body)),
        record(22, 0, 5, &fragment(1, 100, 0, 0, 0, &[])),
        record(22, 0, 5, &fragment(99, 100, 0, 0, 100, &body)),
        record(22, 0, 5, &fragment(20, 12, 9, 0, 12, &body[..12])),
        record(20, 0, 5, &[1]),
        record(20, 0, 5, &[2, 2]),
        record(23, 0, 5, &body),
        record(21, 0, 5, &[1, 90]),
        record(21, 0, 5, &[9, 9, 9]),
        record(24, 0, 5, &body),
        record(22, 1, 5, &body),
        record(21, 1, 5, &body),
        record(22, 2, 5, &body),
        // Too short for nonce and tag: OpenSSL would end the association.
        record(22, 1, 5, &body[..1]),
        record(23, 1, 6, &body[..23]),
        record(21, 1, 7, &body[..24]),
        record(21, 1, 8, &body[..25]),
        record(22, 0xffff, 0xffff_ffff_ffff, &body),
        [record(22, 0, 5, &fragment(14, 0, 77, 0, 0, &[])), vec![22, 0xfe]].concat(),
    ]
}

#[test]
fn rubbish_at_any_point_of_the_handshake_changes_nothing() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    for _ in 0..8 {
        for datagram in rubbish() {
            pair.server.handle_datagram(pair.now, &datagram);
            pair.client.handle_datagram(pair.now, &datagram);
        }
        pair.run(Duration::from_millis(1));
    }
    pair.run(LONG);
    pair.assert_connected();
}

#[test]
fn rubbish_to_a_connected_session_changes_nothing() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    let before = pair.sent.len();
    let mut forged = rubbish();
    forged.extend([record(21, 0, 900, &[2, 40]), record(21, 0, 901, &[1, 0])]);
    for datagram in &forged {
        pair.server.handle_datagram(pair.now, datagram);
        pair.client.handle_datagram(pair.now, datagram);
    }
    pair.run(LONG);
    assert_eq!((pair.client_events.len(), pair.server_events.len(), pair.sent.len()), (1, 1, before));
    pair.client.close(pair.now);
    pair.run(LONG);
    assert!(matches!(pair.server_events.last(), Some(DtlsEvent::Closed)), "it still works");
}

/// A record with a sequence number from the far future would make each later one "old" to OpenSSL.
#[test]
fn a_forged_sequence_number_does_not_shut_the_peer_out() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    let forged = record(22, 0, 0xffff_ffff_fff0, &fragment(11, 50, 5, 0, 10, &[0; 10]));
    pair.server.handle_datagram(pair.now, &forged);
    pair.client.handle_datagram(pair.now, &forged);
    pair.run(LONG);
    pair.assert_connected();
}

/// A peer that refuses us says so in the clear, and falls silent.
#[test]
fn an_alert_in_the_clear_is_believed_after_a_silence() {
    let now = Instant::now();
    let mut client = Dtls::new(&PATIENT, DtlsRole::Client, fingerprints(&PATIENT), now).unwrap();
    client.handle_datagram(now, &record(21, 0, 0, &[2, 40]));
    assert!(client.poll_event().is_none());
    let believed_at = now + GRACE;
    while let Some(deadline) = client.next_timeout() {
        assert!(deadline <= believed_at);
        while client.handle_timeout(deadline) == Timeout::Early {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert_eq!(fault(&events), &DtlsFault::Alert("handshake_failure".to_owned()));
}

#[test]
fn a_forged_alert_is_forgotten_when_the_handshake_goes_on() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.server.handle_datagram(pair.now, &record(21, 0, 0, &[2, 40]));
    pair.client.handle_datagram(pair.now, &record(21, 0, 0, &[1, 0]));
    assert!(pair.server.next_timeout().is_some());
    pair.run(LONG);
    pair.assert_connected();
    assert_eq!((pair.client_events.len(), pair.server_events.len()), (1, 1));
}

#[test]
fn nothing_follows_an_end() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    pair.client.close(pair.now);
    pair.run(LONG);
    assert!(matches!(pair.server_events.last(), Some(DtlsEvent::Closed)));
    let sent: Vec<_> = pair.sent.iter().map(|(_, datagram)| datagram.clone()).collect();
    for datagram in rubbish().iter().chain(&sent) {
        pair.server.handle_datagram(pair.now, datagram);
    }
    assert!(pair.server.poll_event().is_none() && pair.server.poll_transmit().is_none());
    assert_eq!(pair.server.next_timeout(), None);
}

/// Flipped bits and cut ends by 300 seeds: an end may refuse the handshake, as nothing protects it before its Finished, but
/// nothing panics.
#[test]
fn mutated_datagrams_never_panic() {
    for seed in 0..300 {
        let mut random = Random(seed);
        let mut pair = Pair::new(&IMPATIENT, &IMPATIENT);
        pair.run(Duration::from_millis(random.below(5) as u64));
        let mut captured: Vec<Vec<u8>> = pair.sent.iter().map(|(_, datagram)| datagram.clone()).collect();
        for datagram in &mut captured {
            mutate(&mut random, datagram);
            pair.server.handle_datagram(pair.now, datagram);
            pair.client.handle_datagram(pair.now, datagram);
        }
        pair.run(Duration::from_millis(200));
        for events in [&pair.client_events, &pair.server_events] {
            assert!(is_one_life(events), "seed {seed}: {events:?}");
        }
    }
}

/// Connected at most once and at first, ended at most once and at last.
fn is_one_life(events: &[DtlsEvent]) -> bool {
    use DtlsEvent::{Closed, Connected, Failed};
    matches!(events, [] | [_] | [Connected { .. }, Closed | Failed(_)])
}

#[test]
fn mutated_datagrams_do_not_disturb_a_connected_session() {
    let mut random = Random(1);
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    pair.run(LONG);
    let captured: Vec<Vec<u8>> = pair.sent.iter().map(|(_, datagram)| datagram.clone()).collect();
    for _ in 0..2000 {
        let mut datagram = captured[random.below(captured.len())].clone();
        mutate(&mut random, &mut datagram);
        pair.server.handle_datagram(pair.now, &datagram);
        pair.client.handle_datagram(pair.now, &datagram);
    }
    pair.run(LONG);
    assert_eq!(
        (pair.client_events.len(), pair.server_events.len()),
        (1, 1),
        "{:?} {:?}",
        pair.client_events,
        pair.server_events
    );
    connected(&pair.server_events);
}

fn mutate(random: &mut Random, datagram: &mut Vec<u8>) {
    for _ in 0..1 + random.below(4) {
        let at = random.below(datagram.len());
        datagram[at] ^= 1 << random.below(8);
    }
    if random.below(4) == 0 {
        let length = 1 + random.below(datagram.len());
        datagram.truncate(length);
    }
}

/// An error that somebody else left on this thread's queue is not taken for ours.
#[test]
fn a_foreign_error_on_the_queue_does_no_harm() {
    let mut pair = Pair::new(&PATIENT, &PATIENT);
    leave_an_error();
    pair.run(LONG);
    leave_an_error();
    pair.server.handle_datagram(pair.now, &record(22, 1, 5, &[0; 40]));
    pair.run(LONG);
    assert_eq!(pair.server_events.len(), 1);
    pair.assert_connected();
}

fn leave_an_error() {
    let error = openssl::x509::X509::from_pem(b"no certificate").unwrap_err();
    error.put();
}
