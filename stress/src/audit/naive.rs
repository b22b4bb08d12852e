//! Arbitrary logs of JSON, read as they are read here and as a naive reader does it.

use std::collections::BTreeMap;
use std::io::Cursor;

use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::Value;

use super::key::Key;
use super::ledger::Ledger;
use super::tally::Tally;
use super::window::Window;
use super::{json_log, text_log};

/// What is known of a log: how many events have how many entries, how many entries name none, how many lines were not
/// understood, how many lines there are.
#[derive(Debug, PartialEq, Eq)]
struct Outcome {
    histogram: BTreeMap<u64, u64>,
    without_event: u64,
    not_understood: u64,
    lines: u64,
}

fn read(log: &[u8], key: &str) -> Outcome {
    let key: Key = key.parse().expect("a key");
    let mut ledger = Ledger::new(Tally::new(1), Some("id"));
    let mut on_chunk = |_: &[u8]| {};
    let mut window = Window::new(Cursor::new(log), std::sync::Arc::default(), &mut on_chunk);
    json_log::read(&mut window, &key, &mut ledger);
    let lines = window.finish().lines;
    Outcome {
        without_event: ledger.passed_over.without_event,
        not_understood: ledger.not_understood.values().map(|kind| kind.count).sum(),
        histogram: ledger.tally.finish().histogram,
        lines,
    }
}

/// The same of the values that a log is made of.
fn naive(values: &[Value]) -> (BTreeMap<u64, u64>, u64) {
    let mut entries: BTreeMap<String, u64> = BTreeMap::new();
    let mut without_event = 0;
    for value in values {
        match &value["id"] {
            Value::String(id) if id.is_empty() => without_event += 1,
            id @ (Value::String(_) | Value::Number(_)) => *entries.entry(id.to_string()).or_default() += 1,
            _ => without_event += 1,
        }
    }
    let mut histogram = BTreeMap::new();
    for count in entries.into_values() {
        *histogram.entry(count).or_default() += 1;
    }
    (histogram, without_event)
}

/// Entries, most of which name one of few events.
fn values() -> impl Strategy<Value = Vec<Value>> {
    let text = prop_oneof![
        4 => select(&["a", "b", "x y", "a\"b\\n", "\u{e9}", "call_0123456789", "{", "[1,", "7", ""][..]).prop_map(str::to_owned),
        1 => "\\PC{0,20}",
    ];
    let scalar = prop_oneof![
        4 => text.clone().prop_map(Value::from),
        2 => (0..9_i64).prop_map(Value::from),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ];
    let other = scalar.clone().prop_recursive(3, 20, 3, move |value| {
        prop_oneof![
            prop::collection::vec(value.clone(), 0..3).prop_map(Value::from),
            prop::collection::hash_map("[a-h]{1,2}", value, 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    });
    let entry = (prop::option::weighted(0.9, scalar), other).prop_map(|(id, other)| {
        let mut entry = serde_json::json!({ "m": other });
        if let Some(id) = id {
            entry["id"] = id;
        }
        entry
    });
    prop::collection::vec(entry, 1..12)
}

/// How values are laid out.
#[derive(Clone, Copy, Debug)]
enum Layout {
    Lines(&'static str),
    Indented(&'static str),
    Array,
    IndentedArray,
    Prefixed,
}

impl Layout {
    fn write(self, values: &[Value]) -> String {
        let lines: Vec<String> = values.iter().map(Value::to_string).collect();
        let indented = |value: &Value| serde_json::to_string_pretty(value).expect("a value can be written");
        match self {
            Self::Lines(separator) => lines.join(separator),
            Self::Indented(separator) => values.iter().map(indented).collect::<Vec<_>>().join(separator),
            Self::Array => format!("[{}]\n", lines.join(",")),
            Self::IndentedArray => indented(&Value::from(values.to_vec())),
            Self::Prefixed => {
                lines.iter().flat_map(|line| ["2026-11-29 [INFO] worker {7} ", line, " done\n"]).collect()
            }
        }
    }
}

fn layout() -> impl Strategy<Value = Layout> {
    select(
        &[
            Layout::Lines("\n"),
            Layout::Lines("\r\n\n"),
            Layout::Lines(",\n"),
            Layout::Lines(""),
            Layout::Lines(" \u{1E}"),
            Layout::Lines("\n\u{FEFF}\0\0"),
            Layout::Indented("\n"),
            Layout::Indented(""),
            Layout::Indented(",\r\n"),
            Layout::Array,
            Layout::IndentedArray,
            Layout::Prefixed,
        ][..],
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whole_values_are_counted_in_every_layout(values in values(), layout in layout()) {
        let log = layout.write(&values);
        let (histogram, without_event) = naive(&values);
        let lines = log.lines().count() as u64;
        prop_assert_eq!(read(log.as_bytes(), "id"), Outcome { histogram, without_event, not_understood: 0, lines }, "{}", log);
    }

    #[test]
    fn a_cut_value_is_noticed_and_hides_no_other(values in values(), cut in any::<Index>(), place in any::<Index>()) {
        let mut lines: Vec<String> = values.iter().map(Value::to_string).collect();
        let cut = cut.index(lines.len());
        let mut length = 1 + place.index(lines[cut].len() - 1);
        while !lines[cut].is_char_boundary(length) {
            length -= 1;
        }
        lines[cut].truncate(length);
        let whole: Vec<Value> = values.iter().enumerate().filter(|(place, _)| *place != cut).map(|(_, value)| value.clone()).collect();
        let outcome = read((lines.join("\n") + "\n").as_bytes(), "id");
        let (histogram, without_event) = naive(&whole);
        prop_assert_eq!(outcome.not_understood, 1, "{}", lines.join("\n"));
        prop_assert_eq!((outcome.histogram, outcome.without_event), (histogram, without_event), "{}", lines.join("\n"));
    }

    #[test]
    fn arbitrary_bytes_are_read_to_their_end(bytes in prop::collection::vec(
        prop_oneof![4 => select(&b"{}[]\",:\\ \n\r\0ab17-.\xE9\xEF\xBB\xBF"[..]), 1 => any::<u8>()], 0..200,
    )) {
        let lines = bytes.split_inclusive(|byte| *byte == b'\n').count() as u64;
        for key in ["id", "0", "*", "a.b,c"] {
            prop_assert_eq!(read(&bytes, key).lines, lines);
        }
        let mut ledger = Ledger::new(Tally::new(1), Some("id"));
        let mut on_chunk = |_: &[u8]| {};
        let mut window = Window::new(Cursor::new(&bytes), std::sync::Arc::default(), &mut on_chunk);
        let pattern = text_log::Pattern::new("([ab]*)").expect("a pattern");
        text_log::read(&mut window, &pattern, &mut ledger);
        prop_assert_eq!(window.finish().lines, lines);
    }
}
