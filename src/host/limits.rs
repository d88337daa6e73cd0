//! Limits that are too low for what was configured, and the command that raises each.

use super::{Facts, Limit, Obstacle, Warning};
use crate::config::Config;

/// glommio 0.9 refuses to make an executor below this (its README says the figure for one executor, its reactor checks it).
const MEMLOCK_PER_EXECUTOR: u64 = 512 << 10;

/// Three rings, an eventfd, the files of a blocking thread pool and a socket, doubled.
const FILES_PER_EXECUTOR: u64 = 16;

/// Standard streams, the log, the signal pipe, and what libraries open for a moment.
const FILES_OF_THE_PROCESS: u64 = 64;

/// What the configuration needs of the host.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Demand {
    /// Shards and the control core.
    pub(crate) executors: u64,
    /// Shards alone.
    pub(crate) shards: u64,
    /// `SO_RCVBUF` of a shard.
    pub(crate) receive_buffer_bytes: u64,
    /// `SO_SNDBUF` of a shard.
    pub(crate) send_buffer_bytes: u64,
    /// HTTP connections.
    pub(crate) connections: u64,
}

impl Demand {
    /// What a configuration needs when it runs with `shards` shards.
    pub(crate) fn of(config: &Config, shards: usize) -> Demand {
        Demand {
            executors: shards as u64 + 1,
            shards: shards as u64,
            receive_buffer_bytes: config.media.receive_buffer_bytes as u64,
            send_buffer_bytes: config.media.send_buffer_bytes as u64,
            connections: config.http.max_connections as u64,
        }
    }
}

/// Without this much lockable memory not even one executor comes up.
pub(super) fn enough_to_start(facts: &Facts) -> Result<(), Obstacle> {
    if facts.memlock.soft >= MEMLOCK_PER_EXECUTOR {
        return Ok(());
    }
    Err(Obstacle(format!(
        "only {} of memory may be locked, and io_uring needs {}; raise it: {}",
        bytes(facts.memlock.soft),
        bytes(MEMLOCK_PER_EXECUTOR),
        mend_memlock(MEMLOCK_PER_EXECUTOR),
    )))
}

/// What will cost performance or capacity.
pub(crate) fn warnings(facts: &Facts, demand: &Demand) -> Vec<Warning> {
    let found = [
        buffer("rmem_max", "datagrams that come in bursts will be lost", facts.rmem_max, demand.receive_buffer_bytes),
        buffer("wmem_max", "bursts of datagrams will wait to be sent", facts.wmem_max, demand.send_buffer_bytes),
        memlock(facts.memlock, demand.executors),
        nofile(facts.nofile, demand),
        cores(facts, demand.shards),
    ];
    found.into_iter().flatten().collect()
}

fn buffer(sysctl: &str, consequence: &str, allowed: Option<u64>, wanted: u64) -> Option<Warning> {
    let allowed = allowed.filter(|allowed| *allowed < wanted)?;
    Some(Warning {
        what: format!("net.core.{sysctl} is {allowed}, and {wanted} is wanted: {consequence}"),
        mend: format!("sysctl -w net.core.{sysctl}={wanted}"),
    })
}

fn memlock(limit: Limit, executors: u64) -> Option<Warning> {
    let wanted = executors * MEMLOCK_PER_EXECUTOR;
    (limit.soft < wanted).then(|| Warning {
        what: format!(
            "{} of memory may be locked, and {executors} executors want {}: their rings may not come up",
            bytes(limit.soft),
            bytes(wanted),
        ),
        mend: mend_memlock(wanted),
    })
}

fn mend_memlock(wanted: u64) -> String {
    let kib = wanted.div_ceil(1024);
    format!("ulimit -l {kib}, or LimitMEMLOCK={kib}K in the systemd unit")
}

fn nofile(limit: Limit, demand: &Demand) -> Option<Warning> {
    let others = FILES_OF_THE_PROCESS + demand.executors * FILES_PER_EXECUTOR;
    let wanted = demand.connections + others;
    (limit.soft < wanted).then(|| Warning {
        what: format!(
            "{} files may be open, and {wanted} are wanted: only some {} HTTP connections instead of {} fit",
            limit.soft,
            limit.soft.saturating_sub(others),
            demand.connections,
        ),
        mend: format!(
            "ulimit -n {wanted}, or LimitNOFILE={wanted} in the systemd unit, or a smaller http.max_connections"
        ),
    })
}

