//! The command line.

use clap::Parser;
use url::Url;

/// Behind the options in `--help`.
const AFTER_HELP: &str = "\
Exit code: 0 when every MUST and SHOULD that applies holds, 1 when one does not, 2 for a wrong command line.

The checks publish on the WHIP URL and play the WHEP URL of the same stream, so nobody else may publish there. Each ends its \
sessions by DELETE.

JSON: {whip, whep?, totals: {passed, failed, failed_optional, not_applicable}, checks: [{id, level: MUST|SHOULD|MAY, name, \
section, result: pass|fail|not-applicable, expected?, got?, why?, duration_ms}]}. A fail has expected and got, a not-applicable \
has why.";

/// Checks a WHIP and WHEP server against RFC 9725 and draft-ietf-wish-whep, over HTTP and UDP alone.
#[derive(Clone, Debug, Parser)]
#[command(name = "oneport-conformance", version, after_help = AFTER_HELP)]
pub(crate) struct Options {
    /// The WHIP endpoint of a stream that nobody publishes.
    #[arg(long, value_name = "URL", value_parser = endpoint, required_unless_present = "list")]
    pub(crate) whip: Option<Url>,
    /// The WHEP endpoint of the same stream. Without it, only WHIP is checked.
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub(crate) whep: Option<Url>,
    /// The bearer token for both. Without it, authorization is not checked.
    #[arg(long)]
    pub(crate) token: Option<String>,
    /// Prints the report as JSON when all checks are done.
    #[arg(long)]
    pub(crate) json: bool,
    /// Only the checks whose id contains this.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) only: Option<String>,
    /// Lists the checks and does none.
    #[arg(long)]
    pub(crate) list: bool,
    /// Seconds that the server may take for an answer, a connection or a packet.
    #[arg(long, value_name = "S", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=120))]
    pub(crate) timeout: u64,
    /// Does the checks too that take a minute (expiry of consent).
    #[arg(long)]
    pub(crate) slow: bool,
    /// Accepts any certificate of the HTTP server.
    #[arg(long)]
    pub(crate) insecure: bool,
}

fn endpoint(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| error.to_string())?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err("an http:// or https:// URL is expected".to_owned());
    }
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, clap::Error> {
        Options::try_parse_from([&["oneport-conformance"], args].concat())
    }

    #[test]
    fn a_whip_url_is_needed_except_to_list() {
        assert_eq!(parse(&[]).unwrap_err().exit_code(), 2);
        assert!(parse(&["--list"]).is_ok());
        assert!(parse(&["--whip", "https://a.example/whip"]).is_ok());
    }

    #[test]
    fn only_http_urls_and_sane_times() {
        for wrong in [["--whip", "ftp://a"], ["--whip", "/whip"], ["--whip", "http:"]] {
            assert_eq!(parse(&wrong).unwrap_err().exit_code(), 2, "{wrong:?}");
        }
        assert!(parse(&["--list", "--timeout", "0"]).is_err());
        assert_eq!(parse(&["--list"]).unwrap().timeout, 5);
    }
}
