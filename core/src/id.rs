//! Names of the instances that take part in an election.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

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
        let why = if id.is_empty() {
            "is empty"
        } else if id.len() > ID_BYTES_MAX {
            "is too long"
        } else if id.starts_with('.') {
            "starts with a dot"
        } else if !id.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte)) {
            "has a character that a file name here must not have"
        } else {
            return Ok(Self(id.into()));
        };
        // An ID can be arbitrarily long and arbitrarily strange: an excerpt is enough to recognise it.
        Err(InvalidId { id: id.chars().take(ID_BYTES_MAX).collect(), why })
    }

    /// Makes a fresh ID (a [ULID](https://github.com/ulid/spec)): later ones sort after earlier ones, within this process
    /// always, between processes by their wall clocks in milliseconds. The order only decides who is preferred.
    ///
    /// # Errors
    /// The operating system's error where it has no randomness to give.
    #[expect(clippy::disallowed_methods, reason = "an ID made here comes before the election; it may be given instead")]
    pub fn generate() -> std::io::Result<Self> {
        // A forked copy of this process has a copy of the last ID as well, so the increment is kept to one process.
        static LAST: Mutex<Option<(u32, Ulid)>> = Mutex::new(None);
        let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
        let process = std::process::id();
        let now_ms = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX) & ((1 << Ulid::TIME_BITS) - 1));
        let successor = match *last {
            Some((owner, previous)) if owner == process && previous.timestamp_ms() >= now_ms => {
                previous.increment().ok()
            }
            _ => None,
        };
        let ulid = if let Some(successor) = successor {
            successor
        } else {
            let mut random = [0; 16];
            getrandom(&mut random, GetRandomFlags::empty())?;
            Ulid::from_parts(now_ms, u128::from_ne_bytes(random))
        };
        *last = Some((process, ulid));
        Ok(Self(ulid.to_string().into()))
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
