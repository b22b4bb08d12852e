//! Where a value of JSON names its event: one path of keys, or several that name it together.

use std::borrow::Cow;
use std::str::FromStr;

use smallvec::SmallVec;

use super::event::Event;
use super::find::{Found, Scalar};
use super::period::Period;

/// The fields that name an event together, such as `job,minute`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    fields: Vec<KeyPath>,
    period: Option<(KeyPath, Period)>,
}

/// A path of keys: `data.call_id`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct KeyPath {
    steps: Vec<Step>,
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// `*`: every element of an array, every value of an object.
    Every,
    /// What has a name.
    Named {
        name: String,
        /// The place in an array, from 0, that the name stands for as well.
        index: Option<u64>,
        /// This step and those behind it as one key with dots in it, and how many steps that are.
        flat: Vec<(String, usize)>,
    },
}

/// What a value says of its event.
#[derive(Debug, Default)]
pub(crate) struct Named<'log> {
    pub(crate) events: SmallVec<[Event<'log>; 1]>,
    /// What stands where an event should, and is none.
    pub(crate) trouble: Option<Trouble>,
}

/// Why a value names no event that can be counted, though something stands where the key leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trouble {
    Object,
    Array,
    ArrayOfObjects,
    /// Elements beside the one that the key takes name events as well.
    Beside,
    /// A string that holds JSON which is damaged.
    DamagedString,
    /// Only some of the fields are there.
    Incomplete,
    /// No time that can be read.
    Time,
}

impl FromStr for Key {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let fields = split(text, ',')?.into_iter().map(KeyPath::new).collect::<Result<_, _>>()?;
        Ok(Self { fields, period: None })
    }
}

impl FromStr for KeyPath {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

/// Parts of a text between separators, of which those behind a backslash are none.
fn split(text: &str, separator: char) -> Result<Vec<&str>, String> {
    let mut parts = Vec::new();
    let (mut begin, mut is_escaped) = (0, false);
    for (place, character) in text.char_indices() {
        if character == separator && !is_escaped {
            parts.push(&text[begin..place]);
            begin = place + character.len_utf8();
        }
        is_escaped = character == '\\' && !is_escaped;
    }
    if is_escaped {
        return Err("a key cannot end in a lone backslash".into());
    }
    parts.push(&text[begin..]);
    Ok(parts)
}

/// The text without the backslashes before what is meant as it stands.
fn unescaped(text: &str) -> String {
    let mut characters = text.chars();
    let mut plain = String::new();
    while let Some(character) = characters.next() {
        plain.extend(if character == '\\' { characters.next() } else { Some(character) });
    }
    plain
}

impl KeyPath {
    fn new(text: &str) -> Result<Self, String> {
        let parts = split(text, '.')?;
        if parts.iter().any(|part| part.is_empty()) {
            return Err("write the keys that lead to the event, with a dot between them, such as data.call_id".into());
        }
        let names: Vec<_> = parts.iter().map(|part| unescaped(part)).collect();
        let steps = parts.iter().enumerate().map(|(place, &part)| {
            if part == "*" {
                return Step::Every;
            }
            let behind = parts[place..].iter().take_while(|part| **part != "*").count();
            let flat = (2..=behind).map(|count| (names[place..place + count].join("."), count)).collect();
            let name = names[place].clone();
            Step::Named { index: name.parse().ok(), name, flat }
        });
        Ok(Self { steps: steps.collect() })
    }

    pub(crate) fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// The last name on the path.
    pub(crate) fn last_name(&self) -> Option<&str> {
        self.steps.iter().rev().find_map(|step| match step {
            Step::Named { name, .. } => Some(name.as_str()),
            Step::Every => None,
        })
    }
}

impl Key {
    /// The same, where one event happens in each period: the value under `path` says when.
    pub(crate) fn per(self, path: KeyPath, period: Period) -> Self {
        Self { period: Some((path, period)), ..self }
    }

    /// The first path.
    pub(crate) fn first(&self) -> &KeyPath {
        &self.fields[0]
    }

    /// Whether an array on the outside is one entry, into which the key leads; otherwise its elements are entries.
    pub(crate) fn leads_into_array(&self) -> bool {
        self.fields.iter().any(|path| matches!(path.steps[0], Step::Every | Step::Named { index: Some(_), .. }))
    }

