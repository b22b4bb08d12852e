//! The README tells the figures of the stored summary and no others.

use std::fs;
use std::path::Path;

use benches::readme::with_figures;
use benches::summary::Summary;

#[test]
fn the_figures_of_the_readme_are_those_of_the_stored_summary() {
    let benches = Path::new(env!("CARGO_MANIFEST_DIR"));
    let summary = Summary::read(&benches.join("summary.json")).expect("`ci/bench.sh --store` has written it");
    let readme = fs::read_to_string(benches.join("../README.md")).expect("there is a README");
    let told = with_figures(&readme, &summary).expect("the README has a place for the figures");
    assert!(told == readme, "the README tells other figures; `ci/bench.sh --store` writes both");
}
