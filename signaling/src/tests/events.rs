//! Event streams and layers of a viewer's session: asking for them, and what is refused. What they say is tested over real sockets
//! and beside the code.

use super::{Desk, detail, location};
use crate::http::Response;

const PUBLISH: &str = include_str!("../../../sdp/tests/corpus/chromium-publish.offer.sdp");
const PLAY: &str = include_str!("../../../sdp/tests/corpus/chromium-play.offer.sdp");
const JSON: (&str, &str) = ("Content-Type", "application/json");

fn links(response: &Response) -> Vec<&str> {
    response.headers.iter().filter(|(name, _)| *name == "Link").map(|(_, value)| value.as_ref()).collect()
}

#[test]
fn a_viewer_is_told_of_both_extensions_and_a_publisher_of_none() {
    let desk = Desk::new();
    assert_eq!(links(&desk.offer("/whip/cam", PUBLISH)), Vec::<&str>::new());
    let viewer = desk.offer("/whep/cam", PLAY);
    let url = location(&viewer);
    assert_eq!(
        links(&viewer),
        [
            format!(
                "<{url}/events>; rel=\"urn:ietf:params:whep:ext:core:server-sent-events\"; \
                 events=\"active,inactive,layers,reconnect,viewercount\""
            ),
            format!("<{url}/layer>; rel=\"urn:ietf:params:whep:ext:core:layer\""),
        ]
    );
}

#[test]
fn an_event_stream_is_made_followed_and_deleted() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whep/cam", PLAY));
    let made = desk.send("POST", &format!("{url}/events"), &[JSON], r#"["active", "inactive"]"#);
    assert_eq!(made.status, 201);
    let stream = location(&made);
    assert!(stream.starts_with(&format!("{url}/events/")), "{stream}");
    let followed = desk.ask("GET", &stream);
    assert_eq!((followed.status, followed.header("Content-Type")), (200, Some("text/event-stream")));
    assert!(followed.pieces.is_some());
    assert_eq!(desk.ask("DELETE", &stream).status, 200);
    for method in ["GET", "DELETE"] {
        assert_eq!(desk.ask(method, &stream).status, 404);
    }
}

#[test]
fn event_streams_end_with_their_session_and_are_bounded() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whep/cam", PLAY));
    let make = || desk.send("POST", &format!("{url}/events"), &[JSON], "");
    let streams: Vec<String> = (0..4).map(|_| location(&make())).collect();
    assert_eq!(make().status, 409);
    desk.ask("DELETE", &streams[0]);
    assert_eq!(make().status, 201);
    desk.end(1);
    assert_eq!(desk.ask("GET", &streams[1]).status, 404);
    assert_eq!(make().status, 404);
}

#[test]
fn an_event_that_there_is_not_makes_no_stream() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whep/cam", PLAY));
    let refused = desk.send("POST", &format!("{url}/events"), &[JSON], r#"["active", "scte35"]"#);
    assert_eq!(refused.status, 400);
    assert!(detail(&refused).contains("scte35"));
}

#[test]
fn layers_can_be_left_to_the_server_and_not_be_chosen_yet() {
    let desk = Desk::new();
    let url = location(&desk.offer("/whep/cam", PLAY));
    let select = |media_type, body| desk.send("POST", &format!("{url}/layer"), &[("Content-Type", media_type)], body);
    assert_eq!(select("application/json", r#"{"mediaId":"1"}"#).status, 200);
    assert_eq!(select("application/sjon", "{}").status, 200);
    let chosen = select("application/json", r#"{"mediaId":"1","rid":"h"}"#);
    assert_eq!(chosen.status, 422);
    assert!(detail(&chosen).contains("best layer"));
    assert_eq!(select("application/json", r#"{"mediaId":"nine"}"#).status, 400);
    assert_eq!(select("application/json", "[]").status, 400);
    assert_eq!(select("text/plain", "{}").status, 415);
    assert_eq!(desk.ask("DELETE", &format!("{url}/layer")).status, 200);
}
