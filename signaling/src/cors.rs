//! Cross-origin answers (the Fetch standard, §3.2) for WHIP, WHEP and session URLs: pages of any origin may publish and play.
//! Which origins may, and with which credentials, is not decided here yet: nothing of this server depends on a cookie.

use crate::http::{Request, Response};

/// Without this a page cannot read them, `Location` first of all.
const EXPOSED: &str = "Location, ETag, Link, Retry-After, Accept-Post";
const REQUEST_HEADERS: &str = "Authorization, Content-Type, If-Match, Link";
/// Seconds for which a browser need not ask again; Chromium keeps it no longer than two hours.
const MAX_AGE: &str = "7200";

/// Whether pages of other origins may use what is at a path.
pub(crate) fn is_open(path: &str) -> bool {
    ["/whip/", "/whep/", "/session/"].iter().any(|prefix| path.starts_with(prefix))
}

/// Lets a page of any origin read an answer.
pub(crate) fn expose(response: Response) -> Response {
    response.with("Access-Control-Allow-Origin", "*").with("Access-Control-Expose-Headers", EXPOSED)
}

/// Adds what a preflight asks for.
pub(crate) fn preflight(response: Response, request: &Request, methods: &'static str) -> Response {
    if request.headers.first("access-control-request-method").is_none() {
        return response;
    }
    let response = response
        .with("Access-Control-Allow-Methods", methods)
        .with("Access-Control-Allow-Headers", REQUEST_HEADERS)
        .with("Access-Control-Max-Age", MAX_AGE);
    match request.headers.first("access-control-request-private-network") {
        Some(_) => response.with("Access-Control-Allow-Private-Network", "true"),
        None => response,
    }
}
