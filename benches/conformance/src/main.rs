//! Checks any WHIP (RFC 9725) and WHEP (draft-ietf-wish-whep) server, clause by clause, over HTTP and UDP alone.
//!
//! ```text
//!   cli ──► context: endpoints, scenes ──► checks ──► report: table, JSON, exit code
//!                │
//!                ├── http: requests and replies        session: one 201 with its URL
//!                └── peer: ICE, DTLS, SRTP, media      offer, answer: SDP out and in
//! ```
//!
//! Server-side settings are no business of it: what cannot be provoked from outside is reported as not applicable.

mod checks;
mod cli;
mod context;
mod events;
mod fragment;
mod hello;
mod http;
mod links;
mod media;
mod offer;
mod peer;
mod report;
mod session;
mod stun;

use checks::{Check, all};
use clap::{CommandFactory, Parser};
use cli::Options;
use context::Context;
use oneport_conformance::answer;
use report::{Report, Row};
use session::Side;
use std::io::{self, Write};
use std::process::ExitCode;
use std::time::Instant;

fn main() -> ExitCode {
    let options = Options::parse();
    match run(&options) {
        Ok(code) => code,
        Err(error) => {
            // A reader that has seen enough of a pipe needs no word about it.
            if error.kind() != io::ErrorKind::BrokenPipe {
                let _ = writeln!(io::stderr(), "{error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<ExitCode> {
    let mut checks = all();
    checks.retain(|check| options.only.as_ref().is_none_or(|only| check.id().contains(only.as_str())));
    if !options.list && options.whep.is_none() {
        checks.retain(|check| check.side == Side::Whip);
    }
    if checks.is_empty() {
        let _ = Options::command()
            .error(
                clap::error::ErrorKind::InvalidValue,
                "no check has such an id, or it is of WHEP and there is no --whep",
            )
            .print();
        return Ok(ExitCode::from(2));
    }
    match &options.whip {
        Some(whip) if !options.list => conduct(options, &Context::new(options, whip.clone()), &checks),
        _ => list(&checks),
    }
}

fn list(checks: &[Check]) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    for check in checks {
        writeln!(out, "{:<7}{:<34} {} [{}]", check.level, check.id(), check.name, check.section)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn conduct(options: &Options, context: &Context, checks: &[Check]) -> io::Result<ExitCode> {
    let mut out = io::stdout().lock();
    let mut rows = Vec::new();
    for check in checks {
        let row = outcome(context, check);
        if !options.json {
            writeln!(out, "{row}")?;
        }
        rows.push(row);
    }
    let url = |url: &Option<url::Url>| url.as_ref().map(ToString::to_string);
    let report = Report::new(url(&options.whip).unwrap_or_default(), url(&options.whep), rows);
    if options.json {
        serde_json::to_writer_pretty(&mut out, &report)?;
        writeln!(out)?;
    } else {
        writeln!(out, "{}", report.summary())?;
    }
    Ok(if report.is_conformant() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn outcome(context: &Context, check: &Check) -> Row {
    let begun = Instant::now();
    let outcome = (check.run)(context, check.side);
    let duration_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
    Row::new(check.id(), check.level, check.name, check.section, outcome, duration_ms)
}
