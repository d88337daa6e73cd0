//! A run: everybody is let in, what comes is measured, everybody is let go.

use crate::cli::Options;
use crate::report::{self, Moment, Outcome};
use crate::signaling::{Http, Local, Role, offer};
use crate::socket::Socket;
use crate::stats::Stats;
use crate::watch;
use crate::worker::{Live, Order, Worker};
use oneport_engine::transport::dtls::{Certificate, DtlsConfig, DtlsContext};
use oneport_rtp::srtp::Profile;
use std::io::{IsTerminal, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use url::Url;

/// Threads that post offers.
const HTTP_THREADS: usize = 16;
/// Time that the last ones have to connect.
const SETTLE: Duration = Duration::from_secs(25);
/// Between the last connection and the measurement.
const CALM: Duration = Duration::from_secs(1);

type Result<T> = std::result::Result<T, String>;

/// A client to be let in.
struct Job {
    number: usize,
    role: Role,
    endpoint: String,
    worker: usize,
    from: Option<IpAddr>,
}

struct Team {
    options: Arc<Options>,
    orders: Vec<Sender<Order>>,
    jobs: Option<Sender<Job>>,
    live: Arc<Live>,
    refused: Arc<Mutex<Stats>>,
    threads: Vec<std::thread::JoinHandle<()>>,
    left: Receiver<Url>,
    http: Http,
    /// Whether clients have addresses of their own.
    spreads: bool,
    next: usize,
}

/// Does it all. Whether every expectation holds.
pub(crate) fn run(options: Options) -> Result<bool> {
    let options = Arc::new(options);
    let mut team = Team::assemble(&options)?;
    let idle = if options.whep.is_some() { options.idle } else { 0 };
    let asked = options.all_publishers() + options.all_viewers() + idle;
    let watched = options.watch.map(|pid| watch::sample(pid).ok_or(format!("there is no process {pid} to watch")));
    let before = watched.transpose()?;
    let mut moments = Vec::new();
    let started = Instant::now();
    team.let_in(Role::Publish, options.all_publishers(), 1000.0, 0..options.all_publishers().max(1));
    team.settle(options.all_publishers(), started);
    let streams = options.all_publishers().max(1);
    team.let_in(Role::Play, options.all_viewers(), options.ramp, 0..streams);
    team.let_in(Role::Play, idle, options.ramp, streams..streams + 1);
    team.settle(asked, started);
    std::thread::sleep(CALM);
    team.tell(|| Order::Measure);
    let begun = Instant::now();
    let at_begin = options.watch.and_then(watch::sample);
    team.pass_time(begun, &mut moments);
    let at_end = options.watch.and_then(watch::sample);
    let measured = begun.elapsed();
    let stats = team.account();
    let connected = team.live.connected.load(Ordering::Relaxed);
    team.end();
    let outcome = Outcome {
        options: &options,
        stats,
        asked: asked as u64,
        connected,
        measured,
        moments,
        idle: before,
        watched: at_begin.zip(at_end),
    };
    report::give(&outcome)
}

impl Team {
    fn assemble(options: &Arc<Options>) -> Result<Team> {
        let certificate = Certificate::generate().map_err(|error| format!("a certificate cannot be made: {error}"))?;
        let fingerprint = certificate.fingerprints().map_err(|error| error.to_string())?;
        let fingerprint = fingerprint.first().ok_or("a certificate without a fingerprint")?;
        let hex: Vec<String> = fingerprint.bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        let fingerprint = format!("{} {}", fingerprint.digest.name(), hex.join(":"));
        let mut config = DtlsConfig::default();
        if let Some(profile) = options.srtp {
            config.profiles = vec![profile_of(profile)];
        }
        let context = DtlsContext::new(certificate, config).map_err(|error| error.to_string())?;
        let first = options.whip.as_ref().or(options.whep.as_ref()).ok_or("neither --whip nor --whep")?;
        let server = server_of(first)?;
        let (live, refused) = (Arc::new(Live::default()), Arc::new(Mutex::new(Stats::default())));
        let origin = Instant::now();
        let (left_sender, left) = mpsc::channel();
        let (mut orders, mut ports, mut threads) = (Vec::new(), Vec::new(), Vec::new());
        let spreads = server.ip().is_loopback();
        let everybody = options.all_publishers() + options.all_viewers() + options.idle;
        // Away from this machine, only a port tells one client from another.
        let count = if spreads { usize::from(options.threads) } else { everybody.max(1) };
        for index in 0..count {
            let socket = Socket::open().map_err(|error| format!("a UDP socket cannot be opened: {error}"))?;
            ports.push(socket.port().map_err(|error| error.to_string())?);
            let (sender, receiver) = mpsc::channel();
            orders.push(sender);
            let worker = Worker::new(
                (Arc::clone(options), context.clone(), socket),
                receiver,
                left_sender.clone(),
                (Arc::clone(&live), origin),
            );
            let thread = std::thread::Builder::new().name(format!("clients-{index}")).stack_size(512 << 10);
            threads.push(thread.spawn(move || worker.run()).map_err(|error| error.to_string())?);
        }
        let http = Http::new(options);
        let (jobs, waiting) = mpsc::channel::<Job>();
        let waiting = Arc::new(Mutex::new(waiting));
        for _ in 0..HTTP_THREADS {
            let clerk = Clerk {
                options: Arc::clone(options),
                http: http.clone(),
                waiting: Arc::clone(&waiting),
                orders: orders.clone(),
                ports: ports.clone(),
                fingerprint: fingerprint.clone(),
                own_ip: source_towards(server),
                refused: Arc::clone(&refused),
                live: Arc::clone(&live),
            };
            threads.push(std::thread::spawn(move || clerk.work()));
        }
        let options = Arc::clone(options);
        Ok(Team { options, orders, jobs: Some(jobs), live, refused, threads, left, http, spreads, next: 0 })
    }

    /// Lets clients in, so many per second, to these streams in turn.
    fn let_in(&mut self, role: Role, count: usize, rate: f64, streams: Range<usize>) {
        let begun = Instant::now();
        for index in 0..count {
            let due = begun + Duration::from_secs_f64(index as f64 / rate.max(0.001));
            while Instant::now() < due {
                std::thread::sleep((due - Instant::now()).min(Duration::from_millis(100)));
                self.show("connecting");
            }
            self.let_one_in(role, streams.start + index % streams.len());
        }
    }

    fn let_one_in(&mut self, role: Role, stream: usize) {
        let url = if role == Role::Publish { &self.options.whip } else { &self.options.whep };
        let Some(url) = url else { return };
        let number = self.next;
        self.next += 1;
        let from = self.spreads.then(|| IpAddr::V4(address(self.options.source, number)));
        let endpoint = url.replace("{n}", &stream.to_string());
        let job = Job { number, role, endpoint, worker: number % self.orders.len(), from };
        if let Some(jobs) = &self.jobs {
            let _ = jobs.send(job);
        }
    }

    /// Waits until so many are connected or have failed.
    fn settle(&self, count: usize, since: Instant) {
        let deadline = Instant::now() + SETTLE;
        let done =
            || self.live.connected.load(Ordering::Relaxed) + self.live.failed.load(Ordering::Relaxed) >= count as u64;
        while !done() && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
            if since.elapsed().as_millis() % 200 < 20 {
                self.show("connecting");
            }
        }
    }

    fn tell(&self, order: impl Fn() -> Order) {
        for worker in &self.orders {
            let _ = worker.send(order());
        }
    }

    /// Lets the measured time pass, and takes a moment's figures each second.
    fn pass_time(&mut self, begun: Instant, moments: &mut Vec<Moment>) {
        let (mut packets, mut bytes) = self.counts();
        let mut cpu = self.options.watch.and_then(watch::sample);
        let mut second = begun;
        let mut churned = 0u64;
        while begun.elapsed() < self.options.duration {
            let left = self.options.duration.saturating_sub(begun.elapsed());
            std::thread::sleep(left.min(Duration::from_millis(50)));
            let due = (begun.elapsed().as_secs_f64() * self.options.churn) as u64;
            while churned < due {
                churned += 1;
                let workers = self.orders.len();
                let _ = self.orders[churned as usize % workers].send(Order::Leave);
                let streams = self.options.all_publishers().max(1);
                self.let_one_in(Role::Play, churned as usize % streams);
            }
            while let Ok(url) = self.left.try_recv() {
                let http = self.http.clone();
                std::thread::spawn(move || http.delete(&url));
            }
            let elapsed = second.elapsed();
            if elapsed < Duration::from_secs(1) {
                continue;
            }
            second = Instant::now();
            let (now_packets, now_bytes) = self.counts();
            let now_cpu = self.options.watch.and_then(watch::sample);
            let used = cpu.zip(now_cpu).map(|(before, now)| now.cpu.saturating_sub(before.cpu));
            moments.push(Moment {
                at: begun.elapsed(),
                sessions: self.live.connected.load(Ordering::Relaxed),
                packets_per_second: (now_packets - packets) as f64 / elapsed.as_secs_f64(),
                bits_per_second: (now_bytes - bytes) as f64 * 8.0 / elapsed.as_secs_f64(),
                server_cores: used.map(|used| used.as_secs_f64() / elapsed.as_secs_f64()),
            });
            (packets, bytes, cpu) = (now_packets, now_bytes, now_cpu);
            self.show("measuring");
        }
    }

    fn counts(&self) -> (u64, u64) {
        (self.live.packets.load(Ordering::Relaxed), self.live.bytes.load(Ordering::Relaxed))
    }

    /// A line of progress, for people.
    fn show(&self, what: &str) {
        let mut out = std::io::stderr();
        if !out.is_terminal() {
            return;
        }
        let load = |value: &AtomicU64| value.load(Ordering::Relaxed);
        let (connected, failed) = (load(&self.live.connected), load(&self.live.failed));
        let _ = write!(
            out,
            "\r{what}: {connected} connected, {failed} failed, {} packets \x1b[K",
            load(&self.live.packets)
        );
    }

    fn account(&self) -> Stats {
        let mut sum = self.refused.lock().map(|stats| stats.clone()).unwrap_or_default();
        let (sender, receiver) = mpsc::channel();
        self.tell(|| Order::Account(sender.clone()));
        drop(sender);
        receiver.into_iter().for_each(|stats| sum.add(&stats));
        sum
    }

    /// Says goodbye for everybody, and deletes their sessions.
    fn end(mut self) {
        let (sender, receiver) = mpsc::channel();
        self.tell(|| Order::End(sender.clone()));
        drop(sender);
        let urls: Vec<Url> = receiver.into_iter().flatten().collect();
        self.jobs = None;
        let urls = Arc::new(Mutex::new(urls));
        let deadline = Instant::now() + Duration::from_secs(10);
        let deleters: Vec<_> = (0..HTTP_THREADS)
            .map(|_| {
                let (urls, http) = (Arc::clone(&urls), self.http.clone());
                std::thread::spawn(move || {
                    while let Some(url) = urls.lock().ok().and_then(|mut urls| urls.pop())
                        && Instant::now() < deadline
                    {
                        http.delete(&url);
                    }
                })
            })
            .collect();
        for thread in deleters.into_iter().chain(self.threads) {
            let _ = thread.join();
        }
        if std::io::stderr().is_terminal() {
            eprintln!();
        }
    }
}

