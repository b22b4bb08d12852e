//! What one instance did and believed, in memory that outlives it: a killed instance's trace is there up to its death.

mod codec;

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use single_primary::call::{Call, Reply, Time};

use crate::process::clock;

/// One thing that an instance did, saw or came to believe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    /// It was told the time.
    Clock(Time),
    /// It asked for a system call.
    Call(Call),
    /// The system call returned.
    Reply(Reply),
    /// It is about to receive the event of that number.
    Deliver(u32),
    /// It is primary, and has returned to its caller since it received the event of that number: the entry is written.
    Recorded(u32),
    /// It is about to leave.
    Leave,
    /// It has left.
    Left,
    /// It knows who is primary for the first time: itself, or another.
    Verdict {
        /// Whether it is the one.
        primary: bool,
    },
    /// It has come to believe that it is primary.
    Believe {
        /// Of this term; 0 in a protocol without terms.
        term: u64,
    },
    /// It does not believe so any more, or is about to stop.
    Cease,
    /// It takes no part any more, and says why.
    Failed(String),
    /// A fault happens to it, of the kind of that name.
    Fault(String),
    /// A call of a protocol other than the election's, in words.
    Other(String),
    /// Its reply, or what else there is to know.
    Note(String),
}

/// An entry and the moment it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamped {
    /// Nanoseconds on the monotonic clock.
    pub(crate) at_ns: u64,
    pub(crate) entry: Entry,
}

/// Words of a region in front of its entries: how many words of entries hold, whether some were left out, and the
/// moment from which the entries count.
const HEAD_WORDS: usize = 3;
const USED: usize = 0;
const OVERFLOWN: usize = 1;
const EPOCH: usize = 2;

/// Words that are kept for entries other than of calls, replies and the clock, of which there may be any number.
const RESERVED_WORDS: usize = 512;

/// The kind of an entry in its head, and how far left of its moment and its length it stands.
const KIND_SHIFT: u32 = 56;
const LENGTH_SHIFT: u32 = 40;
const LENGTH_MAX: usize = 0xffff;
const MOMENT_MASK: u64 = (1 << LENGTH_SHIFT) - 1;

