//! A stream of server-sent events (the HTML standard, §9.2.6), read on a thread of its own while the peers go on.

use crate::http::Http;
use std::io::{BufRead, BufReader};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;
use url::Url;

/// Longer than any check: the stream ends with its session.
const LIFETIME: Duration = Duration::from_secs(60);

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Notice {
    /// The answer's status and media type.
    Open(u16, String),
    /// Name and data of an event.
    Event(String, String),
    /// The stream has ended.
    End,
}

/// Opens the stream at a URL.
pub(crate) fn listen(http: Http, url: Url) -> Receiver<Notice> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || read(&http, &url, &sender));
    receiver
}

fn read(http: &Http, url: &Url, sender: &Sender<Notice>) {
    // Whoever does not listen any more needs no notice.
    if let Ok(response) = http.call("GET", url).header("Accept", "text/event-stream").timeout(LIFETIME).open() {
        let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        let _ = sender.send(Notice::Open(response.status().as_u16(), kind));
        let mut parser = Parser::default();
        let lines = BufReader::new(response.into_body().into_reader()).lines();
        for event in lines.map_while(Result::ok).filter_map(|line| parser.take(&line)) {
            if sender.send(event).is_err() {
                return;
            }
        }
    }
    let _ = sender.send(Notice::End);
}

/// Lines to events.
#[derive(Default)]
struct Parser {
    name: String,
    data: Vec<String>,
}

impl Parser {
    fn take(&mut self, line: &str) -> Option<Notice> {
        if line.is_empty() {
            let name = std::mem::take(&mut self.name);
            let data = std::mem::take(&mut self.data);
            return (!data.is_empty()).then(|| Notice::Event(name, data.join("\n")));
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value).to_owned();
        match field {
            "event" => self.name = value,
            "data" => self.data.push(value),
            // A comment, or what does not matter here.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(text: &str) -> Vec<Notice> {
        let mut parser = Parser::default();
        text.lines().filter_map(|line| parser.take(line)).collect()
    }

    #[test]
    fn events_end_with_an_empty_line() {
        let found =
            events(": hello\n\nevent: active\ndata: {}\n\nevent:layers\ndata:{\ndata: }\n\nevent: unfinished\ndata: x");
        let event = |name: &str, data: &str| Notice::Event(name.to_owned(), data.to_owned());
        assert_eq!(found, [event("active", "{}"), event("layers", "{\n}")]);
    }

    #[test]
    fn an_event_without_data_is_none() {
        assert_eq!(events("event: active\n\nid: 3\n\n"), []);
    }
}
