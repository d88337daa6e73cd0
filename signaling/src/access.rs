//! Who may publish and play: static bearer tokens (RFC 9725 §4.7, RFC 6750 §2.1 and §2.3).
//!
//! A role without tokens is open to everybody. Only digests of the tokens are compared, each in constant time and always all of
//! them: how long a refusal takes says nothing of how near a guess was. Tokens that have a lifetime or belong to one stream are
//! not known here.

use crate::http::Request;
use crate::problem::Problem;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::digest::{SHA256, digest};
use oneport_engine::control::Role;
use percent_encoding::percent_decode_str;
use std::fmt;
use std::str::FromStr;

/// Longest token in bytes. A longer one that is presented is none of ours, and is not even hashed.
const MAX_TOKEN: usize = 512;

/// The tokens of each role; the default is none: everybody may publish and play.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AccessConfig {
    /// One of these must be presented to publish. Empty: nothing need be.
    pub publish_tokens: Vec<Token>,
    /// One of these must be presented to play. Empty: nothing need be.
    pub play_tokens: Vec<Token>,
}

/// A configured token, of which only the digest is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Caller);

/// Whoever presented a token. The same for the same token, and nothing that the token could be learnt from in a log.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Caller([u8; 32]);

/// Looks at what requests present.
#[derive(Clone, Debug)]
pub struct Access {
    config: AccessConfig,
}

impl Access {
    /// With these tokens.
    pub fn new(config: AccessConfig) -> Access {
        Access { config }
    }

    /// Whether a request may open a session of this role; `None` is anybody, where the role is open.
    ///
    /// # Errors
    /// [`Problem::Unauthorized`] without a token of this server, [`Problem::Forbidden`] with one of the other role.
    pub fn check(&self, role: Role, request: &Request) -> Result<Option<Caller>, Problem> {
        let (allowed, others) = match role {
            // An echo sends as much as a publisher does.
            Role::Publish | Role::Echo => (&self.config.publish_tokens, &self.config.play_tokens),
            Role::Play => (&self.config.play_tokens, &self.config.publish_tokens),
        };
        if allowed.is_empty() {
            return Ok(None);
        }
        let token = presented(request)?;
        let caller = Caller::of(&token);
        let (is_allowed, is_known) = (caller.is_among(allowed), caller.is_among(others));
        match (is_allowed, is_known) {
            (true, _) => Ok(Some(caller)),
            (false, true) => Err(Problem::Forbidden),
            (false, false) => Err(Problem::Unauthorized { presented: true }),
        }
    }

    /// Whether a request has a token at all.
    pub fn is_presented(request: &Request) -> bool {
        !matches!(presented(request), Err(Problem::Unauthorized { presented: false }))
    }

    /// Whether a request may touch a session of this role, which `opener` opened: it presents the same token.
    ///
    /// # Errors
    /// As [`Access::check`]; [`Problem::Forbidden`] with another token of the same role, too.
    pub fn check_session(&self, role: Role, opener: Option<&Caller>, request: &Request) -> Result<(), Problem> {
        match (self.check(role, request)?, opener) {
            (Some(caller), Some(opener)) if caller != *opener => Err(Problem::Forbidden),
            _ => Ok(()),
        }
    }
}

impl Caller {
    fn of(token: &str) -> Caller {
        let mut key = [0; 32];
        key.copy_from_slice(digest(&SHA256, token.as_bytes()).as_ref());
        Caller(key)
    }

    fn is_among(&self, tokens: &[Token]) -> bool {
        tokens.iter().fold(false, |found, Token(known)| found | verify_slices_are_equal(&self.0, &known.0).is_ok())
    }
}

impl FromStr for Token {
    type Err = String;

    /// Reads the `b64token` of RFC 6750 §2.1: what else is in a header field would be read differently by someone.
    fn from_str(written: &str) -> Result<Token, String> {
        if written.len() > MAX_TOKEN {
            return Err(format!("has a token of more than {MAX_TOKEN} characters"));
        }
        if is_b64token(written) {
            return Ok(Token(Caller::of(written)));
        }
        Err("has a token (not shown here) that is not letters, digits and any of -._~+/ with = at its end".to_owned())
    }
}

fn is_b64token(written: &str) -> bool {
    let body = written.trim_end_matches('=');
    !body.is_empty() && body.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~+/".contains(&byte))
}

/// The one token of a request: that of the header field or else that of the query. More than one is none, as those behind us may
/// see another one than we do.
fn presented(request: &Request) -> Result<String, Problem> {
    let invalid = Problem::Unauthorized { presented: true };
    let found = match only(request.headers.all("authorization").filter_map(bearer)) {
        Found::One(token) => token.to_owned(),
        Found::Several => return Err(invalid),
        Found::None => match only(in_query(request.query.as_deref().unwrap_or_default())) {
            Found::One(token) => percent_decode_str(token).decode_utf8_lossy().into_owned(),
            Found::Several => return Err(invalid),
            Found::None => return Err(Problem::Unauthorized { presented: false }),
        },
    };
    if found.len() <= MAX_TOKEN { Ok(found) } else { Err(invalid) }
}

/// The credentials behind the scheme, which has any case (RFC 9110 §11.1).
fn bearer(value: &str) -> Option<&str> {
    let (scheme, credentials) = value.split_once(' ').unwrap_or((value, ""));
    scheme.eq_ignore_ascii_case("bearer").then_some(credentials.trim_matches(' '))
}

fn in_query(query: &str) -> impl Iterator<Item = &str> {
    query.split('&').filter_map(|pair| pair.strip_prefix("token="))
}

enum Found<T> {
    None,
    One(T),
    Several,
}

fn only<T>(mut items: impl Iterator<Item = T>) -> Found<T> {
    match (items.next(), items.next()) {
        (None, _) => Found::None,
        (Some(item), None) => Found::One(item),
        (Some(_), Some(_)) => Found::Several,
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a token")
    }
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Caller(..)")
    }
}

#[cfg(test)]
#[path = "tests/access.rs"]
mod tests;
