//! What a program that the process starts inherits: no file of the election, whose locks it would hold on to. A test of its
//! own, as it looks at what the process has open.
#![cfg(target_os = "linux")]

use std::process::Command;
use std::thread;
use std::time::Duration;

use single_primary::{Election, Recorded};

#[test]
fn no_program_that_is_started_inherits_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let options = || Election::options(directory.path().join("election")).window(Duration::ZERO);
    let primary = options().join().expect("nothing is in the way");
    assert_eq!(primary.record("e", "1"), Ok(Recorded::Written));
    let second = options().join().expect("nothing is in the way");
    thread::scope(|scope| {
        let waiting = scope.spawn(|| second.wait());
        let own = || {
            let descriptors = std::fs::read_dir("/proc/self/fd").expect("it is there");
            descriptors.filter_map(|descriptor| std::fs::read_link(descriptor.ok()?.path()).ok()).collect::<Vec<_>>()
        };
        while !own().iter().any(|target| target.to_string_lossy().contains("inotify")) {
            thread::yield_now();
        }
        assert!(own().iter().any(|target| target.ends_with("realtime.log")));
        let listed = Command::new("ls").args(["-l", "/proc/self/fd"]).output().expect("there is an ls");
        let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
        assert!(listed.contains("0 -> "), "{listed}");
        second.leave().expect("nothing keeps it");
        assert!(waiting.join().expect("no panic").is_err());
        for kept in [directory.path().to_str().expect("text"), "inotify", "eventfd"] {
            assert!(!listed.contains(kept), "{kept}: {listed}");
        }
    });
}
