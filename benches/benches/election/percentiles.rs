//! The tail of what happens once at a time, beside criterion's results, which only know averages.

use std::path::PathBuf;
use std::time::Duration;
use std::{env, fs};

use benches::results::{PERCENTILES_FILE, Percentiles};

/// Writes the percentiles of a benchmark's single events to where the summary looks for them.
pub(crate) fn export(group: &str, function: &str, value: usize, events: &mut [Duration]) {
    let directory = criterion_home().join(group).join(function).join(value.to_string());
    // A run that only tries every benchmark once leaves no results of criterion's either.
    if let Some(percentiles) = Percentiles::of(events)
        && directory.is_dir()
    {
        let text = serde_json::to_string(&percentiles).expect("numbers serialise");
        fs::write(directory.join(PERCENTILES_FILE), text).expect("criterion's directory can be written");
    }
}

/// Where criterion puts its results: in the target directory, whose `release/deps` has this program.
fn criterion_home() -> PathBuf {
    env::var_os("CRITERION_HOME").map_or_else(
        || {
            let program = env::current_exe().expect("this program has a path");
            program.ancestors().nth(3).expect("it lies in the target directory").join("criterion")
        },
        PathBuf::from,
    )
}
