//! Paths and methods: what is where, and what it answers.

use crate::http::Method;
use crate::name::{self, NameFault, StreamName};
use crate::pages;
use crate::problem::Problem;
use oneport_engine::control::Role;

/// What a path leads to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Route {
    /// `*`: the server itself, to which only OPTIONS can be sent.
    Server,
    /// A WHIP or WHEP endpoint.
    Endpoint(Role, StreamName),
    /// `/echo`: the page, and where an offer is posted to get everything back.
    Echo,
    /// A session URL, with what stands for the session's secret.
    Session(String),
    /// What belongs to a session.
    Part(String, Part),
    /// `/healthz`.
    Health,
    /// `/readyz`.
    Ready,
    /// A file within `web`.
    File(String),
}

/// What there is below a session URL.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Part {
    /// `why`: how far it came, and why not further.
    Why,
    /// `events`: where a client asks for an event stream (WHEP's server-sent events).
    Events,
    /// `events/{id}`: an event stream.
    EventStream(String),
    /// `layer`: where a client asks for a layer (WHEP's layer selection).
    Layer,
}

impl Part {
    fn allow(&self) -> &'static str {
        match self {
            Part::Why => "GET, HEAD, OPTIONS",
            Part::Events => "POST, OPTIONS",
            Part::Layer => "POST, DELETE, OPTIONS",
            Part::EventStream(_) => "GET, HEAD, DELETE, OPTIONS",
        }
    }
}

impl Route {
    /// The route of a path that is still percent-encoded.
    pub(crate) fn find(path: &str) -> Result<Route, Problem> {
        let Some(relative) = path.strip_prefix('/') else {
            return Ok(Route::Server);
        };
        let segments: Vec<&str> = relative.split('/').collect();
        match segments.as_slice() {
            [""] => file("index.html"),
            ["whip", name @ ..] => endpoint(Role::Publish, name),
            ["whep", name @ ..] => endpoint(Role::Play, name),
            ["session", id] => Ok(Route::Session((*id).to_owned())),
            ["session", id, part @ ..] => Ok(Route::Part((*id).to_owned(), session_part(part)?)),
            ["echo"] => Ok(Route::Echo),
            ["healthz"] => Ok(Route::Health),
            ["readyz"] => Ok(Route::Ready),
            ["publish"] => file("publish.html"),
            ["play"] => file("play.html"),
            ["publish", name @ ..] => page_of(name, "publish.html"),
            ["play", name @ ..] => page_of(name, "play.html"),
            _ => asset(&segments),
        }
    }

    /// The methods that it has.
    pub(crate) fn allow(&self) -> &'static str {
        match self {
            Route::Server => "OPTIONS",
            Route::Endpoint(..) | Route::Echo => "GET, HEAD, POST, OPTIONS",
            Route::Session(_) => "GET, HEAD, PATCH, DELETE, OPTIONS",
            Route::Part(_, part) => part.allow(),
            Route::Health | Route::Ready | Route::File(_) => "GET, HEAD, OPTIONS",
        }
    }

    /// Refuses a method that it does not have.
    pub(crate) fn check(&self, method: Method) -> Result<(), Problem> {
        let has = self.allow().split(", ").any(|allowed| Method::from_token(allowed) == method);
        if has { Ok(()) } else { Err(Problem::MethodNotAllowed { allow: self.allow() }) }
    }
}

fn endpoint(role: Role, segments: &[&str]) -> Result<Route, Problem> {
    let name = StreamName::from_segments(segments).ok_or(Problem::NotFound)??;
    Ok(Route::Endpoint(role, name))
}

fn session_part(segments: &[&str]) -> Result<Part, Problem> {
    match segments {
        ["why"] => Ok(Part::Why),
        ["events"] => Ok(Part::Events),
        ["events", id] => Ok(Part::EventStream((*id).to_owned())),
        ["layer"] => Ok(Part::Layer),
        _ => Err(Problem::NotFound),
    }
}

/// A page is the same for all streams, but a path that names none is told so here and not by a page that cannot work.
fn page_of(segments: &[&str], page: &str) -> Result<Route, Problem> {
    StreamName::from_segments(segments).ok_or(Problem::NotFound)??;
    file(page)
}

fn asset(segments: &[&str]) -> Result<Route, Problem> {
    let decoded: Result<Vec<String>, NameFault> = segments.iter().map(|segment| name::decode(segment)).collect();
    file(&decoded?.join("/"))
}

fn file(path: &str) -> Result<Route, Problem> {
    if pages::exists(path) { Ok(Route::File(path.to_owned())) } else { Err(Problem::NotFound) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_have_one_or_two_names() {
        let name = |app, stream| StreamName::new(app, stream).unwrap();
        assert_eq!(Route::find("/whip/a/b"), Ok(Route::Endpoint(Role::Publish, name("a", "b"))));
        assert_eq!(Route::find("/whep/b"), Ok(Route::Endpoint(Role::Play, name("live", "b"))));
        for path in [
            "/whip",
            "/whep",
            "/whip/a/b/c",
            "/Whip/a",
            "/session",
            "/session/a/b",
            "/session/a/events/b/c",
            "/nothing",
            "/readyz/",
        ] {
            assert_eq!(Route::find(path), Err(Problem::NotFound), "{path}");
        }
        for path in ["/whip/", "/whip//b", "/whip/a/", "/whip/..", "/play/%2e%2e/x", "/publish/a%2Fb", "/%zz"] {
            assert!(matches!(Route::find(path), Err(Problem::BadName(_))), "{path}");
        }
    }

    #[test]
    fn what_belongs_to_a_session_is_below_its_url() {
        let part = |part| Ok(Route::Part("x".to_owned(), part));
        assert_eq!(Route::find("/session/x"), Ok(Route::Session("x".to_owned())));
        assert_eq!(Route::find("/session/x/why"), part(Part::Why));
        assert_eq!(Route::find("/session/x/events"), part(Part::Events));
        assert_eq!(Route::find("/session/x/events/y"), part(Part::EventStream("y".to_owned())));
        assert_eq!(Route::find("/session/x/layer"), part(Part::Layer));
    }
}
