//! The report as one page: a table, and plots over time as SVG. Nothing is loaded from anywhere.

use crate::report::Moment;
use serde_json::Value;
use std::fmt::Write as _;

const WIDTH: f64 = 720.0;
const HEIGHT: f64 = 180.0;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:46rem;padding:0 1rem;color:#111;background:#fff}\
table{border-collapse:collapse;width:100%}td{border-top:1px solid #ccc;padding:.2rem .4rem}td+td{text-align:right;font-variant-numeric:tabular-nums}\
svg{width:100%;height:auto;background:#f6f7f9}polyline{fill:none;stroke:#1463d8;stroke-width:2}text{font-size:12px;fill:#555}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#14161a}svg{background:#1d2026}td{border-color:#444}text{fill:#aaa}polyline{stroke:#6aa5ff}}";

/// The page.
pub(crate) fn page(report: &Value, moments: &[Moment]) -> String {
    let mut page = format!(
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\"><title>oneport-load</title>\
         <style>{STYLE}</style><h1>oneport-load</h1>"
    );
    let plots: [(&str, Vec<f64>); 4] = [
        ("Sessions", moments.iter().map(|moment| moment.sessions as f64).collect()),
        ("Packets per second", moments.iter().map(|moment| moment.packets_per_second).collect()),
        ("Gbit/s", moments.iter().map(|moment| moment.bits_per_second / 1e9).collect()),
        ("Server, cores", moments.iter().filter_map(|moment| moment.server_cores).collect()),
    ];
    for (title, values) in plots.iter().filter(|(_, values)| values.len() > 1) {
        plot(&mut page, title, values, moments.last().map_or(0.0, |moment| moment.at.as_secs_f64()));
    }
    page += "<h2>Figures</h2><table>";
    rows(&mut page, "", report);
    page += "</table></html>\n";
    page
}

fn plot(page: &mut String, title: &str, values: &[f64], seconds: f64) {
    let top = values.iter().copied().fold(f64::MIN_POSITIVE, f64::max) * 1.1;
    let points: Vec<String> = values
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let x = 40.0 + (WIDTH - 50.0) * index as f64 / (values.len() - 1) as f64;
            format!("{x:.1},{:.1}", HEIGHT - 20.0 - (HEIGHT - 30.0) * value / top)
        })
        .collect();
    let _ = write!(
        page,
        "<h2>{title}</h2><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{title} over time, at most {:.3}\">\
         <polyline points=\"{}\"/><text x=\"2\" y=\"14\">{:.3}</text><text x=\"2\" y=\"{}\">0</text><text x=\"{}\" y=\"{}\">{seconds:.0} s</text></svg>",
        top / 1.1,
        points.join(" "),
        top / 1.1,
        HEIGHT - 20.0,
        WIDTH - 40.0,
        HEIGHT - 4.0
    );
}

fn rows(page: &mut String, prefix: &str, value: &Value) {
    let Some(members) = value.as_object() else { return };
    for (name, value) in members {
        let name = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
        if value.is_object() {
            rows(page, &name, value);
        } else if !value.is_null() {
            let _ = write!(page, "<tr><td>{}</td><td>{}</td></tr>", escaped(&name), escaped(&value.to_string()));
        }
    }
}

/// A server's words end up among the failures.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::time::Duration;

    #[test]
    fn the_page_holds_all_and_loads_nothing() {
        let moment = |second| Moment {
            at: Duration::from_secs(second),
            sessions: 5,
            packets_per_second: 1000.0,
            bits_per_second: 1e6,
            server_cores: None,
        };
        let report = json!({ "packets_lost": 3, "latency_us": { "p99": 7 }, "failures": { "HTTP <b>": 1 } });
        let page = page(&report, &[moment(1), moment(2)]);
        assert!(page.contains("latency_us.p99") && page.contains("HTTP &lt;b&gt;") && page.contains("<polyline"));
        assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("<b>"));
    }
}
