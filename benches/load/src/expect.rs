//! What a run has to bring: `loss<0.1% join_ms.p99<500`.

use serde_json::Value;
use std::str::FromStr;

/// One comparison with a member of the report.
#[derive(Clone, PartialEq, Debug)]
struct Expectation {
    name: String,
    is_less: bool,
    bound: f64,
}

/// All of them.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Expectations(Vec<Expectation>);

impl FromStr for Expectations {
    type Err = String;

    fn from_str(text: &str) -> Result<Expectations, String> {
        text.split_whitespace().map(parse).collect::<Result<Vec<_>, _>>().map(Expectations)
    }
}

fn parse(text: &str) -> Result<Expectation, String> {
    let at = text.find(['<', '>']).ok_or_else(|| format!("{text:?} has neither < nor >"))?;
    let (name, rest) = text.split_at(at);
    let number = rest[1..].trim_end_matches(|c: char| c.is_alphabetic() || c == '%' || c == 'µ');
    let bound = number.parse().map_err(|_| format!("{:?} of {text:?} is no number", &rest[1..]))?;
    // As in the issue trackers of old: join_p99 is join_ms.p99.
    let name = match name {
        "loss" => "loss_percent".to_owned(),
        _ => name.strip_suffix("_p99").map_or_else(|| name.to_owned(), |histogram| format!("{histogram}_ms.p99")),
    };
    Ok(Expectation { name, is_less: rest.starts_with('<'), bound })
}

impl Expectations {
    /// A sentence for each that does not hold.
    pub(crate) fn failures(&self, report: &Value) -> Vec<String> {
        self.0.iter().filter_map(|expectation| expectation.failure(report)).collect()
    }
}

impl Expectation {
    fn failure(&self, report: &Value) -> Option<String> {
        let value = self.name.split('.').try_fold(report, |value, part| value.get(part)).and_then(Value::as_f64);
        let sign = if self.is_less { '<' } else { '>' };
        match value {
            None => Some(format!("{} is expected to be {sign} {}, and was not measured", self.name, self.bound)),
            Some(value) if (value < self.bound) == self.is_less && value != self.bound => None,
            Some(value) => Some(format!("{} is {value}, and expected to be {sign} {}", self.name, self.bound)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn comparisons_are_of_the_reports_members() {
        let report = json!({ "loss_percent": 0.05, "join_ms": { "p99": 480 }, "sessions_connected": 20 });
        let failures = |text: &str| text.parse::<Expectations>().unwrap().failures(&report);
        assert!(failures("loss<0.1% join_p99<500ms join_ms.p99<481 sessions_connected>19").is_empty());
        assert_eq!(failures("loss<0.05 sessions_connected>20 nothing<1").len(), 3);
        assert!("loss=1".parse::<Expectations>().is_err());
        assert!("loss<much".parse::<Expectations>().is_err());
    }
}
