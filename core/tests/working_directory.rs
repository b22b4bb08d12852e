//! Relative paths are those of the moment of the join, whatever becomes of the working directory.
//!
//! A program of its own, since the working directory is a process's.

use std::fs;
use std::time::Duration;

use single_primary::{Cause, Election, InstanceId, Recorded};

#[test]
fn a_working_directory_that_changes_changes_no_path() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let [first_place, second_place] = ["first", "second"].map(|name| {
        let place = directory.path().join(name);
        fs::create_dir_all(place.join("logs")).expect("it is new");
        place
    });
    let join = |id: &str, log: &str| {
        let options = Election::options("election").id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO);
        options.log(log).rotate(60, 9).join()
    };
    std::env::set_current_dir(&first_place).expect("it is there");
    let [first, second] = ["a", "b"].map(|id| join(id, "logs/realtime.log").expect("nothing is in the way"));
    assert_eq!(first.directory(), first_place.canonicalize().expect("it is there").join("election"));
    for event in ["0", "1", "2"] {
        assert_eq!(first.record(event, "1"), Ok(Recorded::Written));
        assert!(second.record(event, "1").is_ok());
    }
    std::env::set_current_dir(&second_place).expect("it is there");
    assert_eq!(first.record("3", "1"), Ok(Recorded::Written));
    assert!(second.record("3", "1").is_ok());
    drop(first);
    second.wait().expect("a is gone");
    assert_eq!(second.record("4", "1"), Ok(Recorded::Written));
    let lines =
        |name: &str| fs::read_to_string(first_place.join("logs").join(name)).unwrap_or_default().lines().count();
    assert_eq!([lines("realtime.log.1"), lines("realtime.log.2"), lines("realtime.log")], [2, 2, 1]);
    assert_eq!(fs::read_dir(second_place.join("logs")).expect("it is there").count(), 0);

    // Where there is none, nothing relative can be meant.
    fs::remove_dir_all(&second_place).expect("it is there");
    let error = join("c", "logs/realtime.log").expect_err("no directory is meant");
    assert_eq!(error.cause(), &Cause::NoDirectory);
    let error = Election::options("").join().expect_err("no directory is named");
    assert_eq!(error.cause(), &Cause::NoDirectory);
}
