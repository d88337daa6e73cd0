//! Datagrams that no honest peer sends.

use super::super::*;
use super::network::{A, B, Pair, Random, numbered, seal, spec};
use sctp_proto::PayloadProtocolIdentifier;

const RELIABLE: Reliability = Reliability::Reliable;
/// Where a packet's first chunk has its type, its flags, its TSN and its stream, if it is DATA.
const KIND: usize = 12;
const FLAGS: usize = 13;
const TSN: usize = 16;
const STREAM: usize = 20;
/// A message in one chunk, unordered.
const WHOLE_UNORDERED: u8 = 7;

/// What A would send next.
fn next_datagrams(pair: &mut Pair) -> Vec<Vec<u8>> {
    std::iter::from_fn(|| pair.peers[A].poll_transmit()).collect()
}

/// A connected pair with a channel, and a packet of A's with a message for it that B has not got.
fn with_data() -> (Pair, Vec<u8>) {
    let mut pair = Pair::connected(1);
    let channel = pair.open("x", true, RELIABLE);
    pair.send(A, channel, b"hello").unwrap();
    let data = next_datagrams(&mut pair).into_iter().find(|packet| packet[KIND] == 0).unwrap();
    (pair, data)
}

fn number_at(packet: &[u8], at: usize) -> u32 {
    u32::from_be_bytes(*packet[at..].first_chunk().unwrap())
}

fn with_tsn(packet: &[u8], tsn: u32) -> Vec<u8> {
    let mut packet = packet.to_vec();
    packet[FLAGS] = WHOLE_UNORDERED;
    packet[TSN..TSN + 4].copy_from_slice(&tsn.to_be_bytes());
    seal(&mut packet);
    packet
}

/// Gives B a datagram and takes everything that comes of it.
fn give(pair: &mut Pair, datagram: &[u8]) -> usize {
    let now = pair.now;
    let peer = &mut pair.peers[B];
    peer.handle_datagram(now, datagram);
    while peer.poll_event().is_some() {}
    std::iter::from_fn(|| peer.poll_transmit()).count()
}

/// How large what B keeps is when it is written out: grows with whatever is kept.
fn weight(pair: &Pair) -> usize {
    pair.peers[B].association.as_ref().map_or(0, |(_, association)| format!("{association:?}").len())
}

/// One of each kind of packet that A sends: of the handshake, of data, of a reset and of a shutdown.
fn samples() -> Vec<Vec<u8>> {
    let mut pair = Pair::new(2);
    let mut samples = Vec::new();
    let mut step = |pair: &mut Pair| {
        for _ in 0..20 {
            let datagrams = next_datagrams(pair);
            let now = pair.now;
            datagrams.iter().for_each(|datagram| pair.peers[B].handle_datagram(now, datagram));
            samples.extend(datagrams);
            while let Some(datagram) = pair.peers[B].poll_transmit() {
                pair.peers[A].handle_datagram(now, &datagram);
            }
            pair.now += Duration::from_millis(50);
            let now = pair.now;
            pair.peers.iter_mut().for_each(|peer| peer.handle_timeout(now));
        }
    };
    step(&mut pair);
    let now = pair.now;
    pair.peers[A].open(now, spec("x", false, Reliability::MaxRetransmits(0)));
    step(&mut pair);
    pair.send(A, 0, &numbered(1, 3000)).unwrap();
    step(&mut pair);
    let now = pair.now;
    pair.peers[A].close(now, 0);
    step(&mut pair);
    let now = pair.now;
    pair.peers[A].shutdown(now);
    step(&mut pair);
    samples
}

