//! HTTP as the checks need it: any method with any headers, and every status, redirects too, as a reply to look at.

use crate::cli::Options;
use crate::links::{Link, parse_links};
use crate::report::Shortfall;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use ureq::http::{Method, Request, Response};
use ureq::tls::{TlsConfig, TlsProvider};
use ureq::{Agent, AsSendBody};
use url::Url;

/// No answer of a WHIP or WHEP server is longer.
const MAX_REPLY: u64 = 1 << 20;

/// Waits of a throttled request, and the longest that a server may ask for.
const MAX_RETRIES: usize = 5;
const MAX_RETRY_AFTER: u64 = 10;

/// What a server said when it had too much to do.
#[derive(Default, Debug)]
pub(crate) struct Throttling {
    /// 429 or 503 with Retry-After.
    pub(crate) with_retry_after: AtomicBool,
    /// Without.
    pub(crate) without: AtomicBool,
}

/// A server's answer.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    /// What was asked.
    pub(crate) url: Url,
}

impl Reply {
    /// The first header of a name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// All headers of a name as one list (RFC 9110 §5.3).
    pub(crate) fn list(&self, name: &str) -> String {
        let values = self.headers.iter().filter(|(other, _)| other.eq_ignore_ascii_case(name));
        values.map(|(_, value)| value.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// Whether a list header names `item`, in any case; parameters are passed over.
    pub(crate) fn lists(&self, name: &str, item: &str) -> bool {
        let list = self.list(name);
        list.split(',').filter_map(|entry| entry.split(';').next()).any(|entry| entry.trim().eq_ignore_ascii_case(item))
    }

    /// The media type, lower case and without its parameters.
    pub(crate) fn media_type(&self) -> Option<String> {
        Some(self.header("content-type")?.split(';').next()?.trim().to_ascii_lowercase())
    }

    pub(crate) fn links(&self) -> Vec<Link> {
        parse_links(&self.list("link"))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// `Location`, relative to what was asked.
    pub(crate) fn location(&self) -> Option<Url> {
        self.url.join(self.header("location")?).ok()
    }

    pub(crate) fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    pub(crate) fn is_client_error(&self) -> bool {
        (400..500).contains(&self.status)
    }

    /// Seconds of `Retry-After` in a 429 or 503, unless they are too many.
    fn retry_after(&self) -> Option<Duration> {
        let seconds: u64 = self.header("retry-after")?.trim().parse().ok()?;
        let waits = matches!(self.status, 429 | 503) && seconds <= MAX_RETRY_AFTER;
        waits.then(|| Duration::from_secs(seconds))
    }

    /// In a few words, for a report.
    pub(crate) fn brief(&self) -> String {
        let kind = self.media_type().unwrap_or_else(|| "no Content-Type".to_owned());
        format!("{} ({kind}, {} bytes)", self.status, self.body.len())
    }

    /// What a test or an error path needs of a reply that no server gave.
    #[cfg(test)]
    pub(crate) fn made(status: u16, headers: &[(&str, &str)], body: &str) -> Reply {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let url = Url::parse("http://server.example:8080/whip/live/one?x=1").unwrap();
        Reply { status, headers, body: body.as_bytes().to_vec(), url }
    }
}

/// The client.
#[derive(Clone)]
pub(crate) struct Http {
    agent: Agent,
    token: Option<String>,
    pub(crate) throttling: Arc<Throttling>,
}

impl Http {
    pub(crate) fn new(options: &Options) -> Http {
        let tls = TlsConfig::builder().provider(TlsProvider::NativeTls).disable_verification(options.insecure).build();
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .max_redirects_will_error(false)
            .allow_non_standard_methods(true)
            .proxy(None)
            .tls_config(tls)
            .timeout_global(Some(Duration::from_secs(options.timeout)))
            .user_agent(concat!("oneport-conformance/", env!("CARGO_PKG_VERSION")))
            .build();
        Http { agent: config.into(), token: options.token.clone(), throttling: Arc::default() }
    }

    /// Begins a request.
    pub(crate) fn call(&self, method: &'static str, url: &Url) -> Call<'_> {
        let headers = self.token.iter().map(|token| ("Authorization", format!("Bearer {token}"))).collect();
        Call { http: self, method, url: url.clone(), headers, body: None, timeout: None }
    }
}

/// A request that is not sent yet.
pub(crate) struct Call<'h> {
    http: &'h Http,
    method: &'static str,
    url: Url,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    timeout: Option<Duration>,
}

impl Call<'_> {
    /// One header more.
    pub(crate) fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = Some(body.into());
        self
    }

    /// Without the token.
    pub(crate) fn anonymous(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "Authorization");
        self
    }