/// One of the threads that post offers.
struct Clerk {
    options: Arc<Options>,
    http: Http,
    waiting: Arc<Mutex<Receiver<Job>>>,
    orders: Vec<Sender<Order>>,
    ports: Vec<u16>,
    fingerprint: String,
    own_ip: Option<IpAddr>,
    refused: Arc<Mutex<Stats>>,
    live: Arc<Live>,
}

impl Clerk {
    fn work(&self) {
        loop {
            let job = self.waiting.lock().ok().and_then(|waiting| waiting.recv().ok());
            let Some(job) = job else { return };
            let local = Local {
                ufrag: token(8),
                pwd: token(24),
                fingerprint: self.fingerprint.clone(),
                ssrcs: [number(), number()],
                candidate: SocketAddr::new(
                    job.from.or(self.own_ip).unwrap_or(Ipv4Addr::LOCALHOST.into()),
                    self.ports[job.worker],
                ),
            };
            let text = offer(job.role, &local, &self.options);
            match self.http.post(&job.endpoint, &text, &self.options) {
                Ok(answered) => {
                    let (number, role, from) = (job.number, job.role, job.from);
                    let order = Order::Begin { number, role, answered: Box::new(answered), local, from };
                    let _ = self.orders[job.worker].send(order);
                }
                Err(cause) => {
                    if let Ok(mut refused) = self.refused.lock() {
                        refused.fail(cause);
                    }
                    self.live.failed.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }
}

fn number() -> u32 {
    let mut bytes = [0; 4];
    let _ = getrandom::fill(&mut bytes);
    u32::from_be_bytes(bytes)
}

fn token(length: usize) -> String {
    let mut bytes = vec![0; length];
    let _ = getrandom::fill(&mut bytes);
    bytes.iter().map(|byte| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEF"[usize::from(byte % 32)])).collect()
}

fn profile_of(profile: crate::cli::Srtp) -> Profile {
    match profile {
        crate::cli::Srtp::Aes128Gcm => Profile::AeadAes128Gcm,
        crate::cli::Srtp::Aes256Gcm => Profile::AeadAes256Gcm,
        crate::cli::Srtp::Aes128CmSha1 => Profile::Aes128CmSha1_80,
    }
}

/// The nth client's address: not that of the network itself, nor 127.0.0.1, which others use.
fn address((network, bits): (Ipv4Addr, u8), number: usize) -> Ipv4Addr {
    let hosts = 1u32 << (32 - u32::from(bits));
    let base = u32::from(network) & !(hosts - 1);
    // From the middle on, out of the way of what else is on this machine.
    let host = (hosts / 2 + number as u32) % (hosts - 2) + 1;
    Ipv4Addr::from(base | host)
}

fn server_of(url: &str) -> Result<SocketAddr> {
    let url = Url::parse(&url.replace("{n}", "0")).map_err(|error| format!("{url}: {error}"))?;
    let addresses = url.socket_addrs(|| None).map_err(|error| format!("{url}: {error}"))?;
    addresses.into_iter().find(SocketAddr::is_ipv4).ok_or_else(|| format!("{url} has no IPv4 address"))
}

fn source_towards(remote: SocketAddr) -> Option<IpAddr> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect(remote).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_client_has_an_address_of_its_own() {
        let network = (Ipv4Addr::new(127, 0, 0, 0), 8);
        let addresses: std::collections::HashSet<_> = (0..100_000).map(|number| address(network, number)).collect();
        assert_eq!(addresses.len(), 100_000);
        assert!(addresses.iter().all(|address| address.is_loopback() && *address != Ipv4Addr::LOCALHOST));
    }
}
