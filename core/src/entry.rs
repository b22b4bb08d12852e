//! The lines of realtime.log: one JSON object each, the event's ID first.

use std::sync::Arc;

use crate::event_ids::{EventId, EventIds};
use crate::id::InstanceId;
use crate::json;

/// The longest event ID, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 256;

/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// How each of our lines starts.
const START: &[u8] = b"{\"event\":\"";

/// As much of a line as can hold its event's ID: each of the ID's bytes takes six at most.
const HEAD_BYTES_MAX: usize = START.len() + 6 * EVENT_ID_BYTES_MAX + 1;

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
    let parts = [
        START,
        id,
        b"\",\"term\":",
        digits.format(term).as_bytes(),
        b",\"primary\":\"",
        primary.as_str().as_bytes(),
        b"\",\"payload\":",
        payload,
        END,
    ];
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

/// Reads a log from its start, chunk by chunk, and collects the IDs of the events in it. Lines of others are passed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Scanner {
    offset: u64,
    line_start: u64,
    head: Vec<u8>,
}

/// What a log ends in, if not in a newline.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum TornTail {
    /// A part of one of our lines: whoever received its event writes it anew.
    Ours { start: u64 },
    /// Something of someone else's: it only lacks its newline.
    Foreign,
}

impl Scanner {
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    pub(crate) fn read(&mut self, chunk: &[u8], ids: &mut EventIds) {
        for part in chunk.split_inclusive(|&byte| byte == b'\n') {
            self.offset += part.len() as u64;
            if part.last() == Some(&b'\n') {
                let id = if self.head.is_empty() {
                    event_id(part)
                } else {
                    self.extend(part);
                    event_id(&self.head)
                };
                if let Some(id) = id {
                    ids.insert(&EventId::of(&id));
                }
                self.head.clear();
                self.line_start = self.offset;
            } else {
                self.extend(part);
            }
        }
    }

    fn extend(&mut self, part: &[u8]) {
        let room = HEAD_BYTES_MAX.saturating_sub(self.head.len());
        self.head.extend_from_slice(&part[..part.len().min(room)]);
    }

    pub(crate) fn torn_tail(&self) -> Option<TornTail> {
        if self.head.is_empty() {
            None
        } else if self.head.starts_with(START) || START.starts_with(&self.head) {
            Some(TornTail::Ours { start: self.line_start })
        } else {
            Some(TornTail::Foreign)
        }
    }
}

/// The event that a line is the entry of.
fn event_id(line: &[u8]) -> Option<String> {
    let id = line.strip_prefix(&START[..START.len() - 1])?;
    serde_json::Deserializer::from_slice(id).into_iter::<String>().next()?.ok()
}
