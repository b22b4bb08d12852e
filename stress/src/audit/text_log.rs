//! Logs of text, in whose lines a pattern finds events.

use std::io::Read;

use regex::bytes::{CaptureLocations, Regex};

use super::encoding::BYTE_ORDER_MARK;
use super::event::Event;
use super::find::text_of_bytes;
use super::key::{Named, Trouble};
use super::ledger::Ledger;
use super::looks::Looks;
use super::period::Period;
use super::window::Window;

/// How a line of text names its events.
#[derive(Clone, Debug)]
pub(crate) struct Pattern {
    regex: Regex,
    /// The group that names the event.
    event: usize,
    /// The group that says when, where one event happens in each period.
    time: Option<(usize, Period)>,
}

impl Pattern {
    /// The pattern that is written so.
    ///
    /// # Errors
    /// Where it cannot be understood or captures nothing.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let regex = Regex::new(text).map_err(|error| error.to_string())?;
        let event = regex.capture_names().position(|name| name == Some("event")).unwrap_or(1);
        if regex.captures_len() < 2 {
            return Err("put what names the event into parentheses, such as call=([0-9a-f]+)".into());
        }
        Ok(Self { regex, event, time: None })
    }

    /// The same, where one event happens in each period: the group called `time` says when.
    ///
    /// # Errors
    /// Where there is no such group.
    pub(crate) fn per(self, period: Period) -> Result<Self, String> {
        let group = self.regex.capture_names().position(|name| name == Some("time"));
        let group = group.ok_or("--per with --pattern needs a group called `time`, such as ^(?<time>\\S+ \\S+)")?;
        Ok(Self { time: Some((group, period)), ..self })
    }

    /// The events of a line, each once.
    fn find<'line>(&self, line: &'line [u8], locations: &mut CaptureLocations) -> Matches<'line> {
        let mut matches = Matches::default();
        let Matches { named, is_named_again, ends_with_line } = &mut matches;
        let mut from = 0;
        while from <= line.len()
            && let Some(found) = self.regex.captures_read_at(locations, line, from)
        {
            from = if found.end() > found.start() { found.end() } else { found.end() + 1 };
            let Some((begin, end)) = locations.get(self.event).filter(|(begin, end)| begin < end) else { continue };
            let mut event = Event::text(&line[begin..end]);
            if let Some((group, period)) = self.time {
                let time = locations.get(group).and_then(|(begin, end)| period.start(&line[begin..end]));
                let Some(time) = time else {
                    named.trouble = Some(Trouble::Time);
                    continue;
                };
                event.name = [&event.name, &b","[..], time.as_bytes()].concat().into();
            }
            *ends_with_line = end == line.len();
            if named.events.contains(&event) {
                *is_named_again = true;
            } else {
                named.events.push(event);
            }
        }
        matches
    }
}

/// What a pattern finds in a line.
#[derive(Debug, Default)]
struct Matches<'line> {
    named: Named<'line>,
    /// Whether one event was found several times.
    is_named_again: bool,
    /// Whether the last name ends where the line does.
    ends_with_line: bool,
}

/// Enters every entry of a log.
pub(crate) fn read<R: Read>(window: &mut Window<'_, R>, pattern: &Pattern, ledger: &mut Ledger) {
    let mut locations = pattern.regex.capture_locations();
    each_line(window, ledger, |number, Text { line, is_torn }, ledger| {
        let Matches { named, is_named_again, ends_with_line } = pattern.find(line, &mut locations);
        if is_named_again {
            ledger.misunderstand(number, line, Looks::NAMED_AGAIN);
        }
        if !named.events.is_empty() || named.trouble.is_some() {
            ledger.enter(number, line, named);
            if is_torn && ends_with_line && ledger.tally.take_back_last() {
                ledger.misunderstand(number, line, Looks::CUT_NAME);
            }
        } else if let Some(text) = text_in_bytes(line) {
            ledger.enter(number, line, pattern.find(text.as_bytes(), &mut locations).named);
        } else if let Some(looks) = Looks::of_binary(line) {
            ledger.misunderstand(number, line, looks);
        } else {
            ledger.enter(number, line, named);
        }
    });
}

/// Lists every line as an event that must be there.
pub(crate) fn read_list<R: Read>(window: &mut Window<'_, R>, ledger: &mut Ledger) {
    each_line(window, ledger, |number, Text { line, .. }, ledger| match Looks::of_binary(line) {
        Some(looks) => ledger.misunderstand(number, line, looks),
        None => ledger.list(number, line),
    });
}

/// A line of text that is not empty.
struct Text<'log> {
    line: &'log [u8],
    /// Whether the log ends without a newline behind it.
    is_torn: bool,
}

fn each_line<R: Read>(
    window: &mut Window<'_, R>,
    ledger: &mut Ledger,
    mut take: impl FnMut(u64, Text<'_>, &mut Ledger),
) {
    while let Some(line) = window.line() {
        let number = window.line_number();
        let bytes = &window.rest()[..line.length];
        // A log that was truncated while it was written begins with zeros.
        let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
        let text = bytes[zeros..].strip_suffix(b"\r").unwrap_or(&bytes[zeros..]);
        let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
        if line.is_too_long {
            ledger.give_up(number, text);
        } else if text.is_empty() {
            ledger.pass_blank();
        } else {
            take(number, Text { line: text, is_torn: !line.has_newline }, ledger);
        }
        window.pass_line(line);
    }
}

/// The texts that a line of JSON has as arrays of bytes, as journald writes what is not plain UTF-8.
fn text_in_bytes(line: &[u8]) -> Option<String> {
    if line.first() != Some(&b'{') || memchr::memchr(b'[', line).is_none() {
        return None;
    }
    let fields: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
    let texts = fields.into_values().filter_map(|value| text_of_bytes(serde_json::from_value(value).ok()?));
    texts.reduce(|all, text| all + "\n" + &text)
}