/// The place of one instance's trace in shared memory.
#[derive(Clone, Copy)]
pub(crate) struct Region(&'static [AtomicU64]);

impl Region {
    /// Takes the words as the place of a trace.
    pub(crate) fn new(words: &'static [AtomicU64]) -> Self {
        assert!(words.len() > HEAD_WORDS, "a trace needs room");
        Self(words)
    }

    /// Forgets what is in it. Moments are counted from `epoch_ns` on, for up to 18 minutes.
    pub(crate) fn clear(self, epoch_ns: u64) {
        self.0[OVERFLOWN].store(0, Ordering::Relaxed);
        self.0[EPOCH].store(epoch_ns, Ordering::Relaxed);
        self.0[USED].store(0, Ordering::Release);
    }

    /// Whether there was no room for some of the entries: then the calls behind them are missing as well.
    pub(crate) fn is_overflown(self) -> bool {
        self.0[OVERFLOWN].load(Ordering::Relaxed) != 0
    }

    /// What is in it, in the order that it was written.
    pub(crate) fn entries(self) -> impl Iterator<Item = Stamped> {
        let mut at = 0;
        let mut bytes = Vec::new();
        std::iter::from_fn(move || self.next(&mut at, &mut bytes))
    }

    /// The entry at that word, which becomes that of the next one.
    pub(crate) fn next(self, at: &mut usize, bytes: &mut Vec<u8>) -> Option<Stamped> {
        let used = usize::try_from(self.0[USED].load(Ordering::Acquire)).unwrap_or(0);
        let words = &self.0[HEAD_WORDS..][..used.min(self.0.len() - HEAD_WORDS)];
        let head = words.get(*at)?.load(Ordering::Relaxed);
        let length = usize::try_from(head >> LENGTH_SHIFT).unwrap_or(0) & LENGTH_MAX;
        let payload = words.get(*at + 1..*at + 1 + length.div_ceil(8))?;
        bytes.clear();
        for word in payload {
            bytes.extend_from_slice(&word.load(Ordering::Relaxed).to_le_bytes());
        }
        bytes.truncate(length);
        *at += 1 + payload.len();
        let kind = u8::try_from(head >> KIND_SHIFT).unwrap_or(0);
        let entry = codec::decode(kind, bytes).expect("the trace was written by this program");
        Some(Stamped { at_ns: self.0[EPOCH].load(Ordering::Relaxed) + (head & MOMENT_MASK), entry })
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Region").field("words", &self.0.len()).finish_non_exhaustive()
    }
}

/// Writes an instance's trace.
#[derive(Debug)]
pub(crate) struct Tracer {
    region: Region,
    epoch_ns: u64,
    scratch: Mutex<Vec<u8>>,
}

impl Tracer {
    /// Goes on behind what is in the region.
    pub(crate) fn new(region: Region) -> Self {
        let epoch_ns = region.0[EPOCH].load(Ordering::Relaxed);
        Self { region, epoch_ns, scratch: Mutex::new(Vec::with_capacity(512)) }
    }

    /// Where it writes.
    pub(crate) fn region(&self) -> Region {
        self.region
    }

    /// Writes an entry with the present moment, which it returns.
    pub(crate) fn write(&self, entry: &Entry) -> u64 {
        let now_ns = clock::now_ns();
        self.write_at(entry, now_ns);
        now_ns
    }

    /// Writes an entry with a moment that was noted before.
    pub(crate) fn write_at(&self, entry: &Entry, at_ns: u64) {
        let reserved = if matches!(entry, Entry::Clock(_)) { RESERVED_WORDS } else { 0 };
        self.put(at_ns, reserved, |bytes| codec::encode(entry, bytes));
    }

    /// [`Entry::Call`], without a copy of the call.
    pub(crate) fn write_call(&self, call: &Call) {
        self.put(clock::now_ns(), RESERVED_WORDS, |bytes| codec::encode_call(call, bytes));
    }

    /// [`Entry::Reply`], without a copy of the reply.
    pub(crate) fn write_reply(&self, reply: &Reply) {
        self.put(clock::now_ns(), RESERVED_WORDS, |bytes| codec::encode_reply(reply, bytes));
    }

    fn put(&self, at_ns: u64, reserved: usize, encode: impl FnOnce(&mut Vec<u8>) -> u8) {
        let mut bytes = self.scratch.lock().unwrap_or_else(PoisonError::into_inner);
        bytes.clear();
        let kind = encode(&mut bytes);
        let words = &self.region.0;
        let used = usize::try_from(words[USED].load(Ordering::Relaxed)).unwrap_or(usize::MAX);
        let length = bytes.len();
        let start = HEAD_WORDS + used;
        let end = start + 1 + length.div_ceil(8);
        let is_overflown = reserved > 0 && words[OVERFLOWN].load(Ordering::Relaxed) != 0;
        if length > LENGTH_MAX || end + reserved > words.len() || is_overflown {
            words[OVERFLOWN].store(1, Ordering::Relaxed);
            return;
        }
        let moment = at_ns.saturating_sub(self.epoch_ns) & MOMENT_MASK;
        words[start].store(u64::from(kind) << KIND_SHIFT | (length as u64) << LENGTH_SHIFT | moment, Ordering::Relaxed);
        for (word, chunk) in words[start + 1..end].iter().zip(bytes.chunks(8)) {
            let mut padded = [0; 8];
            padded[..chunk.len()].copy_from_slice(chunk);
            word.store(u64::from_le_bytes(padded), Ordering::Relaxed);
        }
        // Only now the entry counts: whoever dies before this has not written it.
        words[USED].store((end - HEAD_WORDS) as u64, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process::shared_memory;

    #[test]
    fn a_trace_reads_back_in_order_and_says_when_it_is_full() {
        let region = Region::new(shared_memory::map(HEAD_WORDS + RESERVED_WORDS + 3).expect("memory"));
        region.clear(1_000);
        let tracer = Tracer::new(region);
        tracer.write_at(&Entry::Clock(Time::from_micros(7)), 1_005);
        tracer.write_at(&Entry::Failed("no room".into()), 1_006);
        assert!(!region.is_overflown());
        tracer.write_at(&Entry::Clock(Time::from_micros(8)), 1_007);
        assert!(region.is_overflown());
        tracer.write_at(&Entry::Left, 1_008);
        let read: Vec<_> = region.entries().map(|stamped| (stamped.at_ns, stamped.entry)).collect();
        let clock = Entry::Clock(Time::from_micros(7));
        let expected = [(1_005, clock), (1_006, Entry::Failed("no room".into())), (1_008, Entry::Left)];
        assert_eq!(read, expected, "what was believed is kept, whatever else is left out");
        region.clear(2_000);
        assert_eq!(region.entries().count(), 0);
    }
}
