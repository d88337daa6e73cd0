//! What arrives, in which order, and what it takes to open and to close.

use super::super::*;
use super::network::{A, B, Pair, number, numbered, spec};

const RELIABLE: Reliability = Reliability::Reliable;

#[test]
fn reliable_messages_arrive_in_order_through_loss_and_reordering() {
    for seed in 1..6 {
        let mut pair = Pair::connected(seed);
        let channel = pair.open("files", true, RELIABLE);
        (pair.loss, pair.jitter_ms) = (100, 30);
        for n in 0..300 {
            pair.send(A, channel, &numbered(n, 4 + (n as usize * 37) % 5000)).unwrap();
            pair.send(B, channel, &numbered(n, 1000)).unwrap();
            pair.run(Duration::from_millis(10));
        }
        pair.run(Duration::from_secs(120));
        for at in [A, B] {
            let came: Vec<u32> = pair.messages(at, channel).into_iter().map(|message| number(message)).collect();
            assert!(came.iter().copied().eq(0..300), "seed {seed}: {} came", came.len());
        }
    }
}

#[test]
fn unordered_reliable_messages_all_arrive_whatever_their_order() {
    let mut pair = Pair::connected(7);
    let channel = pair.open("bag", false, RELIABLE);
    (pair.loss, pair.jitter_ms) = (100, 30);
    for n in 0..300 {
        pair.send(A, channel, &numbered(n, 500)).unwrap();
        pair.run(Duration::from_millis(10));
    }
    pair.run(Duration::from_secs(60));
    let mut came: Vec<u32> = pair.messages(B, channel).into_iter().map(|message| number(message)).collect();
    assert!(!came.is_sorted());
    came.sort_unstable();
    assert!(came.into_iter().eq(0..300));
}

#[test]
fn unreliable_messages_are_dropped_and_do_not_hold_up_others() {
    for reliability in [Reliability::MaxRetransmits(0), Reliability::MaxLifetimeMs(20)] {
        let mut pair = Pair::connected(8);
        let (loose, tight) = (pair.open("loose", false, reliability), pair.open("tight", true, RELIABLE));
        pair.loss = 100;
        for n in 0..500 {
            pair.send(A, loose, &numbered(n, 100)).unwrap();
            if n % 10 == 0 {
                pair.send(A, tight, &numbered(n / 10, 100)).unwrap();
            }
            pair.run(Duration::from_millis(10));
        }
        pair.run(Duration::from_secs(30));
        let came = pair.messages(B, loose).len();
        assert!((350..490).contains(&came), "{reliability:?}: {came} of 500");
        assert_eq!(pair.messages(B, tight).len(), 50);
    }
}

#[test]
fn a_lifetime_counts_from_when_a_message_was_sent() {
    let mut pair = Pair::connected(9);
    let channel = pair.open("late", true, Reliability::MaxLifetimeMs(100));
    pair.loss = 1000;
    // More than sctp-proto gets, so that some waits in our queue.
    (0..40).for_each(|n| pair.send(A, channel, &numbered(n, 5000)).unwrap());
    pair.run(Duration::from_secs(5));
    pair.loss = 0;
    pair.run(Duration::from_secs(30));
    assert_eq!(pair.messages(B, channel), Vec::<&Bytes>::new());
    pair.send(A, channel, &numbered(99, 100)).unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.messages(B, channel), [&numbered(99, 100)]);
}

#[test]
fn messages_of_64_kib_arrive_through_loss_both_ways() {
    let mut pair = Pair::connected(10);
    let channel = pair.open("big", true, RELIABLE);
    pair.loss = 30;
    for n in 0..20 {
        pair.send(A, channel, &numbered(n, MAX_MESSAGE)).unwrap();
        pair.send(B, channel, &numbered(n, MAX_MESSAGE)).unwrap();
    }
    pair.run(Duration::from_secs(300));
    for at in [A, B] {
        let came = pair.messages(at, channel);
        assert!(came.iter().all(|message| message.len() == MAX_MESSAGE));
        assert!(came.iter().map(|message| number(message)).eq(0..20));
    }
}

