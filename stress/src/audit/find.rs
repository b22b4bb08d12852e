//! What stands under a path of keys in a value of JSON, found while the value is read, of which nothing else is kept.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use super::event::Event;
use super::key::{KeyPath, Step, Trouble};
use super::objects::objects_in;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Found<'log> {
    /// What names events, each with the element of an array that it stands in.
    pub(crate) scalars: SmallVec<[(u64, Scalar<'log>); 1]>,
    pub(crate) trouble: Option<Trouble>,
    /// Where an array consists of numbers so far: these, as bytes.
    bytes: Option<Vec<u8>>,
}

/// What can name an event: a text, or a number as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Scalar<'log> {
    Text(Cow<'log, str>),
    Number(Cow<'log, str>),
}

impl<'log> Scalar<'log> {
    pub(crate) fn name(&self) -> &[u8] {
        match self {
            Self::Text(text) | Self::Number(text) => text.as_bytes(),
        }
    }

    pub(crate) fn is_number(&self) -> bool {
        matches!(self, Self::Number(_))
    }

    pub(crate) fn into_event(self) -> Event<'log> {
        let numbers = u32::from(self.is_number());
        let name = match self {
            Self::Text(Cow::Borrowed(text)) | Self::Number(Cow::Borrowed(text)) => Cow::Borrowed(text.as_bytes()),
            Self::Text(Cow::Owned(text)) | Self::Number(Cow::Owned(text)) => Cow::Owned(text.into_bytes()),
        };
        Event { name, numbers }
    }

    fn into_owned(self) -> Scalar<'static> {
        match self {
            Self::Text(text) => Scalar::Text(Cow::Owned(text.into_owned())),
            Self::Number(text) => Scalar::Number(Cow::Owned(text.into_owned())),
        }
    }
}

impl<'log> Found<'log> {
    /// The element that what is in no array stands in.
    pub(crate) const OUTSIDE: u64 = 0;

    /// What stands under the path in a text that is one value of JSON.
    ///
    /// # Errors
    /// Where it is not one value of JSON.
    pub(crate) fn in_text(path: &KeyPath, text: &'log [u8]) -> serde_json::Result<Self> {
        let mut found = Self::default();
        let mut deserializer = serde_json::Deserializer::from_slice(text);
        Place { steps: path.steps(), element: Self::OUTSIDE, found: &mut found }.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(found)
    }

    /// Goes on in a text that a string or an array of bytes holds: in the objects that are there.
    fn go_on_in(&mut self, text: &[u8], steps: &[Step], element: u64) {
        let Ok(objects) = objects_in(text) else {
            self.trouble = Some(Trouble::DamagedString);
            return;
        };
        for object in objects {
            let mut within = Found::default();
            let place = Place { steps, element, found: &mut within };
            match place.deserialize(&mut serde_json::Deserializer::from_str(object.get())) {
                Ok(()) => {
                    self.scalars
                        .extend(within.scalars.into_iter().map(|(element, scalar)| (element, scalar.into_owned())));
                    self.trouble = self.trouble.or(within.trouble);
                }
                Err(_) => self.trouble = Some(Trouble::DamagedString),
            }
        }
    }
}

/// What the steps that are left lead to.
struct Place<'path, 'found, 'log> {
    steps: &'path [Step],
    element: u64,
    found: &'found mut Found<'log>,
}

impl<'log> DeserializeSeed<'log> for Place<'_, '_, 'log> {
    type Value = ();

    fn deserialize<D: Deserializer<'log>>(self, deserializer: D) -> Result<(), D::Error> {
        if !self.steps.is_empty() {
            return deserializer.deserialize_any(self);
        }
        let text = <&RawValue>::deserialize(deserializer)?.get();
        let scalar = match text.as_bytes() {
            [b'"', ..] if text.contains('\\') => Scalar::Text(serde_json::from_str(text).map_err(D::Error::custom)?),
            [b'"', ..] => Scalar::Text(text[1..text.len() - 1].into()),
            [b'-' | b'0'..=b'9', ..] => Scalar::Number(text.into()),
            [b'[', ..] => {
                let Some(text) = serde_json::from_str(text).ok().and_then(text_of_bytes) else {
                    let holds_objects = text[1..].trim_start().starts_with('{');
                    self.found.trouble = Some(if holds_objects { Trouble::ArrayOfObjects } else { Trouble::Array });
                    return Ok(());
                };
                Scalar::Text(text.into())
            }
            [b'{', ..] => {
                self.found.trouble = Some(Trouble::Object);
                return Ok(());
            }
            _ => return Ok(()),
        };
        // An empty text stands for no event, as null does.
        if !scalar.name().is_empty() {
            self.found.scalars.push((self.element, scalar));
        }
        Ok(())
    }
}

