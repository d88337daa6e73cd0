//! Data channels against sctp-proto's own client, over a network in virtual time that loses by a seed.

use super::super::*;
use sctp_proto::{ClientConfig, PayloadProtocolIdentifier, ReliabilityType};

/// A browser's side: begins the association.
struct Browser {
    endpoint: Endpoint,
    handle: AssociationHandle,
    association: Association,
    received: Vec<(u16, PayloadProtocolIdentifier, Vec<u8>)>,
    is_connected: bool,
}

struct Pair {
    now: Instant,
    server: DataChannels,
    browser: Browser,
    /// In thousandths.
    loss: u64,
    state: u64,
    events: Vec<ChannelEvent>,
}

impl Pair {
    fn new() -> Pair {
        let mut endpoint = Endpoint::new(Arc::new(EndpointConfig::new()), None);
        let (handle, association) = endpoint.connect(ClientConfig::new(), PEER).unwrap();
        let browser = Browser { endpoint, handle, association, received: vec![], is_connected: false };
        let server = DataChannels::new(false);
        let mut pair = Pair { now: Instant::now(), server, browser, loss: 0, state: 9, events: vec![] };
        pair.run(Duration::from_secs(2));
        assert!(pair.browser.is_connected);
        pair
    }

    fn is_lost(&mut self) -> bool {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.state >> 33) % 1000 < self.loss
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.exchange();
            self.now += Duration::from_millis(5);
            if self.server.next_timeout().is_some_and(|due| due <= self.now) {
                self.server.handle_timeout(self.now);
            }
            self.browser.association.handle_timeout(self.now);
        }
    }

    fn exchange(&mut self) {
        loop {
            let mut moved = false;
            while let Some(datagram) = self.server.poll_transmit() {
                moved = true;
                if !self.is_lost() {
                    self.deliver(datagram);
                }
            }
            let mut datagrams = VecDeque::new();
            while let Some(transmit) = self.browser.endpoint.poll_transmit() {
                put(&mut datagrams, transmit);
            }
            while let Some(transmit) = self.browser.association.poll_transmit(self.now) {
                put(&mut datagrams, transmit);
            }
            for datagram in datagrams {
                moved = true;
                if !self.is_lost() {
                    self.server.handle_datagram(self.now, &datagram);
                }
            }
            self.events.extend(std::iter::from_fn(|| self.server.poll_event()));
            self.poll_browser();
            if !moved {
                return;
            }
        }
    }

    fn deliver(&mut self, datagram: Vec<u8>) {
        let browser = &mut self.browser;
        match browser.endpoint.handle(self.now, PEER, None, None, datagram.into()) {
            Some((handle, DatagramEvent::AssociationEvent(event))) if handle == browser.handle => {
                browser.association.handle_event(event);
            }
            _ => {}
        }
    }

    fn poll_browser(&mut self) {
        let browser = &mut self.browser;
        while let Some(event) = browser.association.poll() {
            match event {
                Event::Connected => browser.is_connected = true,
                Event::Stream(StreamEvent::Opened { id } | StreamEvent::Readable { id }) => {
                    while browser.association.accept_stream().is_some() {}
                    let Ok(mut stream) = browser.association.stream(id) else { continue };
                    while let Ok(Some(chunks)) = stream.read_sctp() {
                        let mut message = vec![0; chunks.len()];
                        chunks.read(&mut message).unwrap();
                        browser.received.push((id, chunks.ppi, message));
                    }
                }
                _ => {}
            }
        }
    }

    fn open(&mut self, channel: u16, spec: &ChannelSpec) {
        let mut stream = self.browser.association.open_stream(channel, PayloadProtocolIdentifier::Binary).unwrap();
        stream.write_with_ppi(&dcep::open(spec), PayloadProtocolIdentifier::Dcep).unwrap();
        let (kind, value) = match spec.reliability {
            Reliability::Reliable => (ReliabilityType::Reliable, 0),
            Reliability::MaxRetransmits(count) => (ReliabilityType::Rexmit, count),
            Reliability::MaxLifetimeMs(ms) => (ReliabilityType::Timed, ms),
        };
        stream.set_reliability_params(!spec.ordered, kind, value).unwrap();
        self.run(Duration::from_millis(100));
    }

    fn send(&mut self, channel: u16, message: &[u8]) {
        let mut stream = self.browser.association.stream(channel).unwrap();
        stream.write_with_ppi(message, PayloadProtocolIdentifier::Binary).unwrap();
    }
}

fn spec(label: &str, ordered: bool, reliability: Reliability) -> ChannelSpec {
    ChannelSpec { label: label.to_owned(), protocol: String::new(), ordered, reliability }
}

fn numbered(n: u32, len: usize) -> Vec<u8> {
    let mut message = n.to_be_bytes().to_vec();
    message.resize(len.max(4), n as u8);
    message
}

#[test]
fn a_reliable_channel_brings_everything_in_order_through_loss() {
    let mut pair = Pair::new();
    pair.open(0, &spec("chat", true, Reliability::Reliable));
    assert_eq!(pair.events, [ChannelEvent::Opened(0, spec("chat", true, Reliability::Reliable))]);
    pair.events.clear();
    pair.loss = 100;
    for n in 0..200 {
        pair.send(0, &numbered(n, 2000));
        pair.run(Duration::from_millis(20));
    }
    pair.run(Duration::from_secs(60));
    let expected: Vec<_> = (0..200).map(|n| ChannelEvent::Message(0, true, numbered(n, 2000).into())).collect();
    assert_eq!(pair.events, expected);
    for n in 0..50 {
        let now = pair.now;
        pair.server.send(now, 0, true, &numbered(n, 1000));
        pair.run(Duration::from_millis(20));
    }
    pair.run(Duration::from_secs(30));
    let binary: Vec<_> =
        pair.browser.received.iter().filter(|(_, kind, _)| *kind == PayloadProtocolIdentifier::Binary).collect();
    assert_eq!(binary.len(), 50);
    assert!(binary.iter().enumerate().all(|(n, (_, _, message))| *message == numbered(n as u32, 1000)));
}

