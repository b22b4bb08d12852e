//! Logs of JSON, however the values are laid out: one a line, several on one, one over many lines, behind a comma, in an
//! array, or behind other text.

use std::io::Read;

use serde_json::value::RawValue;

use super::encoding::{BYTE_ORDER_MARK, from_latin1};
use super::key::Key;
use super::ledger::Ledger;
use super::looks::Looks;
use super::objects::{Damage, objects_in};
use super::window::{LENGTH_MAX, Line, Window};

/// How far a value is followed over lines at least, in bytes.
const REACH_MIN: usize = 4 << 10;

/// Enters every entry of a log.
pub(crate) fn read<R: Read>(window: &mut Window<'_, R>, key: &Key, ledger: &mut Ledger) {
    let mut reader = Reader { window, key, ledger, open_arrays: Vec::new(), damaged_indent: None, reach: LENGTH_MAX };
    while let Some(line) = reader.window.line() {
        reader.read_line(line);
    }
    let Reader { open_arrays, ledger, window, .. } = reader;
    if let Some(line) = open_arrays.first()
        && !window.is_cut()
    {
        ledger.misunderstand(*line, b"[", Looks::OPEN_ARRAY);
    }
}

struct Reader<'log, 'window, R> {
    window: &'log mut Window<'window, R>,
    key: &'log Key,
    ledger: &'log mut Ledger,
    /// The lines on which the arrays begin whose elements are being read.
    open_arrays: Vec<u64>,
    /// How far a damaged line is indented, until one that is not indented further: what lies between may be parts of it.
    damaged_indent: Option<usize>,
    /// How far a value that does not end on its line is followed. Each time that this is in vain it is followed less far, so
    /// that a log of lines that were all cut off takes no time that grows with the square of its length.
    reach: usize,
}

impl<R: Read> Reader<'_, '_, R> {
    fn read_line(&mut self, line: Line) {
        let number = self.window.line_number();
        let bytes = &self.window.rest()[..line.length];
        if line.is_too_long {
            self.ledger.give_up(number, bytes);
            self.window.pass_line(line);
            return;
        }
        let text = trimmed(bytes);
        if text.is_empty() {
            self.ledger.pass_blank();
            self.window.pass_line(line);
            return;
        }
        let indent = bytes.len() - bytes.trim_ascii_start().len();
        if self.damaged_indent.is_some_and(|damaged| indent > damaged) {
            self.ledger.misunderstand(number, text, Looks::FRAGMENT);
            self.window.pass_line(line);
            return;
        }
        self.damaged_indent = None;
        let is_entered = text[0] == b'{'
            && match self.key.find(text) {
                Ok(named) => {
                    self.ledger.enter(number, text, named);
                    true
                }
                Err(_) => false,
            };
        if is_entered {
            self.window.pass_line(line);
            return;
        }
        self.read_values(indent);
    }

    /// Reads the values that begin on this line, one after the other.
    fn read_values(&mut self, indent: usize) {
        while let Some(line) = self.window.line() {
            let number = self.window.line_number();
            let at = match self.pass_separators(line) {
                Ok(at) if at == line.length => {
                    self.window.pass_line(line);
                    return;
                }
                Ok(at) if !line.is_too_long => at,
                Ok(_) => {
                    self.ledger.give_up(number, &self.window.rest()[..line.length]);
                    self.window.pass_line(line);
                    return;
                }
                Err(at) => {
                    self.ledger.misunderstand(number, &self.window.rest()[at..line.length], Looks::STRAY_BRACKET);
                    self.window.pass_line(line);
                    return;
                }
            };
            if let Some(end) = self.read_value(at, line.length) {
                self.window.pass(end);
                continue;
            }
            self.read_text(&line, at, indent);
            self.window.pass_line(line);
            return;
        }
    }

