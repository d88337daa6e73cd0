//! Recorded ClientHellos of real clients (`tests/corpus/client_hello`), each answered by a server's flight.

use super::*;
use serde_json::Value;
use std::fs;
use std::path::Path;

/// A recorded ClientHello: the message, and how the client cut it at each transmission.
struct Recorded {
    name: String,
    message: Vec<u8>,
    /// Milliseconds, offset and length of the fragment of each datagram.
    datagrams: Vec<(u64, usize, usize)>,
    offers_gcm: bool,
}

fn corpus() -> Vec<Recorded> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/client_hello");
    let mut recorded: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| parse(&entry.unwrap().path())).collect();
    recorded.sort_by(|a, b| a.name.cmp(&b.name));
    recorded
}

fn parse(path: &Path) -> Recorded {
    let json: Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    let hex = json["message"].as_str().unwrap();
    let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
    Recorded {
        name: path.file_stem().unwrap().to_string_lossy().into_owned(),
        message: (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect(),
        datagrams: json["datagrams"]
            .as_array()
            .unwrap()
            .iter()
            .map(|d| (d["t_ms"].as_u64().unwrap(), number(&d["fragments"][0][0]), number(&d["fragments"][0][1])))
            .collect(),
        offers_gcm: json["use_srtp"].to_string().contains("AEAD_AES_128_GCM"),
    }
}

impl Recorded {
    /// The record with a fragment of the message, as RFC 6347 §4.2.2 has it.
    fn fragment(&self, record: u64, offset: usize, length: usize) -> Vec<u8> {
        let u24 = |value: usize| u32::try_from(value).unwrap().to_be_bytes()[1..].to_vec();
        let mut body = vec![1];
        body.extend(u24(self.message.len()));
        body.extend([0, 0]);
        body.extend(u24(offset));
        body.extend(u24(length));
        body.extend(&self.message[offset..offset + length]);
        let mut datagram = vec![22, 0xfe, 0xff];
        datagram.extend(record.to_be_bytes());
        datagram.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
        datagram.extend(body);
        datagram
    }

    /// The datagrams of the first transmission.
    fn first_flight(&self) -> Vec<(usize, usize)> {
        let mut end = 0;
        let mut flight = Vec::new();
        for (_, offset, length) in &self.datagrams {
            if end == self.message.len() {
                break;
            }
            end += length;
            flight.push((*offset, *length));
        }
        flight
    }

    fn is_fragmented(&self) -> bool {
        self.first_flight().len() > 1
    }
}

fn server() -> Dtls {
    Dtls::new(&PATIENT, DtlsRole::Server, fingerprints(&PATIENT), Instant::now()).unwrap()
}

fn feed(server: &mut Dtls, recorded: &Recorded, fragments: &[(usize, usize)]) -> Vec<Vec<u8>> {
    for (record, (offset, length)) in fragments.iter().enumerate() {
        server.handle_datagram(Instant::now(), &recorded.fragment(record as u64, *offset, *length));
    }
    std::iter::from_fn(|| server.poll_transmit()).collect()
}

/// The handshake messages of a flight, complete or not.
fn message_types(flight: &[Vec<u8>]) -> Vec<u8> {
    let mut types = Vec::new();
    for datagram in flight {
        let mut rest = &datagram[..];
        while let Some(header) = rest.first_chunk::<25>() {
            types.push(header[13]);
            rest = &rest[13 + usize::from(u16::from_be_bytes([header[11], header[12]]))..];
        }
    }
    types.dedup();
    types
}

/// ServerHello, Certificate, ServerKeyExchange, CertificateRequest, ServerHelloDone.
#[track_caller]
fn assert_answered(recorded: &Recorded, server: &mut Dtls, flight: &[Vec<u8>]) {
    let event = server.poll_event();
    assert!(event.is_none(), "{}: {event:?}", recorded.name);
    assert_eq!(message_types(flight), [2, 11, 12, 13, 14], "{}", recorded.name);
    assert!(flight.iter().all(|datagram| datagram.len() <= 1200));
    assert_eq!(flight[0][1..3], [0xfe, 0xfd], "{}: DTLS 1.2", recorded.name);
}

/// use_srtp (14) with one profile, and no MKI.
fn selects(flight: &[Vec<u8>], profile: Profile) -> bool {
    let [high, low] = profile.dtls_id().to_be_bytes();
    flight[0].windows(9).any(|window| window == [0, 14, 0, 5, 0, 2, high, low, 0])
}

#[test]
fn every_recorded_client_hello_is_answered() {
    let corpus = corpus();
    assert_eq!(corpus.len(), 19);
    for recorded in corpus {
        let mut server = server();
        let flight = feed(&mut server, &recorded, &recorded.first_flight());
        assert_answered(&recorded, &mut server, &flight);
        let wanted = if recorded.offers_gcm { Profile::AeadAes128Gcm } else { Profile::Aes128CmSha1_80 };
        assert!(selects(&flight, wanted), "{}: {wanted:?}", recorded.name);
    }
}

/// A post-quantum key share makes two datagrams of a ClientHello, and the network may swap them.
#[test]
fn a_fragmented_client_hello_is_answered_in_any_order() {
    let mut fragmented = 0;
    for recorded in corpus().iter().filter(|recorded| recorded.is_fragmented()) {
        let mut flight = recorded.first_flight();
        flight.reverse();
        let mut server = server();
        let answer = feed(&mut server, recorded, &flight);
        assert_answered(recorded, &mut server, &answer);
        fragmented += 1;
    }
    assert!(fragmented >= 8, "Chromium's and Firefox's: {fragmented}");
}

#[test]
fn half_a_client_hello_is_not_answered() {
    for recorded in corpus().iter().filter(|recorded| recorded.is_fragmented()) {
        for fragment in recorded.first_flight() {
            let mut server = server();
            assert_eq!(feed(&mut server, recorded, &[fragment]), Vec::<Vec<u8>>::new());
            assert_eq!((server.next_timeout(), server.poll_event().is_none()), (None, true));
        }
    }
}

/// Firefox cuts its fourth transmission elsewhere: the halves of two different cuts make the whole.
#[test]
fn a_client_hello_that_is_cut_elsewhere_again_is_answered() {
    let firefox: Vec<_> = corpus().into_iter().filter(|recorded| recorded.name.starts_with("firefox")).collect();
    assert!(!firefox.is_empty());
    for recorded in firefox {
        let first = recorded.first_flight();
        let recut = recorded
            .datagrams
            .iter()
            .map(|(_, offset, length)| (*offset, *length))
            .find(|d| d.0 != 0 && *d != first[1]);
        let recut = recut.expect("recorded with other bounds");
        assert!(recut.0 < first[1].0);
        for order in [[first[0], recut], [recut, first[0]]] {
            let mut server = server();
            let answer = feed(&mut server, &recorded, &order);
            assert_answered(&recorded, &mut server, &answer);
        }
    }
}

/// Cut into many pieces, each of them twice, backwards.
#[test]
fn a_client_hello_in_many_pieces_is_answered() {
    for recorded in corpus() {
        for size in [1, 7, 64, 500] {
            let step = recorded.message.len().div_ceil(60).max(size);
            let mut pieces: Vec<_> = (0..recorded.message.len())
                .step_by(step)
                .map(|offset| (offset, step.min(recorded.message.len() - offset)))
                .flat_map(|piece| [piece, piece])
                .collect();
            pieces.reverse();
            let mut server = server();
            let answer = feed(&mut server, &recorded, &pieces);
            assert_answered(&recorded, &mut server, &answer);
        }
    }
}

/// Half of the first transmission is lost; the client's own second one, whole, is answered.
#[test]
fn a_retransmitted_client_hello_completes_a_lost_one() {
    for recorded in corpus() {
        let first = recorded.first_flight();
        let mut server = server();
        let mut order = vec![first[0]];
        order.extend(&first);
        let answer = feed(&mut server, &recorded, &order);
        assert_answered(&recorded, &mut server, &answer);
    }
}

/// The client's impatience (50 ms in browsers) costs nothing: the answer is under way, and its own timer repeats it.
#[test]
fn a_client_hello_that_comes_again_after_the_answer_is_ignored() {
    for recorded in corpus() {
        let flight = recorded.first_flight();
        let mut server = server();
        feed(&mut server, &recorded, &flight);
        assert_eq!(feed(&mut server, &recorded, &flight), Vec::<Vec<u8>>::new(), "{}", recorded.name);
        assert!(server.poll_event().is_none());
        assert!(server.next_timeout().is_some());
    }
}

/// What DTLS 1.0 offers is refused with an alert and a reason.
#[test]
fn a_client_hello_of_dtls_1_0_is_refused() {
    let mut recorded = corpus().remove(0);
    recorded.message[1] = 0xff;
    let mut server = server();
    let answer = feed(&mut server, &recorded, &recorded.first_flight());
    assert!(
        matches!(server.poll_event(), Some(DtlsEvent::Failed(DtlsFault::Refused(reason))) if reason.contains("protocol"))
    );
    assert_eq!((answer.len(), answer[0][0]), (1, 21), "an alert");
}
