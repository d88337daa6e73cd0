//! From one publisher to every viewer: what a turn brought, and how it is made each viewer's own.

mod batch;
mod history;
mod keyframe;
mod rewrite;
mod turn;

pub(crate) use batch::{Batch, Item, Source};
pub(crate) use history::{Group, History, HistoryLimits, Past};
pub(crate) use keyframe::KeyframeRequests;
pub(crate) use rewrite::{Epoch, Rewriter};
pub(crate) use turn::{Turn, TurnItem};
