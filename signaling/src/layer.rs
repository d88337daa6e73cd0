//! `POST /session/{id}/layer`: WHEP's layer selection (the "core" extension of draft-ietf-wish-whep).
//!
//! Every viewer gets the best layer that the publisher sends at the time, so the one thing that can be asked for is what it has:
//! automatic selection. The rest is read as it will be, and refused in words.

use crate::http::{Request, Response};
use crate::problem::Problem;
use crate::session;
use crate::signaling::Signaling;
use serde::Deserialize;

/// The types of the body: the draft's own has a slip, which its clients copy.
const TYPES: [&str; 2] = ["application/json", "application/sjon"];

#[derive(Deserialize, Debug)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Wish {
    media_id: Option<String>,
    rid: Option<String>,
    spatial_layer_id: Option<u8>,
    temporal_layer_id: Option<u8>,
    max_spatial_layer_id: Option<u8>,
    max_temporal_layer_id: Option<u8>,
    max_width: Option<u32>,
    max_height: Option<u32>,
}

impl Wish {
    fn is_automatic(&self) -> bool {
        let numbers =
            [self.spatial_layer_id, self.temporal_layer_id, self.max_spatial_layer_id, self.max_temporal_layer_id];
        let is_free = numbers.iter().all(Option::is_none) && self.max_width.is_none() && self.max_height.is_none();
        is_free && self.rid.is_none()
    }
}

/// `DELETE`, with which some clients go back to automatic selection.
pub(crate) fn unselect(signaling: &Signaling, request: &Request, id: &str) -> Result<Response, Problem> {
    session::to_change(signaling, request, id).map(|_| Response::new(200))
}

/// Answers 200 to what is the case anyway.
pub(crate) fn select(signaling: &Signaling, request: &Request, id: &str) -> Result<Response, Problem> {
    let (_, session) = session::to_change(signaling, request, id)?;
    if !TYPES.iter().any(|media_type| request.has_content_type(media_type)) {
        return Err(Problem::NotJson);
    }
    let wish: Wish = serde_json::from_slice(&request.body)
        .map_err(|error| Problem::BadParameter(format!("The body is no layer selection: {error}.")))?;
    let known =
        |mid: &String| session.sections.iter().any(|section| section.mid.is_some_and(|own| own.as_str() == mid));
    if let Some(mid) = wish.media_id.as_ref().filter(|mid| !known(mid)) {
        return Err(Problem::BadParameter(format!("The session has no m-section with the mid {mid:?}.")));
    }
    if wish.is_automatic() { Ok(Response::new(200)) } else { Err(Problem::LayersFixed) }
}
