//! What the checks have in common: the endpoints, and scenes of a publisher and a viewer that run together.

use crate::cli::Options;
use crate::http::{Call, Http, Reply};
use crate::offer::Offer;
use crate::peer::Identity;
use crate::report::{Outcome, Shortfall, expect};
use crate::session::{Session, Side};
use std::time::{Duration, Instant};
use url::Url;

/// How long a server may take to free a stream after a DELETE, or to show a publisher that has just connected.
const SETTLING: Duration = Duration::from_secs(3);
/// Pause between two tries of an HTTP request, and between two looks at the sockets.
const RETRY: Duration = Duration::from_millis(150);
const TURN: Duration = Duration::from_millis(1);
/// Redirects of one POST that are followed.
const MAX_REDIRECTS: usize = 3;

/// See the module's text.
pub(crate) struct Context {
    pub(crate) http: Http,
    whip: Url,
    whep: Option<Url>,
    pub(crate) token: Option<String>,
    pub(crate) patience: Duration,
    pub(crate) slow: bool,
}

/// What came of an offer.
pub(crate) enum Attempt {
    Open(Box<Scene>),
    Refused(Reply),
}

impl Context {
    pub(crate) fn new(options: &Options, whip: Url) -> Context {
        Context {
            http: Http::new(options),
            whip,
            whep: options.whep.clone(),
            token: options.token.clone(),
            patience: Duration::from_secs(options.timeout),
            slow: options.slow,
        }
    }

    /// The endpoint of a side.
    pub(crate) fn endpoint(&self, side: Side) -> Result<&Url, Shortfall> {
        match side {
            Side::Whip => Ok(&self.whip),
            Side::Whep => self.whep.as_ref().ok_or_else(|| Shortfall::not_applicable("no --whep URL is given")),
        }
    }

    /// Begins a request to an endpoint.
    pub(crate) fn call(&self, method: &'static str, side: Side) -> Result<Call<'_>, Shortfall> {
        Ok(self.http.call(method, self.endpoint(side)?))
    }

    /// POSTs what may be no offer at all. A session that comes of it is ended at once.
    pub(crate) fn post(&self, side: Side, content_type: Option<&str>, body: &[u8]) -> Result<Reply, Shortfall> {
        let mut call = self.call("POST", side)?.body(body);
        if let Some(content_type) = content_type {
            call = call.header("Content-Type", content_type);
        }
        let reply = call.send()?;
        self.end_session_of(&reply);
        Ok(reply)
    }

    fn end_session_of(&self, reply: &Reply) {
        if let Some(location) = reply.location().filter(|_| matches!(reply.status, 201 | 406)) {
            let _ = self.http.call("DELETE", &location).send();
        }
    }

    /// A complete offer for a side, and who it is of.
    pub(crate) fn offer(&self, side: Side) -> Result<(Identity, Offer), Shortfall> {
        let identity = Identity::new(self.endpoint(side)?)?;
        let offer = match side {
            Side::Whip => Offer::publish(identity.transport.clone()),
            Side::Whep => Offer::play(identity.transport.clone()),
        };
        Ok((identity, offer))
    }

    /// What must be there before a client of this side comes: for a viewer, a publisher that sends.
    pub(crate) fn stage(&self, side: Side) -> Result<Scene, Shortfall> {
        let mut scene = Scene { side, publisher: None, viewer: None, patience: self.patience };
        if side == Side::Whep {
            self.endpoint(side)?;
            let Attempt::Open(publishing) = self.attempt(Side::Whip, |_| {})? else {
                return Err(Shortfall::fail("a publisher for the viewer", "its offer was refused"));
            };
            scene.publisher = publishing.publisher;
            scene.connect()?;
            // Servers that look for media before they let viewers in have some then.
            scene.run(Duration::from_millis(100));
        }
        Ok(scene)
    }

    /// Offers a session, with what `bend` makes of the usual offer.
    pub(crate) fn attempt(&self, side: Side, bend: impl FnOnce(&mut Offer)) -> Result<Attempt, Shortfall> {
        let mut scene = self.stage(side)?;
        let (identity, mut offer) = self.offer(side)?;
        bend(&mut offer);
        let reply = self.post_offer(side, &offer.text(), &mut scene)?;
        if reply.status != 201 {
            self.end_session_of(&reply);
            return Ok(Attempt::Refused(reply));
        }
        let session = Session::new(self.http.clone(), side, reply, offer, identity)?;
        match side {
            Side::Whip => scene.publisher = Some(session),
            Side::Whep => scene.viewer = Some(session),
        }
        Ok(Attempt::Open(Box::new(scene)))
    }

    /// A session that was accepted and whose transport is not started.
    pub(crate) fn scene_with(&self, side: Side, bend: impl FnOnce(&mut Offer)) -> Result<Scene, Shortfall> {
        match self.attempt(side, bend)? {
            Attempt::Open(scene) => Ok(*scene),
            Attempt::Refused(reply) => Err(Shortfall::fail("201", format!("{}: {}", reply.brief(), reply.text()))),
        }
    }

    pub(crate) fn scene(&self, side: Side) -> Result<Scene, Shortfall> {
        self.scene_with(side, |_| {})
    }

    /// The reply to an offer that is not to be accepted.
    pub(crate) fn refusal(&self, side: Side, bend: impl FnOnce(&mut Offer)) -> Result<Reply, Shortfall> {
        match self.attempt(side, bend)? {
            Attempt::Open(_) => Err(Shortfall::fail("the offer is refused with 422 or 400", "201")),
            Attempt::Refused(reply) => Ok(reply),
        }
    }

    /// A connected session, and for a publisher a viewer where there is a WHEP URL, so that media can be seen to flow.
    pub(crate) fn live(&self, side: Side) -> Result<Scene, Shortfall> {
        let mut scene = self.scene(side)?;
        scene.connect()?;
        if side == Side::Whip && self.whep.is_some() {
            scene.run(Duration::from_millis(100));
            let (identity, offer) = self.offer(Side::Whep)?;
            let reply = self.post_offer(Side::Whep, &offer.text(), &mut scene)?;
            expect(reply.status == 201, "201 for a viewer of the publisher", reply.brief())?;
            scene.viewer = Some(Session::new(self.http.clone(), Side::Whep, reply, offer, identity)?);
            scene.connect()?;
        }
        scene.media_flows()?;
        Ok(scene)
    }

    /// POSTs an offer, waiting for a stream to be free or there, as it may take a moment after the check before.
    fn post_offer(&self, side: Side, offer: &str, scene: &mut Scene) -> Result<Reply, Shortfall> {
        let end = Instant::now() + SETTLING;
        loop {
            let reply = self.post_following(side, offer)?;
            let (waits, words) = match side {
                Side::Whip => (reply.status == 409, "a stream that nobody publishes"),
                Side::Whep => (matches!(reply.status, 404 | 409), "the publisher that has connected is found"),
            };
            if !waits {
                return Ok(reply);
            }
            if Instant::now() >= end {
                let got = format!(
                    "{} {} (a publisher is there already, or a DELETE does not end it)",
                    reply.status,
                    reply.text()
                );
                let got = if side == Side::Whip { got } else { reply.brief() };
                return Err(Shortfall::fail(words, got));
            }
            scene.run(RETRY);
        }
    }

    /// A client has to follow 307 and 308 (RFC 9725 §4.5).
    fn post_following(&self, side: Side, offer: &str) -> Result<Reply, Shortfall> {
        let mut url = self.endpoint(side)?.clone();
        for _ in 0..MAX_REDIRECTS {
            let reply = self.http.call("POST", &url).header("Content-Type", "application/sdp").body(offer).send()?;
            match reply.location().filter(|_| matches!(reply.status, 307 | 308)) {
                Some(next) => url = next,
                None => return Ok(reply),
            }
        }
        Err(Shortfall::fail("an end of redirects", url.to_string()))
    }
}

/// A publisher and a viewer of one stream, as far as a check needs them.
pub(crate) struct Scene {
    side: Side,
    pub(crate) publisher: Option<Session>,
    pub(crate) viewer: Option<Session>,
    patience: Duration,
}

impl Scene {
    /// The session that the check is about.
    pub(crate) fn subject(&mut self) -> Result<&mut Session, Shortfall> {
        let subject = match self.side {
            Side::Whip => self.publisher.as_mut(),
            Side::Whep => self.viewer.as_mut(),
        };
        subject.ok_or_else(|| Shortfall::not_applicable("the session was not opened"))
    }

