//! Streams that another node serves: 307 with the same path there (RFC 9725 §4.5, RFC 9110 §15.4.8).
//!
//! A client follows a redirect of its POST only; the session URL that it gets belongs to the node that answered 201.

use crate::authority::is_host_and_port;
use crate::http::Request;
use crate::name::StreamName;
use crate::stream_glob::StreamGlob;
use oneport_engine::control::Role;
use std::fmt;
use std::str::FromStr;

/// One rule: `[publish|play] app/stream-pattern https://node`.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Redirect {
    /// Only sessions of this role, or of both.
    role: Option<Role>,
    glob: StreamGlob,
    /// Scheme and authority, without a slash at the end.
    node: String,
}

/// All rules; the first that fits counts. Empty by default.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Redirects(pub Vec<Redirect>);

impl Redirects {
    /// Where a request for a session goes on, as `Location` says it: the same path and query on the other node. `None` when the
    /// stream is served here.
    pub fn find(&self, role: Role, name: &StreamName, request: &Request) -> Option<String> {
        let is_for = |rule: &&Redirect| rule.role.is_none_or(|only| only == role) && rule.glob.matches(name);
        let node = &self.0.iter().find(is_for)?.node;
        Some(match &request.query {
            Some(query) => format!("{node}{}?{query}", request.path),
            None => format!("{node}{}", request.path),
        })
    }
}

impl FromStr for Redirect {
    type Err = String;

    fn from_str(written: &str) -> Result<Redirect, String> {
        let words: Vec<&str> = written.split_whitespace().collect();
        let (role, glob, node) = match words.as_slice() {
            [glob, node] => (None, glob, node),
            ["publish", glob, node] => (Some(Role::Publish), glob, node),
            ["play", glob, node] => (Some(Role::Play), glob, node),
            _ => {
                let example = "\"live/cam* https://node2.example\", with publish or play in front for that alone";
                return Err(format!("\"{}\" is no rule such as {example}", written.escape_debug()));
            }
        };
        Ok(Redirect { role, glob: glob.parse()?, node: node_of(node)? })
    }
}

fn node_of(written: &str) -> Result<String, String> {
    let node = written.strip_suffix('/').unwrap_or(written);
    match node.split_once("://") {
        Some(("http" | "https", authority)) if is_host_and_port(authority) => Ok(node.to_owned()),
        _ => Err(format!("\"{}\" is no node such as \"https://node2.example:8443\"", written.escape_debug())),
    }
}

impl fmt::Display for Redirect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = match self.role {
            Some(Role::Publish) => "publish ",
            Some(Role::Play) => "play ",
            Some(Role::Echo) => "echo ",
            None => "",
        };
        write!(f, "{role}{} {}", self.glob, self.node)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Headers, Method};

    fn find(role: Role, path: &str, query: Option<&str>) -> Option<String> {
        let rules = ["live/cam* https://node2.example:8443/", "play */* http://[2001:db8::2]"];
        let redirects = Redirects(rules.map(|rule| rule.parse().unwrap()).to_vec());
        let segments: Vec<&str> = path.split('/').skip(2).collect();
        let name = StreamName::from_segments(&segments).unwrap().unwrap();
        let (query, headers) = (query.map(str::to_owned), Headers::default());
        let (method, path) = (Method::Post, path.to_owned());
        let request = Request { method, path, query, headers, body: Vec::new(), keep_alive: true, peer: None };
        redirects.find(role, &name, &request)
    }

    #[test]
    fn the_path_stays_as_it_was_written() {
        let to = |location: &str| Some(location.to_owned());
        assert_eq!(find(Role::Publish, "/whip/cam1", None), to("https://node2.example:8443/whip/cam1"));
        assert_eq!(
            find(Role::Publish, "/whip/live/cam%201", Some("a=b&c")),
            to("https://node2.example:8443/whip/live/cam%201?a=b&c")
        );
        assert_eq!(find(Role::Publish, "/whip/studio/x", None), None);
        assert_eq!(find(Role::Play, "/whep/studio/x", None), to("http://[2001:db8::2]/whep/studio/x"));
    }

    #[test]
    fn rules_are_checked_when_they_are_configured() {
        for rule in ["", "live/*", "a b c d", "pull live/* https://a"] {
            assert!(rule.parse::<Redirect>().is_err(), "{rule}");
        }
        for node in
            ["node2", "ftp://a", "https://", "https://a/b", "https://a?b", "https://u:p@a", "https://a:x", "//a"]
        {
            assert!(format!("live/* {node}").parse::<Redirect>().is_err(), "{node}");
        }
        let written = "play live/cam* https://node2.example";
        assert_eq!(written.parse::<Redirect>().unwrap().to_string(), written);
    }
}