#[test]
fn there_are_samples_of_every_kind() {
    let kinds: BTreeSet<u8> = samples().iter().map(|sample| sample[KIND]).collect();
    // DATA, INIT, SACK, SHUTDOWN, COOKIE ECHO, SHUTDOWN COMPLETE, RE-CONFIG
    assert!([0, 1, 3, 7, 10, 14, 130].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
}

#[test]
fn rubbish_and_what_was_tampered_with_on_the_way_is_discarded() {
    let (mut pair, data) = with_data();
    let mut random = Random(3);
    for _ in 0..10_000 {
        let mut datagram: Vec<u8> = (0..random.below(200)).map(|_| random.below(256) as u8).collect();
        give(&mut pair, &datagram);
        datagram = data.clone();
        datagram[random.below(data.len() as u64) as usize] ^= 1 + random.below(255) as u8;
        datagram.truncate(random.below(1 + data.len() as u64) as usize);
        give(&mut pair, &datagram);
    }
    assert_eq!(pair.peers[B].counters().discarded, 20_000);
    let now = pair.now;
    pair.peers[B].handle_datagram(now, &data);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(B, 0), ["hello"]);
}

/// With checksum and tag right, as only the peer itself can make them: what it says may end its association, and harms nothing else.
#[test]
fn mutations_with_a_checksum_never_panic_and_cost_little() {
    let samples = samples();
    for seed in 0..10u64 {
        let mut random = Random(seed);
        let mut pair = Pair::connected(seed);
        let (mut heaviest, mut passed) = (0, 0);
        for n in 0..2000 {
            if pair.peers[B].is_lost() {
                pair = Pair::connected(n);
            }
            // What B expects of its peer is in every packet that A sends.
            let tag = match pair.peers[A].association.as_ref() {
                Some(_) if pair.peers[A].phase == Phase::Established => tag_of(&mut pair),
                _ => [0; 4],
            };
            let mut datagram = samples[random.below(samples.len() as u64) as usize].clone();
            datagram[4..8].copy_from_slice(&tag);
            for _ in 0..1 + random.below(4) {
                let at = KIND + random.below((datagram.len() - KIND) as u64) as usize;
                datagram[at] = match random.below(3) {
                    0 => 0,
                    1 => 255,
                    _ => random.below(256) as u8,
                };
            }
            if random.below(4) == 0 {
                datagram.truncate(random.below(1 + datagram.len() as u64) as usize);
            }
            seal(&mut datagram);
            let before = pair.peers[B].counters().discarded;
            give(&mut pair, &datagram);
            passed += u32::from(pair.peers[B].counters().discarded == before);
            heaviest = heaviest.max(weight(&pair));
            if random.below(8) == 0 {
                pair.now += Duration::from_millis(300);
                let now = pair.now;
                pair.peers[B].handle_timeout(now);
            }
        }
        assert!(heaviest < 4 << 20, "{heaviest}");
        assert!(passed > 500, "only {passed} got as far as the association");
    }
}

/// The verification tag that B wants.
fn tag_of(pair: &mut Pair) -> [u8; 4] {
    if pair.peers[A].find("tag").is_none() {
        let now = pair.now;
        pair.peers[A].open(now, spec("tag", true, RELIABLE));
        let sent = next_datagrams(pair);
        pair.seen.splice(.., sent);
    }
    *pair.seen.last().and_then(|datagram| datagram[4..].first_chunk()).unwrap()
}

#[test]
fn what_comes_after_a_missing_tsn_is_bounded() {
    let (mut pair, data) = with_data();
    let tsn = number_at(&data, TSN);
    give(&mut pair, &with_tsn(&data, tsn + 1));
    for n in 2..100_000u32 {
        give(&mut pair, &with_tsn(&data, tsn.wrapping_add(n)));
    }
    assert!(weight(&pair) < 2 << 20, "{}", weight(&pair));
    assert!(pair.peers[B].counters().discarded > 90_000);
    // The missing one still gets through.
    let now = pair.now;
    pair.peers[B].handle_datagram(now, &data);
    assert_eq!(pair.peers[B].poll_event(), Some(ChannelEvent::Message(0, true, Bytes::from_static(b"hello"))));
}

#[test]
fn streams_beyond_those_agreed_on_have_no_state() {
    let (mut pair, data) = with_data();
    let (before, tsn) = (weight(&pair), number_at(&data, TSN));
    for stream in MAX_STREAMS..u16::MAX {
        let mut packet = data.clone();
        packet[STREAM..STREAM + 2].copy_from_slice(&stream.to_be_bytes());
        give(&mut pair, &with_tsn(&packet, tsn));
    }
    assert_eq!(weight(&pair), before);
}

