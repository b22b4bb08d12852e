//! Where else an entry has what a key was to lead to.

use serde_json::Value;

use super::key::KeyPath;
use super::objects::objects_in;

/// How many keys of an entry are told.
const KEYS_TOLD: usize = 12;

/// What to write in place of a key that leads nowhere in this entry.
pub(crate) fn hint(path: &KeyPath, entry: &[u8]) -> Option<String> {
    let object = objects_in(entry).ok()?.first().copied()?;
    let value: Value = serde_json::from_str(object.get()).ok()?;
    let wanted = path.last_name()?;
    let mut trail = Vec::new();
    if let Some(found) = find(&value, wanted, &mut trail) {
        return Some(format!("the name is under another key: use --key '{found}'"));
    }
    let Value::Object(fields) = value else { return None };
    let mut keys: Vec<&str> = fields.keys().map(String::as_str).take(KEYS_TOLD).collect();
    if fields.len() > KEYS_TOLD {
        keys.push("\u{2026}");
    }
    Some(format!("the keys are {}", keys.join(", ")))
}

/// The path to the first value that has a name, whatever its capitals.
fn find(value: &Value, wanted: &str, trail: &mut Vec<String>) -> Option<String> {
    let go_on = |step: String, value: &Value, trail: &mut Vec<String>| {
        trail.push(step);
        let found = find(value, wanted, trail);
        trail.pop();
        found
    };
    match value {
        Value::Object(fields) => fields.iter().find_map(|(name, value)| {
            let step = name.replace('\\', r"\\").replace('.', r"\.").replace(',', r"\,");
            if name.eq_ignore_ascii_case(wanted) && !value.is_null() {
                return Some([&trail[..], &[step]].concat().join("."));
            }
            go_on(step, value, trail)
        }),
        Value::Array(values) => values.iter().find_map(|value| go_on("*".into(), value, trail)),
        Value::String(text) => {
            let object = objects_in(text.as_bytes()).ok()?.first().copied()?;
            find(&serde_json::from_str(object.get()).ok()?, wanted, trail)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_found_elsewhere() {
        let check = |key: &str, entry: &str, words: &str| {
            let hint = hint(&key.parse().expect("a path"), entry.as_bytes()).unwrap_or_default();
            assert!(hint.contains(words), "{hint}");
        };
        check("id", r#"{"a":{"id":1}}"#, "--key 'a.id'");
        check("id", r#"{"log":"{\"id\":1}\n"}"#, "--key 'log.id'");
        check("eventID", r#"{"Records":[{"eventID":"e1"}]}"#, "--key 'Records.*.eventID'");
        check("id", r#"{"ID":7}"#, "--key 'ID'");
        check("id", r#"{"a.b":{"id":7}}"#, r"--key 'a\.b.id'");
        check("id", r#"{"name":7,"at":1}"#, "at, name");
        check("id", "text", "");
    }
}