    /// Gives the whole exchange another time than the usual one.
    pub(crate) fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = Some(timeout);
        self
    }

    /// The whole answer. A server that gives none has failed whatever is checked; one that has too much to do is asked again when it
    /// says.
    pub(crate) fn send(self) -> Result<Reply, Shortfall> {
        let mut reply = self.exchange()?;
        for _ in 0..MAX_RETRIES {
            self.note_throttling(&reply);
            let Some(after) = reply.retry_after() else { break };
            std::thread::sleep(after);
            reply = self.exchange()?;
        }
        Ok(reply)
    }

    fn note_throttling(&self, reply: &Reply) {
        if matches!(reply.status, 429 | 503) {
            let Throttling { with_retry_after, without } = &*self.http.throttling;
            let seen = if reply.header("retry-after").is_some() { with_retry_after } else { without };
            seen.store(true, Ordering::Relaxed);
        }
    }

    fn exchange(&self) -> Result<Reply, Shortfall> {
        let failed = |error: ureq::Error| {
            Shortfall::fail(format!("an answer to {} {}", self.method, self.url), error.to_string())
        };
        let mut response = self.open().map_err(failed)?;
        let body = response.body_mut().with_config().limit(MAX_REPLY).read_to_vec().map_err(failed)?;
        let text = |value: &ureq::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers = response.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        Ok(Reply { status: response.status().as_u16(), headers, body, url: self.url.clone() })
    }

    /// The answer with its body still to come.
    pub(crate) fn open(&self) -> Result<Response<ureq::Body>, ureq::Error> {
        let method = Method::from_bytes(self.method.as_bytes()).map_err(ureq::http::Error::from)?;
        let mut request = Request::builder().method(method).uri(self.url.as_str());
        for (name, value) in &self.headers {
            request = request.header(*name, value);
        }
        // POST and PATCH say their length even when it is 0.
        let empty = matches!(self.method, "POST" | "PATCH" | "PUT").then_some(&[][..]);
        match self.body.as_deref().or(empty) {
            Some(body) => self.run(request.body(body)?),
            None => self.run(request.body(())?),
        }
    }

    fn run(&self, request: Request<impl AsSendBody>) -> Result<Response<ureq::Body>, ureq::Error> {
        let agent = &self.http.agent;
        let timeout = self.timeout.or(agent.config().timeouts().global);
        agent.run(agent.configure_request(request).timeout_global(timeout).build())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_may_be_relative_or_absolute() {
        let at = |location: &str| Reply::made(201, &[("location", location)], "").location().unwrap().to_string();
        assert_eq!(at("/session/1"), "http://server.example:8080/session/1");
        assert_eq!(at("two"), "http://server.example:8080/whip/live/two");
        assert_eq!(at("https://other.example/s?id=3"), "https://other.example/s?id=3");
        assert_eq!(Reply::made(201, &[], "").location(), None);
    }

    #[test]
    fn lists_are_read_across_headers_and_without_parameters() {
        let reply = Reply::made(200, &[("Accept-Post", "text/plain"), ("accept-post", "Application/SDP; q=1")], "");
        assert!(reply.lists("Accept-Post", "application/sdp"));
        assert!(!reply.lists("Accept-Post", "application"));
        assert!(!reply.lists("Allow", "GET"));
    }

    #[test]
    fn a_throttled_request_waits_as_it_is_told_but_not_for_ever() {
        let after = |status, seconds: &str| Reply::made(status, &[("retry-after", seconds)], "").retry_after();
        assert_eq!(after(429, "2"), Some(Duration::from_secs(2)));
        assert_eq!(after(503, "0"), Some(Duration::ZERO));
        assert_eq!(after(409, "2"), None, "the stream has no publisher, which is an answer");
        assert_eq!(after(429, "86400"), None);
        assert_eq!(after(429, "Mon, 23 Nov 2026 16:00:00 GMT"), None);
    }

    #[test]
    fn a_media_type_is_compared_without_case_and_parameters() {
        let reply = Reply::made(201, &[("Content-Type", "Application/SDP ; charset=utf-8")], "");
        assert_eq!(reply.media_type().as_deref(), Some("application/sdp"));
    }
}
