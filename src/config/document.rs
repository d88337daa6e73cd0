//! From the text to the table of keys: syntax, lines, and what stands where no key is.
//!
//! A syntax error must not hide the faults elsewhere in the file. A text that does not parse is therefore cut at its section
//! headers, what cannot be understood is blanked, and each part is examined by itself.

use super::Config;
use super::fault::Fault;
use super::keys::{self, KEYS};
use super::value::Value;
use std::collections::{BTreeMap, BTreeSet};
use toml::de::{DeTable, DeValue, Error};

/// The text of a file.
///
/// # Errors
/// The line that is not UTF-8.
pub(super) fn decode(bytes: &[u8]) -> Result<&str, Fault> {
    std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|byte| **byte == b'\n').count();
        Fault::of_syntax(line, "is not UTF-8".to_owned())
    })
}

/// What the text sets, and all of its faults, in no order.
pub(super) fn read(text: &str) -> (Config, Vec<Fault>) {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut reader = Reader::default();
    if errors.is_empty() {
        reader.document(&Lines::new(text, 1), table.get_ref());
    } else {
        reader.parts(text, &errors);
    }
    reader.across_keys();
    (reader.config, reader.faults)
}

fn in_our_words(message: &str, rest_of_line: &str) -> String {
    match message {
        "duplicate key" => format!("{} is given twice", bare_name(rest_of_line)),
        _ => message.to_owned(),
    }
}

/// Finds lines by offset.
struct Lines<'t> {
    text: &'t str,
    first: usize,
    ends: Vec<usize>,
}

impl<'t> Lines<'t> {
    fn new(text: &'t str, first: usize) -> Lines<'t> {
        Lines { text, first, ends: text.match_indices('\n').map(|(at, _)| at).collect() }
    }

    fn line_of(&self, at: usize) -> usize {
        self.first + self.ends.partition_point(|end| *end < at)
    }

    fn at(&self, at: usize) -> &'t str {
        self.text.get(at..).and_then(|rest| rest.lines().next()).unwrap_or_default()
    }
}

/// A section of a text that does not parse, without what is broken in it.
struct Part {
    /// Its header's name; empty for what stands before the first header.
    section: String,
    first_line: usize,
    text: String,
}

fn parts(text: &str, broken: &BTreeSet<usize>) -> Vec<Part> {
    let part = |section: &str, first_line| Part { section: section.to_owned(), first_line, text: String::new() };
    let mut parts = vec![part("", 1)];
    for (number, line) in (1..).zip(text.lines()) {
        let header = line.trim_start().strip_prefix('[').map(bare_name);
        parts.extend(header.map(|name| part(name, number)));
        let text = &mut parts.last_mut().expect("one is there from the start").text;
        match header {
            _ if !broken.contains(&number) => text.push_str(line),
            Some(name) => text.push_str(&format!("[{name}]")),
            None => {}
        }
        text.push('\n');
    }
    parts
}

fn bare_name(rest: &str) -> &str {
    let rest = rest.trim_start_matches(['[', ' ', '\t']);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-').unwrap_or(rest.len());
    &rest[..end]
}

/// Walks documents and collects.
#[derive(Default)]
struct Reader {
    config: Config,
    faults: Vec<Fault>,
    /// Where each key stands, for the faults that several make together.
    lines: BTreeMap<String, usize>,
}

impl Reader {
    fn parts(&mut self, text: &str, errors: &[Error]) {
        let mut broken = BTreeSet::new();
        self.syntax(&Lines::new(text, 1), errors, &mut broken);
        let mut sections = BTreeSet::new();
        for part in parts(text, &broken) {
            if !sections.insert(part.section.clone()) && broken.insert(part.first_line) {
                let what = format!("[{}] is given twice", part.section);
                self.faults.push(Fault::of_syntax(part.first_line, what));
            }
            let lines = Lines::new(&part.text, part.first_line);
            let (table, errors) = DeTable::parse_recoverable(&part.text);
            self.syntax(&lines, &errors, &mut broken);
            self.document(&lines, table.get_ref());
        }
    }

