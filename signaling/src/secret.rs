//! A configured secret: printable ASCII that no log and no error ever shows.

use std::fmt;
use std::str::FromStr;

/// Longest secret in bytes; with its name it must fit in a header field.
const MAX_SECRET: usize = 512;

/// A string that `Debug` and `Display` hide. Empty when it is not configured.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    /// The string itself.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromStr for Secret {
    type Err = String;

    fn from_str(written: &str) -> Result<Secret, String> {
        if written.len() > MAX_SECRET {
            return Err(format!("is longer than {MAX_SECRET} characters"));
        }
        if !written.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err("has a character that is not printable ASCII (the value is not shown)".to_owned());
        }
        Ok(Secret(written.to_owned()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_empty() { "Secret(none)" } else { "Secret(..)" })
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a secret")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_never_shown() {
        let secret: Secret = "hunter2 \"x\"".parse().unwrap();
        assert_eq!(secret.reveal(), "hunter2 \"x\"");
        assert!(!format!("{secret:?} {secret}").contains("hunter2"));
        for wrong in ["hunter2\r\nSet-Cookie: a", "hunter2ü", &"hunter2".repeat(100)] {
            assert!(!wrong.parse::<Secret>().unwrap_err().contains("hunter2"), "{wrong}");
        }
    }
}
