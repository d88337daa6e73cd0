//! Preflights and answers as pages of several origins see them.

use super::*;
use crate::http::{Headers, Method};

const LISTED: &str = "https://app.example";

fn origins(list: &[&str]) -> AllowedOrigins {
    AllowedOrigins(list.iter().map(|origin| origin.parse().unwrap()).collect())
}

fn request(fields: &[(&str, &str)]) -> Request {
    let mut headers = Headers::default();
    fields.iter().for_each(|(name, value)| headers.push(name, value.as_bytes()));
    let (method, path) = (Method::Options, "/whip/cam".to_owned());
    Request { method, path, query: None, headers, body: Vec::new(), keep_alive: true, peer: None }
}

fn answer(origins: &AllowedOrigins, fields: &[(&str, &str)]) -> Response {
    let request = request(fields);
    origins.expose(origins.preflight(Response::new(200), &request), &request)
}

#[test]
fn any_origin_gets_a_star_that_caches_may_keep() {
    for fields in [&[][..], &[("Origin", "https://a.example")], &[("Origin", "null")]] {
        let response = answer(&AllowedOrigins::default(), fields);
        assert_eq!(response.header("Access-Control-Allow-Origin"), Some("*"));
        assert_eq!(response.header("Vary"), None);
    }
}

#[test]
fn only_listed_origins_are_echoed_and_all_answers_vary() {
    let origins = origins(&[LISTED, "http://localhost:3000"]);
    let response = answer(&origins, &[("Origin", "http://localhost:3000")]);
    assert_eq!(response.header("Access-Control-Allow-Origin"), Some("http://localhost:3000"));
    assert_eq!(response.header("Vary"), Some("Origin"));
    for origin in ["https://app.example.evil", "http://app.example", "null", "*", "", "https://app.example:444"] {
        let fields = [("Origin", origin), ("Access-Control-Request-Method", "POST")];
        let response = answer(&origins, &fields);
        assert_eq!(response.headers, [("Vary", "Origin".into())], "{origin}");
    }
    let two = answer(&origins, &[("Origin", LISTED), ("Origin", "https://evil.example")]);
    assert_eq!(two.headers, [("Vary", "Origin".into())]);
    assert_eq!(answer(&self::origins(&[]), &[("Origin", LISTED)]).headers, [("Vary", "Origin".into())]);
}

#[test]
fn a_preflight_is_told_everything_that_whip_and_whep_need() {
    let fields = [
        ("Origin", LISTED),
        ("Access-Control-Request-Method", "PATCH"),
        ("Access-Control-Request-Headers", "content-type, last-event-id"),
        ("Access-Control-Request-Private-Network", "true"),
    ];
    let response = answer(&origins(&[LISTED]), &fields);
    for (name, value) in [
        ("Access-Control-Allow-Origin", LISTED),
        ("Access-Control-Allow-Methods", "POST, PATCH, DELETE, OPTIONS, GET, HEAD"),
        ("Access-Control-Allow-Headers", "Authorization, Content-Type, If-Match, Link, last-event-id"),
        (
            "Access-Control-Expose-Headers",
            "Location, ETag, Link, Retry-After, Accept-Post, Accept-Patch, Allow, WWW-Authenticate",
        ),
        ("Access-Control-Max-Age", "7200"),
        ("Access-Control-Allow-Private-Network", "true"),
    ] {
        assert_eq!(response.header(name), Some(value));
    }
    let plain = answer(&origins(&[LISTED]), &fields[..1]);
    assert_eq!(plain.header("Access-Control-Allow-Methods"), None, "it is no preflight");
}

#[test]
fn hostile_field_names_are_not_echoed() {
    let allowed = |asked: &str| {
        let fields = [("Access-Control-Request-Method", "POST"), ("Access-Control-Request-Headers", asked)];
        answer(&AllowedOrigins::default(), &fields).header("Access-Control-Allow-Headers").unwrap().to_owned()
    };
    for asked in
        ["", ",,", "a b", "a\u{b}b", "*", "a:b", "x-forwarded-for", "Forwarded", &"x".repeat(65), "LINK", "\u{fc}"]
    {
        assert_eq!(allowed(asked), REQUEST_HEADERS, "{asked}");
    }
    assert_eq!(allowed(&"x-a,".repeat(10_000)).len(), REQUEST_HEADERS.len() + MAX_ASKED * ", x-a".len());
}

#[test]
fn sessions_and_what_is_below_them_are_open_and_pages_are_not() {
    for path in ["/whip/cam", "/whep/live/cam", "/session/x", "/session/x/why", "/session/x/events", "/session/x/layer"]
    {
        assert!(is_open(path), "{path}");
    }
    for path in ["/", "/publish/cam", "/healthz", "/sessions/x"] {
        assert!(!is_open(path), "{path}");
    }
}

#[test]
fn origins_are_checked_when_they_are_configured() {
    for good in [
        "*",
        "https://a.example",
        "http://localhost:3000",
        "http://[::1]:8080",
        "http://192.0.2.1",
        "capacitor://localhost",
    ] {
        assert_eq!(good.parse::<AllowedOrigin>().map(|origin| origin.to_string()), Ok(good.to_owned()));
    }
    for wrong in [
        "",
        "a.example",
        "https://a.example/",
        "https://A.example",
        "https://u@a",
        "https://",
        "null",
        "**",
        "https://a?b",
    ] {
        assert!(wrong.parse::<AllowedOrigin>().unwrap_err().contains("is no origin"), "{wrong}");
    }
    assert!("https://a.example:443".parse::<AllowedOrigin>().unwrap_err().contains("leave it out"));
    assert!("http://a.example:80".parse::<AllowedOrigin>().is_err());
    assert!("https://a.example:80".parse::<AllowedOrigin>().is_ok());
}