    /// Enters the value that begins here; where it ends. It may go on behind its line.
    fn read_value(&mut self, at: usize, line_length: usize) -> Option<usize> {
        let is_within_array = !self.open_arrays.is_empty();
        let is_container = match self.window.rest()[at] {
            b'{' => true,
            b'[' => self.key.leads_into_array(),
            _ => false,
        };
        if !is_container && !is_within_array {
            // A scalar alone says little; beside other text it is a part of that.
            let text = self.window.rest()[at..line_length].trim_ascii_end();
            serde_json::from_slice::<&RawValue>(text).ok()?;
            let named = self.key.find(text).ok()?;
            self.ledger.enter(self.window.line_number(), text, named);
            return Some(line_length);
        }
        let reach = self.reach.max(line_length - at);
        loop {
            let rest = &self.window.rest()[at..];
            let near = &rest[..rest.len().min(reach)];
            let mut values = serde_json::Deserializer::from_slice(near).into_iter::<&RawValue>();
            match values.next()? {
                Ok(value) => {
                    let named = self.key.find(value.get().as_bytes()).ok()?;
                    self.ledger.enter(self.window.line_number(), value.get().as_bytes(), named);
                    let end = at + values.byte_offset();
                    if end > line_length {
                        self.reach = LENGTH_MAX;
                    }
                    return Some(end);
                }
                Err(error) if !error.is_eof() => return None,
                Err(_) => {}
            }
            if rest.len() >= reach || !self.window.more() {
                self.reach = (self.reach / 4).max(REACH_MIN);
                return None;
            }
        }
    }

    /// Enters what a line of other text has objects in.
    fn read_text(&mut self, line: &Line, at: usize, indent: usize) {
        let number = self.window.line_number();
        let bytes = &self.window.rest()[at..line.length];
        let latin1 = from_latin1(bytes);
        let text = latin1.as_ref().map_or(bytes, String::as_bytes);
        let damage = match objects_in(text) {
            Ok(objects) => {
                let found: Result<Vec<_>, _> =
                    objects.iter().map(|object| self.key.find(object.get().as_bytes())).collect();
                if let Ok(found) = found {
                    let begins = objects[0].get().as_ptr() == text.as_ptr();
                    self.ledger.note(if latin1.is_some() {
                        "lines in Latin-1"
                    } else if begins {
                        "JSON before other text"
                    } else {
                        "JSON behind other text"
                    });
                    for (object, named) in objects.iter().zip(found) {
                        self.ledger.enter(number, object.get().as_bytes(), named);
                    }
                    return;
                }
                Damage::NotJson
            }
            Err(damage) => damage,
        };
        self.damaged_indent = Some(indent);
        self.ledger.misunderstand(number, bytes, Looks::of_json(bytes, damage));
    }

    /// Where on this line the next value begins, or the line ends; an error where an array ends that never began.
    fn pass_separators(&mut self, line: Line) -> Result<usize, usize> {
        let bytes = &self.window.rest()[..line.length];
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'[' if !self.key.leads_into_array() => {
                    // Log levels stand in brackets, too.
                    if self.open_arrays.is_empty() && !begins_like_an_array(&bytes[at + 1..]) {
                        return Ok(at);
                    }
                    self.open_arrays.push(self.window.line_number());
                }
                b']' if self.open_arrays.pop().is_none() => return Err(at),
                b']' | b',' => {}
                _ => match separator(&bytes[at..]) {
                    0 => return Ok(at),
                    length => {
                        at += length;
                        continue;
                    }
                },
            }
            at += 1;
        }
        Ok(at)
    }
}

/// How long what begins here is, where it separates values or lines: white space, zeros (a log that was truncated while
/// it was written begins with them), a byte order mark, a record separator (RFC 7464).
fn separator(bytes: &[u8]) -> usize {
    match bytes.first() {
        Some(b' ' | b'\t' | b'\r' | 0 | 0x1E) => 1,
        _ if bytes.starts_with(BYTE_ORDER_MARK) => BYTE_ORDER_MARK.len(),
        _ => 0,
    }
}

/// A line without what separates it from others.
fn trimmed(mut line: &[u8]) -> &[u8] {
    while let length @ 1.. = separator(line) {
        line = &line[length..];
    }
    let line = line.trim_ascii_end();
    line.strip_suffix(b",").unwrap_or(line)
}

/// Whether what follows a bracket can be the first element of an array, or its end.
fn begins_like_an_array(rest: &[u8]) -> bool {
    let rest = rest.trim_ascii_start();
    if matches!(rest.first(), None | Some(b'{' | b'[' | b']' | b'"')) {
        return true;
    }
    let mut values = serde_json::Deserializer::from_slice(rest).into_iter::<&RawValue>();
    let is_value = values.next().is_some_and(|first| first.is_ok());
    is_value && matches!(rest[values.byte_offset()..].trim_ascii_start().first(), None | Some(b',' | b']'))
}
