//! How often a client may ask: token buckets for each address and each token (RFC 9725 §5 wants limits; 429 is RFC 6585 §4).
//!
//! A bucket is one number, the theoretical arrival time (TAT) of the generic cell rate algorithm: a request moves it by one
//! interval, and is refused when that would take it further ahead of the clock than the burst allows.
//!
//! The table of buckets is bounded. When it is full, the bucket with the earliest TAT is forgotten, which is the one that is
//! nearest to being full again: to forget it gives the least away. An attacker who wants a busy bucket forgotten must therefore
//! keep 65,536 other addresses busier than that one, and not just ask once from each. IPv6 counts by /64, as a host has a
//! whole one. Loopback is exempt: what runs on this machine is the operator's own.

use crate::access::Caller;
use crate::problem::Problem;
use priority_queue::PriorityQueue;
use std::cmp::Reverse;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// Buckets of a kind. An entry has some 100 bytes.
const MAX_BUCKETS: usize = 65_536;

/// Seconds after which a client with too many half-open sessions may ask again: most become open or end in that time.
const RETRY_HALF_OPEN_S: u64 = 2;

/// A rate, and how many requests may come at once after a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Requests per second in the long run. 0: no limit.
    pub per_second: u32,
    /// Requests at once. At least 1.
    pub burst: u32,
}

/// `[limits]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LimitsConfig {
    /// POST, PATCH and DELETE of one client address. Default: 20 per second, 100 at once.
    pub per_address: Rate,
    /// POST, PATCH and DELETE with one token, which a whole audience may share. Default: 1,000 per second, 10,000 at once.
    pub per_token: Rate,
    /// Sessions of one client address that have been answered and are not connected yet. 0: no limit. Default: 256.
    pub half_open_per_address: usize,
}

impl Default for LimitsConfig {
    fn default() -> LimitsConfig {
        LimitsConfig {
            per_address: Rate { per_second: 20, burst: 100 },
            per_token: Rate { per_second: 1_000, burst: 10_000 },
            half_open_per_address: 256,
        }
    }
}

/// A client as it is counted.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
enum Client {
    V4([u8; 4]),
    /// The /64.
    V6([u8; 8]),
}

impl Client {
    /// `None` for loopback, which is not counted.
    fn of(ip: IpAddr) -> Option<Client> {
        match ip.to_canonical() {
            ip if ip.is_loopback() => None,
            IpAddr::V4(ip) => Some(Client::V4(ip.octets())),
            IpAddr::V6(ip) => ip.octets().first_chunk().copied().map(Client::V6),
        }
    }
}

/// Counts what clients do.
#[derive(Debug)]
pub struct Limits {
    addresses: Buckets<Client>,
    tokens: Buckets<Caller>,
    half_open_per_address: usize,
    /// One entry for each client with a half-open session: there are no more of them than sessions.
    half_open: HashMap<Client, usize>,
}

impl Limits {
    /// With these limits, and all buckets full.
    pub fn new(config: LimitsConfig) -> Limits {
        Limits {
            addresses: Buckets::new(config.per_address),
            tokens: Buckets::new(config.per_token),
            half_open_per_address: config.half_open_per_address,
            half_open: HashMap::new(),
        }
    }

    /// Counts a request of this address. To be asked before the token is looked at, or tokens could be guessed at any rate.
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`].
    pub fn admit_address(&mut self, now: Instant, ip: IpAddr) -> Result<(), Problem> {
        Client::of(ip).map_or(Ok(()), |client| self.addresses.admit(now, client))
    }

    /// Counts a request with this token.
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`].
    pub fn admit_caller(&mut self, now: Instant, caller: &Caller) -> Result<(), Problem> {
        self.tokens.admit(now, caller.clone())
    }

    /// Counts a session that is about to be opened. What it counts must be given back with [`Limits::half_open_end`].
    ///
    /// # Errors
    /// [`Problem::TooManyRequests`]; then nothing was counted.
    pub fn half_open_begin(&mut self, ip: IpAddr) -> Result<(), Problem> {
        let Some(client) = Client::of(ip) else { return Ok(()) };
        let count = self.half_open.get(&client).copied().unwrap_or(0);
        if self.half_open_per_address != 0 && count >= self.half_open_per_address {
            return Err(Problem::TooManyRequests { retry_after_s: RETRY_HALF_OPEN_S });
        }
        self.half_open.insert(client, count + 1);
        Ok(())
    }

    /// A session of this address was connected, or has ended before it was. To be called once for each.
    pub fn half_open_end(&mut self, ip: IpAddr) {
        let Some(client) = Client::of(ip) else { return };
        match self.half_open.get_mut(&client) {
            Some(count) if *count > 1 => *count -= 1,
            Some(_) => drop(self.half_open.remove(&client)),
            None => {}
        }
    }
}

/// The buckets of one kind of key.
#[derive(Debug)]
struct Buckets<K: Hash + Eq> {
    /// What one request costs; `None` when there is no limit.
    interval: Option<Duration>,
    /// How far ahead of the clock a TAT may be.
    ahead: Duration,
    /// TATs; the earliest is at the top.
    tats: PriorityQueue<K, Reverse<Instant>>,
}

impl<K: Hash + Eq> Buckets<K> {
    fn new(rate: Rate) -> Buckets<K> {
        let interval = (rate.per_second > 0).then(|| Duration::from_secs(1) / rate.per_second);
        let ahead = interval.unwrap_or_default() * rate.burst.max(1);
        Buckets { interval, ahead, tats: PriorityQueue::new() }
    }

    fn admit(&mut self, now: Instant, key: K) -> Result<(), Problem> {
        let Some(interval) = self.interval else { return Ok(()) };
        let tat = self.tats.get_priority(&key).map_or(now, |Reverse(tat)| (*tat).max(now)) + interval;
        let excess = tat.duration_since(now).saturating_sub(self.ahead);
        if !excess.is_zero() {
            return Err(Problem::TooManyRequests { retry_after_s: whole_seconds(excess) });
        }
        self.tats.push(key, Reverse(tat));
        self.forget(now);
        Ok(())
    }

    /// Full buckets first, two at a time so that they become fewer; then, if there must be, the one that is nearest to full.
    fn forget(&mut self, now: Instant) {
        for _ in 0..2 {
            self.tats.pop_if(|_, Reverse(tat)| *tat <= now);
        }
        if self.tats.len() > MAX_BUCKETS {
            self.tats.pop();
        }
    }
}

fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

#[cfg(test)]
#[path = "tests/limits.rs"]
mod tests;
