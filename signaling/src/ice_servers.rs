//! The STUN and TURN servers that clients are told (RFC 9725 §4.6, RFC 8288 links), with credentials where TURN wants them.
//!
//! Credentials are fixed ones, or are made for each session from a secret shared with the TURN server, as coturn's
//! `use-auth-secret` has it (draft-uberti-behave-turn-rest): the name is `expiry:user` and the password its HMAC-SHA1.
//! This server itself needs neither STUN nor TURN: it has a public port.

use crate::authority::is_host_and_port;
use crate::secret::Secret;
use aws_lc_rs::hmac;
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Longest name of a user within time-limited credentials.
const MAX_USER: usize = 64;

/// A server, by a URI of RFC 7064 (`stun`, `stuns`) or RFC 7065 (`turn`, `turns`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IceServer {
    uri: String,
    is_turn: bool,
}

/// `[ice]`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IceServersConfig {
    /// What clients are told, in this order. Default: none.
    pub servers: Vec<IceServer>,
    /// The name of the fixed credentials. Default: none.
    pub turn_username: Secret,
    /// Their password. Default: none.
    pub turn_credential: Secret,
    /// What time-limited credentials are made from; it excludes the fixed ones. Default: none.
    pub turn_secret: Secret,
    /// How long those are valid. A session that lasts longer keeps its allocation only until they must be shown again.
    /// Default: 24 hours.
    pub turn_ttl: Duration,
}

impl Default for IceServersConfig {
    fn default() -> IceServersConfig {
        IceServersConfig {
            servers: Vec::new(),
            turn_username: Secret::default(),
            turn_credential: Secret::default(),
            turn_secret: Secret::default(),
            turn_ttl: Duration::from_secs(86_400),
        }
    }
}

impl IceServersConfig {
    /// What does not fit together: the key at fault, and the sentence.
    pub fn fault(&self) -> Option<(&'static str, &'static str)> {
        let has_turn = self.servers.iter().any(|server| server.is_turn);
        match (self.turn_username.is_empty(), self.turn_credential.is_empty(), self.turn_secret.is_empty()) {
            (false, _, false) => Some(("turn_username", "excludes turn_secret: credentials are fixed or time-limited")),
            (_, false, false) => {
                Some(("turn_credential", "excludes turn_secret: credentials are fixed or time-limited"))
            }
            (false, true, _) => Some(("turn_username", "needs turn_credential")),
            (true, false, _) => Some(("turn_credential", "needs turn_username")),
            (true, true, true) if has_turn => {
                Some(("servers", "has a TURN server, which needs turn_username and turn_credential, or turn_secret"))
            }
            _ => None,
        }
    }

    /// The values of the `Link` fields, one for each server. `user` goes into time-limited names, for the TURN server's log.
    pub fn links(&self, now: SystemTime, user: &str) -> Vec<String> {
        let (username, credential) = self.credentials(now, user);
        let link = |server: &IceServer| {
            let link = format!("<{}>; rel=\"ice-server\"", server.uri);
            if !server.is_turn {
                return link;
            }
            let (username, credential) = (quoted(&username), quoted(&credential));
            format!("{link}; username={username}; credential={credential}; credential-type=\"password\"")
        };
        self.servers.iter().map(link).collect()
    }

    fn credentials(&self, now: SystemTime, user: &str) -> (String, String) {
        if self.turn_secret.is_empty() {
            return (self.turn_username.reveal().to_owned(), self.turn_credential.reveal().to_owned());
        }
        let token = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '_' };
        let user: String = user.chars().take(MAX_USER).map(token).collect();
        let expiry = now.duration_since(UNIX_EPOCH).unwrap_or_default() + self.turn_ttl;
        let username = format!("{}:{user}", expiry.as_secs());
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.turn_secret.reveal().as_bytes());
        let credential = BASE64_STANDARD.encode(hmac::sign(&key, username.as_bytes()));
        (username, credential)
    }
}

/// A quoted-string of RFC 9110 §5.6.4.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

impl FromStr for IceServer {
    type Err = String;

    fn from_str(written: &str) -> Result<IceServer, String> {
        let wrong = |what: &str| Err(format!("\"{}\" {what}", written.escape_debug()));
        let Some((scheme, rest)) = written.split_once(':') else {
            return wrong("is no URI such as \"stun:stun.example.com:3478\"");
        };
        let is_turn = match scheme {
            "turn" | "turns" => true,
            "stun" | "stuns" => false,
            _ => return wrong("must begin with stun:, stuns:, turn: or turns:"),
        };
        let (host, query) = rest.split_once('?').map_or((rest, None), |(host, query)| (host, Some(query)));
        match query {
            None => {}
            Some("transport=udp" | "transport=tcp") if is_turn => {}
            Some(_) if is_turn => return wrong("may only have ?transport=udp or ?transport=tcp"),
            Some(_) => return wrong("may have no query: that is for turn: and turns:"),
        }
        if !is_host_and_port(host) {
            return wrong("must have a host, and may have a port, behind the scheme: no slashes, no user");
        }
        Ok(IceServer { uri: written.to_owned(), is_turn })
    }
}

impl fmt::Display for IceServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.uri)
    }
}

#[cfg(test)]
#[path = "tests/ice_servers.rs"]
mod tests;
