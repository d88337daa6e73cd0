//! RFC 9457 problem details: the one place where a refusal becomes a status code and a body.
//!
//! The variants say what was wrong; their `Display` is the sentence that the client gets as `detail`. The `type` is a URN that
//! stays the same for one kind of refusal, or `about:blank` where the status code says it all.

use crate::http::{HttpError, Response, reason_phrase};
use crate::name::{NameFault, StreamName};
use oneport_engine::control::Refusal;
use serde::Serialize;

/// Why a request was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Problem {
    /// The bytes could not be read as a request.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// There are as many connections as there may be.
    #[error("The server has as many connections as it may have. Try again in a moment.")]
    TooManyConnections,
    /// No such path.
    #[error(
        "There is nothing at this path. Publishers POST to /whip/{{app}}/{{stream}}, viewers to /whep/{{app}}/{{stream}}."
    )]
    NotFound,
    /// The path cannot be decoded, or names what no stream may be called.
    #[error("{0}")]
    BadName(#[from] NameFault),
    /// The method is none of HTTP's, or nothing here has it.
    #[error("This server does not implement the request method.")]
    UnknownMethod,
    /// The resource does not have the method.
    #[error("This resource only answers {allow}.")]
    MethodNotAllowed {
        /// The methods that it has, as `Allow` lists them.
        allow: &'static str,
    },
    /// The body is not declared as SDP.
    #[error("The body must be an SDP offer with Content-Type: application/sdp.")]
    NotSdp,
    /// The body is not SDP.
    #[error("The body is not a valid SDP offer: {0}.")]
    SdpSyntax(String),
    /// The offer is SDP, and cannot be answered. With the path of its account, where it has one.
    #[error("The offer cannot be accepted: {0}.")]
    Unacceptable(String, Option<String>),
    /// The stream has a publisher.
    #[error("{0} has a publisher already. End that session first, or publish under another name.")]
    AlreadyPublished(StreamName),
    /// The stream has none.
    #[error("{0} has no publisher yet. Try again in a moment.")]
    NoPublisher(StreamName),
    /// No such session.
    #[error("There is no such session; it may have ended.")]
    UnknownSession,
    /// There are as many sessions as there may be.
    #[error("The server has as many sessions as it may have. Try again later.")]
    TooManySessions,
    /// The server is stopping.
    #[error("The server is stopping.")]
    Stopping,
    /// The body of a PATCH is neither a fragment nor, where one is awaited, an answer.
    #[error(
        "The body must be an SDP fragment with Content-Type: application/trickle-ice-sdpfrag, or the answer to a counter-offer with application/sdp."
    )]
    NotAFragment,
    /// The body is not declared as JSON.
    #[error("The body must be JSON with Content-Type: application/json.")]
    NotJson,
    /// The fragment cannot be read.
    #[error("The body is not a valid SDP fragment: {0}.")]
    FragmentSyntax(String),
    /// A PATCH without If-Match.
    #[error("A PATCH needs If-Match with the ETag of the session, or with * for an ICE restart.")]
    PreconditionRequired,
    /// A PATCH for another ICE session.
    #[error("If-Match does not name the present ICE session: it was restarted since, or never was this one.")]
    PreconditionFailed,
    /// An answer to no counter-offer.
    #[error(
        "This session awaits no SDP answer: it was made from an offer of the client's, or its counter-offer was answered."
    )]
    NoCounterOffer,
    /// A parameter in the query, or a member in a JSON body.
    #[error("{0}")]
    BadParameter(String),
    /// As many event streams as a session may have.
    #[error("The session has as many event streams as it may have. DELETE one of them first.")]
    TooManyEventStreams,
    /// No such event stream.
    #[error("There is no such event stream; its session may have ended.")]
    UnknownEventStream,
    /// A layer was asked for.
    #[error(
        "Layers cannot be selected on this server yet: every viewer gets the best layer that the publisher sends. A body with mediaId alone, for automatic selection, is accepted."
    )]
    LayersFixed,
    /// Echo sessions are switched off.
    #[error("The echo test is switched off on this server (echo.enabled in its configuration).")]
    EchoOff,
    /// Our own fault.
    #[error("The server could not do this, and the fault is its own: {0}.")]
    Internal(&'static str),
    /// The role has tokens, and the request none of them.
    #[error("This needs a token of this server: Authorization: Bearer TOKEN, or ?token=TOKEN.")]
    Unauthorized {
        /// Whether there was a token, which is none of ours.
        presented: bool,
    },
    /// The token is known, and is not for this.
    #[error("The token does not allow this.")]
    Forbidden,
    /// The client asks more often than it may.
    #[error("Too many requests. Try again in {retry_after_s} s.")]
    TooManyRequests {
        /// Whole seconds after which the next one may be admitted.
        retry_after_s: u64,
    },
}

