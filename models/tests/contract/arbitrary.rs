//! Calls at random, few enough names and handles that they get in each other's way.

use proptest::prelude::*;
use proptest::sample::select;

use crate::both::INSTANCES;

/// Sequences of lines for [`compare`](crate::both::compare), once every instance has the election directory open.
pub(crate) fn sequences() -> impl Strategy<Value = Vec<String>> {
    let one = prop_oneof![
        40 => (0..INSTANCES, calls()).prop_map(|(instance, call)| vec![format!("{instance} {call}")]),
        // After a death, those who come next open the directory as well.
        1 => (0..INSTANCES).prop_map(|instance| {
            let again = (0..INSTANCES).map(|instance| format!("{instance} open directory . directory"));
            [format!("{instance} die")].into_iter().chain(again).collect()
        }),
    ];
    prop::collection::vec(one, 1..40).prop_map(|parts| parts.concat())
}

fn handles() -> impl Strategy<Value = &'static str> {
    select(vec!["A", "B"])
}

fn names() -> impl Strategy<Value = &'static str> {
    select(vec![
        "x",
        "x",
        "x",
        "y",
        "y",
        "y",
        "journal",
        "journal",
        "a.seat",
        "a.seat",
        "realtime.log",
        "realtime.log.1",
    ])
}

fn calls() -> impl Strategy<Value = String> {
    let access = || select(vec!["append", "append", "append", "read", "read", "directory"]);
    let of_handles = |call: &'static str| handles().prop_map(move |of| format!("{call} {of}"));
    let of_names = |call: &'static str| select(vec!["x", "y"]).prop_map(move |name| format!("{call} {name}"));
    prop_oneof![
        6 => (handles(), names(), access()).prop_map(|(at, name, access)| format!("open {at} {name} {access}")),
        2 => of_handles("close"),
        6 => (handles(), select(vec!["shared", "exclusive"])).prop_map(|(of, mode)| format!("lock {of} {mode}")),
        2 => of_handles("unlock"),
        5 => of_handles("record-lock"),
        2 => of_handles("inspect"),
        2 => names().prop_map(|name| format!("look {name}")),
        2 => (handles(), 0..20, 0..20).prop_map(|(of, offset, length)| format!("read {of} {offset} {length}")),
        3 => (handles(), "[a-z]{0,9}").prop_map(|(to, text)| format!("append {to} {text}")),
        2 => (handles(), 0..20).prop_map(|(of, size)| format!("truncate {of} {size}")),
        1 => of_handles("sync"),
        1 => Just("list-seats".to_owned()),
        1 => Just("list-logs".to_owned()),
        1 => names().prop_map(|name| format!("look-by-path {name}")),
        2 => names().prop_map(|name| format!("remove {name}")),
        2 => (names(), names()).prop_map(|(from, to)| format!("rename {from} {to}")),
        2 => (names(), names()).prop_map(|(from, to)| format!("rename-new {from} {to}")),
        2 => (handles(), select(vec!["x", "y"])).prop_map(|(at, name)| format!("create {at} {name}")),
        1 => of_names("mkdir"),
        1 => of_names("rmdir"),
        1 => of_names("modified"),
        1 => (0..INSTANCES).prop_map(|instance| format!("is-alive #{instance}")),
        1 => Just("list".to_owned()),
    ]
}
