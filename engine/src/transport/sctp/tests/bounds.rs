//! What a peer, or a sender of ours, that does too much may cost.

use super::super::*;
use super::network::{A, B, Pair, number, numbered, spec};
use sctp_proto::PayloadProtocolIdentifier;

const RELIABLE: Reliability = Reliability::Reliable;

fn closed(label: &str) -> ChannelEvent {
    ChannelEvent::Closed(spec(label, true, RELIABLE))
}

#[test]
fn a_reliable_channel_refuses_what_is_too_much_and_loses_nothing() {
    let mut pair = Pair::connected(1);
    let channel = pair.open("tight", true, RELIABLE);
    pair.peers[A].limits.reliable = 1 << 20;
    let taken = (0..200).take_while(|n| pair.send(A, channel, &numbered(*n, 10_000)).is_ok()).count();
    assert!((95..=105).contains(&taken), "{taken} of 10,000 bytes in 1 MiB");
    assert_eq!(pair.send(A, channel, &[0; 10_000]), Err(SendError::Full));
    assert_eq!(pair.peers[A].counters(), Counters { refused: 2, ..Counters::default() });
    pair.run(Duration::from_secs(30));
    let came = pair.messages(B, channel);
    assert!(came.iter().map(|message| number(message)).eq(0..taken as u32));
    pair.send(A, channel, b"room").unwrap();
}

#[test]
fn small_messages_cost_more_than_their_bytes() {
    let mut pair = Pair::connected(2);
    let channel = pair.open("tight", true, RELIABLE);
    pair.peers[A].limits.reliable = 512 << 10;
    pair.loss = 1000;
    let taken = (0..1_000_000).take_while(|_| pair.send(A, channel, b"x").is_ok()).count();
    assert!((4000..9000).contains(&taken), "{taken} of one byte each");
}

#[test]
fn a_channel_that_may_lose_messages_drops_its_oldest() {
    let mut pair = Pair::connected(3);
    let channel = pair.open("loose", true, Reliability::MaxRetransmits(10));
    for n in 0..1000 {
        pair.send(A, channel, &numbered(n, 10_000)).unwrap();
    }
    let dropped = pair.peers[A].counters().dropped;
    assert!((960..990).contains(&dropped), "{dropped}");
    pair.run(Duration::from_secs(30));
    let came: Vec<u32> = pair.messages(B, channel).into_iter().map(|message| number(message)).collect();
    assert_eq!((came.len() as u64, came.first(), came.last()), (1000 - dropped, Some(&0), Some(&999)));
    assert!(came.is_sorted());
}

#[test]
fn the_wired_send_closes_a_reliable_channel_that_is_full() {
    let mut pair = Pair::connected(4);
    let channel = pair.open("tight", true, RELIABLE);
    pair.loss = 1000;
    let now = pair.now;
    (0..70).for_each(|_| pair.peers[A].send(now, channel, true, &[0; MAX_MESSAGE]));
    pair.run(Duration::from_millis(1));
    assert_eq!((pair.peers[A].find("tight"), &pair.events[A][..]), (None, &[closed("tight")][..]));
}

#[test]
fn a_message_of_ours_that_is_too_large_is_refused() {
    let mut pair = Pair::connected(5);
    let channel = pair.open("x", true, RELIABLE);
    let size = MAX_MESSAGE + 1;
    assert_eq!(pair.send(A, channel, &vec![0; size]), Err(SendError::TooLarge(size)));
    assert_eq!(pair.send(A, 6, b"x"), Err(SendError::NotOpen));
}

/// Writes past our own bound, as a peer may.
fn write(pair: &mut Pair, channel: u16, len: usize) {
    let (_, association) = pair.peers[A].association.as_mut().unwrap();
    association.set_max_send_message_size(1 << 20);
    let mut stream = association.stream(channel).unwrap();
    stream.write_with_ppi(&vec![1; len], PayloadProtocolIdentifier::Binary).unwrap();
    let now = pair.now;
    pair.peers[A].drive(now);
}