/// The text of an array of bytes, as journald writes what is not plain UTF-8; nothing where they are numbers of
/// another kind.
pub(crate) fn text_of_bytes(bytes: Vec<u8>) -> Option<String> {
    let is_text = |byte: &u8| matches!(byte, b'\t' | b'\n' | b'\r' | 0x1B | b' '..);
    (!bytes.is_empty() && bytes.iter().all(is_text)).then(|| {
        String::from_utf8(bytes).unwrap_or_else(|error| error.into_bytes().into_iter().map(char::from).collect())
    })
}

impl<'log> Visitor<'log> for Place<'_, '_, 'log> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'log>>(self, mut entries: A) -> Result<(), A::Error> {
        let Self { steps, element, found } = self;
        let before = found.scalars.len();
        while let Some(taken) = entries.next_key_seed(StepsTaken(steps))? {
            if taken == 0 {
                entries.next_value::<IgnoredAny>()?;
                continue;
            }
            let earlier = found.scalars.len();
            entries.next_value_seed(Place { steps: &steps[taken..], element, found: &mut *found })?;
            // Of keys that come twice the last counts, as in most readers.
            if found.scalars.len() > earlier && steps[0] != Step::Every {
                found.scalars.drain(before..earlier);
            }
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'log>>(self, mut elements: A) -> Result<(), A::Error> {
        let Self { steps, element, found } = self;
        let (rest, wanted) = match &steps[0] {
            Step::Every => (&steps[1..], None),
            Step::Named { index: Some(index), .. } => (&steps[1..], Some(*index)),
            // A name goes on in every element.
            Step::Named { index: None, .. } => (steps, None),
        };
        let outer = found.bytes.replace(Vec::new());
        let mut count = 0;
        let mut beside = Found::default();
        loop {
            // The same for two fields that stand in the same elements of the same arrays, and for no others.
            let within = (element + count + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let is_wanted = wanted.is_none_or(|wanted| wanted == count);
            let element = if wanted.is_some() { element } else { within };
            let found = if is_wanted { &mut *found } else { &mut beside };
            let next = if is_wanted || !rest.is_empty() {
                elements.next_element_seed(Place { steps: rest, element, found })?
            } else {
                elements.next_element::<IgnoredAny>()?.map(|_| ())
            };
            if next.is_none() {
                break;
            }
            count += 1;
        }
        if !beside.scalars.is_empty() {
            found.trouble = Some(Trouble::Beside);
        }
        let bytes = std::mem::replace(&mut found.bytes, outer).unwrap_or_default();
        if bytes.len() as u64 == count
            && let Some(text) = text_of_bytes(bytes)
        {
            found.go_on_in(text.as_bytes(), steps, element);
        }
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        if memchr::memchr(b'{', text.as_bytes()).is_some() {
            self.found.go_on_in(text.as_bytes(), self.steps, self.element);
        }
        Ok(())
    }

    fn visit_u64<E>(self, number: u64) -> Result<(), E> {
        if let (Some(bytes), Ok(byte)) = (&mut self.found.bytes, u8::try_from(number)) {
            bytes.push(byte);
        }
        Ok(())
    }

    fn visit_i64<E>(self, _number: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _number: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _truth: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

/// How many of these steps a key of an object takes; none where it leads elsewhere.
struct StepsTaken<'path>(&'path [Step]);

impl<'log> DeserializeSeed<'log> for StepsTaken<'_> {
    type Value = usize;

    fn deserialize<D: Deserializer<'log>>(self, deserializer: D) -> Result<usize, D::Error> {
        deserializer.deserialize_identifier(self)
    }
}

impl Visitor<'_> for StepsTaken<'_> {
    type Value = usize;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a key")
    }

    fn visit_str<E>(self, key: &str) -> Result<usize, E> {
        Ok(match &self.0[0] {
            Step::Every => 1,
            Step::Named { name, .. } if name == key => 1,
            Step::Named { flat, .. } => flat.iter().find(|(joined, _)| joined == key).map_or(0, |(_, steps)| *steps),
        })
    }
}
