//! The `host [":" port]` of URIs in the configuration (RFC 3986 §3.2), without a user.

use std::net::Ipv6Addr;

/// Longest name in DNS.
const MAX_HOST: usize = 253;

/// Whether this is a name of DNS or an address, with or without a port.
pub(crate) fn is_host_and_port(text: &str) -> bool {
    match text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((ipv6, rest)) => ipv6.parse::<Ipv6Addr>().is_ok() && (rest.is_empty() || is_port(rest.strip_prefix(':'))),
        None => match text.split_once(':') {
            Some((host, port)) => is_name(host) && is_port(Some(port)),
            None => is_name(text),
        },
    }
}

/// Also dotted IPv4. The underscore is against RFC 1123, and in use in private networks.
fn is_name(host: &str) -> bool {
    let is_of_dns = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._".contains(&byte));
    is_of_dns && (1..=MAX_HOST).contains(&host.len())
}

fn is_port(text: Option<&str>) -> bool {
    let digits = text.filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    digits.and_then(|digits| digits.parse::<u16>().ok()).is_some_and(|port| port != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_from_what_looks_like_them() {
        for good in ["a", "node-2.example", "192.0.2.1:1", "[::1]", "[2001:db8::1]:65535", "localhost:8080"] {
            assert!(is_host_and_port(good), "{good}");
        }
        let long = "x".repeat(254);
        for wrong in [
            "", ":1", "a:", "a:0", "a:65536", "a:+1", "a:b", "a:1:2", "::1", "[::1", "[a]", "[::1]1", "[::1]:", "u@a",
            &long,
        ] {
            assert!(!is_host_and_port(wrong), "{wrong}");
        }
        for wrong in ["a/", "a?", "a b", "a\n", "ä", "a>", "\"a\""] {
            assert!(!is_host_and_port(wrong), "{wrong}");
        }
    }
}
