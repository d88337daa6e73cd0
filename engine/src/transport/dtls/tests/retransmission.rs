//! The timers: driven by the caller's clock, doubling, and true retransmissions.

use super::network::fault;
use super::*;

/// Long enough for a stalled test to notice nothing: OpenSSL's timer has 25 ms of real time to go.
const RTO: Duration = Duration::from_millis(40);

static UNHURRIED: LazyLock<DtlsContext> =
    LazyLock::new(|| context(DtlsConfig { initial_rto: RTO, max_rto: RTO * 3, ..patient() }));

fn client_of(context: &DtlsContext, now: Instant) -> Dtls {
    Dtls::new(context, DtlsRole::Client, fingerprints(context), now).unwrap()
}

/// Epoch and sequence number of each record.
fn sequences(mut datagram: &[u8]) -> Vec<u64> {
    let mut sequences = Vec::new();
    while let Some(header) = datagram.first_chunk::<13>() {
        sequences.push(u64::from_be_bytes(header[3..11].try_into().unwrap()));
        datagram = &datagram[13 + usize::from(u16::from_be_bytes([header[11], header[12]]))..];
    }
    sequences
}

fn bodies(mut datagram: &[u8]) -> Vec<Vec<u8>> {
    let mut bodies = Vec::new();
    while let Some(header) = datagram.first_chunk::<13>() {
        let length = usize::from(u16::from_be_bytes([header[11], header[12]]));
        bodies.push(datagram[13..13 + length].to_vec());
        datagram = &datagram[13 + length..];
    }
    bodies
}

fn expire(dtls: &mut Dtls) -> (Instant, Vec<Vec<u8>>) {
    let deadline = dtls.next_timeout().expect("a timer runs");
    while dtls.handle_timeout(deadline) == Timeout::Early {
        std::thread::sleep(Duration::from_millis(1));
    }
    (deadline, std::iter::from_fn(|| dtls.poll_transmit()).collect())
}

#[test]
fn a_lost_flight_is_sent_again_with_new_sequence_numbers() {
    let now = Instant::now();
    let mut client = client_of(&UNHURRIED, now);
    let first: Vec<_> = std::iter::from_fn(|| client.poll_transmit()).collect();
    let (_, second) = expire(&mut client);
    let (_, third) = expire(&mut client);
    assert_eq!(first.len(), 1);
    assert_eq!(
        first.iter().map(|d| bodies(d)).collect::<Vec<_>>(),
        second.iter().map(|d| bodies(d)).collect::<Vec<_>>()
    );
    assert_eq!([&first[0], &second[0], &third[0]].map(|d| sequences(d)), [[0], [1], [2]]);
}

#[test]
fn a_servers_flight_is_sent_again_with_new_sequence_numbers() {
    let now = Instant::now();
    let mut client = client_of(&IMPATIENT, now);
    let mut server = Dtls::new(&IMPATIENT, DtlsRole::Server, fingerprints(&IMPATIENT), now).unwrap();
    assert_eq!(server.next_timeout(), None, "a server waits for its client");
    server.handle_datagram(now, &client.poll_transmit().unwrap());
    let first: Vec<_> = std::iter::from_fn(|| server.poll_transmit()).collect();
    let (_, again) = expire(&mut server);
    let first_sequences: Vec<u64> = first.iter().flat_map(|d| sequences(d)).collect();
    let again_sequences: Vec<u64> = again.iter().flat_map(|d| sequences(d)).collect();
    assert_eq!(first_sequences, (0..first_sequences.len() as u64).collect::<Vec<_>>());
    assert!(again_sequences.iter().all(|sequence| *sequence >= first_sequences.len() as u64));
}

#[test]
fn the_timeout_doubles_up_to_its_maximum() {
    let mut now = Instant::now();
    let mut client = client_of(&UNHURRIED, now);
    let mut waits = Vec::new();
    for _ in 0..4 {
        let (deadline, _) = expire(&mut client);
        waits.push(deadline - now);
        now = deadline;
    }
    assert_eq!(waits, [RTO, RTO * 2, RTO * 3, RTO * 3]);
}

#[test]
fn before_the_deadline_nothing_is_done() {
    let now = Instant::now();
    let mut client = client_of(&PATIENT, now);
    client.poll_transmit().unwrap();
    let deadline = client.next_timeout().unwrap();
    assert_eq!(deadline, now + patient().initial_rto);
    assert_eq!(client.handle_timeout(deadline - Duration::from_nanos(1)), Timeout::Done);
    assert_eq!(client.poll_transmit(), None);
    assert_eq!(client.next_timeout(), Some(deadline));
}

/// A virtual clock that runs ahead of the real one is told to wait, and loses nothing.
#[test]
fn a_deadline_that_openssl_does_not_see_yet_stays_due() {
    let now = Instant::now();
    let mut client = client_of(&PATIENT, now);
    client.poll_transmit().unwrap();
    let deadline = client.next_timeout().unwrap();
    assert_eq!(client.handle_timeout(deadline), Timeout::Early);
    assert_eq!(client.poll_transmit(), None);
    assert_eq!(client.next_timeout(), Some(deadline));
}

#[test]
fn a_peer_that_never_answers_times_out() {
    let mut client = client_of(&IMPATIENT, Instant::now());
    let mut flights = 0;
    while client.next_timeout().is_some() {
        expire(&mut client);
        flights += 1;
    }
    let events: Vec<_> = std::iter::from_fn(|| client.poll_event()).collect();
    assert_eq!(fault(&events), &DtlsFault::TimedOut);
    assert!(flights <= 13, "{flights}");
}

/// The server's last flight has no timer of its own: the client's Finished, sent again, brings it back.
#[test]
fn a_lost_last_flight_is_sent_again_when_the_finished_comes_again() {
    let now = Instant::now();
    let mut client = client_of(&IMPATIENT, now);
    let mut server = Dtls::new(&IMPATIENT, DtlsRole::Server, fingerprints(&IMPATIENT), now).unwrap();
    exchange(&mut client, &mut server, now);
    exchange(&mut server, &mut client, now);
    exchange(&mut client, &mut server, now);
    assert!(matches!(server.poll_event(), Some(DtlsEvent::Connected { .. })));
    let lost: Vec<_> = std::iter::from_fn(|| server.poll_transmit()).collect();
    assert!(!lost.is_empty());
    assert!(client.poll_event().is_none());

    let (_, again) = expire(&mut client);
    again.iter().for_each(|datagram| server.handle_datagram(now, datagram));
    exchange(&mut server, &mut client, now);
    assert!(matches!(client.poll_event(), Some(DtlsEvent::Connected { .. })));
}

fn exchange(from: &mut Dtls, to: &mut Dtls, now: Instant) {
    let flight: Vec<_> = std::iter::from_fn(|| from.poll_transmit()).collect();
    assert!(!flight.is_empty());
    flight.iter().for_each(|datagram| to.handle_datagram(now, datagram));
}
