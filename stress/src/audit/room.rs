//! Memory for very many things that are looked at in no order.
#![allow(unsafe_code, reason = "advice on memory is given by its address")]

/// Room for so many, in large pages where the system has them to give: with small ones, much of the time would go into
/// finding each page. It changes nothing but the speed.
pub(crate) fn room_for<T>(count: usize) -> Vec<T> {
    let room = Vec::<T>::with_capacity(count);
    #[cfg(target_os = "linux")]
    take_large_pages(room.as_ptr().cast_mut().cast(), count * size_of::<T>());
    room
}

#[cfg(target_os = "linux")]
fn take_large_pages(begin: *mut u8, bytes: usize) {
    use rustix::mm::{Advice, madvise};

    let page = rustix::param::page_size();
    let before_page = begin.align_offset(page);
    if let Some(bytes) = bytes.checked_sub(before_page) {
        // SAFETY: it lies in what was allocated, and the size of its pages changes nothing of what is in it. Where it is
        // refused, the pages are small.
        let _ = unsafe { madvise(begin.add(before_page).cast(), bytes / page * page, Advice::LinuxHugepage) };
    }
}
