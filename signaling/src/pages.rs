//! The pages and their assets, embedded from the folder `web` at the top of the repository.
//!
//! Each is sent with an entity tag made of its content and is asked for again each time (`no-cache`): a new server never meets
//! the scripts of an old one, and what has not changed costs a 304.

use crate::http::{Request, Response};
use crate::problem::Problem;
use rust_embed::{EmbeddedFile, RustEmbed};
use std::fmt::Write;

#[derive(RustEmbed)]
#[cfg_attr(not(test), folder = "../web")]
#[cfg_attr(test, folder = "tests/web")]
struct Web;

/// Scripts, styles, images and requests from here only; media from the peer connection and from recordings in the page.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; connect-src 'self'; media-src 'self' blob: mediastream:; manifest-src 'self'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'self'";

/// Whether there is such a file to be served.
pub(crate) fn exists(file: &str) -> bool {
    media_type(file).is_some() && Web::get(file).is_some()
}

/// The answer to GET of a file, given by its path within `web`.
pub(crate) fn get(request: &Request, file: &str) -> Result<Response, Problem> {
    let (Some(found), Some(media_type)) = (Web::get(file), media_type(file)) else {
        return Err(Problem::NotFound);
    };
    let tag = entity_tag(&found);
    let is_known = request.headers.all("if-none-match").any(|field| matches_tag(field, &tag));
    let response = if is_known { Response::new(304) } else { Response::new(200).with_body(media_type, found.data) };
    Ok(response
        .with("ETag", tag)
        .with("Cache-Control", "no-cache")
        .with("X-Content-Type-Options", "nosniff")
        .with("Referrer-Policy", "no-referrer")
        .with("Content-Security-Policy", CONTENT_SECURITY_POLICY))
}

/// The media type of a file name. What has none here is not for browsers, and is not served.
fn media_type(file: &str) -> Option<&'static str> {
    let (_, extension) = file.rsplit_once('.')?;
    Some(match extension {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "js" => "text/javascript; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "webmanifest" => "application/manifest+json",
        "woff2" => "font/woff2",
        _ => return None,
    })
}

/// Half of the content's SHA-256 tells two versions apart.
fn entity_tag(file: &EmbeddedFile) -> String {
    let mut tag = String::from("\"");
    for byte in &file.metadata.sha256_hash()[..16] {
        let _ = write!(tag, "{byte:02x}");
    }
    tag + "\""
}

/// Weak comparison with a list of entity tags (RFC 9110 §8.8.3.2, §13.1.2).
fn matches_tag(field: &str, tag: &str) -> bool {
    field.split(',').map(str::trim).any(|item| item == "*" || item.strip_prefix("W/").unwrap_or(item) == tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entity_tags_are_compared_weakly_and_in_lists() {
        for field in ["\"a\"", "W/\"a\"", "\"b\", \"a\"", "*", "\"b\",W/\"a\""] {
            assert!(matches_tag(field, "\"a\""), "{field}");
        }
        for field in ["", "a", "\"b\"", "\"a", "w/\"a\""] {
            assert!(!matches_tag(field, "\"a\""), "{field}");
        }
    }

    #[test]
    fn only_what_browsers_need_has_a_media_type() {
        assert_eq!(media_type("publish.html"), Some("text/html; charset=utf-8"));
        assert_eq!(media_type("a.b/player.js"), Some("text/javascript; charset=utf-8"));
        for file in ["README.md", "publish", "", "html", "a.HTML"] {
            assert_eq!(media_type(file), None, "{file}");
        }
    }
}
