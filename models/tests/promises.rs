//! The table of promises says what the README says, and names only what there is.
#![cfg(feature = "checkers")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use models::promises::{By, PROMISES};
use models::states::plan::plan;
use models::zoo;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the package lies in the repository").to_owned()
}

fn read(path: &str) -> String {
    fs::read_to_string(repository().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

#[test]
fn the_readme_promises_what_the_table_does() {
    let readme = read("README.md");
    let (_, section) = readme.split_once("## What is promised\n").expect("the README promises something");
    let (section, _) = section.split_once("\nNot promised:").expect("and something not");
    let items = section.split("\n- **").skip(1);
    let said: Vec<String> = items.map(|item| item.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    // A title that the sentence goes on from has no full stop.
    let told = PROMISES.iter().map(|promise| {
        let stop =
            if promise.text.starts_with(|first: char| first.is_lowercase()) && promise.id != "B1" { "" } else { "." };
        format!("{} {}{stop}** {}", promise.id, promise.title, promise.text)
    });
    assert_eq!(said, told.collect::<Vec<_>>());
}

#[test]
fn every_promise_has_a_check_and_an_edit_and_both_are_there() {
    let journal = zoo::find("journal").expect("it is in the zoo");
    let spaces: BTreeSet<&str> = plan(journal, 4, 4, 1).iter().map(|space| space.about).collect();
    let faults = read("stress/src/plan/fault.rs");
    let mut named = BTreeSet::new();
    for promise in PROMISES {
        assert!(promise.checks.iter().any(|check| check.edit.is_some()), "{} has no edit", promise.id);
        for check in promise.checks {
            match check.by {
                By::Space(about) => assert!(spaces.contains(about), "{}: no space is {about:?}", promise.id),
                By::Test(file, name) => {
                    assert!(read(file).contains(&format!("fn {name}(")), "{}: no {name} in {file}", promise.id);
                }
                By::Campaign(fault) => {
                    let kind: String = fault.split('-').map(capitalized).collect();
                    assert!(faults.contains(&format!("    {kind},\n")), "{}: no fault is {fault}", promise.id);
                }
            }
            if let Some(edit) = check.edit {
                assert!(repository().join(format!("ci/mutations/{edit}.patch")).exists(), "{}: no {edit}", promise.id);
                named.insert(edit.to_owned());
            }
        }
    }
    let patches = fs::read_dir(repository().join("ci/mutations")).expect("it is there");
    for patch in patches {
        let name = patch.expect("it can be read").path();
        let name = name.file_stem().expect("it has a name").to_string_lossy().into_owned();
        assert!(named.contains(&name), "no promise names the edit {name}");
    }
}

fn capitalized(word: &str) -> String {
    let (first, rest) = word.split_at(1);
    first.to_uppercase() + rest
}