#[test]
fn what_may_be_lost_does_not_hold_up_the_rest() {
    let mut pair = Pair::new();
    pair.open(0, &spec("motion", false, Reliability::MaxRetransmits(0)));
    pair.events.clear();
    pair.loss = 200;
    for n in 0..500 {
        pair.send(0, &numbered(n, 100));
        pair.run(Duration::from_millis(10));
    }
    pair.run(Duration::from_secs(5));
    assert!((250..480).contains(&pair.events.len()), "{} of 500", pair.events.len());
}

#[test]
fn messages_of_64_kib_and_of_nothing_pass_and_larger_ones_do_not() {
    let mut pair = Pair::new();
    pair.open(0, &spec("files", true, Reliability::Reliable));
    pair.events.clear();
    pair.send(0, &numbered(1, MAX_MESSAGE));
    pair.run(Duration::from_secs(5));
    assert_eq!(pair.events, [ChannelEvent::Message(0, true, numbered(1, MAX_MESSAGE).into())]);
    let now = pair.now;
    for (is_binary, message) in
        [(true, vec![]), (false, vec![]), (false, b"text".to_vec()), (true, vec![1; MAX_MESSAGE + 1])]
    {
        pair.server.send(now, 0, is_binary, &message);
    }
    pair.run(Duration::from_secs(1));
    let kinds: Vec<_> = pair.browser.received.iter().map(|(_, kind, message)| (*kind, message.len())).collect();
    use PayloadProtocolIdentifier::{BinaryEmpty, Dcep, String, StringEmpty};
    assert_eq!(kinds, [(Dcep, 1), (BinaryEmpty, 1), (StringEmpty, 1), (String, 4)]);
    assert_eq!(pair.server.counters.refused, 1);
}

#[test]
fn channels_of_ours_have_streams_of_our_parity_and_may_be_opened_before_the_peer_is_there() {
    let mut pair = Pair::new();
    let now = pair.now;
    for label in ["a", "b", "a"] {
        pair.server.open(now, spec(label, true, Reliability::Reliable));
    }
    pair.run(Duration::from_millis(100));
    let opened: Vec<u16> = pair.browser.received.iter().map(|(id, ..)| *id).collect();
    assert_eq!(opened, [1, 3]);
    assert_eq!((pair.server.find("b"), pair.server.find("c")), (Some(3), None));
    let mut early = DataChannels::new(false);
    early.open(now, spec("early", true, Reliability::Reliable));
    assert_eq!(early.poll_transmit(), None);
}

#[test]
fn closing_is_told_both_ways() {
    let mut pair = Pair::new();
    pair.open(0, &spec("x", true, Reliability::Reliable));
    pair.open(2, &spec("y", true, Reliability::Reliable));
    pair.events.clear();
    pair.browser.association.stream(0).unwrap().close().unwrap();
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.events, [ChannelEvent::Closed(spec("x", true, Reliability::Reliable))]);
    let now = pair.now;
    pair.server.close(now, 2);
    pair.run(Duration::from_secs(1));
    assert_eq!(pair.server.find("y"), None);
}

#[test]
fn a_peer_that_does_not_read_costs_bounded_memory() {
    let mut pair = Pair::new();
    pair.open(0, &spec("loose", false, Reliability::MaxRetransmits(0)));
    pair.open(2, &spec("tight", true, Reliability::Reliable));
    pair.events.clear();
    pair.loss = 1000;
    for n in 0..2000 {
        let now = pair.now;
        pair.server.send(now, 0, true, &numbered(n, 10_000));
        pair.server.send(now, 2, true, &numbered(n, 10_000));
    }
    assert!(pair.server.counters.dropped > 1500);
    assert_eq!(pair.server.find("tight"), None, "closed, as something is missing");
    assert_eq!(pair.server.find("loose"), Some(0));
}

#[test]
fn rubbish_harms_nobody() {
    let mut pair = Pair::new();
    pair.open(0, &spec("x", true, Reliability::Reliable));
    pair.send(0, b"hello");
    let mut samples = VecDeque::new();
    while let Some(transmit) = pair.browser.association.poll_transmit(pair.now) {
        put(&mut samples, transmit);
    }
    let sample = samples.pop_front().unwrap();
    for n in 0..10_000u64 {
        pair.state = pair.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(n);
        let mut mutated = sample.clone();
        let at = (pair.state >> 40) as usize % mutated.len();
        mutated[at] ^= (pair.state >> 20) as u8 | 1;
        mutated.truncate((pair.state >> 33) as usize % (sample.len() + 1));
        let now = pair.now;
        pair.server.handle_datagram(now, &mutated);
    }
    pair.server.handle_datagram(pair.now, &sample);
    pair.run(Duration::from_secs(2));
    assert!(pair.events.contains(&ChannelEvent::Message(0, true, Bytes::from_static(b"hello"))));
}

#[test]
fn channels_are_bounded_in_number() {
    let mut pair = Pair::new();
    for n in 0..100u16 {
        pair.open(2 * n, &spec(&format!("c{n}"), true, Reliability::Reliable));
    }
    assert_eq!(pair.server.channels.len(), Limits::default().channels);
}
