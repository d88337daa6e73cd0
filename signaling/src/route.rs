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
    /// A session URL, with what stands for the session's secret.
    Session(String),
    /// `/healthz`.
    Health,
    /// `/readyz`.
    Ready,
    /// A file within `web`.
    File(String),
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
            Route::Endpoint(..) => "GET, HEAD, POST, OPTIONS",
            Route::Session(_) => "GET, HEAD, DELETE, OPTIONS",
            Route::Health | Route::Ready | Route::File(_) => "GET, HEAD, OPTIONS",
        }
    }

    /// Refuses a method that it does not have.
    pub(crate) fn check(&self, method: Method) -> Result<(), Problem> {
        let has = match method {
            Method::Options => true,
            Method::Get | Method::Head => *self != Route::Server,
            Method::Post => matches!(self, Route::Endpoint(..)),
            Method::Delete => matches!(self, Route::Session(_)),
            _ => false,
        };
        if has { Ok(()) } else { Err(Problem::MethodNotAllowed { allow: self.allow() }) }
    }
}

fn endpoint(role: Role, segments: &[&str]) -> Result<Route, Problem> {
    let name = StreamName::from_segments(segments).ok_or(Problem::NotFound)??;
    Ok(Route::Endpoint(role, name))
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
        for path in ["/whip", "/whep", "/whip/a/b/c", "/Whip/a", "/session", "/session/a/b", "/nothing", "/readyz/"] {
            assert_eq!(Route::find(path), Err(Problem::NotFound), "{path}");
        }
        for path in ["/whip/", "/whip//b", "/whip/a/", "/whip/..", "/play/%2e%2e/x", "/publish/a%2Fb", "/%zz"] {
            assert!(matches!(Route::find(path), Err(Problem::BadName(_))), "{path}");
        }
    }

    #[test]
    fn allow_lists_exactly_the_methods_that_are_allowed() {
        let name = StreamName::new("a", "b").unwrap();
        let routes =
            [Route::Server, Route::Endpoint(Role::Play, name), Route::Session("x".into()), Route::Ready, Route::Health];
        let methods = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"];
        for route in routes {
            for token in methods {
                let listed = route.allow().split(", ").any(|allowed| allowed == token);
                assert_eq!(route.check(Method::from_token(token)).is_ok(), listed, "{route:?} {token}");
            }
        }
    }
}