    fn sessions(&mut self) -> impl Iterator<Item = &mut Session> {
        self.publisher.iter_mut().chain(self.viewer.iter_mut())
    }

    /// Moves everybody's datagrams for a while.
    pub(crate) fn run(&mut self, duration: Duration) {
        self.wait_for(duration, |_| false);
    }

    /// Moves everybody's datagrams until `done`; false when it takes too long.
    pub(crate) fn wait(&mut self, done: impl FnMut(&mut Scene) -> bool) -> bool {
        self.wait_for(self.patience, done)
    }

    /// The same with a time of its own.
    pub(crate) fn wait_for(&mut self, patience: Duration, mut done: impl FnMut(&mut Scene) -> bool) -> bool {
        let end = Instant::now() + patience;
        loop {
            self.sessions().for_each(Session::turn);
            if done(self) {
                return true;
            }
            if Instant::now() >= end {
                return false;
            }
            std::thread::sleep(TURN);
        }
    }

    /// Connects whoever is not.
    pub(crate) fn connect(&mut self) -> Outcome {
        for session in self.sessions().filter(|session| session.peer.is_none()) {
            session.start()?;
        }
        let connected = self.wait(|scene| scene.sessions().all(|session| session.is_connected()));
        expect(connected, "ICE and DTLS get through and SRTP is keyed", self.progress())
    }

    /// How far everybody is, for a report.
    fn progress(&mut self) -> String {
        self.sessions().map(|session| session.progress()).collect::<Vec<_>>().join("; ")
    }

    /// RTP packets that the viewer has got.
    pub(crate) fn packets(&self) -> u64 {
        self.viewer.as_ref().and_then(|viewer| viewer.peer.as_ref()).map_or(0, |peer| peer.inbox.packets)
    }

    /// Media goes from publisher to viewer. Without a viewer, nobody can tell, and the transport has to be open.
    pub(crate) fn media_flows(&mut self) -> Outcome {
        // What is under way is not what is still sent.
        self.run(Duration::from_millis(100));
        if self.viewer.as_ref().is_some_and(|viewer| viewer.peer.is_some()) {
            let before = self.packets();
            let flows = self.wait(|scene| scene.packets() > before + 10);
            let got = format!("{} packets; {}", self.packets() - before, self.progress());
            expect(flows, "media goes on from the publisher to the viewer", got)?;
        }
        let open = self.sessions().all(|session| session.is_connected());
        expect(open, "the transports stay open", self.progress())
    }
}
