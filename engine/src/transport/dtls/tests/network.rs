//! Two ends, a virtual clock and a network that loses, reorders and duplicates by a seed.

use super::*;
use std::thread;

/// SplitMix64: enough for choosing what gets lost, and the same everywhere for a seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, end: usize) -> usize {
        (self.next() % end as u64) as usize
    }

    fn percent(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

/// What the network does to a datagram, in percent.
#[derive(Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) loss: usize,
    pub(super) reorder: usize,
    pub(super) duplicate: usize,
}

struct InFlight {
    arrives: Instant,
    to_server: bool,
    datagram: Vec<u8>,
}

pub(super) struct Pair {
    pub(super) now: Instant,
    pub(super) client: Dtls,
    pub(super) server: Dtls,
    pub(super) client_events: Vec<DtlsEvent>,
    pub(super) server_events: Vec<DtlsEvent>,
    /// Every datagram that was sent: from the server?, bytes.
    pub(super) sent: Vec<(bool, Vec<u8>)>,
    weather: Weather,
    random: Random,
    in_flight: Vec<InFlight>,
}

impl Pair {
    pub(super) fn new(client: &DtlsContext, server: &DtlsContext) -> Pair {
        Pair::expecting(client, fingerprints(server), server, fingerprints(client))
    }

    /// A pair whose ends expect these fingerprints of each other.
    pub(super) fn expecting(
        client: &DtlsContext,
        by_client: Vec<Fingerprint>,
        server: &DtlsContext,
        by_server: Vec<Fingerprint>,
    ) -> Pair {
        let now = Instant::now();
        Pair {
            now,
            client: Dtls::new(client, DtlsRole::Client, by_client, now).unwrap(),
            server: Dtls::new(server, DtlsRole::Server, by_server, now).unwrap(),
            client_events: Vec::new(),
            server_events: Vec::new(),
            sent: Vec::new(),
            weather: Weather::default(),
            random: Random(0),
            in_flight: Vec::new(),
        }
    }

    pub(super) fn with_weather(mut self, seed: u64, weather: Weather) -> Pair {
        self.random = Random(seed);
        self.weather = weather;
        self
    }

    /// Runs until nothing is under way, or `limit` of virtual time is over.
    pub(super) fn run(&mut self, limit: Duration) {
        let end = self.now + limit;
        loop {
            self.collect();
            let Some(next) = self.next_instant().filter(|next| *next <= end) else { return };
            self.now = self.now.max(next);
            self.deliver();
            self.time_out();
        }
    }

    fn next_instant(&self) -> Option<Instant> {
        let arrival = self.in_flight.iter().map(|packet| packet.arrives).min();
        [arrival, self.client.next_timeout(), self.server.next_timeout()].into_iter().flatten().min()
    }

    fn collect(&mut self) {
        while let Some(datagram) = self.client.poll_transmit() {
            self.send(true, datagram);
        }
        while let Some(datagram) = self.server.poll_transmit() {
            self.send(false, datagram);
        }
        self.client_events.extend(std::iter::from_fn(|| self.client.poll_event()));
        self.server_events.extend(std::iter::from_fn(|| self.server.poll_event()));
    }

    fn send(&mut self, to_server: bool, datagram: Vec<u8>) {
        self.sent.push((!to_server, datagram.clone()));
        let copies = 1 + usize::from(self.random.percent(self.weather.duplicate));
        for _ in 0..copies {
            if self.random.percent(self.weather.loss) {
                continue;
            }
            let late = if self.random.percent(self.weather.reorder) { self.random.below(20) } else { 0 };
            let arrives = self.now + Duration::from_millis(1 + late as u64);
            self.in_flight.push(InFlight { arrives, to_server, datagram: datagram.clone() });
        }
    }

    fn deliver(&mut self) {
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.in_flight).into_iter().partition(|packet| packet.arrives <= self.now);
        self.in_flight = later;
        for packet in due {
            let end = if packet.to_server { &mut self.server } else { &mut self.client };
            end.handle_datagram(self.now, &packet.datagram);
        }
    }

    fn time_out(&mut self) {
        for end in [&mut self.client, &mut self.server] {
            // OpenSSL's own clock has to come along, a millisecond for each expiry.
            while end.handle_timeout(self.now) == Timeout::Early {
                thread::sleep(Duration::from_millis(1));
            }
        }
    }

    /// Both ends are connected with the same profile and keys.
    #[track_caller]
    pub(super) fn assert_connected(&self) -> Profile {
        let (client, server) = (connected(&self.client_events), connected(&self.server_events));
        assert_eq!(client.0, server.0);
        assert_eq!(client.1.as_bytes(), server.1.as_bytes());
        client.0
    }
}

#[track_caller]
pub(super) fn connected(events: &[DtlsEvent]) -> (Profile, &KeyingMaterial) {
    match events {
        [DtlsEvent::Connected { profile, keying_material }, ..] => (*profile, keying_material),
        other => panic!("not connected: {other:?}"),
    }
}

#[track_caller]
pub(super) fn fault(events: &[DtlsEvent]) -> &DtlsFault {
    match events.last() {
        Some(DtlsEvent::Failed(fault)) => fault,
        _ => panic!("not failed: {events:?}"),
    }
}
