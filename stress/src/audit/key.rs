//! The event of a JSON line: what stands under a dotted path of keys.

use std::borrow::Cow;
use std::fmt;
use std::io::Read;
use std::marker::PhantomData;
use std::str::FromStr;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

/// Where in an entry its event is named: `data.call_id`. A dot within a key is written `\.`; a number also stands for a
/// place in an array, from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPath(Vec<String>);

impl FromStr for KeyPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut keys = vec![String::new()];
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let key = keys.last_mut().expect("there is always a key that grows");
            match character {
                '.' => keys.push(String::new()),
                '\\' => key.push(characters.next().ok_or("a key cannot end in a lone backslash")?),
                other => key.push(other),
            }
        }
        if keys.iter().any(String::is_empty) {
            return Err("write the keys that lead to the event, with a dot between them, such as data.call_id".into());
        }
        Ok(Self(keys))
    }
}

/// What a line says of its event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Found<'line> {
    /// The text of a string, or a number as it is written.
    Event(Cow<'line, str>),
    /// Nothing stands there, or something that is no name: null, a truth value, an array, an object.
    Nothing,
    /// A number in a very long line, too wide to be read without loss.
    TooWide,
}

impl KeyPath {
    /// The keys, from the outermost.
    pub(crate) fn keys(&self) -> &[String] {
        &self.0
    }

    /// The event of a line.
    ///
    /// # Errors
    /// Where the line is not one JSON value.
    pub(crate) fn find<'line>(&self, line: &'line [u8]) -> serde_json::Result<Found<'line>> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let found = Place::<Written>::at(&self.0).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(found)
    }

    /// The same as `serde_json` alone would do it: numbers are rounded to what it takes them for.
    ///
    /// # Errors
    /// Where the line is not one JSON value.
    pub(crate) fn parse<'line>(&self, line: &'line [u8]) -> serde_json::Result<Found<'line>> {
        let mut deserializer = serde_json::Deserializer::from_slice(line);
        let found = Place::<Understood>::at(&self.0).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(found)
    }

    /// The same of a line that does not fit into memory; nothing of it is kept but the event.
    ///
    /// # Errors
    /// Where the line is not one JSON value, or reading fails.
    pub(crate) fn find_in(&self, line: impl Read) -> serde_json::Result<Found<'static>> {
        let mut deserializer = serde_json::Deserializer::from_reader(line);
        let found = Place::<Understood>::at(&self.0).deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(match found {
            Found::Event(event) => Found::Event(Cow::Owned(event.into_owned())),
            Found::Nothing => Found::Nothing,
            Found::TooWide => Found::TooWide,
        })
    }
}

/// How the value under the path is read.
trait Leaf {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Found<'de>, D::Error>;
}

/// As it is written: numbers lose nothing. The line must be in memory.
struct Written;

impl Leaf for Written {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Found<'de>, D::Error> {
        let text = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match text.as_bytes().first() {
            Some(b'"') if text.contains('\\') => Found::Event(serde_json::from_str(text).map_err(D::Error::custom)?),
            Some(b'"') => Found::Event(text[1..text.len() - 1].into()),
            Some(b'-' | b'0'..=b'9') => Found::Event(text.into()),
            _ => Found::Nothing,
        })
    }
}

/// As it is understood, so that an array of any length is passed over without being kept.
struct Understood;

impl Leaf for Understood {
    fn read<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Found<'de>, D::Error> {
        deserializer.deserialize_any(Place::<Self>::at(&[]))
    }
}

/// What the keys that are left lead to.
struct Place<'path, L> {
    keys: &'path [String],
    leaf: PhantomData<L>,
}

impl<'path, L> Place<'path, L> {
    fn at(keys: &'path [String]) -> Self {
        Self { keys, leaf: PhantomData }
    }

    fn scalar<'de>(&self, event: impl FnOnce() -> Found<'de>) -> Found<'de> {
        if self.keys.is_empty() { event() } else { Found::Nothing }
    }
}

impl<'de, L: Leaf> DeserializeSeed<'de> for Place<'_, L> {
    type Value = Found<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Found<'de>, D::Error> {
        if self.keys.is_empty() { L::read(deserializer) } else { deserializer.deserialize_any(self) }
    }
}

