//! Buckets against a clock that only these tests move.

use super::*;
use crate::access::{Access, AccessConfig};
use crate::http::{Headers, Method, Request};
use oneport_engine::control::Role;
use std::net::{Ipv4Addr, Ipv6Addr};

fn limits(per_second: u32, burst: u32) -> Limits {
    Limits::new(LimitsConfig { per_address: Rate { per_second, burst }, ..LimitsConfig::default() })
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// How many of these requests are admitted.
fn admitted(limits: &mut Limits, now: Instant, from: &str, requests: usize) -> usize {
    (0..requests).filter(|_| limits.admit_address(now, ip(from)).is_ok()).count()
}

#[test]
fn a_burst_is_admitted_and_then_the_rate() {
    let (mut limits, start) = (limits(20, 100), Instant::now());
    assert_eq!(admitted(&mut limits, start, "192.0.2.1", 1000), 100);
    assert_eq!(admitted(&mut limits, start, "192.0.2.2", 10), 10, "another address has its own bucket");
    assert_eq!(admitted(&mut limits, start + Duration::from_secs(1), "192.0.2.1", 1000), 20);
    assert_eq!(admitted(&mut limits, start + Duration::from_secs(60), "192.0.2.1", 1000), 100, "full, and no fuller");
}

#[test]
fn a_refusal_says_when_to_come_again_and_costs_nothing() {
    let (mut limits, start) = (limits(1, 3), Instant::now());
    assert_eq!(admitted(&mut limits, start, "192.0.2.1", 50), 3);
    let refusal = limits.admit_address(start, ip("192.0.2.1")).unwrap_err();
    assert_eq!(refusal, Problem::TooManyRequests { retry_after_s: 1 });
    let response = refusal.into_response();
    assert_eq!((response.status, response.header("Retry-After")), (429, Some("1")));
    assert_eq!(admitted(&mut limits, start + Duration::from_secs(1), "192.0.2.1", 50), 1);
}

#[test]
fn a_clock_that_stands_or_goes_back_is_no_harm() {
    let start = Instant::now() + Duration::from_secs(100);
    let mut limits = limits(1, 2);
    assert_eq!(admitted(&mut limits, start, "192.0.2.1", 5), 2);
    assert_eq!(admitted(&mut limits, start - Duration::from_secs(50), "192.0.2.1", 5), 0);
}

#[test]
fn ipv6_counts_by_64_and_ipv4_by_address() {
    let (mut limits, now) = (limits(1, 2), Instant::now());
    assert_eq!(admitted(&mut limits, now, "2001:db8::1", 1), 1);
    assert_eq!(admitted(&mut limits, now, "2001:db8::ffff:1:2:3", 5), 1, "the same /64");
    assert_eq!(admitted(&mut limits, now, "2001:db8:0:1::1", 5), 2, "another");
    assert_eq!(admitted(&mut limits, now, "192.0.2.1", 1), 1);
    assert_eq!(admitted(&mut limits, now, "::ffff:192.0.2.1", 5), 1, "the same address, mapped");
}

#[test]
fn loopback_and_a_rate_of_zero_are_not_limited() {
    let now = Instant::now();
    for from in ["127.0.0.1", "::1", "127.8.9.1", "::ffff:127.0.0.1"] {
        assert_eq!(admitted(&mut limits(1, 1), now, from, 1000), 1000, "{from}");
    }
    assert_eq!(admitted(&mut limits(0, 1), now, "192.0.2.1", 1000), 1000);
}

#[test]
fn a_token_has_a_bucket_of_its_own() {
    let mut headers = Headers::default();
    headers.push("Authorization", b"Bearer t");
    let (method, path) = (Method::Post, "/whip/cam".to_owned());
    let request = Request { method, path, query: None, headers, body: Vec::new(), keep_alive: true, peer: None };
    let tokens = AccessConfig { publish_tokens: vec!["t".parse().unwrap()], ..AccessConfig::default() };
    let caller = Access::new(tokens).check(Role::Publish, &request).unwrap().expect("a token was presented");
    let per_token = Rate { per_second: 1, burst: 4 };
    let mut limits = Limits::new(LimitsConfig { per_token, ..LimitsConfig::default() });
    let now = Instant::now();
    assert_eq!((0..10).filter(|_| limits.admit_caller(now, &caller).is_ok()).count(), 4);
}

#[test]
fn the_table_is_bounded_and_addresses_that_ask_once_do_not_displace_a_busy_one() {
    let (mut limits, start) = (limits(1, 50), Instant::now());
    assert_eq!(admitted(&mut limits, start, "192.0.2.1", 1000), 50);
    for host in 0..100_000u32 {
        let from = IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + host));
        limits.admit_address(start, from).unwrap();
    }
    assert_eq!(limits.addresses.tats.len(), MAX_BUCKETS);
    assert_eq!(admitted(&mut limits, start, "192.0.2.1", 10), 0, "it is still known");
}

#[test]
fn full_buckets_are_forgotten() {
    let (mut limits, start) = (limits(10, 10), Instant::now());
    for net in 0..1000u128 {
        limits.admit_address(start, IpAddr::V6(Ipv6Addr::from(net << 64))).unwrap();
    }
    assert_eq!(limits.addresses.tats.len(), 1000);
    assert_eq!(admitted(&mut limits, start + Duration::from_secs(10), "192.0.2.1", 600), 10);
    let later = start + Duration::from_secs(10);
    for host in 0..1000 {
        let _ = limits.admit_address(later, IpAddr::V4(Ipv4Addr::from(0x0a00_0000 + host % 4)));
    }
    assert!(limits.addresses.tats.len() < 1000 - 60, "{}", limits.addresses.tats.len());
}

#[test]
fn half_open_sessions_are_counted_until_they_are_given_back() {
    let mut limits = Limits::new(LimitsConfig { half_open_per_address: 2, ..LimitsConfig::default() });
    let from = ip("192.0.2.1");
    assert_eq!(limits.half_open_begin(from), Ok(()));
    assert_eq!(limits.half_open_begin(from), Ok(()));
    assert_eq!(limits.half_open_begin(from), Err(Problem::TooManyRequests { retry_after_s: 2 }));
    assert_eq!(limits.half_open_begin(ip("192.0.2.2")), Ok(()));
    limits.half_open_end(from);
    assert_eq!(limits.half_open_begin(from), Ok(()));
    for _ in 0..5 {
        limits.half_open_end(from);
        limits.half_open_end(ip("192.0.2.2"));
    }
    assert!(limits.half_open.is_empty(), "what is not counted takes no memory");
    for _ in 0..1000 {
        assert_eq!(limits.half_open_begin(ip("::1")), Ok(()));
    }
}
