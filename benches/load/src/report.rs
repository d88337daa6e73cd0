//! What a run has brought: a table for people, JSON for programs, a page with plots.

use crate::cli::Options;
use crate::html;
use crate::stats::{Stats, Times};
use crate::watch::Sample;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

/// The figures of one second.
#[derive(Clone, Debug)]
pub(crate) struct Moment {
    pub(crate) at: Duration,
    pub(crate) sessions: u64,
    pub(crate) packets_per_second: f64,
    pub(crate) bits_per_second: f64,
    pub(crate) server_cores: Option<f64>,
}

/// All of a run.
pub(crate) struct Outcome<'a> {
    pub(crate) options: &'a Options,
    pub(crate) stats: Stats,
    pub(crate) asked: u64,
    pub(crate) connected: u64,
    pub(crate) measured: Duration,
    pub(crate) moments: Vec<Moment>,
    /// The server before anybody came.
    pub(crate) idle: Option<Sample>,
    /// The server when the measurement began, and when it ended.
    pub(crate) watched: Option<(Sample, Sample)>,
}

/// Prints and writes it. Whether every expectation holds, and something was connected.
pub(crate) fn give(outcome: &Outcome<'_>) -> Result<bool, String> {
    let report = outcome.json();
    let options = outcome.options;
    let to_stdout = options.json.as_ref().is_some_and(|path| path.as_os_str() == "-");
    if to_stdout {
        write_out(&format!("{report:#}\n"));
    } else {
        write_out(&outcome.table(&report));
        if let Some(path) = &options.json {
            std::fs::write(path, format!("{report:#}\n")).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    if let Some(path) = &options.html {
        let page = html::page(&report, &outcome.moments);
        std::fs::write(path, page).map_err(|error| format!("{}: {error}", path.display()))?;
    }
    let failures = options.expect.as_ref().map(|expectations| expectations.failures(&report)).unwrap_or_default();
    failures.iter().for_each(|failure| eprintln!("oneport-load: {failure}"));
    Ok(failures.is_empty() && outcome.connected > 0)
}

/// To standard output. Whoever reads it may have gone away, which is no failure of the run.
fn write_out(text: &str) {
    let _ = std::io::stdout().write_all(text.as_bytes());
}

fn milliseconds(times: &Times) -> Value {
    let ms = |us: u64| us as f64 / 1000.0;
    json!({
        "count": times.count(), "mean": times.mean() / 1000.0, "p50": ms(times.at(50.0)), "p90": ms(times.at(90.0)),
        "p99": ms(times.at(99.0)), "p999": ms(times.at(99.9)), "max": ms(times.max()),
    })
}

impl Outcome<'_> {
    fn json(&self) -> Value {
        let stats = &self.stats;
        let lost = stats.packets_expected.saturating_sub(stats.packets_received);
        let seconds = self.measured.as_secs_f64();
        let latency = &stats.latency;
        let cpu = self.watched.map(|(begin, end)| end.cpu.saturating_sub(begin.cpu));
        let received = stats.packets_received.max(1) as f64;
        let idle = self.idle.map_or(0, |idle| idle.rss_bytes);
        json!({
            "sessions_asked": self.asked,
            "sessions_connected": self.connected,
            "sessions_lost": stats.sessions_lost,
            "failures": stats.failures,
            "duration_s": seconds,
            "packets_sent": stats.packets_sent,
            "packets_expected": stats.packets_expected,
            "packets_received": stats.packets_received,
            "packets_lost": lost,
            "packets_duplicate": stats.packets_duplicate,
            "packets_reordered": stats.packets_reordered,
            "packets_late": stats.packets_late,
            "packets_invalid": stats.packets_invalid,
            "loss_percent": 100.0 * lost as f64 / stats.packets_expected.max(1) as f64,
            "nacks_sent": stats.nacks_sent,
            "retransmissions": stats.retransmissions,
            "bytes_received": stats.bytes_received,
            "bits_per_second": stats.bytes_received as f64 * 8.0 / seconds,
            "packets_per_second": stats.packets_received as f64 / seconds,
            "http_ms": milliseconds(&stats.http),
            "ice_ms": milliseconds(&stats.ice),
            "dtls_ms": milliseconds(&stats.dtls),
            "join_ms": milliseconds(&stats.join),
            "first_keyframe_ms": milliseconds(&stats.first_keyframe),
            "latency_us": {
                "count": latency.count(), "mean": latency.mean(), "p50": latency.at(50.0), "p90": latency.at(90.0),
                "p99": latency.at(99.0), "p999": latency.at(99.9), "max": latency.max(),
            },
            "server_cpu_cores": cpu.map(|cpu| cpu.as_secs_f64() / seconds),
            "server_cpu_ns_per_packet": cpu.map(|cpu| cpu.as_nanos() as f64 / received),
            "server_rss_bytes": self.watched.map(|(_, end)| end.rss_bytes),
            "server_rss_bytes_per_session":
                self.watched.map(|(_, end)| end.rss_bytes.saturating_sub(idle) / self.connected.max(1)),
            "server_context_switches_per_second": self.watched.map(|(begin, end)| {
                end.context_switches.saturating_sub(begin.context_switches) as f64 / seconds
            }),
            "server_threads": self.watched.map(|(_, end)| end.threads),
        })
    }

    fn table(&self, report: &Value) -> String {
        let mut text = String::new();
        let number = |name: &str| report[name].as_f64().unwrap_or_default();
        let _ = writeln!(
            text,
            "sessions     {} of {} connected, {} lost",
            number("sessions_connected"),
            number("sessions_asked"),
            number("sessions_lost")
        );
        for (cause, count) in &self.stats.failures {
            let _ = writeln!(text, "             {count} failed: {cause}");
        }
        let _ = writeln!(
            text,
            "packets      {} expected, {} received, {} lost ({:.4} %), {} late, {} duplicate, {} reordered",
            number("packets_expected"),
            number("packets_received"),
            number("packets_lost"),
            number("loss_percent"),
            number("packets_late"),
            number("packets_duplicate"),
            number("packets_reordered")
        );
        let _ = writeln!(
            text,
            "rate         {:.0} packets/s, {:.3} Gbit/s, for {:.1} s",
            number("packets_per_second"),
            number("bits_per_second") / 1e9,
            number("duration_s")
        );
        let _ = writeln!(text, "\n{:<22}{:>10}{:>10}{:>10}{:>10}{:>10}", "", "count", "p50", "p90", "p99", "max");
        for (name, label) in [
            ("http_ms", "HTTP answer, ms"),
            ("ice_ms", "ICE, ms"),
            ("dtls_ms", "DTLS, ms"),
            ("join_ms", "first packet, ms"),
            ("first_keyframe_ms", "first keyframe, ms"),
            ("latency_us", "latency, µs"),
        ] {
            let times = &report[name];
            let at = |name: &str| times[name].as_f64().unwrap_or_default();
            let _ = writeln!(
                text,
                "{label:<22}{:>10}{:>10.1}{:>10.1}{:>10.1}{:>10.1}",
                at("count"),
                at("p50"),
                at("p90"),
                at("p99"),
                at("max")
            );
        }
        if self.watched.is_some() {
            let _ = writeln!(
                text,
                "\nserver       {:.3} cores, {:.0} ns per delivered packet, {:.1} MB, {:.1} KiB per session, {:.0} context switches/s",
                number("server_cpu_cores"),
                number("server_cpu_ns_per_packet"),
                number("server_rss_bytes") / 1e6,
                number("server_rss_bytes_per_session") / 1024.0,
                number("server_context_switches_per_second")
            );
        }
        text
    }
}
