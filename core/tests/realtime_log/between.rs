//! The operating system with somebody between it and an instance, and what the log says in the end.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use single_primary::call::{Call, Failure, Name, Reply, Time};
use single_primary::kernel::Kernel;
use single_primary::{Election, Error, InstanceId, Options, Os, StdMutex};

/// The operating system, unless whoever stands between has another answer to a call.
pub(crate) struct Between<F> {
    os: Os,
    answer: F,
}

/// Joins with somebody between the instance and the operating system.
pub(crate) fn start<F>(options: Options, answer: F) -> Result<Election<Between<F>>, Error>
where
    F: Fn(&Os, &Call) -> Option<Reply> + Send + Sync + 'static,
{
    let os = Os::new(options.paths());
    options.start_on(Between { os, answer })
}

impl<F> Kernel for Between<F>
where
    F: Fn(&Os, &Call) -> Option<Reply> + Send + Sync + 'static,
{
    type Mutex<T: Send + 'static> = StdMutex<T>;
    type Word = AtomicU64;

    fn perform(&self, call: &Call) -> Reply {
        (self.answer)(&self.os, call).unwrap_or_else(|| self.os.perform(call))
    }

    fn now(&self) -> Time {
        self.os.now()
    }

    fn pause(&self, attempt: u32, until: Option<Time>) {
        self.os.pause(attempt, until);
    }

    fn await_vacancy(&self, seat: &InstanceId, look: impl FnMut() -> bool) {
        self.os.await_vacancy(seat, look);
    }

    fn end_waits(&self) {
        self.os.end_waits();
    }

    fn is_original(&self) -> bool {
        self.os.is_original()
    }
}

/// A call that fails because the disk is full, or broken.
pub(crate) const NO_SPACE: Failure = Failure(rustix::io::Errno::NOSPC.raw_os_error());
pub(crate) const IO_ERROR: Failure = Failure(rustix::io::Errno::IO.raw_os_error());

/// Joins at once, without a window.
pub(crate) fn options(directory: &Path, id: &str) -> Options {
    Election::options(directory.join("election")).id(InstanceId::new(id).expect("a valid ID")).window(Duration::ZERO)
}

/// A log of an election in its default place, by its number.
pub(crate) fn log(directory: &Path, number: u32) -> PathBuf {
    directory.join("election").join(Name::Log(number).file_name())
}

/// Makes a file as we would have made it.
pub(crate) fn write(path: &Path, text: &str) {
    fs::write(path, text).expect("it can be written");
    fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600)).expect("it is ours");
}

/// Appends what somebody else has to say.
pub(crate) fn append(path: &Path, text: &str) {
    let mut file = fs::OpenOptions::new().append(true).open(path).expect("it is there");
    std::io::Write::write_all(&mut file, text.as_bytes()).expect("it can be appended to");
}

/// The event's line.
pub(crate) fn entry(event: &str, term: u64, primary: &str) -> String {
    format!("{{\"event\":\"{event}\",\"term\":{term},\"primary\":\"{primary}\",\"payload\":1}}\n")
}

/// How many entries each event has in all files of a log; lines that are none are passed over.
pub(crate) fn entries(log: &Path) -> BTreeMap<String, usize> {
    let name = log.file_name().and_then(|name| name.to_str()).expect("text").to_owned();
    let mut counts = BTreeMap::new();
    for file in fs::read_dir(log.parent().expect("it is in a directory")).expect("it can be listed") {
        let file = file.expect("it can be listed");
        if !file.file_name().to_string_lossy().starts_with(&name) {
            continue;
        }
        let Ok(text) = fs::read(file.path()) else { continue };
        for line in text.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n")) {
            let event = serde_json::from_slice::<serde_json::Value>(line).ok();
            if let Some(event) = event.as_ref().and_then(|line| line["event"].as_str()) {
                *counts.entry(event.to_owned()).or_insert(0) += 1;
            }
        }
    }
    counts
}

/// Each of these events has one entry, and no other has any.
#[track_caller]
pub(crate) fn each_once<'a>(log: &Path, events: impl IntoIterator<Item = &'a str>) {
    let expected: BTreeMap<String, usize> = events.into_iter().map(|event| (event.to_owned(), 1)).collect();
    assert_eq!(entries(log), expected);
}
