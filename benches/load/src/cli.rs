//! The command line.

use clap::{Parser, ValueEnum};
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::time::Duration;

use crate::expect::Expectations;

/// Behind the options in `--help`.
const AFTER_HELP: &str = "\
{n} in a URL is the stream's number, from 0. Times and latencies are measured within this process: publishers put sequence number and \
time into each packet, viewers read them.

Exit code: 0, 1 when an expectation does not hold or nothing could be measured, 2 for a wrong command line. docs/load.md has the names of \
the JSON report's members, which --expect takes too.";

/// A codec of synthetic video.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
#[allow(missing_docs)]
pub(crate) enum VideoCodec {
    H264,
    Vp8,
    Vp9,
    Av1,
    H265,
    None,
}

/// Synthetic audio.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum AudioCodec {
    Opus,
    None,
}

/// What viewers send back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Feedback {
    /// Receiver reports, NACK, transport-cc and PLI, as browsers do.
    Browser,
    /// Nothing but ICE checks.
    None,
}

/// An SRTP profile to be the only one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(crate) enum Srtp {
    Aes128Gcm,
    Aes256Gcm,
    Aes128CmSha1,
}

/// Loads a WHIP and WHEP server with publishers and viewers, and measures what arrives.
#[derive(Clone, Debug, Parser)]
#[command(name = "oneport-load", version, args_override_self = true, after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// The WHIP endpoint that publishers use.
    #[arg(long, value_name = "URL", required_unless_present = "whep")]
    pub(crate) whip: Option<String>,
    /// The WHEP endpoint that viewers use.
    #[arg(long, value_name = "URL")]
    pub(crate) whep: Option<String>,
    /// Publishers.
    #[arg(long, default_value_t = 1)]
    pub(crate) publishers: usize,
    /// Viewers of each stream; with --total, of all streams together.
    #[arg(long, default_value_t = 1)]
    pub(crate) viewers: usize,
    /// The number of viewers is that of all streams.
    #[arg(long)]
    pub(crate) total: bool,
    /// Viewers besides, of a stream that nobody publishes: connected, and idle.
    #[arg(long, default_value_t = 0)]
    pub(crate) idle: usize,
    /// Seconds that are measured, once everybody is connected.
    #[arg(long, default_value = "10", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// Viewers that arrive per second.
    #[arg(long, default_value_t = 200.0)]
    pub(crate) ramp: f64,
    /// Bitrate of each publisher's video.
    #[arg(long, default_value_t = 2500)]
    pub(crate) video_kbps: u64,
    /// Frames per second.
    #[arg(long, default_value_t = 30.0)]
    pub(crate) fps: f64,
    /// Seconds from one keyframe to the next.
    #[arg(long, default_value = "2", value_parser = seconds)]
    pub(crate) keyframe_interval: Duration,
    /// Codec of the video.
    #[arg(long, value_enum, default_value = "vp8")]
    pub(crate) codec: VideoCodec,
    /// Codec of the audio.
    #[arg(long, value_enum, default_value = "opus")]
    pub(crate) audio: AudioCodec,
    /// Sends a frame's packets spread over the frame's time instead of at once.
    #[arg(long)]
    pub(crate) spread: bool,
    /// Bearer token of every request.
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Where the clients are, when the server is on this machine: each has an address of its own in this network.
    #[arg(long, default_value = "127.0.0.0/8", value_parser = network)]
    pub(crate) source: (Ipv4Addr, u8),
    /// Threads for the clients' packets.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub(crate) threads: u16,
    /// Of a viewer's packets, one in so many is decrypted, for its latency.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) verify: u32,
    /// Share of datagrams that viewers do not get, in percent.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) loss: f64,
    /// Viewers that leave and return, per second, while it is measured.
    #[arg(long, default_value_t = 0.0)]
    pub(crate) churn: f64,
    /// What viewers send back.
    #[arg(long, value_enum, default_value = "browser")]
    pub(crate) feedback: Feedback,
    /// Offers this SRTP profile alone.
    #[arg(long, value_enum)]
    pub(crate) srtp: Option<Srtp>,
    /// Writes the report as JSON; - is standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Writes the report as a page with plots.
    #[arg(long, value_name = "FILE")]
    pub(crate) html: Option<PathBuf>,
    /// The server's process, of which CPU, memory and context switches are measured.
    #[arg(long, value_name = "PID")]
    pub(crate) watch: Option<u32>,
    /// What has to hold, such as "loss<0.1% join_ms.p99<500".
    #[arg(long, value_name = "EXPECTATIONS")]
    pub(crate) expect: Option<Expectations>,
    /// Accepts any certificate of the HTTP server.
    #[arg(long)]
    pub(crate) insecure: bool,
}

impl Options {
    /// Viewers in all.
    pub(crate) fn all_viewers(&self) -> usize {
        match (&self.whep, self.total) {
            (None, _) => 0,
            (Some(_), true) => self.viewers,
            (Some(_), false) => self.viewers * self.publishers.max(1),
        }
    }

    /// Publishers, none without a URL for them.
    pub(crate) fn all_publishers(&self) -> usize {
        if self.whip.is_some() { self.publishers } else { 0 }
    }
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.trim_end_matches('s').parse().map_err(|_| "a number of seconds is expected".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn network(text: &str) -> Result<(Ipv4Addr, u8), String> {
    let wrong = || "a network such as 127.0.0.0/8 is expected".to_owned();
    let (ip, bits) = text.split_once('/').ok_or_else(wrong)?;
    let bits: u8 = bits.parse().map_err(|_| wrong())?;
    if bits > 30 {
        return Err(wrong());
    }
    Ok((ip.parse().map_err(|_| wrong())?, bits))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["oneport-load"], args].concat())
    }

    #[test]
    fn viewers_are_of_each_stream_or_of_all() {
        let args =
            ["--whip", "http://a/whip/{n}", "--whep", "http://a/whep/{n}", "--publishers", "3", "--viewers", "10"];
        assert_eq!(parse(&args).unwrap().all_viewers(), 30);
        let total = [&args[..], &["--total"]].concat();
        assert_eq!(parse(&total).unwrap().all_viewers(), 10);
        assert_eq!(parse(&args[..2]).unwrap().all_viewers(), 0);
        assert!(parse(&[]).is_err());
    }

    #[test]
    fn times_and_networks_are_checked() {
        let with = |name: &str, value: &str| parse(&["--whip", "http://a", name, value]);
        assert_eq!(with("--duration", "1.5s").unwrap().duration, Duration::from_millis(1500));
        for (name, value) in [
            ("--duration", "-1"),
            ("--source", "127.0.0.1"),
            ("--source", "127.0.0.0/31"),
            ("--verify", "0"),
            ("--codec", "mpeg"),
        ] {
            assert!(with(name, value).is_err(), "{name} {value}");
        }
    }
}