#[test]
fn empty_messages_keep_their_kind() {
    let mut pair = Pair::connected(11);
    let channel = pair.open("empty", true, RELIABLE);
    let now = pair.now;
    pair.peers[A].try_send(now, channel, true, &[]).unwrap();
    pair.peers[A].try_send(now, channel, false, &[]).unwrap();
    pair.peers[A].try_send(now, channel, false, b"text").unwrap();
    pair.run(Duration::from_secs(1));
    let message = |is_binary, bytes| ChannelEvent::Message(channel, is_binary, Bytes::from_static(bytes));
    assert_eq!(pair.events[B][1..], [message(true, b""), message(false, b""), message(false, b"text")]);
}

#[test]
fn what_a_channel_is_opened_with_is_told() {
    let mut pair = Pair::connected(12);
    for (n, reliability) in
        [RELIABLE, Reliability::MaxRetransmits(3), Reliability::MaxLifetimeMs(70_000)].into_iter().enumerate()
    {
        for ordered in [true, false] {
            pair.events[B].clear();
            let label = format!("{n} {ordered} ✓");
            let channel = pair.open(&label, ordered, reliability);
            assert_eq!(pair.events[B], [ChannelEvent::Opened(channel, spec(&label, ordered, reliability))]);
        }
    }
    assert_eq!(pair.events[A], []);
}

#[test]
fn both_open_channels_at_once_on_streams_of_their_own_parity() {
    let mut pair = Pair::connected(13);
    (pair.loss, pair.jitter_ms) = (100, 30);
    let now = pair.now;
    for n in 0..20 {
        pair.peers[A].try_open(now, spec(&format!("a{n}"), n % 2 == 0, RELIABLE)).unwrap();
        pair.peers[B].try_open(now, spec(&format!("b{n}"), n % 2 == 0, RELIABLE)).unwrap();
    }
    pair.run(Duration::from_secs(30));
    for n in 0..20u16 {
        for at in [A, B] {
            assert_eq!(pair.peers[at].find(&format!("a{n}")), Some(2 * n));
            assert_eq!(pair.peers[at].find(&format!("b{n}")), Some(2 * n + 1));
        }
    }
}

#[test]
fn both_may_begin_the_association_at_once() {
    for seed in 1..50 {
        let now = Instant::now();
        let peers = [DataChannels::begin(true, now), DataChannels::begin(false, now)];
        let mut pair = Pair::of(seed, now, peers);
        (pair.loss, pair.jitter_ms) = (200, 30);
        pair.run(Duration::from_secs(60));
        pair.loss = 0;
        let channel = pair.open("x", true, RELIABLE);
        pair.send(A, channel, b"there").unwrap();
        pair.send(B, channel, b"back").unwrap();
        pair.run(Duration::from_secs(10));
        assert_eq!(pair.messages(B, channel), ["there"], "seed {seed}");
        assert_eq!(pair.messages(A, channel), ["back"], "seed {seed}");
    }
}

#[test]
fn the_dtls_client_may_be_who_waits() {
    let now = Instant::now();
    let mut pair = Pair::of(14, now, [DataChannels::new(true), DataChannels::begin(false, now)]);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.open("x", true, RELIABLE), 0);
}

#[test]
fn a_handshake_survives_loss() {
    for seed in 1..50 {
        let mut pair = Pair::new(seed);
        let now = pair.now;
        pair.peers[B].try_open(now, spec("early", true, RELIABLE)).unwrap();
        (pair.loss, pair.jitter_ms) = (300, 30);
        pair.run(Duration::from_secs(60));
        assert_eq!(pair.peers[A].find("early"), Some(1), "seed {seed}");
    }
}

#[test]
fn order_is_kept_until_the_peer_knows_of_an_unordered_channel() {
    let mut pair = Pair::connected(15);
    pair.jitter_ms = 200;
    let now = pair.now;
    pair.peers[A].try_open(now, spec("u", false, RELIABLE)).unwrap();
    // What overtook the DATA_CHANNEL_OPEN would be for no channel.
    (0..50).for_each(|n| pair.send(A, 0, &numbered(n, 900)).unwrap());
    pair.run(Duration::from_secs(20));
    assert_eq!((pair.messages(B, 0).len(), pair.peers[B].counters().stray), (50, 0));
}

