//! Memory for very many things that are looked at in no order.
#![allow(unsafe_code, reason = "advice on memory is given by its address")]

use rustix::mm::{Advice, madvise};

/// Room for so many, in large pages where the system has them to give: with small ones most of the time would go into
/// looking up where each page is. It changes nothing but the speed, so a refusal is no error.
pub(crate) fn room_for<T>(count: usize) -> Vec<T> {
    let mut room = Vec::<T>::with_capacity(count);
    let page = rustix::param::page_size();
    let (begin, bytes) = (room.as_mut_ptr().cast::<u8>(), count * size_of::<T>());
    let before_page = begin.align_offset(page);
    if let Some(whole_pages) = bytes.checked_sub(before_page).map(|bytes| bytes / page * page) {
        #[cfg(any(target_os = "linux", target_os = "android"))]
        // SAFETY: it lies in what was just allocated, and which pages it is in changes nothing of what is in it.
        let _ = unsafe { madvise(begin.add(before_page).cast(), whole_pages, Advice::LinuxHugepage) };
    }
    room
}
