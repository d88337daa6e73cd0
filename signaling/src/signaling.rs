//! The whole of signaling: requests from the HTTP server on one side, the engine on the other, the registry between them.

use crate::access::AccessConfig;
use crate::cors::{self, AllowedOrigins};
use crate::health;
use crate::http::{HttpConfig, Listener, Method, Request, Response};
use crate::ice_servers::IceServersConfig;
use crate::limits::LimitsConfig;
use crate::pages;
use crate::policy::{VideoBitrate, WhepConfig, WhipConfig};
use crate::problem::Problem;
use crate::proxy::TrustedProxies;
use crate::redirect::Redirects;
use crate::registry::{Registry, Session};
use crate::route::Route;
use crate::server::{Handler, Server};
use crate::stream_rules::{PREFERRED_CODECS, StreamRules};
use crate::{journal, session, whep, whip};
use oneport_engine::control::{Command, Event, Reply, Role, SessionId};
use oneport_rtp::payload::Codec;
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;

/// What signaling can be told.
#[derive(Clone, Debug)]
pub struct SignalingConfig {
    /// The HTTP server's bounds.
    pub http: HttpConfig,
    /// Addresses that clients are told instead of this host's own, for a server behind a NAT. Empty by default.
    pub public_addresses: Vec<IpAddr>,
    /// The codecs that may be published and played, the preferred ones first. All by default.
    pub codecs: Vec<Codec>,
    /// The codecs of some streams, instead of these.
    pub stream_rules: StreamRules,
    /// The bit rates that publishers are told.
    pub video_bitrate: VideoBitrate,
    /// Who may publish and play.
    pub access: AccessConfig,
    /// How often a client may ask.
    pub limits: LimitsConfig,
    /// Whose word on the client's address counts.
    pub trusted_proxies: TrustedProxies,
    /// Whose pages may publish and play.
    pub allowed_origins: AllowedOrigins,
    /// Streams that other nodes serve.
    pub redirects: Redirects,
    /// STUN and TURN servers that clients are told.
    pub ice_servers: IceServersConfig,
    /// How publishers are treated.
    pub whip: WhipConfig,
    /// How viewers are treated.
    pub whep: WhepConfig,
}

impl Default for SignalingConfig {
    fn default() -> SignalingConfig {
        SignalingConfig {
            http: HttpConfig::default(),
            public_addresses: Vec::new(),
            codecs: PREFERRED_CODECS.to_vec(),
            stream_rules: StreamRules::default(),
            video_bitrate: VideoBitrate::default(),
            access: AccessConfig::default(),
            limits: LimitsConfig::default(),
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::default(),
            redirects: Redirects::default(),
            ice_servers: IceServersConfig::default(),
            whip: WhipConfig::default(),
            whep: WhepConfig::default(),
        }
    }
}

/// The engine as signaling sees it. Its events come the other way, through [`Signaling::handle_event`].
pub trait EnginePort {
    /// Takes a command and answers it at once.
    fn submit(&self, command: Command) -> Reply;
}

/// Answers requests and follows the engine's events. One for a process, on the control core.
pub struct Signaling {
    pub(crate) config: SignalingConfig,
    pub(crate) engine: Rc<dyn EnginePort>,
    pub(crate) registry: RefCell<Registry>,
}

impl Signaling {
    /// Signaling in front of an engine.
    pub fn new(config: SignalingConfig, engine: Rc<dyn EnginePort>) -> Rc<Signaling> {
        Rc::new(Signaling { config, engine, registry: RefCell::default() })
    }

    /// The HTTP server on a bound port. Its `run` serves until its `shutdown` is begun.
    pub fn server(self: &Rc<Self>, listener: Listener) -> Server<impl Handler + use<>> {
        let signaling = Rc::clone(self);
        let answer = move |request| {
            let signaling = Rc::clone(&signaling);
            async move { signaling.answer(request).await }
        };
        Server::new(listener, self.config.http.clone(), answer)
    }

    /// Answers one request.
    pub async fn answer(&self, request: Request) -> Response {
        let response = self.respond(&request).unwrap_or_else(Problem::into_response);
        if cors::is_open(&request.path) { self.config.allowed_origins.expose(response, &request) } else { response }
    }

    fn respond(&self, request: &Request) -> Result<Response, Problem> {
        if matches!(request.method, Method::Unknown | Method::Trace | Method::Connect) {
            return Err(Problem::UnknownMethod);
        }
        let route = Route::find(&request.path)?;
        route.check(request.method)?;
        if request.method == Method::Options {
            return Ok(self.options(&route, request));
        }
        match route {
            Route::Endpoint(Role::Publish, name) if request.method == Method::Post => whip::post(self, request, name),
            Route::Endpoint(Role::Play, name) if request.method == Method::Post => whep::post(self, request, name),
            // 2xx without content (RFC 9725 §4.1).
            Route::Endpoint(..) => Ok(Response::new(204)),
            Route::Session(id) if request.method == Method::Delete => session::delete(self, &id),
            Route::Session(id) => session::find(self, &id).map(|_| Response::new(204)),
            Route::Health => Ok(health::healthy()),
            Route::Ready => self.readiness(),
            Route::File(file) => pages::get(request, &file),
            Route::Server => Err(Problem::NotFound),
        }
    }

    /// What a resource can do. RFC 9725 §4.2 wants 200, and that it is not asked for authorization.
    fn options(&self, route: &Route, request: &Request) -> Response {
        let response = Response::new(200).with("Allow", route.allow());
        let response = match route {
            Route::Endpoint(..) => response.with("Accept-Post", "application/sdp"),
            _ => response,
        };
        if !cors::is_open(&request.path) {
            return response;
        }
        self.config.allowed_origins.preflight(response, request)
    }

    fn readiness(&self) -> Result<Response, Problem> {
        match self.engine.submit(Command::Health) {
            Reply::Health(shards) => Ok(health::ready(&shards)),
            _ => Err(Problem::Internal("the engine does not say how its shards are")),
        }
    }

    /// Takes note of what happened in the engine.
    pub fn handle_event(&self, event: Event) {
        match event {
            Event::Nominated { session, shard, remote } => {
                self.with_session(session, |known| journal::nominated(session, known, shard, remote));
            }
            Event::Connected { session, .. } => self.with_session(session, |known| journal::connected(session, known)),
            Event::Ended { session, reason, totals } => {
                if let Some(known) = self.registry.borrow_mut().ended(session) {
                    journal::ended(session, &known, &reason, &totals);
                }
            }
            Event::Flow { .. }
            | Event::Layers { .. }
            | Event::Trace { .. }
            | Event::StrayCheck { .. }
            | Event::Stopped => {}
        }
    }

    fn with_session(&self, id: SessionId, note: impl FnOnce(&Session)) {
        if let Some(session) = self.registry.borrow().session(id) {
            note(session);
        }
    }
}
