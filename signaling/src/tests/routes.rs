//! Every route, every method, and what it answers.

use super::{Desk, detail};
use std::time::Duration;

const METHODS: [&str; 9] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"];

#[test]
fn every_route_answers_every_method_as_documented() {
    let table: &[(&str, [u16; 9])] = &[
        //                                    GET  HEAD POST PUT  PATCH DEL OPT  TRACE other
        ("/", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/publish", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/publish/cam", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/publish/a/cam", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/play", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/play/cam", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/play/a/cam", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/page.css", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/healthz", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/readyz", [200, 200, 405, 405, 405, 405, 200, 501, 501]),
        ("/whip/cam", [204, 204, 415, 405, 405, 405, 200, 501, 501]),
        ("/whip/a/cam", [204, 204, 415, 405, 405, 405, 200, 501, 501]),
        ("/whep/cam", [200, 200, 406, 405, 405, 405, 200, 501, 501]),
        ("/whep/a/cam", [200, 200, 406, 405, 405, 405, 200, 501, 501]),
        ("/session/0123456789abcdef0123456789abcdef", [404, 404, 405, 405, 404, 404, 200, 501, 501]),
        ("/session/x", [404, 404, 405, 405, 404, 404, 200, 501, 501]),
        ("/session/x/why", [404, 404, 405, 405, 405, 405, 200, 501, 501]),
        ("/session/x/events", [405, 405, 404, 405, 405, 405, 200, 501, 501]),
        ("/session/x/events/y", [404, 404, 405, 405, 405, 404, 200, 501, 501]),
        ("/session/x/layer", [405, 405, 404, 405, 405, 404, 200, 501, 501]),
        ("*", [405, 405, 405, 405, 405, 405, 200, 501, 501]),
        ("/nothing", [404, 404, 404, 404, 404, 404, 404, 501, 501]),
        ("/notes.txt", [404, 404, 404, 404, 404, 404, 404, 501, 501]),
        ("/../Cargo.toml", [404, 404, 404, 404, 404, 404, 404, 501, 501]),
        ("/%2e%2e/web/index.html", [404, 404, 404, 404, 404, 404, 404, 501, 501]),
        ("/whip/a%2Fb", [400, 400, 400, 400, 400, 400, 400, 501, 501]),
    ];
    let desk = Desk::new();
    for (path, statuses) in table {
        for (method, status) in METHODS.iter().zip(statuses) {
            let response = desk.ask(method, path);
            assert_eq!(response.status, *status, "{method} {path}");
            assert_eq!(response.header("Allow").is_some(), *status == 405 || *method == "OPTIONS" && *status == 200);
        }
    }
}

#[test]
fn problems_help() {
    let desk = Desk::new();
    assert_eq!(detail(&desk.ask("PUT", "/session/x")), "This resource only answers GET, HEAD, PATCH, DELETE, OPTIONS.");
    assert!(detail(&desk.ask("POST", "/whip")).contains("/whip/{app}/{stream}"));
    let wrong_type = desk.send("POST", "/whep/cam", &[("Content-Type", "text/plain")], "v=0");
    assert_eq!((wrong_type.status, wrong_type.header("Accept-Post")), (415, Some("application/sdp")));
    assert!(detail(&wrong_type).contains("Content-Type: application/sdp"));
}

#[test]
fn pages_are_typed_tagged_and_confined() {
    let desk = Desk::new();
    let page = desk.ask("GET", "/play/live/cam");
    assert_eq!(page.body.as_ref(), include_bytes!("../../tests/web/play.html"));
    assert_eq!(page.header("Content-Type"), Some("text/html; charset=utf-8"));
    assert_eq!(page.header("Cache-Control"), Some("no-cache"));
    assert_eq!(page.header("X-Content-Type-Options"), Some("nosniff"));
    assert!(page.header("Content-Security-Policy").is_some_and(|policy| policy.starts_with("default-src 'none';")));
    assert_eq!(page.header("Access-Control-Allow-Origin"), None);
    assert_eq!(desk.ask("GET", "/page.css").header("Content-Type"), Some("text/css; charset=utf-8"));
}

#[test]
fn a_page_that_is_known_is_not_sent_again() {
    let desk = Desk::new();
    let tag = desk.ask("GET", "/").header("ETag").expect("an entity tag").to_owned();
    let again = desk.send("GET", "/", &[("If-None-Match", &tag)], "");
    assert_eq!((again.status, again.body.len(), again.header("ETag")), (304, 0, Some(tag.as_str())));
    assert_eq!(desk.send("GET", "/publish", &[("If-None-Match", &tag)], "").status, 200, "another page");
    assert_eq!(desk.send("GET", "/", &[("If-None-Match", "\"other\"")], "").status, 200);
}

#[test]
fn readiness_follows_the_shards() {
    let desk = Desk::new();
    assert_eq!(desk.ask("GET", "/readyz").status, 200);
    desk.engine.since_last_turn.set(Duration::from_secs(2));
    assert_eq!(desk.ask("GET", "/readyz").status, 503);
    assert_eq!(desk.ask("GET", "/healthz").status, 200);
    desk.engine.is_confused.set(true);
    assert_eq!(desk.ask("GET", "/readyz").status, 500);
}

#[test]
fn pages_of_other_origins_may_use_the_endpoints() {
    let desk = Desk::new();
    let preflight = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Private-Network", "true")];
    let response = desk.send("OPTIONS", "/whip/cam", &preflight, "");
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
    assert_eq!(response.header("Access-Control-Allow-Methods"), Some("POST, PATCH, DELETE, OPTIONS, GET, HEAD"));
    assert!(response.header("Access-Control-Allow-Headers").is_some_and(|names| names.contains("Content-Type")));
    assert_eq!(response.header("Access-Control-Allow-Private-Network"), Some("true"));
    assert_eq!(response.header("Accept-Post"), Some("application/sdp"));
    let session = desk.send("OPTIONS", "/session/x", &preflight[..1], "");
    assert!(session.header("Access-Control-Allow-Methods").is_some_and(|methods| methods.contains("DELETE")));
    assert_eq!(session.header("Access-Control-Allow-Private-Network"), None);
    let plain = desk.ask("OPTIONS", "/whep/cam");
    assert_eq!(plain.header("Accept-Post"), Some("application/sdp"));
    assert_eq!(plain.header("Access-Control-Allow-Methods"), None);
    let refusal = desk.ask("POST", "/whep/a%00");
    assert_eq!(refusal.status, 400);
    assert!(refusal.header("Access-Control-Expose-Headers").is_some_and(|names| names.contains("Retry-After")));
}
