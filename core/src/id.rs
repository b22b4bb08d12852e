//! Names of the instances that take part in an election.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use forkguard::atfork::Guard;
use rustix::rand::{GetRandomFlags, getrandom};
use ulid::Ulid;

/// The longest instance ID, in bytes: what a journal record has room for.
pub const ID_BYTES_MAX: usize = 64;

/// Names one *join*: never a process, never a module, never used twice.
///
/// IDs are ordered bytewise and the smallest candidate becomes primary, so that IDs which sort by birth elect the oldest
/// instance. [`InstanceId::generate`] makes such IDs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InstanceId(Arc<str>);

/// Why a text cannot name an instance.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "instance ID {id:?} {why}; use 1 to {ID_BYTES_MAX} characters of A-Z a-z 0-9 . _ - and do not start with a dot"
)]
pub struct InvalidId {
    id: String,
    why: &'static str,
}

impl InstanceId {
    /// Takes an ID of the caller's own: 1 to 64 characters of `[A-Za-z0-9._-]`, the first of them not a dot.
    ///
    /// # Errors
    /// [`InvalidId`] says which of these rules the text breaks.
    pub fn new(id: impl AsRef<str>) -> Result<Self, InvalidId> {
        let id = id.as_ref();
        match Self::check(id) {
            Ok(()) => Ok(Self(id.into())),
            // An ID can be arbitrarily long and arbitrarily strange: an excerpt is enough to recognise it.
            Err(why) => Err(InvalidId { id: id.chars().take(ID_BYTES_MAX).collect(), why }),
        }
    }

    fn check(id: &str) -> Result<(), &'static str> {
        if id.is_empty() {
            Err("is empty")
        } else if id.len() > ID_BYTES_MAX {
            Err("is too long")
        } else if id.starts_with('.') {
            Err("starts with a dot")
        } else if allowed_bytes(id.as_bytes()) < id.len() {
            Err("has a character that a file name here must not have")
        } else {
            Ok(())
        }
    }

    /// Makes a fresh ID (a [ULID](https://github.com/ulid/spec)): later ones sort after earlier ones, within this process
    /// always, between processes by their wall clocks in milliseconds. The order only decides who is preferred.
    ///
    /// # Errors
    /// The operating system's error where it has no randomness to give.
    #[expect(clippy::disallowed_methods, reason = "an ID made here comes before the election; it may be given instead")]
    pub fn generate() -> std::io::Result<Self> {
        // A forked copy of this process has a copy of the last ID as well, so the increment is kept to one process. A copy
        // that goes unnoticed may make an ID that is in use, and is refused with it.
        static LAST: Mutex<Option<(Guard, Ulid)>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & ((1 << Ulid::TIME_BITS) - 1));
        let successor = last.as_mut().and_then(|(guard, previous)| {
            (!guard.detected_fork() && previous.timestamp_ms() >= now_ms).then(|| previous.increment().ok())?
        });
        let ulid = if let Some(successor) = successor {
            successor
        } else {
            let mut random = [0; 16];
            getrandom(&mut random, GetRandomFlags::empty())?;
            Ulid::from_parts(now_ms, u128::from_ne_bytes(random))
        };
        *last = Some((Guard::default(), ulid));
        Ok(Self(Arc::from(&*ulid.array_to_str(&mut [0; ulid::ULID_LEN]))))
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    pub(crate) fn as_valid(&self) -> ValidId<'_> {
        ValidId(self.0.as_bytes())
    }
}

impl fmt::Display for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(&self.0)
    }
}

impl fmt::Debug for InstanceId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::str::FromStr for InstanceId {
    type Err = InvalidId;

    fn from_str(id: &str) -> Result<Self, InvalidId> {
        Self::new(id)
    }
}

/// An ID where it stands in other bytes: most of those that are read are looked for and need no copy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ValidId<'a>(&'a [u8]);

impl<'a> ValidId<'a> {
    pub(crate) fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

impl From<ValidId<'_>> for InstanceId {
    fn from(id: ValidId<'_>) -> Self {
        Self(std::str::from_utf8(id.0).expect("an ID is ASCII").into())
    }
}

/// The ID that the bytes start with, and what stands behind it.
pub(crate) fn split(bytes: &[u8]) -> Option<(ValidId<'_>, &[u8])> {
    let (id, rest) = bytes.split_at(allowed_bytes(bytes));
    (!id.is_empty() && id.len() <= ID_BYTES_MAX && id[0] != b'.').then_some((ValidId(id), rest))
}

/// How many of the first bytes may stand in an ID. Every record that is read has one, so they are looked at eight at once.
fn allowed_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes[at..].first_chunk() {
        let others = others(u64::from_le_bytes(*eight));
        if others != 0 {
            return at + first(others);
        }
        at += size_of::<u64>();
    }
    let mut rest = [0; size_of::<u64>()];
    rest[..bytes.len() - at].copy_from_slice(&bytes[at..]);
    at + first(others(u64::from_le_bytes(rest)))
}

/// The high bit of each of eight bytes that may not stand in an ID.
fn others(bytes: u64) -> u64 {
    const EACH: u64 = u64::from_le_bytes([1; 8]);
    const HIGH_BITS: u64 = EACH << 7;
    let low = bytes & !HIGH_BITS;
    // A byte's high bit is set where it is in the range: no sum of seven bits reaches the next byte.
    let from = |first: u8| low + EACH * u64::from(0x80 - first);
    let within = |first: u8, last: u8| from(first) & !from(last + 1);
    let allowed =
        within(b'-', b'.') | within(b'0', b'9') | within(b'A', b'Z') | within(b'_', b'_') | within(b'a', b'z');
    (!allowed | bytes) & HIGH_BITS
}

/// Which of eight bytes is the first that has its high bit set.
fn first(high_bits: u64) -> usize {
    (high_bits.trailing_zeros() / u8::BITS) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn is_allowed(byte: u8) -> bool {
        byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-')
    }

    proptest! {
        #[test]
        fn allowed_bytes_are_those_before_the_first_that_is_not(start in "[A-Za-z0-9._-]{0,20}", rest: [u8; 12]) {
            let bytes = [start.as_bytes(), &rest].concat();
            for end in 0..=bytes.len() {
                let expected = bytes[..end].iter().take_while(|&&byte| is_allowed(byte)).count();
                prop_assert_eq!(allowed_bytes(&bytes[..end]), expected);
            }
        }
    }

    #[test]
    fn each_byte_is_told_wherever_it_stands() {
        for byte in 0..=u8::MAX {
            for at in 0..8 {
                let mut bytes = *b"aZ09.-_z";
                bytes[at] = byte;
                assert_eq!(allowed_bytes(&bytes), if is_allowed(byte) { 8 } else { at }, "{byte:#x} at {at}");
            }
        }
    }
}
