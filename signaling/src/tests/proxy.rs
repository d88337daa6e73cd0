//! Chains of proxies, and clients that make some up.

use super::*;
use crate::http::{Headers, Method};

const FORWARDED: &str = "Forwarded";
const X_FORWARDED: &str = "X-Forwarded-For";

/// Behind 10.0.0.0/8 and 2001:db8:a::/48.
fn client(peer: &str, fields: &[(&str, &str)]) -> String {
    let proxies = TrustedProxies(["10.0.0.0/8", "2001:db8:a::/48"].map(|network| network.parse().unwrap()).to_vec());
    let mut headers = Headers::default();
    fields.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
    let (method, path, peer) = (Method::Post, "/whip/cam".to_owned(), Some((ip(peer), 1).into()));
    let request = Request { method, path, query: None, headers, body: Vec::new(), keep_alive: true, peer };
    proxies.client_address(&request).expect("the peer is known").to_string()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn only_a_trusted_peer_is_believed() {
    for name in [FORWARDED, X_FORWARDED] {
        let value = if name == FORWARDED { "for=203.0.113.9" } else { "203.0.113.9" };
        assert_eq!(client("198.51.100.1", &[(name, value)]), "198.51.100.1");
        assert_eq!(client("10.0.0.1", &[(name, value)]), "203.0.113.9");
        assert_eq!(client("2001:db8:a::1", &[(name, value)]), "203.0.113.9");
        assert_eq!(client("::ffff:10.0.0.1", &[(name, value)]), "203.0.113.9");
    }
    assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
}

#[test]
fn every_form_of_a_node_is_read() {
    for (value, expected) in [
        ("for=203.0.113.9", "203.0.113.9"),
        ("For=\"203.0.113.9:4711\"", "203.0.113.9"),
        ("proto=https;FOR=\"[2001:db8::17]:4711\";by=203.0.113.43", "2001:db8::17"),
        ("for=\"[2001:db8::17]\" ; host=\"a,b;for=1.2.3.4\"", "2001:db8::17"),
        ("for=192.0.2.43,for=198.51.100.17;by=203.0.113.60", "198.51.100.17"),
        ("by=\"a\\\",for=1.2.3.4\";for=203.0.113.9", "203.0.113.9"),
    ] {
        assert_eq!(client("10.0.0.1", &[(FORWARDED, value)]), expected, "{value}");
    }
    for (value, expected) in [
        ("203.0.113.9", "203.0.113.9"),
        ("203.0.113.9:4711", "203.0.113.9"),
        ("2001:db8::17", "2001:db8::17"),
        ("[2001:db8::17]:4711", "2001:db8::17"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("1.2.3.4 ,\t203.0.113.9 ", "203.0.113.9"),
    ] {
        assert_eq!(client("10.0.0.1", &[(X_FORWARDED, value)]), expected, "{value}");
    }
}

#[test]
fn trusted_proxies_are_walked_past_and_what_lies_behind_the_client_is_not_believed() {
    let chain = "198.51.100.66, 203.0.113.9, 2001:db8:a::7, 10.0.0.1";
    assert_eq!(client("10.0.0.2", &[(X_FORWARDED, chain)]), "203.0.113.9");
    let fields = [(X_FORWARDED, "198.51.100.66, 203.0.113.9"), (X_FORWARDED, "10.0.0.1")];
    assert_eq!(client("10.0.0.2", &fields), "203.0.113.9", "fields of one name are one list");
    let elements = [(FORWARDED, "for=198.51.100.66"), (FORWARDED, "for=203.0.113.9, for=10.0.0.1")];
    assert_eq!(client("10.0.0.2", &elements), "203.0.113.9");
    assert_eq!(client("10.0.0.2", &[(X_FORWARDED, "10.0.0.7, 10.0.0.1")]), "10.0.0.7", "the client is within");
}

#[test]
fn what_makes_no_sense_ends_the_walk() {
    let long = "x,".repeat(10_000);
    for value in ["unknown", "for=unknown", "", ",", ",,,", "for", "203.0.113", "203.0.113.9:x", "[::1", "\"", &long] {
        assert_eq!(client("10.0.0.1", &[(X_FORWARDED, value)]), "10.0.0.1", "{value:.20}");
        assert_eq!(client("10.0.0.1", &[(FORWARDED, value)]), "10.0.0.1", "{value:.20}");
    }
    for value in
        ["for=_hidden", "for=\"203.0.113.9", "for=203.0.113.9;for=1.2.3.4", "for=\"203.0.113.9\\\"", "by=1.2.3.4"]
    {
        assert_eq!(client("10.0.0.1", &[(FORWARDED, value)]), "10.0.0.1", "{value}");
    }
    assert_eq!(client("10.0.0.1", &[(X_FORWARDED, "evil, 203.0.113.9")]), "203.0.113.9");
    assert_eq!(client("10.0.0.1", &[(X_FORWARDED, "203.0.113.9, evil, 10.0.0.3")]), "10.0.0.3");
}

#[test]
fn a_field_that_the_proxy_let_pass_deceives_nobody() {
    let honest = (X_FORWARDED, "203.0.113.9");
    assert_eq!(client("10.0.0.1", &[(FORWARDED, "for=1.2.3.4"), honest]), "10.0.0.1");
    assert_eq!(client("10.0.0.1", &[(FORWARDED, "for=203.0.113.9"), honest]), "203.0.113.9");
}

#[test]
fn networks_are_checked_when_they_are_configured() {
    for good in ["10.0.0.0/8", "192.0.2.1", "::1", "2001:db8::/32", "0.0.0.0/0"] {
        assert!(good.parse::<TrustedProxy>().is_ok(), "{good}");
    }
    let wrong = |text: &str| text.parse::<TrustedProxy>().unwrap_err();
    assert_eq!(wrong("10.0.0.1/8"), "10.0.0.1/8 has bits behind its prefix; did you mean 10.0.0.0/8?");
    for text in ["", "proxy.example", "10.0.0.0/33", "10.0.0.0/", "10/8"] {
        assert!(wrong(text).contains("is no network"), "{text}");
    }
}
