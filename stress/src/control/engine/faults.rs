//! What may go wrong at a call.

use nix::libc;

use crate::explore::execution::Fault;

use super::calls::Kind;
use super::pending::{About, Pending};
use super::registers::Registers;

/// Which faults are offered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each of them may be offered or not")]
pub(crate) struct Faults {
    /// Copies are killed.
    pub(crate) crash: bool,
    /// Calls fail.
    pub(crate) error: bool,
    /// Reads and writes are cut short.
    pub(crate) short: bool,
    /// Calls that wait are interrupted.
    pub(crate) interrupt: bool,
}

/// Those that may strike a call.
pub(super) fn of(pending: &Pending, offered: Faults) -> Vec<Fault> {
    let mut faults = Vec::new();
    if offered.crash {
        faults.push(Fault::Crash);
    }
    if offered.error {
        faults.extend(errors(pending).iter().map(|number| Fault::Error(*number)));
    }
    if offered.short && short(pending).is_some() {
        faults.push(Fault::Short);
    }
    if offered.interrupt && (pending.may_wait() || pending.waits_for_lock()) {
        faults.push(Fault::Interrupt);
    }
    faults
}

/// The errors that a call may fail with: of the device, for want of room, for want of descriptors or locks.
fn errors(pending: &Pending) -> &'static [i32] {
    match (pending.call.kind, &pending.about) {
        (Kind::Open(..), _) if pending.flags & libc::O_CREAT != 0 => &[libc::EIO, libc::EMFILE, libc::ENOSPC],
        (Kind::Open(..), _) => &[libc::EIO, libc::EMFILE],
        (Kind::Make(_) | Kind::Rename(..) | Kind::Link(..), _) => &[libc::EIO, libc::ENOSPC],
        (Kind::Write(_) | Kind::WriteSome(..) | Kind::Resize(_) | Kind::Transfer(..), About::Open(_)) => {
            &[libc::EIO, libc::ENOSPC]
        }
        (Kind::Transfer(..), About::Between(..)) | (Kind::Sync(_), _) => &[libc::EIO, libc::ENOSPC],
        (Kind::Read(_) | Kind::ReadSome(..), About::Open(_)) => &[libc::EIO],
        (Kind::Look(_) | Kind::Status(..) | Kind::Remove(_) | Kind::Truncate(_) | Kind::List(_), _) => &[libc::EIO],
        (Kind::Flock | Kind::Fcntl, _) => &[libc::ENOLCK],
        (Kind::Accept, _) => &[libc::EMFILE],
        _ => &[],
    }
}

/// The same call for half as many bytes, if it is for more than one.
pub(super) fn short(pending: &Pending) -> Option<Registers> {
    let (Kind::ReadSome(_, count) | Kind::WriteSome(_, count)) = pending.call.kind else { return None };
    let bytes = pending.registers.arguments()[count];
    (bytes > 1 && matches!(pending.about, About::Open(_))).then(|| pending.registers.with_argument(count, bytes / 2))
}
