//! The bare system calls of an election in a straight line: what no implementation of it can do without.
#![expect(clippy::large_stack_arrays, reason = "the cheapest place for a buffer, and main's stack has room")]

use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{self, AtFlags, FlockOperation, Mode, OFlags, RawDir};
use rustix::io::{self, Errno};
use rustix::process::{geteuid, getpid};
use rustix::rand::{GetRandomFlags, getrandom};
use rustix::thread::sched_yield;
use single_primary::call::{Name, Time};
use single_primary::{InstanceId, Kind, READ_BYTES, RECORD_BYTES, Record};

/// What an instance holds open.
pub(crate) type Held = Vec<OwnedFd>;

/// A record's bytes, already encoded.
pub(crate) type Bytes = [u8; RECORD_BYTES];

/// What a join claims and writes: of the same length as an election's, and another one each time, because a name that the
/// file system has just seen costs it less.
pub(crate) struct Seat {
    pub(crate) id: InstanceId,
    pub(crate) name: String,
    pub(crate) record: Bytes,
}

impl Seat {
    pub(crate) fn new() -> Self {
        let id = InstanceId::generate().expect("there is randomness");
        let name = Name::Seat(id.clone()).file_name();
        let record = Record { kind: Kind::Register, term: 1, id: id.clone(), at: Time::default() }.encode();
        Self { id, name, record }
    }
}

const ALWAYS: OFlags = OFlags::CLOEXEC.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK);
const APPEND: OFlags = ALWAYS.union(OFlags::RDWR).union(OFlags::APPEND).union(OFlags::CREATE);
const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// Joins where there is no election directory, and returns the size of the journal read back.
pub(crate) fn join_fresh(directory: &Path, seat: &str, record: &Bytes) -> io::Result<(Held, usize)> {
    identify()?;
    assert_eq!(open_directory(directory).expect_err("the directory is fresh"), Errno::NOENT);
    fs::mkdir(directory, Mode::RWXU)?;
    let (directory, journal) = enter(directory)?;
    lock(&journal, FlockOperation::NonBlockingLockExclusive)?;
    assert_eq!(fs::fstat(&journal)?.st_size, 0);
    elect(directory, journal, seat, record)
}

/// Joins where a dead election left its files, and returns the size of the journal read back.
pub(crate) fn join_leftover(directory: &Path, seat: &str, record: &Bytes) -> io::Result<(Held, usize)> {
    identify()?;
    let (directory, journal) = enter(directory)?;
    lock(&journal, FlockOperation::NonBlockingLockExclusive)?;
    fs::fstat(&journal)?;
    read(&journal, 0)?;
    fs::ftruncate(&journal, 0)?;
    remove_seats(directory.as_fd())?;
    elect(directory, journal, seat, record)
}

/// Joins a living election, whose primary has the other seat, and returns how much of the journal was read. `look` is
/// shown each piece of it.
pub(crate) fn join_living(
    directory: &Path,
    seat: &str,
    primary: &str,
    record: &Bytes,
    look: impl Fn(&[u8]),
) -> io::Result<(Held, usize)> {
    identify()?;
    let (directory, journal) = enter(directory)?;
    assert_eq!(lock(&journal, FlockOperation::NonBlockingLockExclusive), Err(Errno::AGAIN));
    fs::fstat(&journal)?;
    lock(&journal, FlockOperation::NonBlockingLockShared)?;
    fs::statat(&directory, "journal", AtFlags::SYMLINK_NOFOLLOW)?;
    let seat = claim(directory.as_fd(), seat)?;
    let mut size = read_to_end(&journal, 0, &look)?;
    io::write(&journal, record)?;
    size += read_to_end(&journal, size, &look)?;
    let rival = fs::openat(&directory, primary, ALWAYS | OFlags::RDONLY, PRIVATE)?;
    assert_eq!(lock(&rival, FlockOperation::NonBlockingLockShared), Err(Errno::AGAIN));
    Ok((vec![directory, journal, seat, rival], size))
}

/// Registers among so many that do the same, and returns their registrations once all are there: what whoever wants to know
/// the smallest ID among them cannot do without.
pub(crate) fn register(directory: &Path, seat: &str, record: &Bytes, expect: usize) -> io::Result<(Held, Vec<u8>)> {
    identify()?;
    let (directory, journal) = enter(directory)?;
    let _ = lock(&journal, FlockOperation::NonBlockingLockExclusive);
    fs::fstat(&journal)?;
    while lock(&journal, FlockOperation::NonBlockingLockShared).is_err() {
        sched_yield();
    }
    fs::statat(&directory, "journal", AtFlags::SYMLINK_NOFOLLOW)?;
    let seat = claim(directory.as_fd(), seat)?;
    read(&journal, 0)?;
    io::write(&journal, record)?;
    loop {
        let registrations = read_piece(&journal, 0, <[u8]>::to_vec)?;
        if registrations.len() >= expect * RECORD_BYTES {
            return Ok((vec![directory, journal, seat], registrations));
        }
        sched_yield();
    }
}