    /// What a text that is one value of JSON says.
    ///
    /// # Errors
    /// Where it is not one value of JSON.
    pub(crate) fn find<'log>(&self, text: &'log [u8]) -> serde_json::Result<Named<'log>> {
        if let ([path], None) = (&self.fields[..], &self.period) {
            let Found { scalars, trouble, .. } = Found::in_text(path, text)?;
            let events = scalars.into_iter().map(|(_, scalar)| scalar.into_event()).collect();
            return Ok(Named { events, trouble });
        }
        let mut found = Vec::new();
        for path in self.fields.iter().chain(self.period.as_ref().map(|(path, _)| path)) {
            found.push(Found::in_text(path, text)?);
        }
        Ok(self.join(&found))
    }

    /// Events from what was found of each field: fields of one element of an array belong together, and fields outside
    /// of it belong to every one.
    fn join<'log>(&self, found: &[Found<'log>]) -> Named<'log> {
        let mut trouble = found.iter().find_map(|found| found.trouble);
        let mut elements: Vec<u64> = Vec::new();
        for (element, _) in found.iter().flat_map(|found| &found.scalars) {
            if *element != Found::OUTSIDE && !elements.contains(element) {
                elements.push(*element);
            }
        }
        if elements.is_empty() && found.iter().any(|found| !found.scalars.is_empty()) {
            elements.push(Found::OUTSIDE);
        }
        let mut events = SmallVec::new();
        for element in elements {
            let fields: Option<Vec<&Scalar<'_>>> = found
                .iter()
                .map(|found| {
                    let mut of_this =
                        found.scalars.iter().filter(|(place, _)| [element, Found::OUTSIDE].contains(place));
                    of_this.next().map(|(_, scalar)| scalar)
                })
                .collect();
            let Some(mut fields) = fields else {
                trouble = trouble.or(Some(Trouble::Incomplete));
                continue;
            };
            let mut name = Vec::new();
            let mut numbers = 0;
            let period =
                self.period.as_ref().map(|(_, period)| (period, fields.pop().expect("the time is the last field")));
            for (place, field) in fields.into_iter().enumerate() {
                if place > 0 {
                    name.push(b',');
                }
                name.extend_from_slice(&escaped(field.name()));
                numbers |= u32::from(field.is_number()) << place.min(31);
            }
            if let Some((period, time)) = period {
                let Some(start) = period.start(time.name()) else {
                    trouble = trouble.or(Some(Trouble::Time));
                    continue;
                };
                name.push(b',');
                name.extend_from_slice(start.as_bytes());
            }
            events.push(Event { name: name.into(), numbers });
        }
        Named { events, trouble }
    }
}

