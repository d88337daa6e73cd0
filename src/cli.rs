//! The command line. What a flag means lies with `config`; here is only how it is written.

use crate::config::{Config, ListenAddress, LogLevel, MAX_SHARDS, public_address};
use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

/// A WebRTC media server: publishers send with WHIP, viewers receive with WHEP, all media through one UDP port.
#[derive(Parser, Debug)]
#[command(name = "oneport", version, max_term_width = 100, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What to do.
#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Run the server until SIGINT or SIGTERM.
    Serve(ServeArgs),
    /// Report every fault of a configuration file, and exit with 2 if there is one.
    CheckConfig {
        /// The file to check.
        file: PathBuf,
    },
}

/// How media leaves the host.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, clap::ValueEnum)]
enum Egress {
    #[default]
    Batched,
    Plain,
}

/// Flags of `serve`; each overrides the configuration file.
#[derive(Args, Default, Debug)]
pub(crate) struct ServeArgs {
    /// Configuration file; without it every key has its default.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// Where to serve HTTP (TCP): IP:PORT, [IPv6]:PORT, or :PORT for all addresses [default: :8080].
    #[arg(long, value_name = "ADDR")]
    http: Option<ListenAddress>,

    /// The one UDP port for media, written like --http [default: :8000].
    #[arg(long, value_name = "ADDR")]
    media: Option<ListenAddress>,

    /// Executors that carry media; 0 is one for each available core [default: 0].
    #[arg(long, value_name = "N", value_parser = shards)]
    shards: Option<usize>,

    /// Address that clients are told to send to, instead of the interfaces' own; may be repeated.
    #[arg(long = "public-address", value_name = "IP", value_parser = public_address)]
    public_addresses: Vec<IpAddr>,

    /// The least important level that is still logged [default: info].
    #[arg(long, value_name = "LEVEL", value_parser = level())]
    log: Option<LogLevel>,
    /// How media leaves: batched, or for measurement only each packet by a system call of its own.
    #[arg(long, value_enum, default_value = "batched", hide = true)]
    egress: Egress,
}

impl ServeArgs {
    /// Lays the flags over what the file said.
    pub(crate) fn apply_to(&self, config: &mut Config) {
        override_with(&mut config.http.listen, self.http);
        override_with(&mut config.media.listen, self.media);
        override_with(&mut config.media.shards, self.shards.map(NonZeroUsize::new));
        override_with(&mut config.log.level, self.log);
        if self.egress == Egress::Plain {
            (config.media.is_plain, config.media.coalesce_max) = (true, Duration::ZERO);
        }
        if !self.public_addresses.is_empty() {
            config.media.public_addresses.clear();
            for address in &self.public_addresses {
                if !config.media.public_addresses.contains(address) {
                    config.media.public_addresses.push(*address);
                }
            }
        }
    }
}

fn override_with<T>(field: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *field = value;
    }
}

fn shards(written: &str) -> Result<usize, String> {
    let shards = written.parse().ok().filter(|shards| *shards <= MAX_SHARDS);
    shards.ok_or_else(|| format!("must be a whole number from 0 to {MAX_SHARDS}"))
}

fn level() -> impl TypedValueParser<Value = LogLevel> {
    PossibleValuesParser::new(LogLevel::ALL.map(LogLevel::name)).try_map(|name| name.parse::<LogLevel>())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn serve(args: &[&str]) -> Config {
        let mut config = Config::default();
        let line = ["oneport", "serve"].into_iter().chain(args.iter().copied());
        match Cli::try_parse_from(line).expect("the arguments are right").command {
            Command::Serve(args) => args.apply_to(&mut config),
            other => panic!("{other:?}"),
        }
        config
    }

    #[test]
    fn the_definition_is_sound() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn without_flags_the_file_stands() {
        assert_eq!(serve(&[]), Config::default());
    }

    #[test]
    fn every_flag_overrides_its_key() {
        let config = serve(&[
            "--http=[::1]:1",
            "--media=2",
            "--shards=3",
            "--public-address=192.0.2.1",
            "--public-address=2001:db8::1",
            "--public-address=192.0.2.1",
            "--log=trace",
        ]);
        let mut expected = Config::default();
        expected.http.listen = ListenAddress::At("[::1]:1".parse().unwrap());
        expected.media.listen = ListenAddress::AllAddresses(2);
        expected.media.shards = NonZeroUsize::new(3);
        expected.media.public_addresses = vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
        expected.log.level = LogLevel::Trace;
        assert_eq!(config, expected);
    }

    #[test]
    fn a_flag_can_go_back_to_one_shard_for_each_core() {
        let mut config = Config::default();
        config.media.shards = NonZeroUsize::new(7);
        ServeArgs { shards: Some(0), ..ServeArgs::default() }.apply_to(&mut config);
        assert_eq!(config.media.shards, None);
    }

    #[test]
    fn wrong_flags_are_refused() {
        for wrong in [
            "--http=localhost",
            "--media=::1",
            "--shards=1025",
            "--shards=-1",
            "--public-address=0.0.0.0",
            "--log=loud",
        ] {
            let error = Cli::try_parse_from(["oneport", "serve", wrong]).expect_err(wrong);
            assert_eq!(error.exit_code(), 2, "{wrong}");
        }
    }
}
