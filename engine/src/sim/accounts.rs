//! What is told of sessions on their way, and of media that comes and goes.

use super::*;
use crate::testing::rtp_packet;

fn steps(world: &World, session: SessionId) -> Vec<Step> {
    let of_it = |event: &Event| match event {
        Event::Trace { session: of, step } if *of == session => Some(step.clone()),
        _ => None,
    };
    world.told.iter().filter_map(of_it).collect()
}

fn flows(world: &World, session: SessionId) -> Vec<bool> {
    let of_it = |event: &Event| match event {
        Event::Flow { session: of, flows } if *of == session => Some(*flows),
        _ => None,
    };
    world.told.iter().filter_map(of_it).collect()
}

#[test]
fn every_step_of_a_session_is_told_once() {
    for shards in [1, 2] {
        let mut world = World::new(shards, Conditions::perfect());
        let (publisher, published) = world.join(Role::Publish, 5000);
        let (viewer, played) = world.join(Role::Play, 5001);
        world.connect(&[publisher, viewer]);
        traffic::publish(&mut world, publisher, 20);
        let check = |port| Step::Check { remote: address(port), refused: None };
        let first = |track, payload_type, ssrc| Step::FirstPacket {
            track,
            ssrc: Ssrc(ssrc),
            payload_type: PayloadType(payload_type),
        };
        // The payload's first byte is its number: 0 is a keyframe of VP8, as the lowest bit of its frame header is not set.
        let of_publisher = [
            check(5000),
            Step::DtlsStarted,
            first(0, 96, 0x1001),
            Step::FirstKeyframe { track: 0 },
            first(1, 111, 0x1002),
        ];
        let of_viewer = [
            check(5001),
            Step::DtlsStarted,
            first(0, 120, 0x2001),
            Step::FirstKeyframe { track: 0 },
            first(1, 109, 0x2002),
        ];
        let keyless = |steps: &[Step]| -> Vec<Step> {
            steps.iter().filter(|step| !matches!(step, Step::FirstKeyframe { .. })).cloned().collect()
        };
        assert_eq!(keyless(&steps(&world, published)), keyless(&of_publisher));
        assert_eq!(keyless(&steps(&world, played)), keyless(&of_viewer));
        let profiles: Vec<&str> = world
            .told
            .iter()
            .filter_map(|event| if let Event::Connected { profile, .. } = event { Some(*profile) } else { None })
            .collect();
        assert_eq!(profiles, ["SRTP_AEAD_AES_128_GCM"; 2]);
    }
}

#[test]
fn a_wrong_password_is_told_with_its_source_and_nothing_is_answered() {
    let mut world = World::new(2, Conditions::perfect());
    let (seat, session) = world.join(Role::Play, 5000);
    let credentials = world.common.ice.credentials(session, 0, 0);
    let now = world.now;
    let wrong = (credentials.ufrag, "a password that is wrong".to_owned());
    world.seats[seat].client.restart(now, wrong, own("peer"));
    world.run(Duration::from_secs(5));
    let refused = Some(CheckRefusal::BadIntegrity);
    assert_eq!(steps(&world, session), [Step::Check { remote: address(5000), refused }]);
    assert!(!world.seats[seat].client.is_connected());
    world.run(Duration::from_secs(10));
    assert_eq!(world.ended[&session].1, EndReason::SetupTimeout);
}

#[test]
fn a_ufrag_of_no_session_is_told_with_the_clients_own_and_not_without_bound() {
    let mut world = World::new(1, Conditions::perfect());
    let (seat, session) = world.join(Role::Play, 5000);
    let now = world.now;
    let forged = "A".repeat(20);
    world.seats[seat].client.restart(now, (forged.clone(), "whatever".to_owned()), own("clients+own"));
    for _ in 0..1000 {
        world.seats[seat].client.check();
    }
    world.run(Duration::from_millis(40));
    let strays: Vec<&str> = world
        .told
        .iter()
        .filter_map(
            |event| if let Event::StrayCheck { remote_ufrag, .. } = event { Some(remote_ufrag.as_str()) } else { None },
        )
        .collect();
    assert!(strays.iter().all(|ufrag| *ufrag == "clients+own"));
    assert_eq!(strays.len(), 32, "a burst, and no more of a thousand");
    assert!(steps(&world, session).is_empty());
}

#[test]
fn media_that_begins_stops_and_goes_on_is_told() {
    let mut world = World::new(2, Conditions::perfect());
    let (publisher, session) = world.join(Role::Publish, 5000);
    world.connect(&[publisher]);
    assert!(flows(&world, session).is_empty());
    traffic::publish(&mut world, publisher, 5);
    assert_eq!(flows(&world, session), [true]);
    world.run(Duration::from_millis(1800));
    assert_eq!(flows(&world, session), [true], "a pause is no silence");
    world.run(Duration::from_millis(300));
    assert_eq!(flows(&world, session), [true, false]);
    traffic::publish_from(&mut world, publisher, 5, 5);
    assert_eq!(flows(&world, session), [true, false, true]);
}

#[test]
fn a_source_of_no_track_is_told_and_a_flood_of_them_in_part() {
    let mut world = World::new(1, Conditions::perfect());
    let (publisher, session) = world.join(Role::Publish, 5000);
    world.connect(&[publisher]);
    for ssrc in 0..200 {
        world.seats[publisher].client.send_rtp(&rtp_packet(55, ssrc, 0, 0, 10), 0);
    }
    world.run(Duration::from_millis(50));
    let unknown = steps(&world, session).into_iter().filter(|step| matches!(step, Step::UnknownSource { .. })).count();
    assert_eq!(unknown, 4);
    assert!(flows(&world, session).is_empty(), "what belongs to no track is no media");
}
