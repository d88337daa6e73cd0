//! What is said at start: a few lines for whoever sits before the terminal or reads the journal.

use crate::host::Warning;
use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// What runs, and on what.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct StartUp {
    /// Where HTTP is served.
    pub(crate) http: SocketAddr,
    /// The UDP port.
    pub(crate) media: SocketAddr,
    /// Executors that carry media.
    pub(crate) shards: usize,
    /// Cores that they have.
    pub(crate) cores: usize,
    /// What clients are told to send to.
    pub(crate) announced: Vec<IpAddr>,
    /// Whether the kernel takes a run of datagrams in one call.
    pub(crate) gso: bool,
    /// Whether it gives one.
    pub(crate) gro: bool,
}

impl fmt::Display for StartUp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let version = env!("CARGO_PKG_VERSION");
        writeln!(f, "oneport {version}: open {} in a browser", self.page())?;
        writeln!(f, "  http      TCP {}{}", self.http, scope(self.http))?;
        writeln!(f, "  media     UDP {}{}", self.media, scope(self.media))?;
        writeln!(f, "  shards    {} on {}", self.shards, cores(self.cores))?;
        writeln!(f, "  announced {}", announced(&self.announced))?;
        writeln!(f, "  offloads  GSO {}, GRO {}", available(self.gso), available(self.gro))
    }
}

impl StartUp {
    /// A URL that works on this machine. Browsers give camera and microphone to `localhost` without HTTPS.
    fn page(&self) -> String {
        let ip = self.http.ip();
        match ip.is_unspecified() || ip.is_loopback() {
            true => format!("http://localhost:{}/", self.http.port()),
            false => format!("http://{}/", self.http),
        }
    }

    /// What is odd about it, beside what is wrong with the host.
    pub(crate) fn warnings(&self) -> Vec<Warning> {
        if !self.announced.is_empty() {
            return Vec::new();
        }
        vec![Warning {
            what: "there is no address that clients can be told to send media to".to_owned(),
            mend: "media.public_addresses or --public-address".to_owned(),
        }]
    }
}

fn scope(address: SocketAddr) -> &'static str {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => " (all addresses, IPv4 only)",
        IpAddr::V6(ip) if ip.is_unspecified() => " (all addresses, IPv4 and IPv6)",
        ip if ip.is_loopback() => " (this machine only)",
        _ => "",
    }
}

fn cores(count: usize) -> String {
    if count == 1 { "1 core".to_owned() } else { format!("{count} cores") }
}

fn announced(addresses: &[IpAddr]) -> String {
    match addresses {
        [] => "none".to_owned(),
        _ => addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", "),
    }
}

fn available(yes: bool) -> &'static str {
    if yes { "available" } else { "not available" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start_up(http: &str, media: &str) -> StartUp {
        StartUp {
            http: http.parse().unwrap(),
            media: media.parse().unwrap(),
            shards: 4,
            cores: 4,
            announced: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
            gso: true,
            gro: false,
        }
    }

    #[test]
    fn everything_is_said_in_six_lines() {
        let expected = format!(
            "oneport {}: open http://localhost:8080/ in a browser\n  \
             http      TCP [::]:8080 (all addresses, IPv4 and IPv6)\n  \
             media     UDP 0.0.0.0:8000 (all addresses, IPv4 only)\n  \
             shards    4 on 4 cores\n  \
             announced 192.0.2.1, 2001:db8::1\n  \
             offloads  GSO available, GRO not available\n",
            env!("CARGO_PKG_VERSION"),
        );
        assert_eq!(start_up("[::]:8080", "0.0.0.0:8000").to_string(), expected);
    }

    #[test]
    fn the_page_is_where_http_is_bound() {
        assert_eq!(start_up("192.0.2.1:80", "[::]:1").page(), "http://192.0.2.1:80/");
        assert_eq!(start_up("[2001:db8::1]:80", "[::]:1").page(), "http://[2001:db8::1]:80/");
        assert_eq!(start_up("127.0.0.1:81", "[::]:1").page(), "http://localhost:81/");
    }

    #[test]
    fn a_server_that_nobody_could_reach_says_so() {
        let nowhere = StartUp { announced: Vec::new(), ..start_up("[::]:80", "[::]:1") };
        assert!(nowhere.to_string().contains("announced none"));
        assert!(nowhere.warnings()[0].mend.contains("--public-address"));
        assert_eq!(start_up("[::]:80", "[::]:1").warnings(), []);
    }
}