/// What names this join and its process: randomness for the ID, whose files are admitted, and whose process it is.
fn identify() -> io::Result<()> {
    getrandom(&mut [0; 16], GetRandomFlags::empty())?;
    std::hint::black_box((geteuid(), getpid()));
    Ok(())
}

/// The election directory and the journal, opened.
fn enter(directory: &Path) -> io::Result<(OwnedFd, OwnedFd)> {
    let directory = open_directory(directory)?;
    fs::fstat(&directory)?;
    fs::fstatfs(&directory)?;
    lock(&directory, FlockOperation::NonBlockingLockShared)?;
    let journal = fs::openat(&directory, "journal", APPEND, PRIVATE)?;
    Ok((directory, journal))
}

/// From the shared lock to the seal, read back.
fn elect(directory: OwnedFd, journal: OwnedFd, seat: &str, record: &Bytes) -> io::Result<(Held, usize)> {
    lock(&journal, FlockOperation::NonBlockingLockShared)?;
    fs::statat(&directory, "journal", AtFlags::SYMLINK_NOFOLLOW)?;
    let seat = claim(directory.as_fd(), seat)?;
    read(&journal, 0)?;
    io::write(&journal, record)?;
    io::write(&journal, record)?;
    let size = read(&journal, 0)?;
    Ok((vec![directory, journal, seat], size))
}

fn claim(directory: BorrowedFd<'_>, seat: &str) -> io::Result<OwnedFd> {
    let seat = fs::openat(directory, seat, APPEND, PRIVATE)?;
    fs::fstat(&seat)?;
    lock(&seat, FlockOperation::NonBlockingLockExclusive)?;
    Ok(seat)
}

fn open_directory(directory: &Path) -> io::Result<OwnedFd> {
    fs::openat(fs::CWD, directory, ALWAYS | OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())
}

pub(crate) fn lock(file: &OwnedFd, operation: FlockOperation) -> io::Result<()> {
    fs::flock(file, operation)
}

/// What no reader of a journal whose records have checksums can do without, beside reading it.
pub(crate) fn verify(piece: &[u8]) {
    let (records, rest) = piece.as_chunks::<RECORD_BYTES>();
    assert!(rest.is_empty(), "{} bytes behind the last record", rest.len());
    for record in records {
        let (fields, ending) = record.split_at(RECORD_BYTES - CHECKSUM_DIGITS - 1);
        let digits = std::str::from_utf8(&ending[..CHECKSUM_DIGITS]).expect("digits are text");
        assert_eq!(u32::from_str_radix(digits, 16), Ok(crc32fast::hash(fields)));
    }
}

/// How many hexadecimal digits a record ends in, before its newline.
const CHECKSUM_DIGITS: usize = 8;

fn read(file: &OwnedFd, offset: usize) -> io::Result<usize> {
    read_piece(file, offset, <[u8]>::len)
}

fn read_to_end(file: &OwnedFd, start: usize, look: impl Fn(&[u8])) -> io::Result<usize> {
    let mut size = 0;
    loop {
        let length = read_piece(file, start + size, |piece| {
            look(piece);
            piece.len()
        })?;
        size += length;
        if length < READ_BYTES {
            return Ok(size);
        }
    }
}

fn read_piece<R>(file: &OwnedFd, offset: usize, take: impl FnOnce(&[u8]) -> R) -> io::Result<R> {
    let mut bytes = [MaybeUninit::<u8>::uninit(); READ_BYTES];
    io::pread(file, &mut bytes, offset as u64).map(|(read, _)| take(read))
}

fn remove_seats(directory: BorrowedFd<'_>) -> io::Result<()> {
    let listing = fs::openat(directory, ".", OFlags::CLOEXEC | OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())?;
    let mut buffer = [MaybeUninit::uninit(); 32 * 1024];
    let mut seats = Vec::new();
    let mut entries = RawDir::new(listing, &mut buffer);
    while let Some(entry) = entries.next() {
        let name = entry?.file_name().to_owned();
        if name.to_bytes().ends_with(b".seat") {
            seats.push(name);
        }
    }
    seats.iter().try_for_each(|seat| fs::unlinkat(directory, seat, AtFlags::empty()))
}

/// One flock decides: whoever gets it is primary. What remains open carries it.
pub(crate) fn claim_lock(path: &Path) -> io::Result<(OwnedFd, bool)> {
    let file = open_lock(path)?;
    match lock(&file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok((file, true)),
        Err(Errno::AGAIN) => Ok((file, false)),
        Err(error) => Err(error),
    }
}

fn open_lock(path: &Path) -> io::Result<OwnedFd> {
    fs::openat(fs::CWD, path, OFlags::CLOEXEC | OFlags::RDWR | OFlags::CREATE, PRIVATE)
}
