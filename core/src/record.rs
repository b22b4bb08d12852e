//! The journal's records: 128 bytes of text each, written with one append.
//!
//! A power-of-two record at an aligned offset never crosses a page, so that it is written whole or not at all even when
//! its writer is killed, and is never seen in part. What can still tear one (a full disk, a file-size limit) is caught by
//! the checksum, and the newline lets a reader find the next good record.

use crate::call::Time;
use crate::id::{self, InstanceId, ValidId};

/// The size of every record, in bytes, its newline included.
pub const RECORD_BYTES: usize = 128;

/// The first bytes of every record: the format and its version.
pub(crate) const MAGIC: &str = "spj2";

/// How every record starts.
const START: &[u8] = b"spj2 ";

/// How a record of the version before starts, which differs in nothing else but that it knows no `begin`.
const START_BEFORE: &[u8] = b"spj1 ";

/// How records of the known versions start.
const STARTS: [&[u8]; 2] = [START, START_BEFORE];

/// `MAGIC` without its version.
const FORMAT: &[u8] = b"spj";

/// Where the checksum stands: eight hexadecimal digits before the newline.
const CHECKSUM_AT: usize = RECORD_BYTES - 9;

/// What fills up a record between its fields and its checksum.
const BLANK: [u8; RECORD_BYTES] = [b' '; RECORD_BYTES];

/// The last moment that a record has room for: 3,000 years after boot.
const MICROS_MAX: u64 = 99_999_999_999_999_999;

/// One entry of the journal.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// What is recorded.
    pub kind: Kind,
    /// The term it speaks of.
    pub term: u64,
    /// The instance that wrote it.
    pub id: InstanceId,
    /// When, on the clock that counts from boot.
    pub at: Time,
}

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// The journal begins with this term, since nobody lived any more: it goes on from the last one of the journal before.
    Begin,
    /// The writer takes part from here on.
    Register,
    /// Registration of the term is closed: the smallest candidate is primary.
    Seal,
    /// The seat of the term's primary was found empty.
    Depose,
    /// The writer departs in good order.
    Leave,
}

impl Kind {
    /// The word that stands in the record.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Begin => "begin",
            Self::Register => "register",
            Self::Seal => "seal",
            Self::Depose => "depose",
            Self::Leave => "leave",
        }
    }

    /// The word that the bytes start with, and what stands behind the space after it.
    fn split(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let after = |kind, word: &[u8]| bytes.strip_prefix(word).map(|rest| (kind, rest));
        after(Self::Register, b"register ")
            .or_else(|| after(Self::Leave, b"leave "))
            .or_else(|| after(Self::Seal, b"seal "))
            .or_else(|| after(Self::Depose, b"depose "))
            .or_else(|| after(Self::Begin, b"begin "))
    }
}

/// A record where it stands in the journal: most of those that are read name an ID that is known, and need no copy of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct View<'a> {
    pub(crate) kind: Kind,
    pub(crate) term: u64,
    pub(crate) id: ValidId<'a>,
    pub(crate) at: Time,
    /// Whether the version before wrote it.
    pub(crate) is_older: bool,
}

/// What the end of a line says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Line<'a> {
    /// A record that holds, with the number of bytes of damage that stood before it on its line.
    Record(View<'a>, usize),
    /// A record of a later version of this format.
    Newer,
    /// Anything else.
    Damage,
}

impl Record {
    /// The record as it stands in the journal.
    #[must_use]
    pub fn encode(&self) -> [u8; RECORD_BYTES] {
        let mut bytes = BLANK;
        let mut end = 0;
        // Magic 4, kind at most 8, term at most 20, ID at most 64, time at most 17 digits, four spaces: 117.
        let mut field = |text: &str| {
            bytes[end..end + text.len()].copy_from_slice(text.as_bytes());
            end += text.len() + 1;
        };
        field(MAGIC);
        field(self.kind.word());
        field(itoa::Buffer::new().format(self.term));
        field(self.id.as_str());
        field(itoa::Buffer::new().format(self.at.as_micros().min(MICROS_MAX)));
        let ending = ending(&bytes[..CHECKSUM_AT]);
        bytes[CHECKSUM_AT..].copy_from_slice(&ending);
        bytes
    }

    /// Reads what [`Record::encode`] wrote, and nothing else.
    #[must_use]
    pub fn decode(bytes: &[u8; RECORD_BYTES]) -> Option<Self> {
        let View { kind, term, id, at, is_older } = View::decode(bytes)?;
        (!is_older).then(|| Self { kind, term, id: id.into(), at })
    }

    /// The record as a reader of the journal sees it.
    pub(crate) fn view(&self) -> View<'_> {
        View { kind: self.kind, term: self.term, id: self.id.as_valid(), at: self.at, is_older: false }
    }
}

