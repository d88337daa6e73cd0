//! Whether a request is served at all, before anybody looks at what it says. In this order:
//!
//! | check                                          | refusal |
//! |------------------------------------------------|---------|
//! | requests of the client's address               | 429     |
//! | another node serves the stream                 | 307     |
//! | token                                          | 401, 403 |
//! | requests with the token                        | 429     |
//! | half-open sessions of the client's address     | 429     |

use crate::access::{Access, Caller};
use crate::http::{Request, Response};
use crate::limits::Limits;
use crate::name::StreamName;
use crate::problem::Problem;
use crate::registry::Session;
use crate::signaling::{Signaling, SignalingConfig};
use oneport_engine::control::Role;
use std::cell::RefCell;
use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Instant;

/// Who opened a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Opener {
    caller: Caller,
    /// The token was in a header field, where it will be again; one in the URL of the endpoint is not in that of the session.
    in_header: bool,
}

/// What admits requests, and counts them.
pub(crate) struct Admission {
    access: Access,
    limits: Rc<RefCell<Limits>>,
}

/// A session that is not connected yet counts against its client's address until this is dropped.
#[derive(Debug)]
pub struct HalfOpen {
    limits: Rc<RefCell<Limits>>,
    ip: IpAddr,
}

impl Drop for HalfOpen {
    fn drop(&mut self) {
        self.limits.borrow_mut().half_open_end(self.ip);
    }
}

impl Admission {
    pub(crate) fn new(config: &SignalingConfig) -> Admission {
        let limits = Rc::new(RefCell::new(Limits::new(config.limits)));
        Admission { access: Access::new(config.access.clone()), limits }
    }

    /// Counts a request that wants something done.
    pub(crate) fn count(&self, request: &Request) -> Result<(), Problem> {
        let Some(ip) = client_ip(request) else { return Ok(()) };
        self.limits.borrow_mut().admit_address(Instant::now(), ip)
    }

    /// Whether a session of this role may be opened.
    pub(crate) fn admit(&self, role: Role, request: &Request) -> Result<Option<Opener>, Problem> {
        let caller = self.access.check(role, request)?;
        caller.map(|caller| self.opener(request, caller)).transpose()
    }

    /// Whether a request may change a session.
    pub(crate) fn admit_to(&self, session: &Session, request: &Request) -> Result<(), Problem> {
        let by_url = session.opener.as_ref().is_some_and(|opener| !opener.in_header);
        if by_url && !Access::is_presented(request) {
            // The URL of the session is a secret of its own, and this client can add nothing to it.
            return Ok(());
        }
        self.access.check_session(session.role, session.opener.as_ref().map(|opener| &opener.caller), request)
    }

    /// Counts a session that is about to be opened.
    pub(crate) fn begin(&self, request: &Request) -> Result<Option<HalfOpen>, Problem> {
        let Some(ip) = client_ip(request) else { return Ok(None) };
        self.limits.borrow_mut().half_open_begin(ip)?;
        Ok(Some(HalfOpen { limits: Rc::clone(&self.limits), ip }))
    }

    fn opener(&self, request: &Request, caller: Caller) -> Result<Opener, Problem> {
        self.limits.borrow_mut().admit_caller(Instant::now(), &caller)?;
        Ok(Opener { caller, in_header: request.headers.first("authorization").is_some() })
    }
}

fn client_ip(request: &Request) -> Option<IpAddr> {
    request.peer.map(|peer| peer.ip())
}

impl Signaling {
    /// The request with the address of its client instead of that of a trusted proxy.
    pub(crate) fn unproxied(&self, mut request: Request) -> Request {
        let client = self.config.trusted_proxies.client_address(&request);
        request.peer = request.peer.map(|peer| match client {
            Some(client) if client != peer.ip().to_canonical() => SocketAddr::new(client, 0),
            _ => peer,
        });
        request
    }

    /// The answer that sends a request for this stream on to the node that serves it.
    pub(crate) fn elsewhere(&self, role: Role, name: &StreamName, request: &Request) -> Option<Response> {
        let location = self.config.redirects.find(role, name, request)?;
        Some(Response::new(307).with("Location", location).with("Cache-Control", "no-store"))
    }
}
