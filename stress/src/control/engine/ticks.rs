//! A signal every now and then to the thread that follows copies, so that no wait of its own lasts for ever.
#![allow(unsafe_code, reason = "timer_create(2) and sigaction(2) have no safe wrapper that takes a real-time signal")]

use std::io;
use std::mem::zeroed;
use std::ptr;

use nix::libc;

/// How often.
const EVERY_NS: libc::c_long = 50_000_000;

/// A timer of the thread that has made it.
#[derive(Debug)]
pub(super) struct Ticks(libc::timer_t);

extern "C" fn do_nothing(_: libc::c_int) {}

impl Ticks {
    /// Begins to send the signal to the calling thread.
    pub(super) fn start() -> io::Result<Self> {
        let signal = libc::SIGRTMAX();
        // SAFETY: all structures are plain data that begins as zeros, and live on this stack. The handler does nothing, which
        // is safe at any moment, and the signal is nobody else's in this program.
        unsafe {
            let mut action: libc::sigaction = zeroed();
            action.sa_sigaction = do_nothing as extern "C" fn(libc::c_int) as libc::sighandler_t;
            // Without SA_RESTART, so that a wait returns.
            if libc::sigaction(signal, &raw const action, ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            let mut event: libc::sigevent = zeroed();
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal;
            event.sigev_notify_thread_id = libc::gettid();
            let mut timer: libc::timer_t = ptr::null_mut();
            if libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer) < 0 {
                return Err(io::Error::last_os_error());
            }
            let ticks = Self(timer);
            let every = libc::timespec { tv_sec: 0, tv_nsec: EVERY_NS };
            let wanted = libc::itimerspec { it_interval: every, it_value: every };
            if libc::timer_settime(timer, 0, &raw const wanted, ptr::null_mut()) < 0 {
                return Err(io::Error::last_os_error());
            }
            Ok(ticks)
        }
    }
}

impl Drop for Ticks {
    fn drop(&mut self) {
        // SAFETY: the timer was made and is deleted once.
        unsafe { libc::timer_delete(self.0) };
    }
}
