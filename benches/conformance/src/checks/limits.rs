//! Overload and rate limits, as far as the checks themselves have run into them (RFC 9725 §4.5, draft-ietf-wish-whep §4.7).

use super::{Clause, both};
use crate::context::Context;
use crate::report::Level::Should;
use crate::report::{Outcome, Shortfall};
use crate::session::Side;
use std::sync::atomic::Ordering;

pub(super) const CLAUSES: &[Clause] =
    &[both(Should, "overload", ["RFC 9725 §4.5", "WHEP §4.7"], "429 and 503 come with Retry-After", overload)];

fn overload(context: &Context, _: Side) -> Outcome {
    let throttling = &context.http.throttling;
    if throttling.without.load(Ordering::Relaxed) {
        return Err(Shortfall::fail("429 or 503 with Retry-After", "a check was answered with one without"));
    }
    if throttling.with_retry_after.load(Ordering::Relaxed) {
        return Ok(());
    }
    Err(Shortfall::not_applicable("no check was throttled, and overload cannot be provoked in a well-behaved way"))
}
