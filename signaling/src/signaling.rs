//! The whole of signaling: requests from the HTTP server on one side, the engine on the other, the registry between them.

use crate::access::AccessConfig;
use crate::admission::Admission;
use crate::cors::{self, AllowedOrigins};
use crate::counter_offer::CounterOffers;
use crate::echo;
use crate::events::{self, EventStreams};
use crate::health;
use crate::http::{HttpConfig, Listener, Method, Request, Response};
use crate::ice_servers::IceServersConfig;
use crate::limits::LimitsConfig;
use crate::name::StreamName;
use crate::negotiate::Terms;
use crate::pages;
use crate::policy::{WhepConfig, WhipConfig};
use crate::problem::Problem;
use crate::proxy::TrustedProxies;
use crate::redirect::Redirects;
use crate::registry::{Registry, Session};
use crate::route::{Part, Route};
use crate::server::{Handler, Server};
use crate::stream_rules::StreamRules;
use crate::why::{Note, Traces};
use crate::{journal, layer, patch, session, whep, whip};
use oneport_engine::control::{Command, Event, Reply, Role, SessionId};
use oneport_rtp::payload::{Codec, MediaKind};
use oneport_sdp::{Bitrates, preference};
use std::cell::RefCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::SystemTime;

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
    pub video_bitrate: Bitrates,
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
    /// Whether data channels are accepted. By default.
    pub data: bool,
    /// Whether clients may have everything sent back that they send. Not by default.
    pub echo: bool,
}