impl<'de, L: Leaf> Visitor<'de> for Place<'_, L> {
    type Value = Found<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Found<'de>, A::Error> {
        // Of keys that come twice the last counts, as in most readers.
        let mut found = Found::Nothing;
        while let Some(leads_on) = entries.next_key_seed(KeyIs(self.keys.first().map(String::as_str)))? {
            if leads_on {
                found = entries.next_value_seed(Self::at(&self.keys[1..]))?;
            } else {
                entries.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Found<'de>, A::Error> {
        let mut found = Found::Nothing;
        let wanted = self.keys.first().and_then(|key| key.parse::<u64>().ok());
        for place in 0.. {
            if wanted == Some(place) {
                match elements.next_element_seed(Self::at(&self.keys[1..]))? {
                    Some(element) => found = element,
                    None => break,
                }
            } else if elements.next_element::<IgnoredAny>()?.is_none() {
                break;
            }
        }
        Ok(found)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Found<'de>, E> {
        Ok(self.scalar(|| Found::Event(Cow::Borrowed(text))))
    }

    fn visit_str<E>(self, text: &str) -> Result<Found<'de>, E> {
        Ok(self.scalar(|| Found::Event(Cow::Owned(text.into()))))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Found<'de>, E> {
        Ok(self.scalar(|| Found::Event(Cow::Owned(number.to_string()))))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Found<'de>, E> {
        Ok(self.scalar(|| Found::Event(Cow::Owned(number.to_string()))))
    }

    fn visit_f64<E>(self, _number: f64) -> Result<Found<'de>, E> {
        Ok(self.scalar(|| Found::TooWide))
    }

    fn visit_bool<E>(self, _truth: bool) -> Result<Found<'de>, E> {
        Ok(Found::Nothing)
    }

    fn visit_unit<E>(self) -> Result<Found<'de>, E> {
        Ok(Found::Nothing)
    }
}

/// Whether a key is the one that leads on.
struct KeyIs<'path>(Option<&'path str>);

impl<'de> DeserializeSeed<'de> for KeyIs<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for KeyIs<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(self.0 == Some(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_found() {
        let check = |path: &str, line: &str, expected: Option<&str>| {
            let path: KeyPath = path.parse().expect("a path");
            let event = |found: serde_json::Result<Found<'_>>| match found {
                Ok(Found::Event(event)) => Some(event.into_owned()),
                _ => None,
            };
            assert_eq!(event(path.find(line.as_bytes())).as_deref(), expected, "{line}");
            assert_eq!(event(path.parse(line.as_bytes())).as_deref(), expected, "{line}, parsed");
            assert_eq!(event(path.find_in(line.as_bytes())).as_deref(), expected, "{line}, read");
        };
        check("id", r#"{"id":"a"}"#, Some("a"));
        check("id", r#" {"x":[1,{"id":"no"}],"id":"a","y":null} "#, Some("a"));
        check("id", r#"{"id":"a","id":"b"}"#, Some("b"));
        check("data.call_id", r#"{"data":{"call_id":"a"}}"#, Some("a"));
        check("data.call_id", r#"{"data":"call_id"}"#, None);
        check("data.call_id", r#"{"call_id":"a"}"#, None);
        check(r"a\.b", r#"{"a.b":"c"}"#, Some("c"));
        check("ids.1", r#"{"ids":["a","b","c"]}"#, Some("b"));
        check("ids.7", r#"{"ids":["a","b","c"]}"#, None);
        check("id", r#"{"id":17}"#, Some("17"));
        check("id", r#"{"id":-17}"#, Some("-17"));
        check("id", r#"{"id":"\u0061\n"}"#, Some("a\n"));
        check("\u{e9}", r#"{"\u00e9":"x"}"#, Some("x"));
        for line in [r#"{"id":null}"#, r#"{"id":true}"#, r#"{"id":["a"]}"#, r#"{"id":{"a":1}}"#, "17", "[]"] {
            check("id", line, None);
        }
        for line in ["", "{", r#"{"id":"a""#, r#"{"id":"a"} x"#, "\0\u{1}", r#"{"id":"a"}{"id":"b"}"#] {
            check("id", line, None);
            let path: KeyPath = "id".parse().expect("a path");
            assert!(path.find(line.as_bytes()).is_err(), "{line}");
            assert!(path.find_in(line.as_bytes()).is_err(), "{line}, read");
        }
    }

    #[test]
    fn wide_numbers_lose_nothing_in_memory_and_are_refused_where_they_are_read() {
        let path: KeyPath = "id".parse().expect("a path");
        for number in ["123456789012345678901234567890", "1.50", "1e3"] {
            let line = format!("{{\"id\":{number}}}");
            assert_eq!(path.find(line.as_bytes()).expect("it is JSON"), Found::Event(number.into()));
            assert_eq!(path.find_in(line.as_bytes()).expect("it is JSON"), Found::TooWide);
        }
    }

    #[test]
    fn paths_that_lead_nowhere_are_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a\\"] {
            assert!(text.parse::<KeyPath>().is_err(), "{text}");
        }
    }
}
