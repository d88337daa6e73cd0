//! What the server's process uses, from /proc.

use std::fs;
use std::time::Duration;

/// A moment's figures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    pub(crate) cpu: Duration,
    pub(crate) rss_bytes: u64,
    pub(crate) context_switches: u64,
    pub(crate) threads: u64,
}

/// Reads a process; `None` when it is not there, or not ours to read.
pub(crate) fn sample(pid: u32) -> Option<Sample> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_ascii_whitespace().collect();
    // Fields 14 and 15 of proc(5), in clock ticks; the third is the first here.
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let per_second = rustix::param::clock_ticks_per_second().max(1);
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_ascii_whitespace().next()?.parse::<u64>().ok()
    };
    Some(Sample {
        cpu: Duration::from_nanos(ticks * 1_000_000_000 / per_second),
        rss_bytes: line("VmRSS:")? * 1024,
        context_switches: context_switches(pid),
        threads: line("Threads:")?,
    })
}

/// Of all threads; the process's own file has those of its first thread alone.
fn context_switches(pid: u32) -> u64 {
    let Ok(tasks) = fs::read_dir(format!("/proc/{pid}/task")) else { return 0 };
    let statuses = tasks.flatten().filter_map(|task| fs::read_to_string(task.path().join("status")).ok());
    let count = |status: String| -> u64 {
        let lines = status.lines().filter(|line| line.contains("ctxt_switches:"));
        lines.filter_map(|line| line.split_ascii_whitespace().last()?.parse::<u64>().ok()).sum()
    };
    statuses.map(count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_can_be_read_and_another_cannot() {
        let own = sample(std::process::id()).unwrap();
        assert!(own.rss_bytes > 100_000 && own.threads >= 1);
        assert!(sample(u32::MAX).is_none());
    }
}