/// A field of several, in which a comma is not taken for the end.
fn escaped(field: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr2(b',', b'\\', field).is_none() {
        return field.into();
    }
    field.iter().flat_map(|&byte| [b'\\', byte].into_iter().skip(usize::from(!b",\\".contains(&byte)))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(key: &str, line: &str, expected: &[&str], trouble: Option<Trouble>) {
        let key: Key = key.parse().expect("a key");
        let named = key.find(line.as_bytes()).expect("it is JSON");
        let shown = named.events.iter().map(|Event { name, numbers }| {
            String::from_utf8_lossy(name).into_owned() + if *numbers > 0 { " as a number" } else { "" }
        });
        assert_eq!(shown.collect::<Vec<_>>(), expected, "{key:?} in {line}");
        assert_eq!(named.trouble, trouble, "{key:?} in {line}");
    }

    #[test]
    fn events_are_found() {
        check("id", r#"{"id":"a"}"#, &["a"], None);
        check("id", r#" {"x":[1,{"id":"no"}],"id":"a","y":null} "#, &["a"], None);
        check("id", r#"{"id":"a","id":"b"}"#, &["b"], None);
        check("data.call_id", r#"{"data":{"call_id":"a"}}"#, &["a"], None);
        check("data.call_id", r#"{"data":"call_id"}"#, &[], None);
        check("data.call_id", r#"{"call_id":"a"}"#, &[], None);
        check("id", r#"{"id":17}"#, &["17 as a number"], None);
        check("id", r#"{"id":-17.50e3}"#, &["-17.50e3 as a number"], None);
        check("id", r#"{"id":123456789012345678901234567890}"#, &["123456789012345678901234567890 as a number"], None);
        check("id", r#"{"id":"\u0061\n"}"#, &["a\n"], None);
        check("\u{e9}", r#"{"\u00e9":"x"}"#, &["x"], None);
        for line in [r#"{"id":null}"#, r#"{"id":true}"#, r#"{"id":""}"#, "17", "[]", "\"x\"", "{}"] {
            check("id", line, &[], None);
        }
        check("id", r#"{"id":["a"]}"#, &[], Some(Trouble::Array));
        check("id", r#"{"id":[{"a":1}]}"#, &[], Some(Trouble::ArrayOfObjects));
        check("id", r#"{"id":{"a":1}}"#, &[], Some(Trouble::Object));
    }

    #[test]
    fn keys_with_dots_are_seen() {
        check(r"a\.b", r#"{"a.b":"c"}"#, &["c"], None);
        check(r"a\.b", r#"{"a":{"b":"c"}}"#, &[], None);
        check("trace.id", r#"{"log.level":"info","trace.id":"t1"}"#, &["t1"], None);
        check("trace.id", r#"{"trace":{"id":"t1"}}"#, &["t1"], None);
        check("a.b.c", r#"{"a.b":{"c":"x"}}"#, &["x"], None);
        check("a.b.c", r#"{"a":{"b.c":"x"}}"#, &["x"], None);
        check("a.b.c", r#"{"a.b.c":"x"}"#, &["x"], None);
        check("trace.id", r#"{"trace.id":"t1","trace":{"flags":1}}"#, &["t1"], None);
    }

    #[test]
    fn every_element_is_an_event() {
        let batch = r#"{"Records":[{"id":"e1"},{"id":"e2"},{"no":1}]}"#;
        check("Records.*.id", batch, &["e1", "e2"], None);
        check("Records.id", batch, &["e1", "e2"], None);
        check("Records.0.id", batch, &["e1"], Some(Trouble::Beside));
        check("*.id", r#"{"a":{"id":"x"},"b":{"id":"y"}}"#, &["x", "y"], None);
        check("ids.*", r#"{"ids":["a","b"]}"#, &["a", "b"], None);
        check("ids.1", r#"{"ids":["a","b","c"]}"#, &["b"], None);
        check("ids.7", r#"{"ids":["a","b","c"]}"#, &[], None);
        check("1", r#"["time","a"]"#, &["a"], None);
        check("ids.1", r#"{"ids":{"1":"x"}}"#, &["x"], None);
        check(r"\*", r#"{"*":"x","y":"z"}"#, &["x"], None);
    }

    #[test]
    fn json_within_strings_and_bytes_is_read() {
        check("log.id", r#"{"log":"{\"id\":\"e1\"}\n","stream":"stdout"}"#, &["e1"], None);
        check("log.id", r#"{"log":"12:00 INFO {\"id\":\"e1\"}\n"}"#, &["e1"], None);
        check("log.id", r#"{"log":"{\"id\":\"e1\"}{\"id\":\"e2\"}"}"#, &["e1", "e2"], None);
        check("log.id", r#"{"log":"{\"id\":\"e1\",\"m\":\"trunc"}"#, &[], Some(Trouble::DamagedString));
        check("log.id", r#"{"log":"started"}"#, &[], None);
        check("MESSAGE.id", r#"{"MESSAGE":[123,34,105,100,34,58,34,101,49,34,125]}"#, &["e1"], None);
        check("MESSAGE", r#"{"MESSAGE":[101,49]}"#, &["e1"], None);
        check("ids", r#"{"ids":[7,8]}"#, &[], Some(Trouble::Array));
    }

    #[test]
    fn several_fields_name_an_event_together() {
        check("job,minute", r#"{"job":"a","minute":7}"#, &["a,7 as a number"], None);
        check("job,minute", r#"{"job":"a,b","minute":"7"}"#, &[r"a\,b,7"], None);
        check("job,minute", r#"{"minute":7}"#, &[], Some(Trouble::Incomplete));
        check("job,minute", r#"{"other":7}"#, &[], None);
        check("host,r.id", r#"{"host":"h","r":[{"id":"a"},{"id":"b"}]}"#, &["h,a", "h,b"], None);
        check("r.job,r.id", r#"{"r":[{"id":"a","job":"x"},{"id":"b","job":"y"}]}"#, &["x,a", "y,b"], None);
        let misaligned = r#"{"r":[{"id":"a"},{"job":"y"}]}"#;
        check("r.job,r.id", misaligned, &[], Some(Trouble::Incomplete));
    }

    #[test]
    fn keys_that_lead_nowhere_are_refused() {
        for text in ["", ".", "a.", ".a", "a..b", "a\\", "a,", ",a", "a,,b"] {
            assert!(text.parse::<Key>().is_err(), "{text}");
        }
        for line in ["", "{", r#"{"id":"a""#, r#"{"id":"a"} x"#, "\0\u{1}", r#"{"id":"a"}{"id":"b"}"#, r#"{"id":NaN}"#]
        {
            assert!("id".parse::<Key>().expect("a key").find(line.as_bytes()).is_err(), "{line}");
        }
    }
}
