//! How sessions begin and end.

use super::*;
use crate::client::ClientState;

fn rough(seed: u64) -> Conditions {
    let delay = Duration::from_millis(10);
    Conditions { seed, loss: 200, duplication: 100, delay, jitter: Duration::from_millis(15) }
}

#[test]
fn a_session_connects_on_the_shard_where_its_flow_lands() {
    let mut world = World::new(2, Conditions::perfect());
    let (on_0, _) = world.join(Role::Publish, 5000);
    let (on_1, _) = world.join(Role::Play, 5001);
    world.connect(&[on_0, on_1]);
    assert_eq!(world.nodes[0].stats.sessions.value(), 1);
    assert_eq!(world.nodes[1].stats.sessions.value(), 1);
    assert_eq!(world.crossed(), 0);
}

#[test]
fn handshakes_survive_loss_reorder_and_duplication_in_both_roles() {
    for seed in 0..30 {
        for dtls_role in [DtlsRole::Server, DtlsRole::Client] {
            let mut world = World::new(2, rough(seed));
            let spec = SessionSpec { dtls_role, ..world.spec(Role::Play) };
            let (seat, _) = world.join_with(spec, 5000 + seed as u16);
            let end = world.now + Duration::from_secs(25);
            let connected = world.run_until(end, |world| world.seats[seat].client.is_connected());
            assert!(connected, "seed {seed}, {dtls_role:?}: {:?}", world.states());
        }
    }
}

#[test]
fn no_check_for_30_s_ends_the_session_and_its_media_at_once() {
    let mut world = World::new(1, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, session) = world.join(Role::Play, 5001);
    world.connect(&[publisher, viewer]);
    world.seats[viewer].alive = false;
    let silent_since = world.now;
    world.run(Duration::from_secs(40));
    let (at, reason, _) = &world.ended[&session];
    assert_eq!(*reason, EndReason::ConsentExpired);
    let silence = at.duration_since(silent_since);
    assert!(silence > Duration::from_secs(26) && silence <= Duration::from_secs(31), "{silence:?}");
    assert_eq!(world.ended.len(), 1, "the publisher, which goes on checking, stays");
}

#[test]
fn a_client_that_says_goodbye_is_gone_at_once() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, session) = world.join(Role::Publish, 5000);
    world.connect(&[seat]);
    let now = world.now;
    world.seats[seat].client.close(now);
    world.run(Duration::from_millis(50));
    assert_eq!(world.ended[&session].1, EndReason::ClosedByPeer);
    let again = world.spec(Role::Publish);
    assert!(world.directory.open(world.now, again).is_ok(), "the stream's name is free again");
}

#[test]
fn an_ended_session_hears_close_notify_and_then_nothing() {
    for shards in [1, 3] {
        let mut world = World::new(shards, Conditions::perfect());
        let (seat, session) = world.join(Role::Play, 5000);
        world.connect(&[seat]);
        world.directory.close(session, EndReason::Deleted).unwrap();
        world.run(Duration::from_millis(50));
        assert_eq!(*world.seats[seat].client.state(), ClientState::Closed);
        let answered = world.seats[seat].client.answered_checks();
        for port in 5000..5003 {
            world.seats[seat].address = address(port);
            world.seats[seat].client.check();
            world.run(Duration::from_millis(50));
        }
        assert_eq!(world.seats[seat].client.answered_checks(), answered);
        assert_eq!(world.discarded(Discard::SessionEnded), 3);
    }
}

#[test]
fn a_certificate_that_the_sdp_did_not_name_ends_the_session() {
    let mut world = World::new(1, Conditions::perfect());
    let mut spec = world.spec(Role::Publish);
    spec.fingerprints[0].bytes[0] ^= 1;
    spec.fingerprints.truncate(1);
    let (_, session) = world.join_with(spec, 5000);
    world.run(Duration::from_secs(1));
    assert_eq!(world.ended[&session].1, EndReason::FingerprintMismatch);
}

#[test]
fn a_session_whose_client_never_comes_expires() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, session) = world.join(Role::Play, 5000);
    world.seats[seat].alive = false;
    world.run(Duration::from_secs(61));
    assert_eq!(world.ended[&session].1, EndReason::SetupTimeout);
}

#[test]
fn a_client_whose_address_changes_to_another_shards_flow_stays_with_its_owner() {
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 5002);
    world.connect(&[publisher, viewer]);
    assert_eq!(world.crossed(), 0);

    world.seats[viewer].address = address(5003);
    world.seats[viewer].client.check();
    world.run(Duration::from_millis(50));
    assert!(world.crossed() > 0);
    assert_eq!(world.nodes[0].stats.sessions.value(), 2, "the owner stays");
    world.seats[viewer].received.clear();
    traffic::publish(&mut world, publisher, 20);
    assert_eq!(traffic::video(&world, viewer).len(), 20, "media goes to the new address");

    world.run(Duration::from_secs(60));
    assert!(world.seats[viewer].client.is_connected(), "checks through the other shard renew its consent");
    assert!(world.ended.is_empty());
}

