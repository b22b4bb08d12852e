//! What a line that is not understood looks like, and what can be done about it.

use super::key::Trouble;
use super::objects::Damage;

/// A kind of line that is not understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
pub(crate) struct Looks {
    /// What it looks like.
    pub(crate) what: &'static str,
    /// What a person can do about it.
    pub(crate) remedy: &'static str,
}

/// How compressed and other binary formats begin that are not unpacked here.
const MAGIC: [(&[u8], &str); 8] = [
    (b"\x1F\x8B", "gzip in the middle of a line"),
    (b"\x28\xB5\x2F\xFD", "zstd in the middle of a line"),
    (b"\x04\x22\x4D\x18", "lz4"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\xFF\x06\0\0sNaPpY", "snappy"),
    (b"\x5D\0\0", "lzma"),
    (b"\x1F\x9D", "compress (.Z)"),
    (b"SQLite format 3", "an SQLite database"),
];

impl Looks {
    pub(crate) const OPEN_ARRAY: Self =
        Self::new("an array that does not end", "the log is cut off, or still being written: give it whole");
    pub(crate) const STRAY_BRACKET: Self =
        Self::new("the end of an array that did not begin", "the log begins in the middle: give it whole");
    pub(crate) const FRAGMENT: Self =
        Self::new("a part of a damaged value", "mend the value above it, or take its lines out of the log");
    pub(crate) const NAMED_AGAIN: Self = Self::new(
        "a line in which the pattern finds the same event several times",
        "write a pattern that finds it once, from ^ on, or give --key if the lines are JSON",
    );
    pub(crate) const TOO_LONG: Self = Self::new("a line or value of more than 16 MiB", "split it");
    pub(crate) const CUT_NAME: Self = Self::new(
        "an event at the end of a log without a newline, which may go on",
        "wait until the line is written, or end it with a newline",
    );

    const fn new(what: &'static str, remedy: &'static str) -> Self {
        Self { what, remedy }
    }

    /// What is no JSON.
    pub(crate) fn of_json(line: &[u8], damage: Damage) -> Self {
        if let Some(binary) = Self::of_binary(line) {
            return binary;
        }
        let holds = |word: &[u8]| memchr::memmem::find(line, word).is_some();
        match damage {
            Damage::CutOff => Self::new("JSON that is cut off", "a writer died, or the log is still being written"),
            _ if [&b":NaN"[..], b": NaN", b"Infinity", b":nan", b": nan"].into_iter().any(holds) => Self::new(
                "JSON with NaN or Infinity, which JSON has not",
                "write null in its place, as most encoders can be told to",
            ),
            _ if line.starts_with(b"{'") => Self::new("a dictionary as Python prints it", "write it with json.dumps"),
            Damage::NotJson => {
                Self::new("damaged JSON", "see what wrote it: two writers at once tear each other's lines")
            }
            Damage::NoObject if matches!(line.first(), Some(b'"' | b'}' | b'{')) => Self::FRAGMENT,
            Damage::NoObject if line.starts_with(b"<") => Self::new("XML", "give --pattern"),
            Damage::NoObject if begins_with_pair(line) => {
                Self::new("pairs of key=value", "give --pattern, such as --pattern 'call=(\\S+)'")
            }
            Damage::NoObject => Self::new("plain text", "give --pattern if the log is text"),
        }
    }

    /// What is no text; nothing where it is.
    pub(crate) fn of_binary(line: &[u8]) -> Option<Self> {
        let is_control = |byte: &u8| *byte < b' ' && !matches!(byte, b'\t' | b'\r' | 0x07..=0x0C | 0x1B);
        if !line.iter().any(is_control) {
            return None;
        }
        if let Some((_, name)) = MAGIC.into_iter().find(|(magic, _)| memchr::memmem::find(line, magic).is_some()) {
            return Some(Self::new(name, "unpack it first"));
        }
        let zeros = memchr::memchr_iter(0, line).count();
        Some(if zeros * 5 >= line.len() * 2 && zeros * 5 <= line.len() * 3 {
            Self::new("UTF-16 behind text of another encoding", "convert that part with iconv -f UTF-16LE -t UTF-8")
        } else if zeros > 0 {
            Self::new("zeros within a line", "the log was written to while it was truncated, or the machine lost power")
        } else {
            Self::new("binary data", "give a log of text")
        })
    }

    /// What stands where an event should.
    pub(crate) fn of_trouble(trouble: Trouble) -> Self {
        match trouble {
            Trouble::Object => Self::new("an object where the event should be", "lead the key on into it"),
            Trouble::Array => {
                Self::new("an array where the event should be", "go through its elements with .* at the end")
            }
            Trouble::ArrayOfObjects => Self::new(
                "an array of objects where the event should be",
                "use KEY.*.id, with the name that it has in them",
            ),
            Trouble::Beside => {
                Self::new("several events in one line, of which the key takes one", "use .*. in place of the number")
            }
            Trouble::DamagedString => Self::new(
                "a string with damaged JSON in it",
                "it was cut off, as some collectors do with long lines: give the log as it was written",
            ),
            Trouble::Incomplete => {
                Self::new("an entry with only some of the fields of the key", "name fields that all entries have")
            }
            Trouble::Time => {
                Self::new("a time that cannot be read", "name a field with a time as in RFC 3339, or in seconds")
            }
        }
    }
}

/// Whether a line has `key=value` in its first word or second.
fn begins_with_pair(line: &[u8]) -> bool {
    line.split(|byte| *byte == b' ').take(3).any(|word| matches!(memchr::memchr(b'=', word), Some(1..)))
}
