//! Addresses as a user writes them, in the file or after a flag.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;

/// Where a socket listens, before it is known whether the host has IPv6.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum ListenAddress {
    /// A port of every address, IPv4 and, where the host has it, IPv6.
    AllAddresses(u16),
    /// One address, or all of one family.
    At(SocketAddr),
}

impl ListenAddress {
    /// The address to bind. `[::]` is meant dual stack.
    pub(crate) fn resolve(self, ipv6: bool) -> SocketAddr {
        match self {
            ListenAddress::AllAddresses(port) if ipv6 => (Ipv6Addr::UNSPECIFIED, port).into(),
            ListenAddress::AllAddresses(port) => (Ipv4Addr::UNSPECIFIED, port).into(),
            ListenAddress::At(address) => address,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = String;

    fn from_str(written: &str) -> Result<ListenAddress, String> {
        let port = written.strip_prefix(':').unwrap_or(written);
        if !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit()) {
            let port = port.parse().map_err(|_| format!("port {port} is out of range: 0 to 65535"))?;
            return Ok(ListenAddress::AllAddresses(port));
        }
        written.parse().map(ListenAddress::At).map_err(|_| misfit(written))
    }
}

fn misfit(written: &str) -> String {
    let forms = "IP:PORT, [IPv6]:PORT, :PORT or PORT";
    match written.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => format!("the port is missing: \"{ip}:PORT\""),
        Ok(IpAddr::V6(ip)) => format!("the port is missing: \"[{ip}]:PORT\""),
        Err(_) => format!("\"{}\" is no address; write {forms}", written.escape_debug()),
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ListenAddress::AllAddresses(port) => write!(f, ":{port}"),
            ListenAddress::At(address) => address.fmt(f),
        }
    }
}

/// An address that clients can be told.
///
/// # Errors
/// A sentence: it is no address, or none that a datagram can be sent to from elsewhere.
pub(crate) fn public_address(written: &str) -> Result<IpAddr, String> {
    let Ok(ip) = written.parse::<IpAddr>() else {
        let hint =
            if written.parse::<SocketAddr>().is_ok() { "write it without the port" } else { "write an IP address" };
        return Err(format!("\"{}\" is no address; {hint}", written.escape_debug()));
    };
    let ip = ip.to_canonical();
    let broadcast = ip == IpAddr::V4(Ipv4Addr::BROADCAST);
    if ip.is_unspecified() || ip.is_multicast() || broadcast {
        return Err(format!("{ip} is no address of one host"));
    }
    Ok(ip)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_of_a_listen_address_is_understood() {
        let at = |address: &str| ListenAddress::At(address.parse().unwrap());
        for (written, parsed) in [
            ("8000", ListenAddress::AllAddresses(8000)),
            (":8000", ListenAddress::AllAddresses(8000)),
            ("127.0.0.1:8000", at("127.0.0.1:8000")),
            ("[::]:8000", at("[::]:8000")),
            ("0.0.0.0:0", at("0.0.0.0:0")),
        ] {
            assert_eq!(written.parse(), Ok(parsed), "{written}");
            assert_eq!(parsed.to_string().parse(), Ok(parsed), "what is printed can be written");
        }
    }

    #[test]
    fn a_wrong_listen_address_is_told_what_is_missing() {
        for (written, sentence) in [
            ("127.0.0.1", "the port is missing: \"127.0.0.1:PORT\""),
            ("::1", "the port is missing: \"[::1]:PORT\""),
            ("65536", "port 65536 is out of range: 0 to 65535"),
            ("localhost:80", "\"localhost:80\" is no address; write IP:PORT, [IPv6]:PORT, :PORT or PORT"),
            ("", "\"\" is no address; write IP:PORT, [IPv6]:PORT, :PORT or PORT"),
            (":", "\":\" is no address; write IP:PORT, [IPv6]:PORT, :PORT or PORT"),
        ] {
            assert_eq!(written.parse::<ListenAddress>(), Err(sentence.to_owned()));
        }
    }

    #[test]
    fn all_addresses_are_dual_stack_where_the_host_has_ipv6() {
        let all = ListenAddress::AllAddresses(8000);
        assert_eq!(all.resolve(true), "[::]:8000".parse().unwrap());
        assert_eq!(all.resolve(false), "0.0.0.0:8000".parse().unwrap());
        let one: ListenAddress = "127.0.0.1:1".parse().unwrap();
        assert_eq!(one.resolve(true), "127.0.0.1:1".parse().unwrap());
    }

    #[test]
    fn a_public_address_is_one_hosts() {
        assert_eq!(public_address("192.0.2.1"), Ok("192.0.2.1".parse().unwrap()));
        assert_eq!(public_address("::ffff:192.0.2.1"), Ok("192.0.2.1".parse().unwrap()));
        for wrong in ["0.0.0.0", "::", "224.0.0.1", "ff02::1", "255.255.255.255", "example.org", "192.0.2.1:80", ""] {
            assert!(public_address(wrong).is_err(), "{wrong}");
        }
    }
}
