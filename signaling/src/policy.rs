//! What is decided differently from one installation to the next: viewers without a publisher, and publishers of a stream that has
//! one. Values only; who acts on them is `whip` and `whep`.

pub use oneport_sdp::Bitrates;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// What a viewer of a stream without publisher gets.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum NoPublisher {
    /// A session that begins to play when somebody publishes.
    #[default]
    Accept,
    /// The same, once somebody publishes within [`WhepConfig::wait`]; else as [`NoPublisher::Reject`].
    Wait,
    /// 409 with `Retry-After`.
    Reject,
}

/// What happens when somebody publishes a stream that has a publisher.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Takeover {
    /// 409: the first one stays.
    Reject,
    /// The first one's session ends.
    Replace,
    /// The first one's session ends if nothing comes from it any more, such as after a crash; else 409.
    #[default]
    ReplaceIfSilent,
}

/// `[whep]`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct WhepConfig {
    /// Default: accept.
    pub no_publisher: NoPublisher,
    /// How long a request waits for a publisher with [`NoPublisher::Wait`]. Default: 10 s.
    pub wait: Duration,
    /// How long a counter-offer waits for its answer. Default: 30 s.
    pub counter_offer: Duration,
}

impl Default for WhepConfig {
    fn default() -> WhepConfig {
        WhepConfig {
            no_publisher: NoPublisher::default(),
            wait: Duration::from_secs(10),
            counter_offer: Duration::from_secs(30),
        }
    }
}

/// `[whip]`.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct WhipConfig {
    /// Default: replace if silent.
    pub takeover: Takeover,
}

/// The value of this name, or the sentence that lists all names.
fn choice<T: Copy + fmt::Display>(written: &str, all: &[T]) -> Result<T, String> {
    all.iter().find(|value| value.to_string() == written).copied().ok_or_else(|| {
        let names: Vec<String> = all.iter().map(|value| format!("\"{value}\"")).collect();
        format!("\"{}\" is not known; one of {}", written.escape_debug(), names.join(", "))
    })
}

impl fmt::Display for NoPublisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            NoPublisher::Accept => "accept",
            NoPublisher::Wait => "wait",
            NoPublisher::Reject => "reject",
        })
    }
}

impl FromStr for NoPublisher {
    type Err = String;

    fn from_str(written: &str) -> Result<NoPublisher, String> {
        choice(written, &[NoPublisher::Accept, NoPublisher::Wait, NoPublisher::Reject])
    }
}

impl fmt::Display for Takeover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Takeover::Reject => "reject",
            Takeover::Replace => "replace",
            Takeover::ReplaceIfSilent => "replace_if_silent",
        })
    }
}

impl FromStr for Takeover {
    type Err = String;

    fn from_str(written: &str) -> Result<Takeover, String> {
        choice(written, &[Takeover::Reject, Takeover::Replace, Takeover::ReplaceIfSilent])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_has_one_of_its_names() {
        assert_eq!("wait".parse(), Ok(NoPublisher::Wait));
        assert_eq!("replace_if_silent".parse(), Ok(Takeover::ReplaceIfSilent));
        let wrong = "Replace\n".parse::<Takeover>().unwrap_err();
        assert_eq!(wrong, "\"Replace\\n\" is not known; one of \"reject\", \"replace\", \"replace_if_silent\"");
        assert!("".parse::<NoPublisher>().is_err());
    }
}
