//! The lines of realtime.log: one JSON object each, the event's ID first.

use std::sync::Arc;

use crate::event_ids::{EventId, EventIds};
use crate::logbook::{Event, Writer};

/// The longest event ID, in bytes.
pub const EVENT_ID_BYTES_MAX: usize = 256;

/// The longest payload, in bytes.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// How each of our lines starts.
const START: &[u8] = b"{\"event\":\"";

/// As much of a line as can hold its event's ID: each of the ID's bytes takes six at most.
const HEAD_BYTES_MAX: usize = START.len() + 6 * EVENT_ID_BYTES_MAX + 1;

/// What a line has at most beside its event's ID and payload, unless characters of the ID are escaped.
const LINE_REST_BYTES: usize = 160;

/// The event, once it is known to fit on a line; else what is wrong with it.
pub(crate) fn check(id: &str, payload: &str) -> Result<Event, &'static str> {
    if id.is_empty() {
        Err("the event ID is empty")
    } else if id.len() > EVENT_ID_BYTES_MAX {
        Err("the event ID is longer than 256 bytes")
    } else if payload.len() > PAYLOAD_BYTES_MAX {
        Err("the payload is longer than 1 MiB")
    } else if [b'\n', b'\r'].iter().any(|line_break| payload.as_bytes().contains(line_break)) {
        Err("the payload has a line break")
    } else if serde_json::from_str::<serde::de::IgnoredAny>(payload).is_err() {
        Err("the payload is not a JSON value")
    } else {
        Ok(Event { id: id.into(), payload: payload.into() })
    }
}

/// The event's line, its newline included.
pub(crate) fn encode(event: &Event, writer: &Writer<'_>) -> Arc<[u8]> {
    let mut line = Vec::with_capacity(event.id.len() + event.payload.len() + LINE_REST_BYTES);
    line.extend_from_slice(&START[..START.len() - 1]);
    serde_json::to_writer(&mut line, &*event.id).expect("text is written to memory");
    line.extend_from_slice(b",\"term\":");
    line.extend_from_slice(itoa::Buffer::new().format(writer.term).as_bytes());
    line.extend_from_slice(b",\"primary\":\"");
    line.extend_from_slice(writer.id.as_str().as_bytes());
    line.extend_from_slice(b"\",\"payload\":");
    line.extend_from_slice(event.payload.as_bytes());
    line.extend_from_slice(b"}\n");
    line.into()
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
                    ids.insert(EventId::new(id.into()));
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
