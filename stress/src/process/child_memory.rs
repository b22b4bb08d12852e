//! The stack and the heap of a forked child, in memory that it shares with its parent.
//!
//! What a child writes to of the memory that it inherits lies scattered over pages each of which the kernel copies for it at
//! the first write: most of what a short life costs beyond its fork(2). Pages that are shared are not copied but mapped, many
//! at one fault if they lie side by side, and serve the next child as well.
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU64, AtomicUsize, Ordering};

use super::shared_memory;

/// A multiple of it begins what Linux maps at one fault of pages that are there already, and which is so long.
const WINDOW_BYTES: usize = 64 << 10;

/// So much of a child's stack is in one window with its heap and the beginning of what is kept beside them.
const STACK_TOP_BYTES: usize = 20 << 10;

/// Far more than what a child runs goes down to.
const STACK_BYTES: usize = (1 << 20) + STACK_TOP_BYTES;

/// Enough for the instance of a process; what more is needed comes from the inherited heap.
const HEAP_BYTES: usize = 24 << 10;

/// Where the memory of children begins, how much it is for all of them and for each: that of the first mapping of a process.
/// Children on the stacks of any other take from the inherited heap.
static START: AtomicPtr<AtomicU64> = AtomicPtr::new(ptr::null_mut());
static BYTES: AtomicUsize = AtomicUsize::new(0);
static BYTES_EACH: AtomicUsize = AtomicUsize::new(0);

/// The memory of one child, and of the trace beside it.
#[derive(Clone, Copy)]
pub(crate) struct ChildMemory(&'static [AtomicU64]);

impl ChildMemory {
    /// That of so many children, each with a trace of so many words, for the rest of the process's life.
    pub(crate) fn map(count: usize, trace_words: usize) -> std::io::Result<Vec<Self>> {
        let bytes_each = (STACK_BYTES + HEAP_BYTES + trace_words * 8).next_multiple_of(WINDOW_BYTES);
        let mapped: &'static [AtomicU64] = shared_memory::map((count * bytes_each + WINDOW_BYTES) / 8)?;
        let lead = mapped.as_ptr().addr().next_multiple_of(WINDOW_BYTES) - mapped.as_ptr().addr();
        let words = &mapped[lead / 8..][..count * bytes_each / 8];
        let is_first = BYTES_EACH.compare_exchange(0, bytes_each, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if is_first {
            START.store(words.as_ptr().cast_mut(), Ordering::Relaxed);
            BYTES.store(size_of_val(words), Ordering::Release);
        }
        Ok(words.chunks_exact(bytes_each / 8).map(Self).collect())
    }

    /// The stack. A child that runs on it, and its heap, must not fork: its own child would share both with it.
    pub(crate) fn stack(self) -> &'static [AtomicU64] {
        &self.0[..STACK_BYTES / 8]
    }

    /// The words of the trace.
    pub(crate) fn trace(self) -> &'static [AtomicU64] {
        &self.0[(STACK_BYTES + HEAP_BYTES) / 8..]
    }

    /// Makes it ready for the next child, which gives nothing back when it ends.
    pub(crate) fn clear(self) {
        self.heap().clear();
    }

    fn heap(self) -> Heap {
        Heap(&self.0[STACK_BYTES / 8..][..HEAP_BYTES / 8])
    }

    /// That in which the address is.
    fn around(address: usize) -> Option<Self> {
        // Set last: as long as this is nought, nothing is within.
        let bytes = BYTES.load(Ordering::Acquire);
        let start = START.load(Ordering::Relaxed);
        let offset = address.wrapping_sub(start.addr());
        if offset >= bytes {
            return None;
        }
        let bytes_each = BYTES_EACH.load(Ordering::Relaxed);
        let first = start.wrapping_byte_add(offset - offset % bytes_each);
        // SAFETY: `map` has stored the bounds of a mapping of whole parts of that length, which lasts.
        Some(Self(unsafe { std::slice::from_raw_parts(first, bytes_each / 8) }))
    }
}

impl std::fmt::Debug for ChildMemory {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("ChildMemory").field("words", &self.0.len()).finish_non_exhaustive()
    }
}

/// The heap beside the stack that this runs on, if that is a child's.
fn heap() -> Option<Heap> {
    let here = 0_u8;
    ChildMemory::around(ptr::from_ref(&here).addr()).map(ChildMemory::heap)
}

