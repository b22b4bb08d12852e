//! Which system calls stop a copy: the kernel's filter of them, which costs those that pass next to nothing.

use std::collections::BTreeMap;
use std::io;

use nix::libc;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule, TargetArch,
};

use super::calls::CALLS;

/// The filter, ready for the kernel.
pub(super) fn program() -> io::Result<BpfProgram> {
    let when = |place, operator, value| -> Result<SeccompRule, seccompiler::BackendError> {
        SeccompRule::new(vec![SeccompCondition::new(place, SeccompCmpArgLen::Dword, operator, value)?])
    };
    let build = || -> Result<BpfProgram, seccompiler::BackendError> {
        let mut rules: BTreeMap<i64, Vec<SeccompRule>> = CALLS.iter().map(|call| (call.number, Vec::new())).collect();
        // Locks, and new numbers for descriptors.
        let commands = [
            libc::F_DUPFD,
            libc::F_DUPFD_CLOEXEC,
            libc::F_GETLK,
            libc::F_SETLK,
            libc::F_SETLKW,
            libc::F_OFD_GETLK,
            libc::F_OFD_SETLK,
            libc::F_OFD_SETLKW,
            libc::F_SETLEASE,
        ];
        let commands = commands.map(|command| when(1, SeccompCmpOp::Eq, u64::from(command.unsigned_abs())));
        rules.insert(libc::SYS_fcntl, commands.into_iter().collect::<Result<_, _>>()?);
        // Whoever looks for the end of a file learns its length.
        let end = u64::from(libc::SEEK_END.unsigned_abs());
        rules.insert(libc::SYS_lseek, vec![when(2, SeccompCmpOp::Eq, end)?]);
        let shared = u64::from(libc::MAP_SHARED.unsigned_abs());
        rules.insert(libc::SYS_mmap, vec![when(3, SeccompCmpOp::MaskedEq(shared), shared)?]);
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, SeccompAction::Trace(0), TargetArch::x86_64)?;
        filter.try_into()
    };
    build().map_err(io::Error::other)
}
