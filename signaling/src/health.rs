//! `/healthz`: the process answers. `/readyz`: every shard's loop has turned within the last second.

use crate::http::Response;
use oneport_engine::control::ShardHealth;
use serde_json::{Value, json};
use std::time::Duration;

/// A loop that has not turned for so long holds up its sessions: their media stands still by then.
const STALLED: Duration = Duration::from_secs(1);

/// The answer to `/healthz`.
pub(crate) fn healthy() -> Response {
    answer(200, &json!({ "status": "ok" }))
}

/// The answer to `/readyz`.
pub(crate) fn ready(shards: &[ShardHealth]) -> Response {
    let is_ready = !shards.is_empty() && shards.iter().all(turns);
    let each: Vec<Value> = shards.iter().enumerate().map(|(index, shard)| describe(index, shard)).collect();
    answer(if is_ready { 200 } else { 503 }, &json!({ "ready": is_ready, "shards": each }))
}

fn turns(shard: &ShardHealth) -> bool {
    shard.since_last_turn < STALLED
}

fn describe(index: usize, shard: &ShardHealth) -> Value {
    json!({
        "shard": index,
        "ready": turns(shard),
        "since_last_turn_ms": u64::try_from(shard.since_last_turn.as_millis()).unwrap_or(u64::MAX),
        "sessions": shard.sessions,
        "crossed_datagrams": shard.crossed,
    })
}

fn answer(status: u16, body: &Value) -> Response {
    let response = Response::new(status).with_body("application/json", body.to_string().into_bytes());
    response.with("Cache-Control", "no-store")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(ms: u64) -> ShardHealth {
        ShardHealth { since_last_turn: Duration::from_millis(ms), sessions: 3, crossed: 1 }
    }

    #[test]
    fn one_stalled_shard_makes_the_server_not_ready() {
        assert_eq!(ready(&[shard(0), shard(999)]).status, 200);
        assert_eq!(ready(&[shard(0), shard(1000)]).status, 503);
        assert_eq!(ready(&[]).status, 503);
    }

    #[test]
    fn the_body_says_which_shard_it_is() {
        let response = ready(&[shard(5), shard(2000)]);
        let body: Value = serde_json::from_slice(&response.body).unwrap();
        assert_eq!(body["ready"], false);
        assert_eq!((&body["shards"][0]["ready"], &body["shards"][1]["ready"]), (&json!(true), &json!(false)));
        assert_eq!(body["shards"][1]["since_last_turn_ms"], 2000);
        assert_eq!(body["shards"][0]["sessions"], 3);
    }
}
