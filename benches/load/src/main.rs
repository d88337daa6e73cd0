//! Loads any WHIP and WHEP server with publishers and viewers, and measures what arrives.
//!
//! ```text
//!   main: ramp, measure, report ──► signaling: threads that post offers ──► server's HTTP
//!     │                                        │ answers
//!     │ orders                                 ▼
//!     └──────────────────────────────► workers: one socket each, many clients (ICE, DTLS, SRTP, synthetic media) ──► server's UDP
//! ```

mod cli;
mod expect;
mod html;
mod media;
mod report;
mod run;
mod session;
mod signaling;
mod socket;
mod stats;
mod watch;
mod worker;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let options = cli::Options::parse();
    match run::run(options) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("oneport-load: {error}");
            ExitCode::FAILURE
        }
    }
}