#[test]
fn a_late_address_change_is_answered_although_its_ufrag_is_old() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, _) = world.join(Role::Play, 5000);
    world.connect(&[seat]);
    world.run(Duration::from_secs(600));
    let answered = world.seats[seat].client.answered_checks();
    world.seats[seat].address = address(5001);
    world.seats[seat].client.check();
    world.run(Duration::from_millis(100));
    assert_eq!(world.seats[seat].client.answered_checks(), answered + 1);
}

#[test]
fn an_old_ufrag_of_nobodys_session_gets_no_answer() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, session) = world.join(Role::Play, 5000);
    world.seats[seat].alive = false;
    world.run(Duration::from_secs(600));
    assert!(world.ended.contains_key(&session));
    world.seats[seat].alive = true;
    world.seats[seat].client.check();
    world.run(Duration::from_secs(1));
    assert_eq!(world.seats[seat].client.answered_checks(), 0);
}

#[test]
fn stopping_tells_every_peer() {
    let mut world = World::new(2, Conditions::perfect());
    let seats: Vec<usize> = (0..6).map(|n| world.join(Role::Play, 5000 + n).0).collect();
    world.connect(&seats);
    world.directory.shutdown();
    world.run(Duration::from_millis(50));
    assert!(world.stopped);
    assert!(seats.iter().all(|seat| *world.seats[*seat].client.state() == ClientState::Closed));
    assert_eq!(world.ended.len(), 6);
}

#[test]
fn datagrams_of_unchecked_addresses_are_counted_and_not_answered() {
    let mut world = World::new(1, Conditions::perfect());
    let (seat, _) = world.join(Role::Play, 5000);
    world.connect(&[seat]);
    let stranger = Flow::new(address(6000), None);
    for first in 20..=191u8 {
        let mut bytes = [first, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9, 9, 9];
        let node = &mut world.nodes[0];
        node.middlebox.handle_datagram(world.now, stranger, &mut bytes, &mut node.outbox);
    }
    world.nodes[0].outbox.flush();
    assert!(world.nodes[0].outbox.sink().0.is_empty());
    assert_eq!(world.discarded(Discard::UnknownFlow), 44 + 64);
    assert_eq!(world.discarded(Discard::NotMedia), 64);
}

#[test]
fn a_client_hello_that_overtakes_the_claims_outcome_is_answered_without_being_sent_again() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, _) = world.join(Role::Publish, 5000);
    let flow = Flow::new(world.seats[seat].address, None);
    let now = world.now;
    let (client, node) = (&mut world.seats[seat].client, &mut world.nodes[0]);
    client.handle_timeout(now);
    // The check, its answer, and at once the ClientHello, while the control core has not yet heard of the claim.
    for _ in 0..2 {
        while let Some(mut datagram) = client.poll_transmit() {
            node.middlebox.handle_datagram(now, flow, &mut datagram, &mut node.outbox);
        }
        node.outbox.flush();
        for (_, mut datagram) in node.outbox.sink().0.drain(..) {
            client.handle_datagram(now, &mut datagram);
        }
    }
    assert!(!client.is_connected());
    world.settle_control();
    let node = &mut world.nodes[0];
    node.outbox.flush();
    let records: Vec<u8> = node.outbox.sink().0.iter().map(|(_, datagram)| datagram[0]).collect();
    assert!(records.contains(&22), "a flight of handshake records answers: {records:?}");
}

#[test]
fn an_echo_returns_every_packet_to_its_sender_alone() {
    let mut world = World::new(2, Conditions::perfect());
    let spec = world.spec(Role::Echo);
    let (seat, session) = world.join_with(spec, 5000);
    let (viewer, _) = world.join(Role::Play, 5001);
    world.connect(&[seat, viewer]);
    let mut sent = Vec::new();
    for seq in 0..300u32 {
        let packet = crate::testing::rtp_packet(96, 0x1001, (65_400 + seq) as u16, seq * 900, 50);
        assert!(world.seats[seat].client.send_rtp(&packet, (65_400 + seq) >> 16));
        sent.push(Received::Rtp(packet));
        world.run(Duration::from_millis(5));
    }
    let mut room = [0; 100];
    let len = oneport_rtp::rtcp::write_bye(&mut room, Ssrc(0x1001), "echo").unwrap();
    assert!(world.seats[seat].client.send_rtcp(&room[..len]));
    sent.push(Received::Rtcp(room[..len].to_vec()));
    world.run(Duration::from_millis(50));
    assert_eq!(world.seats[seat].received, sent);
    assert!(world.seats[viewer].received.is_empty());
    world.directory.close(session, EndReason::Deleted).unwrap();
    world.run(Duration::from_millis(50));
    assert_eq!(world.ended[&session].2.tx_packets, 300);
}
