//! How much is logged.

use std::fmt;
use std::str::FromStr;
use tracing_subscriber::filter::LevelFilter;

/// The least important level that is still written.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(crate) enum LogLevel {
    /// Nothing.
    Off,
    /// What we or the host did wrong.
    Error,
    /// What an operator should look at.
    Warn,
    /// What happens to streams and sessions.
    #[default]
    Info,
    /// Each request and each step of a session.
    Debug,
    /// Everything there is.
    Trace,
}

impl LogLevel {
    /// All of them, the quietest first.
    pub(crate) const ALL: [LogLevel; 6] =
        [LogLevel::Off, LogLevel::Error, LogLevel::Warn, LogLevel::Info, LogLevel::Debug, LogLevel::Trace];

    /// The name that file and flags use.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            LogLevel::Off => "off",
            LogLevel::Error => "error",
            LogLevel::Warn => "warn",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
            LogLevel::Trace => "trace",
        }
    }

    /// What the subscriber makes of it.
    pub(crate) fn filter(self) -> LevelFilter {
        match self {
            LogLevel::Off => LevelFilter::OFF,
            LogLevel::Error => LevelFilter::ERROR,
            LogLevel::Warn => LevelFilter::WARN,
            LogLevel::Info => LevelFilter::INFO,
            LogLevel::Debug => LevelFilter::DEBUG,
            LogLevel::Trace => LevelFilter::TRACE,
        }
    }
}

impl fmt::Display for LogLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(name: &str) -> Result<LogLevel, String> {
        LogLevel::ALL.into_iter().find(|level| level.name() == name).ok_or_else(|| {
            format!("\"{}\" is no level; one of {}", name.escape_debug(), LogLevel::ALL.map(LogLevel::name).join(", "))
        })
    }
}
