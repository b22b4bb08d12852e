//! Memory that a process shares with those it forks: what one of them wrote is there after its death.
#![allow(unsafe_code, reason = "the mapping comes from mmap(2) as a raw pointer")]

use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64};

use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};

/// A word that may be all zeros and that several processes may write at once.
pub(crate) trait Word: Sync + 'static {}

impl Word for AtomicI32 {}
impl Word for AtomicU32 {}
impl Word for AtomicU64 {}

/// Maps that many zeros, for the rest of the process's life. Only what is touched takes memory.
pub(crate) fn map<W: Word>(count: usize) -> std::io::Result<&'static [W]> {
    let bytes = count.checked_mul(size_of::<W>()).filter(|&bytes| bytes > 0).ok_or(std::io::ErrorKind::InvalidInput)?;
    // SAFETY: a fresh anonymous mapping overlaps nothing that Rust knows of.
    let start =
        unsafe { mmap_anonymous(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED)? };
    // SAFETY: the mapping is page-aligned, as long as asked for, zeroed, which is a value of every `Word`, and never
    // unmapped. Processes that share it only ever touch it through atomics.
    Ok(unsafe { std::slice::from_raw_parts(start.cast::<W>(), count) })
}
