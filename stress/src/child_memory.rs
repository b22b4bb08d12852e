//! The heap of a forked child: one run of fresh pages.
//!
//! What a child would take from the heap that it inherits lies scattered over pages that it shares with its parent, each of
//! which the kernel copies at the first write: most of what a short life costs beyond its fork(2).
#![allow(unsafe_code, reason = "an allocator hands out raw memory")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Enough for the instances of a round; what more is needed comes from the inherited heap.
const BYTES: usize = 1 << 20;

/// Where the first bytes are taken: nought says that the pages are not in use.
const FIRST: usize = 16;

/// The system's allocator, before which a child puts pages of its own. They begin on one that it writes to anyhow, behind
/// the other variables of the program.
#[derive(Debug)]
#[repr(C, align(64))]
struct Memory {
    /// Up to where bytes are taken. Beside them, so that both are on one page.
    taken: AtomicUsize,
    bytes: UnsafeCell<[u8; BYTES]>,
}

#[global_allocator]
static MEMORY: Memory = Memory { taken: AtomicUsize::new(0), bytes: UnsafeCell::new([0; BYTES]) };

/// Has this process, a child that will soon end, take its memory from pages of its own. One that is forked from it goes on
/// behind what it had taken.
pub(crate) fn open() {
    // Where it fails, they are in use already.
    let _ = MEMORY.taken.compare_exchange(0, FIRST, Ordering::Relaxed, Ordering::Relaxed);
}

// SAFETY: bytes are given to one owner at a time, by an atomic step.
unsafe impl Sync for Memory {}

impl Memory {
    fn start(&self) -> *mut u8 {
        self.bytes.get().cast()
    }

    fn take(&self, layout: Layout) -> Option<*mut u8> {
        let mut taken = self.taken.load(Ordering::Relaxed);
        while taken != 0 {
            let offset = (self.start().addr() + taken).next_multiple_of(layout.align()) - self.start().addr();
            let end = offset.checked_add(layout.size()).filter(|&end| end <= BYTES)?;
            match self.taken.compare_exchange_weak(taken, end, Ordering::Relaxed, Ordering::Relaxed) {
                // SAFETY: `offset` is within the bytes, as its end is.
                Ok(_) => return Some(unsafe { self.start().add(offset) }),
                Err(now) => taken = now,
            }
        }
        None
    }

    /// Where in the pages the bytes begin, if they are from there.
    fn offset_of(&self, bytes: *mut u8) -> Option<usize> {
        bytes.addr().checked_sub(self.start().addr()).filter(|&offset| offset < BYTES)
    }

    /// Moves the end of what was taken last; whether it was the last.
    fn resize(&self, offset: usize, from: usize, to: usize) -> bool {
        let fits = offset.checked_add(to).is_some_and(|end| end <= BYTES);
        fits && self.taken.compare_exchange(offset + from, offset + to, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

// SAFETY: what is not from the pages is the system's allocator's, to which it also goes back. The pages give bytes out once,
// aligned, and take only the last ones back, from their owner. It does not unwind.
unsafe impl GlobalAlloc for Memory {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promises are those of the system's allocator.
        self.take(layout).unwrap_or_else(|| unsafe { System.alloc(layout) })
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if let Some(bytes) = self.take(layout) {
            // SAFETY: so many bytes were just taken; others may have used them before.
            unsafe { bytes.write_bytes(0, layout.size()) };
            return bytes;
        }
        // SAFETY: as in `alloc`.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, bytes: *mut u8, layout: Layout) {
        match self.offset_of(bytes) {
            Some(offset) => drop(self.resize(offset, layout.size(), 0)),
            // SAFETY: as in `alloc`; they are not from the pages.
            None => unsafe { System.dealloc(bytes, layout) },
        }
    }

    unsafe fn realloc(&self, bytes: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let Some(offset) = self.offset_of(bytes) else {
            // SAFETY: as in `alloc`; they are not from the pages.
            return unsafe { System.realloc(bytes, layout, size) };
        };
        if self.resize(offset, layout.size(), size) {
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
        static OWN: Memory = Memory { taken: AtomicUsize::new(0), bytes: UnsafeCell::new([0; BYTES]) };
        let layout = |size, align| Layout::from_size_align(size, align).expect("a layout");
        assert_eq!(OWN.take(layout(8, 8)), None, "closed until opened");
        OWN.taken.store(FIRST, Ordering::Relaxed);
        let first = OWN.take(layout(3, 1)).expect("room");
        let second = OWN.take(layout(64, 64)).expect("room");
        assert_eq!(second.addr() % 64, 0);
        let (first_at, second_at) = (OWN.offset_of(first).expect("ours"), OWN.offset_of(second).expect("ours"));
        assert!(second_at >= first_at + 3);
        assert!(!OWN.resize(first_at, 3, 0), "something is behind it");
        assert!(OWN.resize(second_at, 64, 128) && OWN.resize(second_at, 128, 0));
        assert_eq!(OWN.take(layout(1, 1)), Some(second));
        assert_eq!(OWN.take(layout(BYTES, 1)), None, "the rest comes from the system");
        assert_eq!(OWN.offset_of(std::ptr::from_ref(&layout).cast_mut().cast()), None);
    }
}
