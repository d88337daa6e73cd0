//! Counter-offers (draft-ietf-wish-whep §4.3.2): the server offers what it sends, and the client answers.
//!
//! Our offer is the answer that a client would get which offers to receive everything; but for `a=setup` the two are alike. The client's
//! answer is then read as an offer to receive what it has kept of ours, so that the rules of negotiation exist once.

use oneport_rtp::payload::Format;

use crate::answer::{self, LocalDescription};
use crate::media::OfferedMedia;
use crate::negotiate::negotiate_play;
use crate::negotiated::{Capabilities, Negotiated};
use crate::offer::Offer;
use crate::rejection::{Rejection, Section};

/// A client that can receive everything that is known here.
const EVERYTHING: &str = include_str!("everything.offer.sdp");

/// An offer of ours.
#[derive(Debug, Clone)]
pub struct Counter {
    ours: Capabilities,
    offered: Negotiated,
}

impl Counter {
    /// An offer of what this server can send, with the formats first that take what is published.
    ///
    /// # Errors
    ///
    /// When the capabilities have no codec of one kind.
    pub fn new(ours: Capabilities, published: &[Format]) -> Result<Counter, Rejection> {
        let everything = everything();
        let mut offered = negotiate_play(&everything, &ours, &[])?;
        for media in &mut offered.media {
            let fitness = |format: &Format| published.iter().filter_map(|sent| format.fitness_for(sent)).min();
            media.formats.sort_by_key(|own| fitness(&own.format).unwrap_or(u8::MAX));
        }
        Ok(Counter { ours, offered })
    }

    /// What is offered, with one m-section for each that is sent.
    pub fn offered(&self) -> &Negotiated {
        &self.offered
    }

    /// Writes the offer.
    pub fn write(&self, local: &LocalDescription) -> String {
        answer::write_description(&self.offered, local, "actpass")
    }

    /// Takes the client's answer: what was agreed on, in the same form as if the client had offered.
    ///
    /// # Errors
    ///
    /// When the answer has other m-sections than the offer, a role that is none, or refuses everything.
    pub fn accept(&self, answer: &Offer) -> Result<Negotiated, Rejection> {
        let (wanted, given) = (self.offered.media.len(), answer.media.len());
        if wanted != given {
            return Err(Rejection::OtherSections { offered: wanted, answered: given });
        }
        for (offered, answered) in self.offered.media.iter().zip(&answer.media) {
            let is_same = offered.kind == answered.kind && (answered.mid.is_none() || offered.mid == answered.mid);
            if !is_same {
                return Err(Rejection::OtherSection { section: Section::of(answered) });
            }
            self.check_formats(answered)?;
        }
        let mut answer = answer.clone();
        for (offered, answered) in self.offered.media.iter().zip(&mut answer.media) {
            answered.mid = offered.mid;
            // Of an answer, `inactive` refuses the section (RFC 3264 §6.1).
            answered.disabled |= !answered.direction.sends() && !answered.direction.receives();
        }
        if let Some(undecided) = answer.media.iter().find(|media| !media.disabled && media.is_actpass()) {
            return Err(Rejection::UndecidedSetup { section: Section::of(undecided) });
        }
        negotiate_play(&answer, &self.ours, &[])
    }

    /// An answer keeps the numbers of the offer (RFC 3264 §6.1): another number means that it answers another offer.
    fn check_formats(&self, answered: &OfferedMedia) -> Result<(), Rejection> {
        let offered = &self.offered.media[answered.index];
        let is_ours = |format: &crate::media::OfferedFormat| {
            offered
                .formats
                .iter()
                .any(|own| own.payload_type == format.payload_type && own.format.codec == format.format.codec)
        };
        if answered.disabled || answered.formats.iter().all(is_ours) {
            return Ok(());
        }
        Err(Rejection::OtherSection { section: Section::of(answered) })
    }
}

fn everything() -> Offer {
    Offer::parse(EVERYTHING).expect("a constant that the tests parse")
}
