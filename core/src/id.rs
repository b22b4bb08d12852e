//! Names of the instances that take part in an election.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use forkguard::atfork::Guard;
use rustix::rand::{GetRandomFlags, getrandom};
use ulid::Ulid;

/// The longest instance ID, in bytes: what a journal record has room for.
pub const ID_BYTES_MAX: usize = 64;

/// Whether a byte may stand in an ID. Every record that is read has one, so that it is looked up, not worked out.
static ALLOWED: [bool; 256] = {
    let mut allowed = [false; 256];
    let mut byte: u8 = 0;
    while byte < 128 {
        allowed[byte as usize] = byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        byte += 1;
    }
    allowed
};

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
            Ok(id) => Ok(Self::of_valid(id)),
            // An ID can be arbitrarily long and arbitrarily strange: an excerpt is enough to recognise it.
            Err(why) => Err(InvalidId { id: id.chars().take(ID_BYTES_MAX).collect(), why }),
        }
    }

    /// The text, if it can name an instance; else why it cannot.
    pub(crate) fn check(id: &str) -> Result<&str, &'static str> {
        if id.is_empty() {
            Err("is empty")
        } else if id.len() > ID_BYTES_MAX {
            Err("is too long")
        } else if id.starts_with('.') {
            Err("starts with a dot")
        } else if !id.bytes().fold(true, |all, byte| all & ALLOWED[usize::from(byte)]) {
            Err("has a character that a file name here must not have")
        } else {
            Ok(id)
        }
    }

    /// The ID of a text that has passed the check.
    pub(crate) fn of_valid(id: &str) -> Self {
        Self(id.into())
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
        Ok(Self::of_valid(ulid.array_to_str(&mut [0; ulid::ULID_LEN])))
    }

    /// The ID as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
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
