//! A process under test: carries out what it is asked on standard input, and answers on standard output.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use serde::{Deserialize, Serialize};
use single_primary::RECORD_BYTES;
use single_primary::call::{Access, Call, Handle, Mode, Name, Reply};

use super::layer::Layer;
use super::property::Property;
use crate::cli::exit::Exit;
use crate::failure::Failure;

/// The options of the hidden command that a check starts processes with.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct Arguments {
    directory: PathBuf,
    /// The process that asks; without it there is nothing to live for.
    parent: u32,
    #[arg(long)]
    broken: Option<Property>,
}

/// What a process is asked to do. Files are named by their handles once they are open.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Open {
        handle: u8,
        name: String,
        access: Opening,
    },
    Close(u8),
    Lock {
        handle: u8,
        alone: bool,
    },
    /// Waits until it is granted, and then tells the clock.
    LockWaiting(u8),
    Unlock(u8),
    Append {
        handle: u8,
        writer: u32,
        number: u32,
    },
    Read {
        handle: u8,
        offset: u64,
    },
    Truncate(u8),
    Inspect(u8),
    Look(String),
    Remove(String),
    FileSystem,
    Now,
    /// Appends records as fast as it can, for so many milliseconds, and counts them.
    AppendMany {
        handle: u8,
        writer: u32,
        for_ms: u64,
    },
    /// Reads a growing file from its start as fast as it can, looking for parts of records.
    WatchRecords {
        handle: u8,
        for_ms: u64,
    },
    /// Creates files as fast as it can, numbered from `from`, and tells which of them it created.
    CreateMany {
        from: u32,
        for_ms: u64,
    },
    /// Replaces a file again and again.
    ReplaceMany {
        for_ms: u64,
    },
    /// Reads that file again and again, looking for moments without it.
    WatchReplaced {
        for_ms: u64,
    },
}

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Opening {
    Read,
    Append,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Answer {
    Done,
    Busy,
    Missing,
    /// A moment on the clock of elections, in microseconds.
    Time(u64),
    /// How many bytes there were, and the records among them.
    Records {
        bytes: usize,
        records: Vec<Option<(u32, u32)>>,
    },
    Status {
        device: u64,
        inode: u64,
        links: u64,
        size: u64,
    },
    FileSystem(u32),
    Created(Vec<u32>),
    /// How many records, numbered from 0.
    Appended(u32),
    /// How often it looked, how often there was something new, and the first thing that should not be.
    Watched {
        looks: u64,
        news: u64,
        wrong: Option<String>,
    },
    /// The system call and what it said.
    Failed(String),
    /// The same, where what it said is that there is no room: that is not the file system's way of working.
    NoRoom(String),
}

/// What a system call says when there is no room for more, which says nothing of what holds while there is.
const NO_ROOM: [Errno; 5] = [Errno::NOSPC, Errno::DQUOT, Errno::MFILE, Errno::NFILE, Errno::NOMEM];

/// The record of a writer: as long as one of the journal, and with every byte of it to be checked.
fn record(writer: u32, number: u32) -> [u8; RECORD_BYTES] {
    let mut bytes = [b' '; RECORD_BYTES];
    let text = format!("{writer:010} {number:010} ");
    bytes[..text.len()].copy_from_slice(text.as_bytes());
    for (place, byte) in bytes.iter_mut().enumerate().skip(text.len()) {
        let place = u32::try_from(place).unwrap_or(0);
        *byte = b'a' + u8::try_from(writer.wrapping_mul(7).wrapping_add(number).wrapping_add(place) % 26).unwrap_or(0);
    }
    bytes[RECORD_BYTES - 1] = b'\n';
    bytes
}

/// The writer and the number of a record, if each of its bytes is as it was written.
pub(crate) fn parse(bytes: &[u8]) -> Option<(u32, u32)> {
    let text = std::str::from_utf8(bytes.get(..22)?).ok()?;
    let (writer, number) = (text.get(..10)?.parse().ok()?, text.get(11..21)?.parse().ok()?);
    (record(writer, number) == *bytes).then_some((writer, number))
}

const DIRECTORY_READ_BYTES: usize = 64 * 1024;
const REPLACED: &str = "replaced";
const REPLACEMENT: &str = "replacement";
const REPLACED_BYTES: usize = 4096;

/// Answers until standard input ends.
pub(crate) fn run(arguments: &Arguments) -> Result<Exit, Failure> {
    let failed = |call| Failure::environment(arguments.directory.display(), call, "run `stress qualify` itself");
    die_with_parent(arguments.parent).map_err(failed("prctl"))?;
    let layer = Layer::new(&arguments.directory, arguments.broken);
    let opened =
        layer.perform(Call::Open { handle: Handle::DIRECTORY, name: Name::Directory, access: Access::Directory });
    if opened != Reply::Done {
        return Err(failed("open")(io::Error::other(format!("{opened:?}"))));
    }
    for line in io::stdin().lock().lines() {
        let request =
            serde_json::from_str(&line.map_err(failed("read"))?).map_err(|error| failed("read")(error.into()))?;
        let answer = serde_json::to_string(&answer(&layer, request)).map_err(|error| failed("write")(error.into()))?;
        let mut stdout = io::stdout().lock();
        writeln!(stdout, "{answer}").and_then(|()| stdout.flush()).map_err(failed("write"))?;
    }
    Ok(Exit::Holds)
}

#[cfg(target_os = "linux")]
fn die_with_parent(parent: u32) -> io::Result<()> {
    rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
    let has_parent =
        rustix::process::getppid().is_some_and(|id| u32::try_from(id.as_raw_nonzero().get()) == Ok(parent));
    if has_parent { Ok(()) } else { Err(io::Error::other("the parent is gone")) }
}

/// Elsewhere the end of standard input says the same.
#[cfg(not(target_os = "linux"))]
fn die_with_parent(_parent: u32) -> io::Result<()> {
    Ok(())
}

fn answer(layer: &Layer, request: Request) -> Answer {
    match request {
        Request::Open { handle, name, access } => perform(layer, open(Handle(handle), &name, access)),
        Request::Close(handle) => perform(layer, Call::Close(Handle(handle))),
        Request::Lock { handle, alone } => {
            perform(layer, Call::Lock(Handle(handle), if alone { Mode::Exclusive } else { Mode::Shared }))
        }
        Request::LockWaiting(handle) => match layer.lock_waiting(Handle(handle)) {
            Reply::Done => Answer::Time(layer.now().as_micros()),
            reply => answer_of("flock", reply),
        },
        Request::Unlock(handle) => perform(layer, Call::Unlock(Handle(handle))),
        Request::Append { handle, writer, number } => append(layer, Handle(handle), writer, number),
        Request::Read { handle, offset } => perform(layer, read(Handle(handle), offset)),
        Request::Truncate(handle) => perform(layer, Call::Truncate { handle: Handle(handle), size: 0 }),
        Request::Inspect(handle) => perform(layer, Call::Inspect(Handle(handle))),
        Request::Look(name) => perform(layer, Call::Look(file(&name))),
        Request::Remove(name) => perform(layer, Call::Remove(file(&name))),
        Request::FileSystem => perform(layer, Call::FileSystem(Handle::DIRECTORY)),
        Request::Now => Answer::Time(layer.now().as_micros()),
        Request::AppendMany { handle, writer, for_ms } => append_many(layer, Handle(handle), writer, until(for_ms)),
        Request::WatchRecords { handle, for_ms } => watch_records(layer, Handle(handle), until(for_ms)),
        Request::CreateMany { from, for_ms } => create_many(layer, from, until(for_ms)),
        Request::ReplaceMany { for_ms } => replace_many(layer, until(for_ms)),
        Request::WatchReplaced { for_ms } => watch_replaced(layer, until(for_ms)),
    }
}

fn until(for_ms: u64) -> Instant {
    Instant::now() + Duration::from_millis(for_ms)
}

fn perform(layer: &Layer, call: Call) -> Answer {
    let name = call.system_call();
    answer_of(name, layer.perform(call))
}

fn answer_of(call: &str, reply: Reply) -> Answer {
    match reply {
        Reply::Done => Answer::Done,
        Reply::Busy => Answer::Busy,
        Reply::Missing => Answer::Missing,
        Reply::Bytes(bytes) => {
            Answer::Records { bytes: bytes.len(), records: bytes.chunks(RECORD_BYTES).map(parse).collect() }
        }
        Reply::Status(status) => Answer::Status {
            device: status.identity.device,
            inode: status.identity.inode,
            links: status.links,
            size: status.size,
        },
        Reply::FileSystem(file_system) => Answer::FileSystem(file_system.0),
        Reply::Failed(failure) if NO_ROOM.iter().any(|errno| errno.raw_os_error() == failure.0) => {
            Answer::NoRoom(format!("{call}: {failure}"))
        }
        Reply::Failed(failure) => Answer::Failed(format!("{call}: {failure}")),
        reply => Answer::Failed(format!("{call}: {reply:?}")),
    }
}

fn file(name: &str) -> Name {
    Name::Other(name.into())
}

fn open(handle: Handle, name: &str, access: Opening) -> Call {
    let access = match access {
        Opening::Read => Access::Read,
        Opening::Append => Access::Append,
    };
    Call::Open { handle, name: file(name), access }
}

fn read(handle: Handle, offset: u64) -> Call {
    Call::Read { handle, offset, length: DIRECTORY_READ_BYTES }
}

fn append(layer: &Layer, handle: Handle, writer: u32, number: u32) -> Answer {
    match layer.perform(Call::Append { handle, bytes: record(writer, number).as_slice().into() }) {
        Reply::Wrote(RECORD_BYTES) => Answer::Done,
        // Where the disk is full, the first write that does not fit is cut, and the next one told why.
        Reply::Wrote(bytes) => {
            match layer.perform(Call::Append { handle, bytes: record(writer, number).as_slice().into() }) {
                Reply::Wrote(_) => Answer::Failed(format!("write: {bytes} of {RECORD_BYTES} bytes")),
                reply => answer_of("write", reply),
            }
        }
        reply => answer_of("write", reply),
    }
}

fn append_many(layer: &Layer, handle: Handle, writer: u32, until: Instant) -> Answer {
    let mut number = 0;
    while Instant::now() < until {
        match append(layer, handle, writer, number) {
            Answer::Done => number += 1,
            answer => return answer,
        }
    }
    Answer::Appended(number)
}

fn watch_records(layer: &Layer, handle: Handle, until: Instant) -> Answer {
    let (mut looks, mut news, mut offset) = (0, 0, 0);
    while Instant::now() < until {
        let bytes = match layer.perform(read(handle, offset)) {
            Reply::Bytes(bytes) => bytes,
            reply => return answer_of("read", reply),
        };
        looks += 1;
        news += u64::from(!bytes.is_empty());
        for chunk in bytes.chunks(RECORD_BYTES) {
            if parse(chunk).is_none() {
                let wrong =
                    format!("{} bytes of a record at offset {offset} were seen without the rest", written(chunk));
                return Answer::Watched { looks, news, wrong: Some(wrong) };
            }
            offset += RECORD_BYTES as u64;
        }
    }
    Answer::Watched { looks, news, wrong: None }
}

/// How much of a record is there: a size that grew before its bytes came shows zeros.
fn written(chunk: &[u8]) -> usize {
    chunk.iter().position(|&byte| byte == 0).unwrap_or(chunk.len())
}

fn create_many(layer: &Layer, from: u32, until: Instant) -> Answer {
    const CREATED: Handle = Handle(6);
    let mut created = Vec::new();
    for number in from.. {
        if Instant::now() >= until {
            break;
        }
        match layer.create_new(CREATED, file(&format!("created-{number}"))) {
            Reply::Done => {
                created.push(number);
                layer.perform(Call::Close(CREATED));
            }
            Reply::Exists => {}
            reply => return answer_of("open", reply),
        }
    }
    Answer::Created(created)
}

fn replace_many(layer: &Layer, until: Instant) -> Answer {
    const NEXT: Handle = Handle(6);
    for letter in (b'a'..=b'z').cycle() {
        let next = [letter; REPLACED_BYTES].as_slice().into();
        let steps = [
            open(NEXT, REPLACEMENT, Opening::Append),
            Call::Append { handle: NEXT, bytes: next },
            Call::Close(NEXT),
            Call::Rename(file(REPLACEMENT), file(REPLACED)),
        ];
        for step in steps {
            let name = step.system_call();
            match layer.perform(step) {
                Reply::Done | Reply::Wrote(REPLACED_BYTES) => {}
                reply => return answer_of(name, reply),
            }
        }
        if Instant::now() >= until {
            break;
        }
    }
    Answer::Done
}

fn watch_replaced(layer: &Layer, until: Instant) -> Answer {
    const CURRENT: Handle = Handle(6);
    let (mut looks, mut news, mut before) = (0, 0, None);
    while Instant::now() < until {
        let wrong = match layer.perform(open(CURRENT, REPLACED, Opening::Read)) {
            Reply::Done => match layer.perform(read(CURRENT, 0)) {
                Reply::Bytes(bytes) => {
                    let letter = bytes.first().copied();
                    news += u64::from(letter != before);
                    before = letter;
                    let is_whole = bytes.len() == REPLACED_BYTES && bytes.iter().all(|&byte| Some(byte) == letter);
                    (!is_whole).then(|| format!("{} of {REPLACED_BYTES} bytes were seen", bytes.len()))
                }
                reply => return answer_of("read", reply),
            },
            Reply::Missing => Some("the file was missing for a moment".to_owned()),
            reply => return answer_of("open", reply),
        };
        layer.perform(Call::Close(CURRENT));
        looks += 1;
        if wrong.is_some() {
            return Answer::Watched { looks, news, wrong };
        }
    }
    Answer::Watched { looks, news, wrong: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_known_by_each_of_its_bytes() {
        let whole = record(3, 70_000);
        assert_eq!(parse(&whole), Some((3, 70_000)));
        for place in 0..RECORD_BYTES {
            let mut damaged = whole;
            damaged[place] ^= 1;
            assert_ne!(parse(&damaged), Some((3, 70_000)), "byte {place}");
            assert_eq!(parse(&whole[..place]), None);
        }
        let mixed: Vec<u8> = record(1, 5)[..64].iter().chain(&record(2, 5)[64..]).copied().collect();
        assert_eq!(parse(&mixed), None);
    }
}
