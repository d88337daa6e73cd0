//! ICE restarts (RFC 8445 §9): other credentials and perhaps another path, while DTLS, SRTP and media go on.

use super::*;
use crate::client::ClientState;

/// A publisher at port 5000 and a viewer at 5001, connected.
fn pair(shards: usize, conditions: Conditions) -> (World, (usize, SessionId), (usize, SessionId)) {
    let mut world = World::new(shards, conditions);
    let publisher = world.join(Role::Publish, 5000);
    let viewer = world.join(Role::Play, 5001);
    world.connect(&[publisher.0, viewer.0]);
    (world, publisher, viewer)
}

fn restarted(world: &World, session: SessionId) -> usize {
    let is_it = |event: &&Event| matches!(event, Event::Trace { session: of, step: Step::PairChanged { restarted: true, .. } } if *of == session);
    world.told.iter().filter(is_it).count()
}

#[test]
fn a_restart_keeps_srtp_and_not_a_packet_is_lost() {
    for shards in [1, 2] {
        let (mut world, publisher, viewer) = pair(shards, Conditions::perfect());
        traffic::publish(&mut world, publisher.0, 20);
        world.restart(viewer.0, viewer.1);
        world.restart(publisher.0, publisher.1);
        traffic::publish_from(&mut world, publisher.0, 20, 20);
        let numbers: Vec<u8> = traffic::video(&world, viewer.0).iter().map(|packet| packet.2).collect();
        assert_eq!(numbers, (0..40).collect::<Vec<u8>>());
        assert_eq!((restarted(&world, viewer.1), restarted(&world, publisher.1)), (1, 1));
        let connected = world.told.iter().filter(|event| matches!(event, Event::Connected { .. })).count();
        assert_eq!(connected, 2, "no handshake came again");
    }
}

#[test]
fn a_restart_onto_a_path_of_another_shard_brings_media_there() {
    let (mut world, publisher, viewer) = pair(2, Conditions::perfect());
    world.restart(viewer.0, viewer.1);
    world.seats[viewer.0].address = address(5004);
    world.run(Duration::from_millis(100));
    world.seats[viewer.0].received.clear();
    traffic::publish(&mut world, publisher.0, 20);
    assert_eq!(traffic::video(&world, viewer.0).len(), 20);
    assert!(world.crossed() > 0);
    world.run(Duration::from_secs(60));
    assert!(world.ended.is_empty(), "its consent is renewed from there");
}

#[test]
fn after_the_nomination_the_credentials_before_are_refused() {
    let (mut world, _, viewer) = pair(1, Conditions::perfect());
    let old = world.common.ice.credentials(viewer.1, 0, 0);
    world.restart(viewer.0, viewer.1);
    world.run(Duration::from_millis(100));
    let seat = &mut world.seats[viewer.0].client;
    let answered = seat.answered_checks();
    seat.restart(world.now, (old.ufrag, old.pwd), own("peer"));
    world.run(Duration::from_secs(1));
    assert_eq!(world.seats[viewer.0].client.answered_checks(), answered);
    assert!(world.discarded(Discard::StunStale) > 0);
    let stale = Step::Check { remote: address(5001), refused: Some(CheckRefusal::Stale) };
    assert!(world.told.iter().any(|event| matches!(event, Event::Trace { step, .. } if *step == stale)));
}

#[test]
fn a_restart_that_is_never_used_changes_nothing() {
    let (mut world, publisher, viewer) = pair(2, Conditions::perfect());
    for _ in 0..3 {
        world.directory.restart(viewer.1).unwrap();
        world.directory.restart(publisher.1).unwrap();
    }
    world.run(Duration::from_secs(60));
    traffic::publish(&mut world, publisher.0, 20);
    assert_eq!(traffic::video(&world, viewer.0).len(), 20);
    assert!(world.ended.is_empty());
    assert_eq!(restarted(&world, viewer.1), 0);
}

#[test]
fn restarts_may_follow_each_other_without_end() {
    let (mut world, publisher, viewer) = pair(2, Conditions::perfect());
    for _ in 0..300 {
        world.restart(viewer.0, viewer.1);
        world.run(Duration::from_millis(100));
    }
    assert!(restarted(&world, viewer.1) > 0);
    traffic::publish(&mut world, publisher.0, 20);
    assert_eq!(traffic::video(&world, viewer.0).len(), 20);
    world.run(Duration::from_secs(40));
    assert!(world.ended.is_empty());
}

#[test]
fn a_session_that_still_waits_for_its_client_can_be_restarted() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, session) = world.join(Role::Play, 5000);
    world.restart(seat, session);
    world.connect(&[seat]);
    assert_eq!(*world.seats[seat].client.state(), ClientState::Connected);
    world.run(Duration::from_secs(40));
    assert!(world.ended.is_empty());
}

#[test]
fn restarts_survive_loss_reorder_and_duplication() {
    for seed in 0..10 {
        let delay = Duration::from_millis(10);
        let rough = Conditions { seed, loss: 200, duplication: 100, delay, jitter: Duration::from_millis(15) };
        let (mut world, publisher, viewer) = pair(2, rough);
        for port in [5002, 5003, 5006] {
            world.restart(viewer.0, viewer.1);
            world.seats[viewer.0].address = address(port);
            world.run(Duration::from_secs(12));
        }
        world.seats[viewer.0].received.clear();
        traffic::publish(&mut world, publisher.0, 100);
        assert!(traffic::video(&world, viewer.0).len() > 20, "seed {seed}");
        assert!(world.ended.is_empty(), "seed {seed}");
    }
}

#[test]
fn a_client_may_check_before_its_session_is_completed() {
    let mut world = World::new(2, Conditions::perfect());
    let session = world.directory.reserve(world.now, Duration::from_secs(30)).unwrap();
    let seat = world.seat(session, DtlsRole::Client, 5001);
    // Longer would be too many retransmissions for OpenSSL at this network's pace.
    world.run(Duration::from_millis(100));
    let spec = world.spec(Role::Play);
    world.directory.complete(world.now, session, spec).unwrap();
    world.connect(&[seat]);
}

#[test]
fn a_takeover_reaches_every_viewer_with_continuous_numbers_and_nothing_of_the_old_publisher() {
    for ports in [[5000, 5002], [5000, 5001], [5001, 5000]] {
        let mut world = World::new(2, Conditions::perfect());
        let (first, old) = world.join(Role::Publish, ports[0]);
        let viewers = [world.join(Role::Play, 6000).0, world.join(Role::Play, 6001).0];
        world.connect(&[first, viewers[0], viewers[1]]);
        traffic::publish(&mut world, first, 10);
        let spec = SessionSpec { replaces: Some(old), ..world.spec(Role::Publish) };
        let (second, _) = world.join_with(spec, ports[1]);
        world.connect(&[second]);
        assert_eq!(world.ended[&old].1, EndReason::Replaced);
        traffic::publish_from(&mut world, second, 100, 10);
        for viewer in viewers {
            let packets = traffic::video(&world, viewer);
            let payloads: Vec<u8> = packets.iter().map(|packet| packet.2).collect();
            assert_eq!(payloads, (0..10).chain(100..110).collect::<Vec<u8>>(), "{ports:?}");
            assert!(packets.windows(2).all(|pair| pair[1].0 == pair[0].0.wrapping_add(1)), "{packets:?}");
        }
    }
}
