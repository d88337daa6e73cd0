//! Data channels from a publisher to its viewers, on whichever shards they are.

use super::*;

fn world(shards: usize, viewers_may_send: bool) -> World {
    let mut world = World::new(shards, Conditions::perfect());
    world.takes_data = true;
    if viewers_may_send {
        let config = Config { shards, viewers_may_send, ..Config::default() };
        world.common.config = Arc::new(config);
        for (shard, node) in world.nodes.iter_mut().enumerate() {
            node.middlebox = Middlebox::new(shard, world.common.clone(), node.stats.clone());
        }
    }
    world
}

fn messages(world: &World, seat: usize) -> Vec<(String, bool, Vec<u8>)> {
    let messages = world.seats[seat].received.iter().filter_map(|received| match received {
        Received::Message { label, is_binary, message } => Some((label.clone(), *is_binary, message.clone())),
        _ => None,
    });
    messages.collect()
}

fn say(world: &mut World, seat: usize, label: &str, message: &[u8]) {
    let now = world.now;
    world.seats[seat].client.send_message(now, label, true, message);
}

const PAUSE: Duration = Duration::from_secs(3);

#[test]
fn what_a_publisher_says_reaches_every_viewer_and_late_ones_from_then_on() {
    let mut world = world(3, false);
    let (publisher, _) = world.join(Role::Publish, 5000);
    let viewers: Vec<usize> = (0..3).map(|n| world.join(Role::Play, 6000 + n).0).collect();
    world.connect(&[&viewers[..], &[publisher]].concat());
    world.run(PAUSE);
    let now = world.now;
    for label in ["chat", "score"] {
        world.seats[publisher].client.open_channel(now, label);
    }
    world.run(PAUSE);
    say(&mut world, publisher, "chat", b"hello");
    say(&mut world, publisher, "score", &[7; 64 << 10]);
    world.run(PAUSE);
    let (late, _) = world.join(Role::Play, 6100);
    world.connect(&[late]);
    world.run(PAUSE);
    say(&mut world, publisher, "chat", b"again");
    say(&mut world, viewers[0], "chat", b"nobody hears this");
    world.run(PAUSE);
    for viewer in viewers {
        let mut got = messages(&world, viewer);
        got.sort();
        let expected = [("chat", &b"again"[..]), ("chat", b"hello"), ("score", &[7; 64 << 10])];
        assert_eq!(got, expected.map(|(label, message)| (label.to_owned(), true, message.to_vec())));
    }
    assert_eq!(messages(&world, late), [("chat".to_owned(), true, b"again".to_vec())]);
    assert!(messages(&world, publisher).is_empty());
}

#[test]
fn viewers_are_heard_where_the_configuration_says_so() {
    let mut world = world(2, true);
    let (publisher, _) = world.join(Role::Publish, 5000);
    let viewers = [world.join(Role::Play, 6000).0, world.join(Role::Play, 6001).0];
    world.connect(&[publisher, viewers[0], viewers[1]]);
    world.run(PAUSE);
    let now = world.now;
    world.seats[publisher].client.open_channel(now, "chat");
    world.run(PAUSE);
    say(&mut world, viewers[0], "chat", b"one");
    say(&mut world, viewers[1], "chat", b"two");
    world.run(PAUSE);
    let mut heard: Vec<Vec<u8>> = messages(&world, publisher).into_iter().map(|(_, _, message)| message).collect();
    heard.sort();
    assert_eq!(heard, [b"one", b"two"]);
    assert!(messages(&world, viewers[0]).is_empty());
}

#[test]
fn an_echo_hears_itself() {
    let mut world = world(1, false);
    let (seat, _) = world.join(Role::Echo, 5000);
    world.connect(&[seat]);
    world.run(PAUSE);
    let now = world.now;
    world.seats[seat].client.open_channel(now, "mirror");
    world.run(PAUSE);
    say(&mut world, seat, "mirror", b"hello");
    world.run(PAUSE);
    assert_eq!(messages(&world, seat), [("mirror".to_owned(), true, b"hello".to_vec())]);
}

#[test]
fn data_and_media_pass_through_loss() {
    let mut world = world(2, false);
    let (publisher, _) = world.join(Role::Publish, 5000);
    let (viewer, _) = world.join(Role::Play, 6001);
    world.connect(&[publisher, viewer]);
    world.run(PAUSE);
    let now = world.now;
    world.seats[publisher].client.open_channel(now, "chat");
    world.run(PAUSE);
    world.seats[viewer].loss = 100;
    world.seats[publisher].loss = 100;
    for n in 0..100u8 {
        say(&mut world, publisher, "chat", &[n; 500]);
        traffic::publish_from(&mut world, publisher, u16::from(n), 1);
    }
    world.seats[viewer].loss = 0;
    world.seats[publisher].loss = 0;
    world.run(Duration::from_secs(20));
    let got: Vec<Vec<u8>> = messages(&world, viewer).into_iter().map(|(_, _, message)| message).collect();
    assert_eq!(got, (0..100u8).map(|n| vec![n; 500]).collect::<Vec<_>>());
}
