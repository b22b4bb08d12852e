//! The lines of realtime.log: one JSON object each, the event's ID first.

use std::sync::Arc;

use crate::id::InstanceId;
use crate::json;

/// The longest event ID, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 256;

/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// No line of ours is longer: each of an event ID's bytes takes six at most, and what stands around it and the payload is
/// short.
pub(crate) const LINE_BYTES_MAX: usize = PAYLOAD_BYTES_MAX + 6 * EVENT_ID_BYTES_MAX + 256;

/// How each of our lines starts.
pub(crate) const START: &[u8] = b"{\"event\":\"";

/// What stands before the term, the primary and the payload.
const TERM: &[u8] = b"\",\"term\":";
const PRIMARY: &[u8] = b",\"primary\":\"";
const PAYLOAD: &[u8] = b"\",\"payload\":";

/// A line that is no longer is put together where it needs no allocation.
const SHORT_LINE_BYTES: usize = 512;

/// What stands behind the payload.
const END: &[u8] = b"}\n";

/// Refuses an event whose ID does not fit on a line.
pub(crate) fn check_id(id: &str) -> Result<(), &'static str> {
    if id.is_empty() {
        Err("the event ID is empty")
    } else if id.len() > EVENT_ID_BYTES_MAX {
        Err("the event ID is longer than 256 bytes")
    } else {
        Ok(())
    }
}

/// Refuses an event whose payload does not.
pub(crate) fn check_payload(payload: &str) -> Result<(), &'static str> {
    if payload.len() > PAYLOAD_BYTES_MAX { Err("the payload is longer than 1 MiB") } else { json::check_line(payload) }
}

/// The event's line, its newline included.
pub(crate) fn encode(id: &str, payload: &[u8], term: u64, primary: &InstanceId) -> Arc<[u8]> {
    let escaped;
    let id = if json::is_plain(id) {
        id.as_bytes()
    } else {
        escaped = serde_json::to_vec(id).expect("text is written to memory");
        &escaped[1..escaped.len() - 1]
    };
    let mut digits = itoa::Buffer::new();
    let parts =
        [START, id, TERM, digits.format(term).as_bytes(), PRIMARY, primary.as_str().as_bytes(), PAYLOAD, payload, END];
    let length: usize = parts.iter().map(|part| part.len()).sum();
    if length <= SHORT_LINE_BYTES {
        let mut line = [0; SHORT_LINE_BYTES];
        let mut end = 0;
        for part in parts {
            line[end..end + part.len()].copy_from_slice(part);
            end += part.len();
        }
        line[..end].into()
    } else {
        parts.concat().into()
    }
}

/// The payload in an event's line.
pub(crate) fn payload(line: &[u8], payload_bytes: usize) -> &[u8] {
    let end = line.len() - END.len();
    &line[end - payload_bytes..end]
}

/// The event that a line, its newline included, is the entry of. A line that was torn and then ended is none.
pub(crate) fn event_of(line: &[u8]) -> Option<String> {
    let Parts { id, payload, .. } = Parts::of(line)?;
    let payload = std::str::from_utf8(payload?.strip_suffix(END)?).ok()?;
    json::check_line(payload).is_ok().then_some(id)
}

/// The term and the primary that a torn line names, as far as it comes to them. Where it breaks off within one, the part
/// that is there is taken for the whole: nothing of it can be taken back, and the entry is what counts.
pub(crate) fn attribution(fragment: &[u8]) -> (Option<u64>, Option<InstanceId>) {
    let Some(Parts { term, primary, .. }) = Parts::of(fragment) else { return (None, None) };
    (term, primary.and_then(|primary| InstanceId::new(primary).ok()))
}

/// What a line of ours consists of, as far as there is of it.
struct Parts<'line> {
    id: String,
    term: Option<u64>,
    primary: Option<&'line str>,
    payload: Option<&'line [u8]>,
}

impl<'line> Parts<'line> {
    /// Nothing, where the line is none of ours or ends within the event's ID.
    fn of(line: &'line [u8]) -> Option<Self> {
        let quoted = line.strip_prefix(&START[..START.len() - 1])?;
        let mut values = serde_json::Deserializer::from_slice(quoted).into_iter::<String>();
        let id = values.next()?.ok()?;
        let mut parts = Self { id, term: None, primary: None, payload: None };
        // The quotation mark that ends the ID belongs to what stands before the term.
        let Some(rest) = quoted[values.byte_offset() - 1..].strip_prefix(TERM) else { return Some(parts) };
        let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
        parts.term = std::str::from_utf8(&rest[..digits]).ok().and_then(|digits| digits.parse().ok());
        let Some(rest) = rest[digits..].strip_prefix(PRIMARY).filter(|_| parts.term.is_some()) else {
            return Some(parts);
        };
        let end = rest.iter().position(|&byte| byte == b'"').unwrap_or(rest.len());
        parts.primary = std::str::from_utf8(&rest[..end]).ok();
        parts.payload = rest[end..].strip_prefix(PAYLOAD);
        Some(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_torn_line_names_what_it_comes_to() {
        let line = "{\"event\":\"e\\\"1\",\"term\":12,\"primary\":\"ab\",\"payload\":[1]}\n".as_bytes();
        let at = |text: &str| line.windows(text.len()).position(|part| part == text.as_bytes()).expect("it is there");
        let named = |end: usize| {
            let (term, primary) = attribution(&line[..end]);
            (term, primary.map(|primary| primary.to_string()))
        };
        let (term, primary) = (at("12"), at("ab"));
        for end in 0..=term {
            assert_eq!(named(end), (None, None), "{end}");
        }
        assert_eq!(named(term + 1), (Some(1), None));
        for end in term + 2..=primary {
            assert_eq!(named(end), (Some(12), None), "{end}");
        }
        assert_eq!(named(primary + 1), (Some(12), Some("a".into())));
        for end in primary + 2..=line.len() {
            assert_eq!(named(end), (Some(12), Some("ab".into())), "{end}");
            assert_eq!(event_of(&line[..end]), (end == line.len()).then(|| "e\"1".to_owned()), "{end}");
        }
    }
}
