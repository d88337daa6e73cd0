//! What came of the checks, as a table for people and as JSON for programs.

use serde::Serialize;
use std::fmt::{self, Write as _};

/// How binding a clause is (RFC 2119).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub(crate) enum Level {
    /// An absolute requirement.
    Must,
    /// There may be reasons not to.
    Should,
    /// Optional: a failure is told and does not count.
    May,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Level::Must => "MUST",
            Level::Should => "SHOULD",
            Level::May => "MAY",
        })
    }
}

/// Why a check did not pass.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Shortfall {
    /// The server did otherwise.
    Fail {
        /// What the clause asks for.
        expected: String,
        /// What the server did.
        got: String,
    },
    /// The clause does not concern this server, or cannot be provoked.
    NotApplicable(String),
}

impl Shortfall {
    pub(crate) fn fail(expected: impl Into<String>, got: impl Into<String>) -> Shortfall {
        Shortfall::Fail { expected: expected.into(), got: got.into() }
    }

    pub(crate) fn not_applicable(why: impl Into<String>) -> Shortfall {
        Shortfall::NotApplicable(why.into())
    }
}

/// What a check comes to.
pub(crate) type Outcome = Result<(), Shortfall>;

/// Fails unless `holds`.
pub(crate) fn expect(holds: bool, expected: impl Into<String>, got: impl Into<String>) -> Outcome {
    if holds { Ok(()) } else { Err(Shortfall::fail(expected, got)) }
}

/// The result of one check.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) id: String,
    pub(crate) level: Level,
    pub(crate) name: String,
    pub(crate) section: String,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    expected: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    got: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    duration_ms: u64,
}

impl Row {
    pub(crate) fn new(id: String, level: Level, name: &str, section: &str, outcome: Outcome, duration_ms: u64) -> Row {
        let (result, expected, got, why) = match outcome {
            Ok(()) => ("pass", None, None, None),
            Err(Shortfall::Fail { expected, got }) => ("fail", Some(expected), Some(got), None),
            Err(Shortfall::NotApplicable(why)) => ("not-applicable", None, None, Some(why)),
        };
        Row { id, level, name: name.to_owned(), section: section.to_owned(), result, expected, got, why, duration_ms }
    }

    fn counts_as_failure(&self) -> bool {
        self.result == "fail" && self.level != Level::May
    }
}

/// One or two lines, as the table has them.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = match self.result {
            "pass" => "pass",
            "fail" => "FAIL",
            _ => "n/a",
        };
        write!(f, "{word:<5}{:<7}{:<34} {} [{}]", self.level, self.id, self.name, self.section)?;
        let indent = " ".repeat(12);
        if let (Some(expected), Some(got)) = (&self.expected, &self.got) {
            write!(f, "\n{indent}expected: {}\n{indent}got:      {}", one_line(expected), one_line(got))?;
        }
        match &self.why {
            Some(why) => write!(f, "\n{indent}because:  {}", one_line(why)),
            None => Ok(()),
        }
    }
}

/// What a server sent is not let loose on a terminal.
fn one_line(text: &str) -> String {
    text.chars().take(400).map(|char| if char.is_control() { ' ' } else { char }).collect()
}

/// How many of each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Totals {
    passed: usize,
    failed: usize,
    /// Of the failed ones, those of a MAY.
    failed_optional: usize,
    not_applicable: usize,
}

/// All of it.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) whip: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) whep: Option<String>,
    pub(crate) totals: Totals,
    pub(crate) checks: Vec<Row>,
}

impl Report {
    pub(crate) fn new(whip: String, whep: Option<String>, checks: Vec<Row>) -> Report {
        let of = |result: &str| checks.iter().filter(|row| row.result == result).count();
        let failed_optional = checks.iter().filter(|row| row.result == "fail" && row.level == Level::May).count();
        let totals =
            Totals { passed: of("pass"), failed: of("fail"), failed_optional, not_applicable: of("not-applicable") };
        Report { whip, whep, totals, checks }
    }

    /// Every MUST and SHOULD that concerns the server holds.
    pub(crate) fn is_conformant(&self) -> bool {
        !self.checks.iter().any(Row::counts_as_failure)
    }

    /// The last line of the table.
    pub(crate) fn summary(&self) -> String {
        let Totals { passed, failed, failed_optional, not_applicable } = self.totals;
        let mut line = format!("{passed} passed, {failed} failed, {not_applicable} not applicable");
        if failed_optional > 0 {
            let _ = write!(line, " ({failed_optional} of the failures optional)");
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(level: Level, outcome: Outcome) -> Row {
        Row::new("whip-x".to_owned(), level, "POST is answered", "RFC 9725 §4.2", outcome, 7)
    }

    fn report(rows: Vec<Row>) -> Report {
        Report::new("http://a/whip".to_owned(), None, rows)
    }

    #[test]
    fn a_failed_may_is_told_and_does_not_count() {
        let optional = report(vec![row(Level::May, Err(Shortfall::fail("a", "b"))), row(Level::Must, Ok(()))]);
        assert!(optional.is_conformant());
        assert_eq!(optional.summary(), "1 passed, 1 failed, 0 not applicable (1 of the failures optional)");
        for level in [Level::Must, Level::Should] {
            assert!(!report(vec![row(level, Err(Shortfall::fail("a", "b")))]).is_conformant());
        }
    }

    #[test]
    fn what_does_not_apply_is_no_failure() {
        let report = report(vec![row(Level::Must, Err(Shortfall::not_applicable("no PATCH")))]);
        assert!(report.is_conformant());
        assert_eq!(report.totals.not_applicable, 1);
        assert!(report.checks[0].to_string().ends_with("because:  no PATCH"));
    }

    #[test]
    fn the_json_has_what_is_documented() {
        let report = report(vec![row(Level::Must, Err(Shortfall::fail("201", "500")))]);
        let json = serde_json::to_value(&report).unwrap();
        let expected = serde_json::json!({
            "whip": "http://a/whip",
            "totals": {"passed": 0, "failed": 1, "failed_optional": 0, "not_applicable": 0},
            "checks": [{
                "id": "whip-x", "level": "MUST", "name": "POST is answered", "section": "RFC 9725 §4.2",
                "result": "fail", "expected": "201", "got": "500", "duration_ms": 7,
            }],
        });
        assert_eq!(json, expected);
    }

    #[test]
    fn what_the_server_said_stays_on_its_line() {
        let text = row(Level::Must, Err(Shortfall::fail("a", "b\r\nc\u{1b}[31m"))).to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(!text.contains('\u{1b}'));
    }
}