#[test]
fn an_init_that_comes_late_harms_nothing() {
    let mut pair = Pair::new(4);
    let now = pair.now;
    let init = pair.peers[A].poll_transmit().unwrap();
    pair.peers[B].handle_datagram(now, &init);
    pair.run(Duration::from_millis(100));
    pair.peers[A].handle_timeout(now + Duration::from_secs(2));
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.peers[B].phase, Phase::Established);
    give(&mut pair, &init);
    pair.open("x", true, RELIABLE);
}

#[test]
fn inits_and_data_before_the_association_cost_little() {
    let (_, data) = with_data();
    let mut pair = Pair::new(5);
    let init = pair.peers[A].poll_transmit().unwrap();
    let now = pair.now;
    pair.peers[B].handle_datagram(now, &init);
    let tag = pair.peers[B].poll_transmit().unwrap()[16..20].to_vec();
    let before = weight(&pair);
    for n in 0..10_000u32 {
        let mut other = init.clone();
        other[TSN..TSN + 4].copy_from_slice(&(n + 1).to_be_bytes());
        seal(&mut other);
        give(&mut pair, &other);
        give(&mut pair, &init);
        let mut early = data.clone();
        early[4..8].copy_from_slice(&tag);
        give(&mut pair, &with_tsn(&early, 7 * n));
    }
    assert!(weight(&pair) < before + 1000);
}

/// A RE-CONFIG with an Outgoing SSN Reset Request (RFC 6525 §4.1).
fn is_reset_request(datagram: &[u8]) -> bool {
    datagram[KIND] == 130 && datagram[TSN..TSN + 2] == [0, 13]
}

#[test]
fn a_peer_that_closes_and_does_not_confirm_loses_the_association() {
    let mut pair = Pair::connected(6);
    let mut closed = 0;
    for id in (0..MAX_STREAMS).step_by(2) {
        if pair.peers[B].is_lost() {
            break;
        }
        let (_, association) = pair.peers[A].association.as_mut().unwrap();
        let mut stream = association.open_stream(id, PayloadProtocolIdentifier::Binary).unwrap();
        stream.write_with_ppi(b"x", PayloadProtocolIdentifier::Binary).unwrap();
        stream.close().unwrap();
        for _ in 0..4 {
            let now = pair.now;
            pair.peers.iter_mut().for_each(|peer| peer.handle_timeout(now));
            for datagram in next_datagrams(&mut pair) {
                pair.peers[B].handle_datagram(now, &datagram);
            }
            // A does not hear that B wants its half closed, and so does not confirm it.
            let answers: Vec<_> = std::iter::from_fn(|| pair.peers[B].poll_transmit()).collect();
            for datagram in answers.iter().filter(|datagram| !is_reset_request(datagram)) {
                pair.peers[A].handle_datagram(now, datagram);
            }
            pair.now += Duration::from_millis(200);
        }
        closed += 1;
    }
    assert!(pair.peers[B].is_lost());
    assert!((MAX_RESETS..MAX_RESETS + 5).contains(&closed), "{closed}");
}

#[test]
fn an_open_that_is_malformed_or_second_closes_the_channel() {
    let (mut pair, _) = with_data();
    pair.run(Duration::from_secs(1));
    for message in [vec![3, 0, 0], vec![9], dcep::open(&spec("other", true, RELIABLE))] {
        if pair.peers[A].find("x").is_none() {
            pair.open("x", true, RELIABLE);
        }
        pair.events[B].clear();
        let (_, association) = pair.peers[A].association.as_mut().unwrap();
        let mut stream = association.stream(0).unwrap();
        stream.write_with_ppi(&message, PayloadProtocolIdentifier::Dcep).unwrap();
        let now = pair.now;
        pair.peers[A].drive(now);
        pair.run(Duration::from_secs(2));
        assert_eq!(pair.events[B], [ChannelEvent::Closed(spec("x", true, RELIABLE))]);
        assert_eq!(pair.peers[A].find("x"), None);
    }
    assert_eq!(pair.peers[B].counters().stray, 3);
}