#[test]
fn a_message_that_comes_too_large_costs_its_channel_only() {
    for len in [MAX_MESSAGE + 1, 200_000] {
        let mut pair = Pair::connected(6);
        let (bad, good) = (pair.open("bad", true, RELIABLE), pair.open("good", true, RELIABLE));
        pair.events[B].clear();
        write(&mut pair, bad, len);
        pair.run(Duration::from_secs(10));
        pair.send(A, good, b"still here").unwrap();
        pair.run(Duration::from_secs(1));
        let still = ChannelEvent::Message(good, true, Bytes::from_static(b"still here"));
        assert_eq!(pair.events[B], [closed("bad"), still]);
        assert_eq!(pair.events[A], [closed("bad")], "who sent it is told by the reset");
        assert_eq!(pair.peers[B].counters(), Counters { oversized: 1, ..Counters::default() });
    }
}

#[test]
fn a_message_that_the_receive_buffer_cannot_hold_ends_the_association_and_is_counted() {
    let mut pair = Pair::connected(7);
    let channel = pair.open("x", true, RELIABLE);
    write(&mut pair, channel, 300_000);
    pair.run(Duration::from_secs(30));
    assert!(pair.peers.iter().all(DataChannels::is_lost), "both are told");
    assert_eq!(pair.peers[B].counters().oversized, 1);
    assert_eq!(pair.events[B].last(), Some(&closed("x")));
}

#[test]
fn who_does_not_poll_holds_up_its_peer() {
    let mut pair = Pair::connected(8);
    let channel = pair.open("x", true, RELIABLE);
    pair.events[B].clear();
    (0..60).for_each(|n| pair.send(A, channel, &numbered(n, 50_000)).unwrap());
    let start = pair.now;
    // B takes datagrams and is not polled for events.
    for step in 0..2000 {
        let now = start + Duration::from_millis(10 * step);
        while let Some(datagram) = pair.peers[A].poll_transmit() {
            pair.peers[B].handle_datagram(now, &datagram);
        }
        while let Some(datagram) = pair.peers[B].poll_transmit() {
            pair.peers[A].handle_datagram(now, &datagram);
        }
        pair.peers.iter_mut().for_each(|peer| peer.handle_timeout(now));
    }
    assert!(pair.peers[B].unpolled < pair.peers[B].limits.unpolled + MAX_MESSAGE);
    assert!(!pair.peers[B].is_lost());
    pair.now = start + Duration::from_secs(20);
    pair.run(Duration::from_secs(60));
    assert!(pair.messages(B, channel).iter().map(|message| number(message)).eq(0..60));
}

#[test]
fn a_close_is_told_though_messages_waited_to_be_polled() {
    let mut pair = Pair::connected(9);
    let channel = pair.open("x", true, RELIABLE);
    pair.peers[B].limits.unpolled = 1;
    (0..10).for_each(|n| pair.send(A, channel, &numbered(n, 10)).unwrap());
    let now = pair.now;
    pair.peers[A].close(now, channel);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.messages(B, channel).len(), 10);
    assert_eq!(pair.events[B].last(), Some(&closed("x")));
}

#[test]
fn channels_are_bounded_in_number_on_both_sides() {
    let mut pair = Pair::connected(10);
    let now = pair.now;
    pair.peers[A].limits.channels = 200;
    (0..100).for_each(|n| pair.peers[A].try_open(now, spec(&format!("{n}"), true, RELIABLE)).unwrap());
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.peers[B].channels.len(), 64);
    assert_eq!(pair.peers[A].channels.len(), 64, "those that are refused are closed");
    let now = pair.now;
    assert_eq!(pair.peers[B].try_open(now, spec("more", true, RELIABLE)), Err(OpenError::TooMany));
    assert_eq!(pair.peers[A].try_open(now, spec("3", true, RELIABLE)), Err(OpenError::Taken));
}

#[test]
fn names_that_are_too_long_are_refused() {
    let mut pair = Pair::connected(11);
    let now = pair.now;
    pair.peers[A].try_open(now, spec(&"x".repeat(MAX_NAME + 1), true, RELIABLE)).unwrap();
    pair.peers[A].try_open(now, spec(&"y".repeat(MAX_NAME), true, RELIABLE)).unwrap();
    pair.run(Duration::from_secs(5));
    assert_eq!((pair.peers[A].channels.len(), pair.peers[B].channels.len()), (1, 1));
}