    /// One fault for each broken line: a misplaced thing upsets what follows it, and the first message is the one that helps.
    fn syntax(&mut self, lines: &Lines<'_>, errors: &[Error], broken: &mut BTreeSet<usize>) {
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            let line = lines.line_of(at);
            if broken.insert(line) {
                self.faults.push(Fault::of_syntax(line, in_our_words(error.message(), lines.at(at))));
            }
        }
    }

    fn document(&mut self, lines: &Lines<'_>, document: &DeTable<'_>) {
        for (name, value) in document {
            let line = lines.line_of(name.span().start);
            let section = name.get_ref().as_ref();
            match value.get_ref() {
                DeValue::Table(table) if keys::is_section(section) => self.section(lines, section, table),
                _ if keys::is_section(section) => {
                    let what = format!("is a section: write [{section}] and its keys below");
                    self.faults.push(Fault::of_key(line, printable(section), what));
                }
                DeValue::Table(_) => self.unknown_section(line, section),
                _ => self.unknown_key(line, "", section),
            }
        }
    }

    fn section(&mut self, lines: &Lines<'_>, section: &str, table: &DeTable<'_>) {
        for (name, value) in table {
            let line = lines.line_of(name.span().start);
            match KEYS.iter().find(|key| key.section == section && key.name == name.get_ref().as_ref()) {
                Some(key) => self.key(lines, line, key, value),
                None => self.unknown_key(line, section, name.get_ref()),
            }
        }
    }

    fn key(&mut self, lines: &Lines<'_>, line: usize, key: &keys::Key, value: &Value<'_>) {
        self.lines.insert(key.path(), line);
        for misfit in (key.set)(&mut self.config, value).err().unwrap_or_default() {
            self.faults.push(Fault::of_key(lines.line_of(misfit.at), key.path(), misfit.what));
        }
    }

    /// What no key can see by itself.
    fn across_keys(&mut self) {
        let media = &self.config.media;
        if media.video_codecs.is_empty() && media.audio_codecs.is_empty() {
            let last = ["media.video_codecs", "media.audio_codecs"].into_iter().max_by_key(|key| self.lines.get(*key));
            let what = "leaves no codec at all: nothing could be published";
            self.fault_across(last.unwrap_or_default(), what.to_owned());
        }
        if let Some((name, what)) = self.config.media.video_bitrate.fault() {
            self.fault_across(&format!("media.{name}"), what);
        }
        // A value that was refused is missing here, and its fault is known.
        let is_refused = |fault: &Fault| fault.key.as_ref().is_some_and(|key| key.starts_with("ice."));
        if self.faults.iter().any(is_refused) {
            return;
        }
        if let Some((name, what)) = self.config.ice.fault() {
            self.fault_across(&format!("ice.{name}"), what.to_owned());
        }
    }

    fn fault_across(&mut self, key: &str, what: String) {
        if let Some(line) = self.lines.get(key) {
            self.faults.push(Fault::of_key(*line, key, what));
        }
    }

    fn unknown_key(&mut self, line: usize, section: &str, name: &str) {
        let path = if section.is_empty() { printable(name) } else { format!("{section}.{}", printable(name)) };
        self.faults.push(Fault::of_key(line, path, unknown("key", keys::suggestion(section, name))));
    }

    fn unknown_section(&mut self, line: usize, section: &str) {
        let what = unknown("section", keys::section_suggestion(section));
        self.faults.push(Fault::of_key(line, printable(section), what));
    }
}

fn unknown(noun: &str, suggestion: Option<String>) -> String {
    match suggestion {
        Some(suggestion) => format!("unknown {noun}; {suggestion}"),
        None => format!("unknown {noun}"),
    }
}

/// A quoted key may hold anything, also what would break the line that reports it.
fn printable(name: &str) -> String {
    name.escape_debug().collect()
}