/// What a session URL takes with PATCH (RFC 5789 §3.1).
pub(crate) const ACCEPT_PATCH: &str = "application/trickle-ice-sdpfrag";
/// Seconds after which a viewer may ask again whether its publisher is there.
const RETRY_PUBLISHER: &str = "2";
/// Seconds after which a server that is full or stopping may be asked again.
const RETRY_SERVER: &str = "5";

/// The challenges of RFC 6750 §3, without and with the errors of its §3.1.
const CHALLENGE: &str = "Bearer realm=\"oneport\"";
const CHALLENGE_INVALID: &str = "Bearer realm=\"oneport\", error=\"invalid_token\"";
const CHALLENGE_INSUFFICIENT: &str = "Bearer realm=\"oneport\", error=\"insufficient_scope\"";

#[derive(Serialize)]
struct Details<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    instance: Option<&'a str>,
}

impl Problem {
    /// What an engine's refusal means for a session on this stream.
    pub fn from_refusal(refusal: Refusal, name: &StreamName) -> Problem {
        match refusal {
            Refusal::UnknownSession => Problem::UnknownSession,
            Refusal::TooManySessions => Problem::TooManySessions,
            Refusal::AlreadyPublished => Problem::AlreadyPublished(name.clone()),
            Refusal::Stopping => Problem::Stopping,
        }
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        match self {
            Problem::Http(error) => error.status(),
            Problem::BadName(_) | Problem::SdpSyntax(_) | Problem::FragmentSyntax(_) | Problem::BadParameter(_) => 400,
            Problem::NotFound | Problem::UnknownSession | Problem::UnknownEventStream => 404,
            Problem::Unauthorized { .. } => 401,
            Problem::Forbidden | Problem::EchoOff => 403,
            Problem::MethodNotAllowed { .. } => 405,
            Problem::AlreadyPublished(_) | Problem::NoPublisher(_) | Problem::TooManyEventStreams => 409,
            Problem::PreconditionFailed => 412,
            Problem::NotSdp | Problem::NotAFragment | Problem::NotJson => 415,
            Problem::Unacceptable(..) | Problem::NoCounterOffer | Problem::LayersFixed => 422,
            Problem::PreconditionRequired => 428,
            Problem::TooManyRequests { .. } => 429,
            Problem::Internal(_) => 500,
            Problem::UnknownMethod => 501,
            Problem::TooManyConnections | Problem::TooManySessions | Problem::Stopping => 503,
        }
    }

    /// `type` and `title`.
    fn kind(&self) -> (&'static str, &'static str) {
        match self {
            Problem::BadName(_) => ("urn:oneport:problem:bad-name", "Not a stream name"),
            Problem::SdpSyntax(_) => ("urn:oneport:problem:sdp-syntax", "Malformed SDP"),
            Problem::Unacceptable(..) => ("urn:oneport:problem:offer-not-acceptable", "Offer not acceptable"),
            Problem::AlreadyPublished(_) => ("urn:oneport:problem:already-published", "Already published"),
            Problem::NoPublisher(_) => ("urn:oneport:problem:no-publisher", "No publisher yet"),
            Problem::FragmentSyntax(_) => ("urn:oneport:problem:sdp-fragment-syntax", "Malformed SDP fragment"),
            Problem::NoCounterOffer => ("urn:oneport:problem:no-counter-offer", "No counter-offer to answer"),
            Problem::BadParameter(_) => ("urn:oneport:problem:bad-parameter", "Bad parameter"),
            Problem::TooManyEventStreams => ("urn:oneport:problem:too-many-event-streams", "Too many event streams"),
            Problem::UnknownEventStream => ("urn:oneport:problem:unknown-event-stream", "Unknown event stream"),
            Problem::LayersFixed => ("urn:oneport:problem:layers-fixed", "Layers cannot be selected"),
            Problem::EchoOff => ("urn:oneport:problem:echo-off", "Echo is switched off"),
            Problem::UnknownSession => ("urn:oneport:problem:unknown-session", "Unknown session"),
            Problem::TooManySessions => ("urn:oneport:problem:too-many-sessions", "Too many sessions"),
            Problem::TooManyConnections => ("urn:oneport:problem:too-many-connections", "Too many connections"),
            Problem::Stopping => ("urn:oneport:problem:stopping", "Stopping"),
            _ => ("about:blank", reason_phrase(self.status())),
        }
    }

