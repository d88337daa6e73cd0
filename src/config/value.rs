//! One value of the file: its type, its range, and the sentence when it has another.

use super::{ListenAddress, LogLevel, public_address};
use oneport_rtp::payload::{Codec, MediaKind};
use std::fmt::Display;
use std::net::IpAddr;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::time::Duration;
use toml::Spanned;
use toml::de::DeValue;

/// A value and where it stands.
pub(super) type Value<'a> = Spanned<DeValue<'a>>;

/// A value that does not fit its key.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Misfit {
    /// Its offset in the text.
    pub(super) at: usize,
    /// What is wrong with it.
    pub(super) what: String,
}

/// What a value stands for; a list can have several misfits.
pub(super) type Parsed<T> = Result<T, Vec<Misfit>>;

fn misfit<T>(value: &Value<'_>, what: String) -> Parsed<T> {
    Err(vec![Misfit { at: value.span().start, what }])
}

fn other_type<T>(value: &Value<'_>, wanted: &str) -> Parsed<T> {
    misfit(value, format!("must be {wanted}, not {}", type_of(value.get_ref())))
}

fn type_of(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a string",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a fraction",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a table",
    }
}

/// A string that means something.
fn text<T>(value: &Value<'_>, wanted: &str, meaning: impl Fn(&str) -> Result<T, String>) -> Parsed<T> {
    match value.get_ref() {
        DeValue::String(written) => meaning(written).or_else(|what| misfit(value, what)),
        _ => other_type(value, wanted),
    }
}

/// A number, a count of something, or of bytes.
pub(super) fn integer(value: &Value<'_>, range: RangeInclusive<usize>) -> Parsed<usize> {
    let DeValue::Integer(written) = value.get_ref() else { return other_type(value, "a whole number") };
    let number = i128::from_str_radix(written.as_str(), written.radix()).ok().and_then(|n| usize::try_from(n).ok());
    match number.filter(|number| range.contains(number)) {
        Some(number) => Ok(number),
        None => misfit(value, format!("{written} is out of range: {} to {}", range.start(), range.end())),
    }
}

/// Whole seconds.
pub(super) fn seconds(value: &Value<'_>, range: RangeInclusive<usize>) -> Parsed<Duration> {
    integer(value, range).map(|seconds| Duration::from_secs(seconds as u64))
}

/// `true` or `false`.
pub(super) fn switch(value: &Value<'_>) -> Parsed<bool> {
    match value.get_ref() {
        DeValue::Boolean(on) => Ok(*on),
        _ => other_type(value, "true or false"),
    }
}

/// A whole number of milliseconds.
pub(super) fn milliseconds(value: &Value<'_>, range: RangeInclusive<usize>) -> Parsed<Duration> {
    integer(value, range).map(|ms| Duration::from_millis(ms as u64))
}

/// A number of 32 bits, which the range must be within.
pub(super) fn count(value: &Value<'_>, range: RangeInclusive<usize>) -> Parsed<u32> {
    integer(value, range).map(|number| u32::try_from(number).unwrap_or(u32::MAX))
}

/// The same, where 0 is none.
pub(super) fn count_or_none(value: &Value<'_>, range: RangeInclusive<usize>) -> Parsed<Option<u32>> {
    count(value, range).map(|number| Some(number).filter(|number| *number != 0))
}

/// A string that its type understands.
pub(super) fn word<T: FromStr<Err = String>>(value: &Value<'_>, wanted: &str) -> Parsed<T> {
    text(value, wanted, str::parse)
}

/// A list of such strings, none of them twice.
pub(super) fn items<T>(value: &Value<'_>, wanted: &str, limit: usize) -> Parsed<Vec<T>>
where
    T: FromStr<Err = String> + PartialEq + Display,
{
    let items = list(value, |item| word(item, wanted))?;
    if items.len() > limit {
        return misfit(value, format!("has {} items; at most {limit} are allowed", items.len()));
    }
    Ok(items)
}

/// A string in any of its forms, or a port as a number.
pub(super) fn listen(value: &Value<'_>) -> Parsed<ListenAddress> {
    match value.get_ref() {
        DeValue::Integer(_) => integer(value, 0..=usize::from(u16::MAX))
            .map(|port| ListenAddress::AllAddresses(u16::try_from(port).expect("the range is a port's"))),
        _ => text(value, "an address such as \":8000\"", str::parse),
    }
}

/// A [`LogLevel`] by its name.
pub(super) fn level(value: &Value<'_>) -> Parsed<LogLevel> {
    word(value, "a level such as \"info\"")
}

/// A list of addresses, none of them twice.
pub(super) fn addresses(value: &Value<'_>, limit: usize) -> Parsed<Vec<IpAddr>> {
    let addresses = list(value, |item| text(item, "an address such as \"192.0.2.1\"", public_address))?;
    if addresses.len() > limit {
        return misfit(value, format!("has {} addresses; at most {limit} fit in an answer", addresses.len()));
    }
    Ok(addresses)
}

/// A list of codecs of one kind, none of them twice.
pub(super) fn codecs(value: &Value<'_>, kind: MediaKind) -> Parsed<Vec<Codec>> {
    list(value, |item| text(item, "a codec's name", |name| codec(name, kind)))
}

fn codec(name: &str, kind: MediaKind) -> Result<Codec, String> {
    match Codec::from_encoding_name(name) {
        Some(codec) if codec.kind() == kind => Ok(codec),
        Some(codec) => Err(format!("{codec} is a codec for {}, not for {kind}", codec.kind())),
        None => {
            let known: Vec<_> = Codec::ALL.iter().filter(|c| c.kind() == kind).map(|c| c.encoding_name()).collect();
            Err(format!("\"{}\" is no {kind} codec; those are {}", name.escape_debug(), known.join(", ")))
        }
    }
}

/// All items, or the misfits of all.
fn list<T: PartialEq + Display>(value: &Value<'_>, item: impl Fn(&Value<'_>) -> Parsed<T>) -> Parsed<Vec<T>> {
    let DeValue::Array(written) = value.get_ref() else { return other_type(value, "a list") };
    let mut items: Vec<T> = Vec::new();
    let mut misfits = Vec::new();
    for written in written.iter() {
        match item(written) {
            Ok(item) if items.contains(&item) => {
                misfits.push(Misfit { at: written.span().start, what: format!("has {item} twice") });
            }
            Ok(item) => items.push(item),
            Err(found) => misfits.extend(found),
        }
    }
    if misfits.is_empty() { Ok(items) } else { Err(misfits) }
}