#[test]
fn closing_is_told_and_brings_across_what_waits() {
    let mut pair = Pair::connected(16);
    let (a, b) = (pair.open("a", true, RELIABLE), pair.open("b", true, RELIABLE));
    pair.loss = 50;
    (0..10).for_each(|n| pair.send(A, a, &numbered(n, 60_000)).unwrap());
    let now = pair.now;
    pair.peers[A].close(now, a);
    pair.run(Duration::from_secs(60));
    assert_eq!(pair.messages(B, a).len(), 10);
    assert_eq!(pair.events[B].last(), Some(&ChannelEvent::Closed(spec("a", true, RELIABLE))));
    assert_eq!((pair.peers[A].find("a"), pair.peers[B].find("a")), (None, None));
    assert_eq!(pair.send(A, a, b"x"), Err(SendError::NotOpen));
    assert!(pair.events[A].is_empty(), "who closes need not be told");
    let now = pair.now;
    pair.peers[B].close(now, b);
    pair.run(Duration::from_secs(10));
    assert_eq!(pair.events[A], [ChannelEvent::Closed(spec("b", true, RELIABLE))]);
}

#[test]
fn streams_are_used_again_after_channels_are_closed() {
    let mut pair = Pair::connected(17);
    for n in 0..2000 {
        let channel = pair.open(&format!("{n}"), true, RELIABLE);
        assert_eq!(channel, 0);
        pair.send(A, channel, &numbered(n, 10)).unwrap();
        let now = pair.now;
        pair.peers[A].close(now, channel);
        pair.run(Duration::from_secs(1));
    }
    assert_eq!(pair.messages(B, 0).len(), 2000);
    assert_eq!(pair.peers.each_ref().map(|peer| peer.resets), [0, 0]);
}

#[test]
fn a_shutdown_ends_both_sides_after_what_waits() {
    for (seed, loss) in [(18, 0), (19, 100), (20, 100), (21, 100)] {
        let mut pair = Pair::connected(seed);
        let channel = pair.open("x", true, RELIABLE);
        let count = if loss == 0 { 10 } else { 1 };
        (0..count).for_each(|n| pair.send(A, channel, &numbered(n, 60_000)).unwrap());
        pair.loss = loss;
        let now = pair.now;
        pair.peers[A].shutdown(now);
        assert_eq!(pair.send(A, channel, b"x"), Err(SendError::NotOpen));
        assert_eq!(pair.peers[A].try_open(now, spec("y", true, RELIABLE)), Err(OpenError::Ended));
        pair.run(Duration::from_secs(20));
        assert_eq!(pair.messages(B, channel).len(), count as usize);
        for at in [A, B] {
            assert!(pair.peers[at].is_lost(), "seed {seed}, {at}");
            assert_eq!(pair.events[at].last(), Some(&ChannelEvent::Closed(spec("x", true, RELIABLE))));
            assert_eq!(pair.peers[at].next_timeout(), None);
        }
    }
}

#[test]
fn a_shutdown_does_not_wait_for_a_peer_that_is_gone() {
    let mut pair = Pair::connected(22);
    let channel = pair.open("x", true, RELIABLE);
    pair.loss = 1000;
    pair.send(A, channel, b"x").unwrap();
    let now = pair.now;
    pair.peers[A].shutdown(now);
    pair.run(SHUTDOWN_TIMEOUT - Duration::from_millis(1));
    assert!(!pair.peers[A].is_lost());
    pair.run(Duration::from_millis(1));
    assert!(pair.peers[A].is_lost());
}

#[test]
fn both_may_shut_down_at_once() {
    let mut pair = Pair::connected(19);
    pair.open("x", true, RELIABLE);
    let now = pair.now;
    pair.peers.iter_mut().for_each(|peer| peer.shutdown(now));
    pair.run(Duration::from_secs(10));
    assert!(pair.peers.iter().all(DataChannels::is_lost));
}

#[test]
fn a_shutdown_without_a_peer_ends_at_once() {
    let mut alone = DataChannels::new(false);
    alone.shutdown(Instant::now());
    assert!(alone.is_lost());
}
