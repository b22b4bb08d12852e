//! Arbitrary lines of a log, and paths into them, for tests.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::key::KeyPath;

/// Lines that are, or nearly are, JSON.
pub(crate) fn line() -> impl Strategy<Value = Vec<u8>> {
    let space = || prop_oneof![40 => Just(""), 10 => Just(" "), 1 => Just("  "), 1 => Just("\t")];
    let string = || {
        let odd = select(ODD_STRINGS).prop_map(str::to_owned);
        prop_oneof![40 => select(STRINGS).prop_map(str::to_owned), 4 => "\\PC{0,70}", 1 => odd]
    };
    let scalar = prop_oneof![
        20 => string().prop_map(|text| format!("\"{text}\"")),
        20 => select(SCALARS).prop_map(str::to_owned),
        1 => select(ODD_SCALARS).prop_map(str::to_owned),
    ]
    .boxed();
    let object = move |value: BoxedStrategy<String>| {
        let key = prop_oneof![5 => select(&["a", "b", "id"][..]).prop_map(str::to_owned), 1 => string()];
        let entry = (space(), key, space(), space(), value)
            .prop_map(|(before, key, behind, between, value)| format!("{before}\"{key}\"{behind}:{between}{value}"));
        (prop::collection::vec(entry, 0..4), space())
            .prop_map(|(entries, end)| format!("{{{}{end}}}", entries.join(",")))
    };
    let value = scalar.clone().prop_recursive(4, 40, 4, move |value| {
        let array = (prop::collection::vec(value.clone(), 0..4), space())
            .prop_map(|(values, end)| format!("[{}{end}]", values.join(",")));
        prop_oneof![1 => array, 2 => object(value.boxed())]
    });
    // Most of them name an event, as entries do.
    let line = prop_oneof![
        1 => value.clone(),
        3 => (object(value.clone().boxed()), prop_oneof![2 => scalar, 1 => value]).prop_map(|(line, event)| {
            let rest = line.trim_start_matches('{');
            format!("{{\"id\":{event}{}{rest}", if rest == "}" { "" } else { "," })
        }),
    ];
    // Some are damaged: a byte less, another byte, a cut.
    let damage = prop::option::weighted(0.3, (any::<Index>(), any::<u8>(), 0..3));
    (line, damage).prop_map(|(line, damage)| {
        let mut line = line.into_bytes();
        if let Some((place, byte, kind)) = damage.filter(|_| !line.is_empty()) {
            let place = place.index(line.len());
            match kind {
                0 => drop(line.remove(place)),
                1 => line[place] = byte,
                _ => line.truncate(place),
            }
        }
        line.retain(|byte| *byte != b'\n');
        line
    })
}

/// Paths that lead somewhere in such lines.
pub(crate) fn path() -> impl Strategy<Value = KeyPath> {
    select(&["id", "id", "a.b", "a", "id.a", "b.0", "id.id.id"][..]).prop_map(|path| path.parse().expect("a path"))
}

const STRINGS: &[&str] = &[
    "a",
    "b",
    "id",
    "",
    "x y",
    "a\\\"b \\n",
    "\\u00e9",
    "\u{e9}",
    "call_0123456789abcdef",
    "longer than the word of a bitmap, so that its end is looked for in the next one",
];
const ODD_STRINGS: &[&str] = &["\\ud800", "\\u12", "\\x", "\t"];
const SCALARS: &[&str] = &["0", "-1", "17", "1700000000000", "1.5", "1e9", "-0.5E-3", "true", "false", "null"];
const ODD_SCALARS: &[&str] = &["1e999", "01", "1.", "-", "1234567:", "nul", ""];
