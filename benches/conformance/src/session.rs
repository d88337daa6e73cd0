//! One WHIP or WHEP session as a client has it: the 201, the session URL, the peer; ended by DELETE when it is dropped.

use crate::answer::{Description, payload_type};
use crate::http::{Call, Http, Reply};
use crate::media::{Source, Track};
use crate::offer::Offer;
use crate::peer::{Identity, Peer};
use crate::report::{Outcome, Shortfall, expect};
use std::fmt;
use std::time::Instant;
use url::Url;

/// Which of the two protocols.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Side {
    /// The client sends.
    Whip,
    /// The client receives.
    Whep,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if *self == Side::Whip { "whip" } else { "whep" })
    }
}

/// See the module's text.
pub(crate) struct Session {
    http: Http,
    side: Side,
    /// The 201.
    pub(crate) reply: Reply,
    /// The session URL.
    pub(crate) url: Url,
    pub(crate) offer: Offer,
    identity: Option<Identity>,
    pub(crate) peer: Option<Peer>,
    is_deleted: bool,
}

impl Session {
    /// The session of a 201.
    pub(crate) fn new(
        http: Http,
        side: Side,
        reply: Reply,
        offer: Offer,
        identity: Identity,
    ) -> Result<Session, Shortfall> {
        let Some(url) = reply.location() else {
            return Err(Shortfall::fail("201 with a Location", reply.brief()));
        };
        Ok(Session { http, side, reply, url, offer, identity: Some(identity), peer: None, is_deleted: false })
    }

    /// Begins a request to the session URL.
    pub(crate) fn call(&self, method: &'static str) -> Call<'_> {
        self.http.call(method, &self.url)
    }

    /// The answer in the 201.
    pub(crate) fn answer(&self) -> Result<Description, Shortfall> {
        Description::parse(&self.reply.body).map_err(|error| Shortfall::fail("an SDP answer", error))
    }

    /// The entity-tag of the 201, which PATCH needs.
    pub(crate) fn etag(&self) -> Result<String, Shortfall> {
        let etag = self.reply.header("etag").map(str::to_owned);
        etag.ok_or_else(|| Shortfall::fail("an ETag in the 201", "none, so that no PATCH can be conditional"))
    }

    /// Starts ICE; a publisher sends as soon as it may.
    pub(crate) fn start(&mut self) -> Outcome {
        let answer = self.answer()?;
        let identity =
            self.identity.take().ok_or_else(|| Shortfall::not_applicable("the session was started before"))?;
        let mut peer = Peer::new(identity, &answer)?;
        if self.side == Side::Whip {
            peer.publish(Source::new(Instant::now(), self.tracks(&answer)?));
        }
        self.peer = Some(peer);
        Ok(())
    }

    /// What the answer lets a publisher send: VP8 and Opus.
    fn tracks(&self, answer: &Description) -> Result<Vec<Track>, Shortfall> {
        let track = |kind: &str, codec: &str| {
            let ssrc = self.offer.sections.iter().find(|section| section.kind == kind)?.ssrc;
            let payload_type = payload_type(answer.media(kind)?, codec)?;
            Some(Track { payload_type, ssrc, is_video: kind == "video" })
        };
        let tracks: Vec<Track> = [track("audio", "opus"), track("video", "vp8")].into_iter().flatten().collect();
        expect(!tracks.is_empty(), "an answer that accepts VP8 or Opus", "neither")?;
        Ok(tracks)
    }

    pub(crate) fn peer(&mut self) -> Result<&mut Peer, Shortfall> {
        self.peer.as_mut().ok_or_else(|| Shortfall::not_applicable("the session has no transport"))
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.peer.as_ref().is_some_and(Peer::is_connected)
    }

    /// How far the transport is, for a report.
    pub(crate) fn progress(&self) -> String {
        match &self.peer {
            Some(peer) => format!("{:?} with {} checks answered", peer.state(), peer.answered_checks()),
            None => "no transport".to_owned(),
        }
    }

    /// Moves the peer's datagrams.
    pub(crate) fn turn(&mut self) {
        if let Some(peer) = &mut self.peer {
            peer.turn();
        }
    }

    /// DELETE, as a check of its own.
    pub(crate) fn delete(&mut self) -> Result<Reply, Shortfall> {
        self.is_deleted = true;
        self.call("DELETE").send()
    }
}

/// Leaves the stream free for the next check.
impl Drop for Session {
    fn drop(&mut self) {
        if !self.is_deleted {
            // A server that does not delete is found by the checks of DELETE.
            let _ = self.call("DELETE").send();
        }
        if let Some(peer) = &mut self.peer {
            peer.close();
        }
    }
}