impl<'a> View<'a> {
    /// Reads what [`Record::encode`] wrote, here or in the version before, and nothing else: a field that would not be
    /// written like this, and anything but one space between two of them, was not written by us.
    pub(crate) fn decode(bytes: &'a [u8; RECORD_BYTES]) -> Option<Self> {
        let fields = &bytes[..CHECKSUM_AT];
        let (rest, is_older) = match fields.strip_prefix(START) {
            Some(rest) => (rest, false),
            None => (fields.strip_prefix(START_BEFORE)?, true),
        };
        let (kind, rest) = Kind::split(rest)?;
        let (term, rest) = decimal(rest)?;
        let (id, rest) = id::split(rest)?;
        let (micros, rest) = decimal(rest.strip_prefix(b" ")?)?;
        let is_whole = micros <= MICROS_MAX
            && *rest == BLANK[..rest.len()]
            && bytes[CHECKSUM_AT..] == ending(&bytes[..CHECKSUM_AT]);
        let is_known = !(is_older && kind == Kind::Begin);
        (is_whole && is_known).then_some(Self { kind, term, id, at: Time::from_micros(micros), is_older })
    }

    /// Reads a line by its last 128 bytes, its newline included: what stands before them is a torn predecessor.
    pub(crate) fn read_line(line: &'a [u8]) -> Line<'a> {
        let excess = line.len().saturating_sub(RECORD_BYTES);
        let last = <&[u8; RECORD_BYTES]>::try_from(&line[excess..]).ok();
        if let Some(record) = last.and_then(Self::decode) {
            Line::Record(record, excess)
        } else if starts_newer(line) || last.is_some_and(|last| starts_newer(last)) {
            Line::Newer
        } else {
            Line::Damage
        }
    }
}

/// What stands behind the fields: their checksum and the newline.
fn ending(fields: &[u8]) -> [u8; RECORD_BYTES - CHECKSUM_AT] {
    let mut bytes = [b'\n'; RECORD_BYTES - CHECKSUM_AT];
    bytes[..8].copy_from_slice(&hexadecimal(crc32fast::hash(fields)));
    bytes
}

/// The eight digits of a number, all at once: each record that is read has some.
fn hexadecimal(number: u32) -> [u8; 8] {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    let halves = u64::from(number);
    let halves = (halves & 0xffff_0000) << 16 | halves & 0xffff;
    let bytes = (halves & 0xff00_0000_ff00) << 8 | halves & 0x00ff_0000_00ff;
    let digits = (bytes & 0x00f0_00f0_00f0_00f0) << 4 | bytes & 0x000f_000f_000f_000f;
    // One in each byte whose digit is above nine: it becomes a letter.
    let letters = (digits + 6 * EACH) >> 4 & EACH;
    (digits + u64::from(b'0') * EACH + u64::from(b'a' - b'0' - 10) * letters).to_be_bytes()
}

/// A number as it is written, and what stands behind the space after it: it has at least one digit, and none in vain.
fn decimal(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut number = 0_u64;
    for (at, byte) in bytes.iter().enumerate() {
        let digit = byte.wrapping_sub(b'0');
        if digit > 9 {
            let is_written_so = *byte == b' ' && (at == 1 || at > 1 && bytes[0] != b'0');
            return is_written_so.then_some((number, &bytes[at + 1..]));
        }
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    None
}

/// Whether the bytes start like a record of a later version.
fn starts_newer(bytes: &[u8]) -> bool {
    let Some(rest) = bytes.strip_prefix(FORMAT) else { return false };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=9).contains(&digits) && rest.get(digits) == Some(&b' ') && !STARTS.iter().any(|start| bytes.starts_with(start))
}

/// Whose file a journal is that nobody living holds, as far as its first bytes tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nothing but zeros, or nothing at all: what a power loss leaves.
    Blank,
    /// Ours, possibly damaged.
    Ours,
    /// A later version's.
    Newer,
    /// Someone else's: never to be touched.
    Foreign,
}

impl Origin {
    /// Judges a chunk from the start of the journal, or from behind nothing but zeros, which begins at that offset.
    pub(crate) fn of(chunk: &[u8], offset: u64) -> Self {
        let Some(first) = chunk.iter().position(|&byte| byte != 0) else { return Self::Blank };
        let text = &chunk[first..];
        if starts_newer(text) {
            return Self::Newer;
        }
        let is_aligned = (offset + first as u64).is_multiple_of(RECORD_BYTES as u64);
        if is_aligned && STARTS.iter().any(|start| text.iter().zip(*start).all(|(one, other)| one == other)) {
            return Self::Ours;
        }
        let mut lines = chunk.split_inclusive(|&byte| byte == b'\n');
        if lines.any(|line| matches!(View::read_line(line), Line::Record(..))) { Self::Ours } else { Self::Foreign }
    }
}