fn cores(facts: &Facts, shards: u64) -> Option<Warning> {
    let cores = facts.cores.get() as u64;
    (shards > cores).then(|| Warning {
        what: format!("{shards} shards have only {cores} cores: they will take turns, and media will stutter"),
        mend: "media.shards = 0, which is one for each available core".to_owned(),
    })
}

/// The largest unit that loses nothing.
fn bytes(count: u64) -> String {
    match count {
        rlimit::INFINITY => "any amount".to_owned(),
        _ if count >= 1 << 20 && count.is_multiple_of(1 << 20) => format!("{} MiB", count >> 20),
        _ if count >= 1 << 10 && count.is_multiple_of(1 << 10) => format!("{} KiB", count >> 10),
        _ => format!("{count} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Uring;
    use super::*;
    use std::num::NonZeroUsize;

    fn good() -> Facts {
        Facts {
            cores: NonZeroUsize::new(4).unwrap(),
            uring: Uring::Usable,
            ipv6: true,
            rmem_max: Some(4 << 20),
            wmem_max: Some(4 << 20),
            memlock: Limit { soft: 8 << 20, hard: 8 << 20 },
            nofile: Limit { soft: 20_000, hard: 20_000 },
        }
    }

    #[track_caller]
    fn one_warning(facts: &Facts, shards: usize) -> String {
        let warnings = warnings(facts, &Demand::of(&Config::default(), shards));
        assert_eq!(warnings.len(), 1, "{warnings:?}");
        warnings[0].to_string()
    }

    #[test]
    fn a_good_host_is_not_grumbled_at() {
        assert_eq!(warnings(&good(), &Demand::of(&Config::default(), 4)), []);
        let unlimited = Facts { memlock: Limit::NONE, nofile: Limit::NONE, rmem_max: None, wmem_max: None, ..good() };
        assert_eq!(warnings(&unlimited, &Demand::of(&Config::default(), 4)), []);
        assert_eq!(unlimited.allow_start(), Ok(()));
    }

    #[test]
    fn small_socket_buffers_are_told_with_their_sysctl() {
        let line = one_warning(&Facts { rmem_max: Some(212_992), ..good() }, 4);
        assert!(line.starts_with("net.core.rmem_max is 212992, and 4194304 is wanted"), "{line}");
        assert!(line.ends_with("sysctl -w net.core.rmem_max=4194304"), "{line}");
        let line = one_warning(&Facts { wmem_max: Some(4_194_303), ..good() }, 4);
        assert!(line.ends_with("sysctl -w net.core.wmem_max=4194304"), "{line}");
    }

    #[test]
    fn lockable_memory_is_measured_by_the_number_of_executors() {
        let facts = |bytes| Facts { memlock: Limit { soft: bytes, hard: bytes }, ..good() };
        let demand = Demand::of(&Config::default(), 4);
        assert_eq!(warnings(&facts(5 * (512 << 10)), &demand), []);
        let line = one_warning(&facts(5 * (512 << 10) - 1), 4);
        assert!(line.contains("2621439 bytes of memory may be locked"), "{line}");
        assert!(line.ends_with("ulimit -l 2560, or LimitMEMLOCK=2560K in the systemd unit"), "{line}");
    }

    #[test]
    fn too_little_lockable_memory_for_one_executor_is_an_obstacle() {
        let facts = |bytes| Facts { memlock: Limit { soft: bytes, hard: bytes }, ..good() };
        assert_eq!(facts(512 << 10).allow_start(), Ok(()));
        let line = facts(64 << 10).allow_start().expect_err("glommio refuses it").to_string();
        assert!(line.starts_with("only 64 KiB of memory may be locked, and io_uring needs 512 KiB"), "{line}");
        assert!(line.contains("LimitMEMLOCK=512K"), "{line}");
    }

    #[test]
    fn few_open_files_are_told_with_what_fits() {
        let line = one_warning(&Facts { nofile: Limit { soft: 1024, hard: 1024 }, ..good() }, 4);
        assert!(line.contains("only some 880 HTTP connections instead of 12288 fit"), "{line}");
        assert!(line.contains("LimitNOFILE=12432"), "{line}");
    }

    #[test]
    fn more_shards_than_cores_are_told() {
        let line = one_warning(&good(), 5);
        assert!(line.starts_with("5 shards have only 4 cores"), "{line}");
    }
}
