//! The `oneport` binary: arguments, configuration, start, drain. Policy and protocol are in the crates below it.
//!
//! Exit codes: 0 done, 1 the host does not allow it, 2 faults in the arguments or in the configuration, 130 and 143 ended at once
//! by a second signal.

mod cli;
mod config;
mod host;
mod ports;
mod serve;
mod signals;
mod startup;

use clap::Parser;
use cli::{Cli, Command, ServeArgs};
use config::{Config, Faults, LogLevel};
use std::io::{self, IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;

/// What clap uses for wrong arguments too.
const FAULTY: u8 = 2;

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Serve(args) => serve(&args),
        Command::CheckConfig { file } => check_config(&file),
    }
}

fn serve(args: &ServeArgs) -> ExitCode {
    let mut config = match args.config.as_deref().map_or_else(|| Ok(Config::default()), Config::load) {
        Ok(config) => config,
        Err(faults) => return report(&faults),
    };
    args.apply_to(&mut config);
    log_to_stderr(config.log.level);
    serve::run(config)
}

fn check_config(file: &Path) -> ExitCode {
    match Config::load(file) {
        Ok(_) => {
            // Whoever asked may have closed the pipe; the exit code says it too.
            let _ = writeln!(io::stdout(), "{}: no faults", file.display());
            ExitCode::SUCCESS
        }
        Err(faults) => report(&faults),
    }
}

fn report(faults: &Faults) -> ExitCode {
    let _ = writeln!(io::stderr(), "{faults}");
    ExitCode::from(FAULTY)
}

fn log_to_stderr(level: LogLevel) {
    let colours = io::stderr().is_terminal();
    tracing_subscriber::fmt().with_max_level(level.filter()).with_writer(io::stderr).with_ansi(colours).init();
}