/// Bytes that are given out one behind the other. The first word says up to where they are.
#[derive(Clone, Copy)]
struct Heap(&'static [AtomicU64]);

impl Heap {
    /// Where the first bytes begin.
    const FIRST: usize = 16;

    fn clear(self) {
        self.0[0].store(Self::FIRST as u64, Ordering::Relaxed);
    }

    fn start(self) -> *mut u8 {
        self.0.as_ptr().cast_mut().cast()
    }

    fn taken(self) -> usize {
        usize::try_from(self.0[0].load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    fn take(self, layout: Layout) -> Option<*mut u8> {
        let offset = (self.start().addr() + self.taken()).next_multiple_of(layout.align()) - self.start().addr();
        let end = offset.checked_add(layout.size()).filter(|&end| end <= size_of_val(self.0))?;
        self.0[0].store(end as u64, Ordering::Relaxed);
        Some(self.start().wrapping_add(offset))
    }

    /// Moves the end of what was taken last; whether these bytes were the last.
    fn resize(self, bytes: *mut u8, from: usize, to: usize) -> bool {
        let Some(offset) = bytes.addr().checked_sub(self.start().addr()) else { return false };
        let end = offset.checked_add(to).filter(|&end| end <= size_of_val(self.0));
        let Some(end) = end.filter(|_| offset.checked_add(from) == Some(self.taken())) else { return false };
        self.0[0].store(end as u64, Ordering::Relaxed);
        true
    }
}

/// The system's allocator, with the memory of children before it.
#[derive(Debug)]
struct Allocator;

#[global_allocator]
static ALLOCATOR: Allocator = Allocator;

// SAFETY: bytes of a heap are given out once, by the one thread that runs on the stack beside it, aligned and within the
// heap, whose words are atomics and mapped for ever; only the last ones are taken back, from that thread. All others are the
// system's allocator's, to which they also go back. Nothing here unwinds.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        heap().and_then(|heap| heap.take(layout)).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(bytes) = heap().and_then(|heap| heap.take(layout)) {
            // SAFETY: so many bytes were just taken; children before have used them.
            unsafe { bytes.write_bytes(0, layout.size()) };
            return bytes;
        }
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        if ChildMemory::around(bytes.addr()).is_some() {
            // What is not the last stays taken until the child ends.
            let _ = heap().is_some_and(|heap| heap.resize(bytes, layout.size(), 0));
        } else {
            // SAFETY: as in `alloc`.
            unsafe { System.dealloc(bytes, layout) };
        }
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if ChildMemory::around(bytes.addr()).is_none() {
            // SAFETY: as in `alloc`.
            return unsafe { System.realloc(bytes, layout, size) };
        }
        if heap().is_some_and(|heap| heap.resize(bytes, layout.size(), size)) {
            return bytes;
        }
        // SAFETY: the caller promises that the alignment is valid and that the size, rounded up to it, does not overflow.
        let moved = unsafe { self.alloc(Layout::from_size_align_unchecked(size, layout.align())) };
        if !moved.is_null() {
            // SAFETY: both are that long, and what was just taken overlaps nothing that is in use.
            unsafe { moved.copy_from_nonoverlapping(bytes, layout.size().min(size)) };
        }
        moved
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_taken_aligned_given_back_last_first_and_never_twice() {
        let layout = |size, align| Layout::from_size_align(size, align).expect("a layout");
        let heap = Heap(shared_memory::map(HEAP_BYTES / 8).expect("memory"));
        heap.clear();
        let first = heap.take(layout(3, 1)).expect("room");
        let second = heap.take(layout(64, 64)).expect("room");
        assert_eq!(second.addr() % 64, 0);
        assert!(second.addr() >= first.addr() + 3);
        assert!(!heap.resize(first, 3, 0), "something is behind it");
        assert!(heap.resize(second, 64, 128) && heap.resize(second, 128, 0));
        assert_eq!(heap.take(layout(1, 1)), Some(second));
        assert_eq!(heap.take(layout(HEAP_BYTES, 1)), None, "the rest comes from the system");
    }

    #[test]
    fn the_memory_of_a_child_lies_side_by_side_and_is_found_by_any_address_in_it() {
        let [one, other] = ChildMemory::map(2, 100).expect("memory")[..] else { panic!("two") };
        let window = |words: &[AtomicU64]| words.as_ptr().addr() / WINDOW_BYTES;
        assert_eq!(window(one.stack()) + STACK_BYTES / WINDOW_BYTES, window(one.trace()));
        assert_eq!(one.stack().as_ptr_range().end, one.heap().0.as_ptr());
        assert_eq!(one.heap().0.as_ptr_range().end, one.trace().as_ptr());
        assert!(one.trace().len() >= 100 && one.trace().as_ptr_range().end <= other.stack().as_ptr());
        let is_other = |word: &AtomicU64| {
            ChildMemory::around(ptr::from_ref(word).addr()).is_some_and(|around| ptr::eq(around.0, other.0))
        };
        assert!(is_other(&other.stack()[0]) && is_other(&other.trace()[99]) && !is_other(&one.trace()[99]));
        assert!(ChildMemory::around(ptr::from_ref(&other.0[other.0.len() - 1]).addr() + 8).is_none());
        assert!(heap().is_none(), "this thread has a stack of its own");
    }
}