impl Default for SignalingConfig {
    fn default() -> SignalingConfig {
        SignalingConfig {
            http: HttpConfig::default(),
            public_addresses: Vec::new(),
            codecs: Codec::ALL.to_vec(),
            stream_rules: StreamRules::default(),
            video_bitrate: Bitrates::default(),
            access: AccessConfig::default(),
            limits: LimitsConfig::default(),
            trusted_proxies: TrustedProxies::default(),
            allowed_origins: AllowedOrigins::default(),
            redirects: Redirects::default(),
            ice_servers: IceServersConfig::default(),
            whip: WhipConfig::default(),
            whep: WhepConfig::default(),
            data: true,
            echo: false,
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
    pub(crate) admission: Admission,
    pub(crate) engine: Rc<dyn EnginePort>,
    pub(crate) registry: Rc<RefCell<Registry>>,
    pub(crate) event_streams: Rc<RefCell<EventStreams>>,
    pub(crate) counter_offers: RefCell<CounterOffers>,
    pub(crate) traces: RefCell<Traces>,
}

impl Signaling {
    /// Signaling in front of an engine.
    pub fn new(config: SignalingConfig, engine: Rc<dyn EnginePort>) -> Rc<Signaling> {
        Rc::new(Signaling {
            admission: Admission::new(&config),
            config,
            engine,
            registry: Rc::default(),
            event_streams: Rc::default(),
            counter_offers: RefCell::default(),
            traces: RefCell::default(),
        })
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
        let request = self.unproxied(request);
        let response = self.respond(&request).await.unwrap_or_else(Problem::into_response);
        if cors::is_open(&request.path) { self.config.allowed_origins.expose(response, &request) } else { response }
    }

    async fn respond(&self, request: &Request) -> Result<Response, Problem> {
        if matches!(request.method, Method::Unknown | Method::Trace | Method::Connect) {
            return Err(Problem::UnknownMethod);
        }
        let route = Route::find(&request.path)?;
        route.check(request.method)?;
        if request.method == Method::Options {
            return Ok(self.options(&route, request));
        }
        if !matches!(request.method, Method::Get | Method::Head) {
            self.admission.count(request)?;
        }
        match route {
            Route::Endpoint(role, name) if request.method == Method::Post => {
                if let Some(elsewhere) = self.elsewhere(role, &name, request) {
                    return Ok(elsewhere);
                }
                let opener = self.admission.admit(role, request)?;
                match role {
                    Role::Publish => whip::post(self, request, name, opener),
                    Role::Play => whep::post(self, request, name, opener).await,
                    Role::Echo => Err(Problem::NotFound),
                }
            }
            // 2xx without content (RFC 9725 §4.1). The type lets a player tell a WHEP URL from others (WHEP §4.2).
            Route::Endpoint(Role::Play, _) => Ok(Response::new(200).with_body("application/sdp", Vec::new())),
            Route::Endpoint(..) => Ok(Response::new(204)),
            Route::Echo if request.method == Method::Post => echo::post(self, request),
            Route::Echo => pages::get(request, "echo.html"),
            Route::Session(id) => match request.method {
                Method::Delete => session::delete(self, request, &id),
                Method::Patch => patch::patch(self, request, &id),
                _ => session::find(self, &id).map(|_| Response::new(204)),
            },
            Route::Part(id, part) => self.respond_for_part(request, &id, &part),
            Route::Health => Ok(health::healthy()),
            Route::Ready => self.readiness(),
            Route::File(file) => pages::get(request, &file),
            Route::Server => Err(Problem::NotFound),
        }
    }

    fn respond_for_part(&self, request: &Request, id: &str, part: &Part) -> Result<Response, Problem> {
        match part {
            Part::Why => session::why(self, id),
            Part::Layer if request.method == Method::Delete => layer::unselect(self, request, id),
            Part::Layer => layer::select(self, request, id),
            Part::Events => events::create(self, request, id),
            Part::EventStream(stream) if request.method == Method::Delete => events::delete(self, id, stream),
            Part::EventStream(stream) => events::follow(self, id, stream),
        }
    }

    /// What a resource can do. RFC 9725 §4.2 wants 200, and that it is not asked for authorization.
    fn options(&self, route: &Route, request: &Request) -> Response {
        let response = Response::new(200).with("Allow", route.allow());
        let response = match route {
            Route::Endpoint(..) | Route::Echo => response.with("Accept-Post", "application/sdp"),
            Route::Session(_) => response.with("Accept-Patch", crate::problem::ACCEPT_PATCH),
            Route::Part(_, Part::Events | Part::Layer) => response.with("Accept-Post", "application/json"),
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
        let failure = self.traces.borrow_mut().handle_event(SystemTime::now(), &event);
        match event {
            Event::Nominated { session, shard, remote } => {
                self.with_session(session, |known| journal::nominated(session, known, shard, remote));
            }
            Event::Connected { session, .. } => {
                self.registry.borrow_mut().connected(session);
                self.with_session(session, |known| journal::connected(session, known));
            }
            Event::Ended { session, reason, totals } => {
                self.close(session);
                if let Some(known) = self.registry.borrow_mut().ended(session) {
                    journal::ended(session, &known, &reason, &totals);
                    if let Some(verdict) = failure {
                        journal::failed(session, &known, &verdict);
                    }
                }
            }
            Event::Flow { session, flows } => self.registry.borrow_mut().set_flow(session, flows),
            Event::Layers { session, track, layers } => {
                self.registry.borrow_mut().set_layers(session, track, layers);
            }
            Event::Trace { .. } | Event::StrayCheck { .. } | Event::Stopped => {}
        }
    }

    /// Tells the viewers that listen that the server stops.
    pub fn begin_stop(&self) {
        self.event_streams.borrow().stop();
        self.registry.borrow().wake_all();
    }

    /// Takes a session's URL away, and what hangs on it.
    pub(crate) fn close(&self, session: SessionId) {
        self.event_streams.borrow_mut().forget(session);
        self.counter_offers.borrow_mut().forget(session);
        let mut registry = self.registry.borrow_mut();
        let name = registry.session(session).map(|session| session.name.clone());
        registry.close(session);
        if let Some(name) = name {
            registry.wake(&name);
        }
    }

    /// What is open to negotiation for a request about a stream.
    pub(crate) fn terms(&self, request: &Request, name: &StreamName) -> Result<Terms, Problem> {
        let allowed = self.config.stream_rules.codecs(name).unwrap_or_else(|| self.config.codecs.clone());
        let mut codecs = Vec::new();
        for (parameter, kind) in [("video", MediaKind::Video), ("audio", MediaKind::Audio)] {
            match request.parameter(parameter) {
                Some(list) => codecs.extend(
                    preference(&list, &allowed, kind)
                        .map_err(|error| Problem::BadParameter(format!("?{parameter}= of the URL: {error}.")))?,
                ),
                None => codecs.extend(allowed.iter().filter(|codec| codec.kind() == kind)),
            }
        }
        let told = self.config.video_bitrate;
        let bitrates = (told != Bitrates::default()).then_some(told);
        Ok(Terms { codecs, bitrates, data: self.config.data })
    }

    /// Takes note of what came by HTTP for a session.
    pub(crate) fn note(&self, session: SessionId, note: &Note) {
        self.traces.borrow_mut().note(SystemTime::now(), session, note);
    }

    fn with_session(&self, id: SessionId, note: impl FnOnce(&Session)) {
        if let Some(session) = self.registry.borrow().session(id) {
            note(session);
        }
    }
}
