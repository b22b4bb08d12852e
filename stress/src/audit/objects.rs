//! The objects of JSON in a line or in a string: one, several behind one another, or behind other text.

use serde_json::value::RawValue;

/// How many opening braces in a text may turn out to be none of JSON.
const BRACES_MAX: usize = 64;

/// Why no objects can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Damage {
    /// There is none.
    NoObject,
    /// One begins and does not end.
    CutOff,
    /// One begins and goes on in a way that is not JSON.
    NotJson,
}

/// All the objects in a text, in order, without those that stand within others.
///
/// # Errors
/// Where one begins and is not all there: then nothing is known of what else is.
pub(crate) fn objects_in(text: &[u8]) -> Result<Vec<&RawValue>, Damage> {
    let mut objects = Vec::new();
    let mut from = 0;
    let mut braces = 0;
    while let Some(place) = memchr::memchr(b'{', &text[from..]) {
        let begin = from + place;
        let mut values = serde_json::Deserializer::from_slice(&text[begin..]).into_iter::<&RawValue>();
        match values.next() {
            Some(Ok(object)) => {
                objects.push(object);
                from = begin + values.byte_offset();
            }
            // A brace that no key follows is one of other text.
            Some(Err(_)) if !begins_like_an_object(&text[begin..]) && braces < BRACES_MAX => {
                braces += 1;
                from = begin + 1;
            }
            Some(Err(error)) if error.is_eof() => return Err(Damage::CutOff),
            _ => return Err(Damage::NotJson),
        }
    }
    if objects.is_empty() { Err(Damage::NoObject) } else { Ok(objects) }
}

fn begins_like_an_object(text: &[u8]) -> bool {
    text[1..].trim_ascii_start().starts_with(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn objects_are_told_from_other_text() {
        let check = |text: &str, expected: Result<&[&str], Damage>| {
            let objects = objects_in(text.as_bytes());
            let texts = objects.as_ref().map(|objects| objects.iter().map(|object| object.get()).collect::<Vec<_>>());
            assert_eq!(
                texts.as_deref().map_err(|damage| **damage),
                expected.as_ref().map(|texts| *texts).map_err(|damage| *damage),
                "{text}"
            );
        };
        check(r#"{"a":1}"#, Ok(&[r#"{"a":1}"#]));
        check(r#"12:00 INFO {"a":{"b":2}} took 3 ms"#, Ok(&[r#"{"a":{"b":2}}"#]));
        check(r#"{"a":1}{"b":2} , {}"#, Ok(&[r#"{"a":1}"#, r#"{"b":2}"#, "{}"]));
        check(r#"user {anna} says {"a":1}"#, Ok(&[r#"{"a":1}"#]));
        check(r#"INFO {"a":{"x":1},"id":"e1"#, Err(Damage::CutOff));
        check(r#"{"a":1}{"b":"#, Err(Damage::CutOff));
        check(r#"{"a":NaN,"b":{"id":"x"}}"#, Err(Damage::NotJson));
        check("plain {text}", Err(Damage::NoObject));
        check("", Err(Damage::NoObject));
    }
}
