//! What the host allows: read once at start, before anything of glommio is touched, and judged by pure functions.
//!
//! [`Facts::read`] is the only place that looks; `uring` and `limits` only judge, so that every host can be played in a test.

mod limits;
mod uring;

pub(crate) use limits::{Demand, warnings};
pub(crate) use uring::Uring;

use rlimit::Resource;
use std::fmt;
use std::fs;
use std::net::{Ipv6Addr, UdpSocket};
use std::num::NonZeroUsize;
use std::thread;

/// What was found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Facts {
    /// Cores that this process may run on.
    pub(crate) cores: NonZeroUsize,
    /// Whether io_uring can be used.
    pub(crate) uring: Uring,
    /// Whether a socket of IPv6 can be made.
    pub(crate) ipv6: bool,
    /// `net.core.rmem_max`, where it can be read.
    pub(crate) rmem_max: Option<u64>,
    /// `net.core.wmem_max`, where it can be read.
    pub(crate) wmem_max: Option<u64>,
    /// Bytes of memory that may be locked.
    pub(crate) memlock: Limit,
    /// Number of open files.
    pub(crate) nofile: Limit,
}

/// A resource limit of this process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Limit {
    /// What holds.
    pub(crate) soft: u64,
    /// How far the process may raise it.
    pub(crate) hard: u64,
}

impl Limit {
    /// No limit at all.
    pub(crate) const NONE: Limit = Limit { soft: rlimit::INFINITY, hard: rlimit::INFINITY };
}

/// The host does not let the server start. One line, with what to change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Obstacle(pub(crate) String);

/// Something that costs performance or capacity, and the command that mends it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Warning {
    /// What is wrong, and what follows from it.
    pub(crate) what: String,
    /// What mends it.
    pub(crate) mend: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}; to mend it: {}", self.what, self.mend)
    }
}

impl Facts {
    /// Looks at the host, and raises the soft limits that matter as far as the hard ones allow.
    pub(crate) fn read() -> Facts {
        Facts {
            cores: thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
            uring: Uring::probe(),
            ipv6: UdpSocket::bind((Ipv6Addr::UNSPECIFIED, 0)).is_ok(),
            rmem_max: number("/proc/sys/net/core/rmem_max"),
            wmem_max: number("/proc/sys/net/core/wmem_max"),
            memlock: raised(Resource::MEMLOCK),
            nofile: raised(Resource::NOFILE),
        }
    }

    /// What makes a start impossible, the most fundamental first.
    ///
    /// # Errors
    /// The one obstacle that must be removed first.
    pub(crate) fn allow_start(&self) -> Result<(), Obstacle> {
        self.uring.usable()?;
        limits::enough_to_start(self)
    }
}

fn number(path: &str) -> Option<u64> {
    fs::read_to_string(path).ok()?.trim().parse().ok()
}

/// The limit after its soft part was raised to the hard one. Where even that is refused, the limit is what it was.
fn raised(resource: Resource) -> Limit {
    let Ok((soft, hard)) = resource.get() else { return Limit::NONE };
    if soft < hard && resource.set(hard, hard).is_ok() {
        return Limit { soft: hard, hard };
    }
    Limit { soft, hard }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_the_host_raises_the_soft_limits() {
        let facts = Facts::read();
        assert_eq!(facts.nofile.soft, facts.nofile.hard);
        assert_eq!(Resource::NOFILE.get().expect("it can be read").0, facts.nofile.hard);
        assert!(facts.rmem_max.is_some_and(|bytes| bytes > 0), "Linux has the figure");
    }
}
