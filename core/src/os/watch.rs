//! Watches on the primary's seat, each for a thread that waits for it to be free.
//!
//! flock(2) cannot be waited for together with anything else, and a wait for it cannot be ended but by a signal. What the kernel
//! tells of the seat's last close can be. That is a hint and no more: whoever is told tries the lock, and looks now and then
//! without being told.

use std::path::Path;

use crate::id::InstanceId;

#[cfg(not(target_os = "linux"))]
pub(super) use elsewhere::Watches;
#[cfg(target_os = "linux")]
pub(super) use linux::Watches;

/// What a thread that blocked was woken by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noticed {
    /// Something happened to the seat, or the waits were ended.
    Something,
    /// The time was up.
    Nothing,
}

#[cfg(target_os = "linux")]
mod linux {
    use std::os::fd::OwnedFd;
    use std::sync::Arc;

    use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
    use rustix::fs::inotify::{self, CreateFlags, WatchFlags};
    use rustix::io;

    use super::{InstanceId, Noticed, Path};
    use crate::os::StdMutex;

    /// For so long a thread blocks at a time: a wake-up that went missing is no more than that.
    const BLOCK_MAX: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

    /// The watches of one instance.
    #[derive(Debug, Default)]
    pub(in crate::os) struct Watches(StdMutex<State>);

    #[derive(Debug, Default)]
    struct State {
        is_over: bool,
        /// An eventfd(2), written to when the waits are ended, and never read.
        end: Option<Arc<OwnedFd>>,
        /// To close one takes milliseconds, for which no failover should have to wait.
        idle: Vec<Watch>,
    }

    /// One thread's watch.
    #[derive(Debug)]
    pub(in crate::os) struct Watch {
        inotify: OwnedFd,
        end: Arc<OwnedFd>,
        watched: Option<(InstanceId, i32)>,
    }

    impl Watches {
        /// A watch on a seat from here on; none where the kernel gives none or the waits are ended.
        pub(in crate::os) fn begin(&self, seat: &InstanceId, path: &Path) -> Option<Watch> {
            let mut watch = self.take().ok()??;
            if watch.aim(seat, path).is_ok() {
                return Some(watch);
            }
            self.end(watch);
            None
        }

        /// Keeps a watch for the next wait.
        pub(in crate::os) fn end(&self, watch: Watch) {
            let mut state = self.0.lock();
            if !state.is_over {
                state.idle.push(watch);
            }
        }

        /// Ends all waits, those too that begin later, and closes what is idle.
        pub(in crate::os) fn close(&self) {
            let State { end, idle, .. } =
                std::mem::replace(&mut *self.0.lock(), State { is_over: true, ..State::default() });
            if let Some(end) = end {
                // It can only fail where it was written to already.
                let _ = io::write(&*end, &1_u64.to_ne_bytes());
            }
            drop(idle);
        }

        fn take(&self) -> io::Result<Option<Watch>> {
            let mut state = self.0.lock();
            if state.is_over {
                return Ok(None);
            }
            if let Some(watch) = state.idle.pop() {
                return Ok(Some(watch));
            }
            let end = match &state.end {
                Some(end) => end.clone(),
                None => state.end.insert(Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?)).clone(),
            };
            let inotify = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
            Ok(Some(Watch { inotify, end, watched: None }))
        }
    }

    impl Watch {
        /// Watches this seat and no other.
        fn aim(&mut self, seat: &InstanceId, path: &Path) -> io::Result<()> {
            if self.watched.as_ref().is_none_or(|(watched, _)| watched != seat) {
                if let Some((_, number)) = self.watched.take() {
                    // Where the seat was removed, the watch on it has gone with it.
                    let _ = inotify::remove_watch(&self.inotify, number);
                }
                // Closed by whoever could write to it, its owner; a link or a file gone; all else is of no interest.
                let what = WatchFlags::CLOSE_WRITE | WatchFlags::ATTRIB | WatchFlags::DELETE_SELF;
                let number = inotify::add_watch(&self.inotify, path, what | WatchFlags::DONT_FOLLOW)?;
                self.watched = Some((seat.clone(), number));
            }
            self.drain();
            Ok(())
        }

        /// Waits until something happens.
        pub(in crate::os) fn block(&mut self) -> Noticed {
            let what = [&self.inotify, &*self.end];
            let mut polled = what.map(|descriptor| PollFd::new(descriptor, PollFlags::IN));
            let noticed = match poll(&mut polled, Some(&BLOCK_MAX)) {
                Ok(1..) => Noticed::Something,
                // A signal, most likely: looking once more does no harm.
                Ok(0) | Err(_) => Noticed::Nothing,
            };
            self.drain();
            noticed
        }

        fn drain(&self) {
            let mut events = [0; 4096];
            while io::read(&self.inotify, &mut events).is_ok_and(|read| read > 0) {}
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod elsewhere {
    use super::{InstanceId, Noticed, Path};

    /// The watches of one instance: none.
    #[derive(Debug, Default)]
    pub(in crate::os) struct Watches;

    /// There is none.
    #[derive(Debug)]
    pub(in crate::os) enum Watch {}

    impl Watches {
        pub(in crate::os) fn begin(&self, _seat: &InstanceId, _path: &Path) -> Option<Watch> {
            None
        }

        pub(in crate::os) fn end(&self, watch: Watch) {
            match watch {}
        }

        pub(in crate::os) fn close(&self) {}
    }

    impl Watch {
        pub(in crate::os) fn block(&mut self) -> Noticed {
            match *self {}
        }
    }
}