    /// The response.
    pub fn into_response(self) -> Response {
        let (kind, title) = self.kind();
        let (status, detail) = (self.status(), self.to_string());
        let instance = if let Problem::Unacceptable(_, instance) = &self { instance.as_deref() } else { None };
        let details = Details { kind, title, status, detail: &detail, instance };
        // Strings and numbers: nothing of it can fail to be written.
        let body = serde_json::to_vec(&details).unwrap_or_default();
        let response =
            Response::new(status).with_body("application/problem+json", body).with("Cache-Control", "no-store");
        self.with_headers(response)
    }

    /// The header fields that belong to the status.
    fn with_headers(self, response: Response) -> Response {
        match self {
            Problem::MethodNotAllowed { allow } => response.with("Allow", allow),
            Problem::NotSdp => response.with("Accept-Post", "application/sdp"),
            Problem::NotJson => response.with("Accept-Post", "application/json"),
            Problem::NotAFragment => response.with("Accept-Patch", ACCEPT_PATCH),
            Problem::AlreadyPublished(_) => response.with("Retry-After", RETRY_PUBLISHER),
            Problem::NoPublisher(_) => response.with("Retry-After", RETRY_PUBLISHER),
            Problem::TooManyConnections | Problem::TooManySessions | Problem::Stopping => {
                response.with("Retry-After", RETRY_SERVER)
            }
            Problem::Unauthorized { presented: false } => response.with("WWW-Authenticate", CHALLENGE),
            Problem::Unauthorized { presented: true } => response.with("WWW-Authenticate", CHALLENGE_INVALID),
            Problem::Forbidden => response.with("WWW-Authenticate", CHALLENGE_INSUFFICIENT),
            Problem::TooManyRequests { retry_after_s } => response.with("Retry-After", retry_after_s.to_string()),
            _ => response,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_has_the_members_of_rfc_9457() {
        let response = Problem::NoPublisher(StreamName::new("live", "cam \"1\"").unwrap()).into_response();
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(response.status, 409);
        assert_eq!(response.header("Content-Type"), Some("application/problem+json"));
        assert_eq!(response.header("Retry-After"), Some("2"));
        assert_eq!(body["type"], "urn:oneport:problem:no-publisher");
        assert_eq!(body["title"], "No publisher yet");
        assert_eq!(body["status"], 409);
        assert_eq!(body["detail"], "live/cam \"1\" has no publisher yet. Try again in a moment.");
    }

    #[test]
    fn a_blank_type_has_the_status_phrase_as_title() {
        let response = Problem::from(HttpError::BodyTooLarge).into_response();
        let body: serde_json::Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["type"], "about:blank");
        assert_eq!(body["title"], "Content Too Large");
    }

    #[test]
    fn statuses_carry_the_fields_that_rfc_9110_wants() {
        let allow = "GET, HEAD";
        assert_eq!(Problem::MethodNotAllowed { allow }.into_response().header("Allow"), Some(allow));
        assert_eq!(Problem::NotSdp.into_response().header("Accept-Post"), Some("application/sdp"));
        for problem in [Problem::TooManySessions, Problem::Stopping, Problem::TooManyConnections] {
            let response = problem.into_response();
            assert_eq!((response.status, response.header("Retry-After")), (503, Some("5")));
        }
    }
}
