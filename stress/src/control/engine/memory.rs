//! The memory of a stopped thread.

use std::ffi::OsString;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use nix::libc;
use nix::sys::uio::{RemoteIoVec, process_vm_readv, process_vm_writev};
use nix::unistd::Pid;

const PAGE_BYTES: u64 = 4096;

/// Most texts that a call is given are shorter.
const STEP_BYTES: u64 = 128;

/// Reads so many bytes from an address on; fewer are an error.
pub(super) fn read(thread: Pid, address: u64, into: &mut [u8]) -> io::Result<()> {
    let wanted = into.len();
    let from = [RemoteIoVec { base: place(address)?, len: wanted }];
    if wanted == 0 {
        return Ok(());
    }
    match process_vm_readv(thread, &mut [IoSliceMut::new(into)], &from)? {
        read if read == wanted => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::UnexpectedEof)),
    }
}

/// Writes bytes to an address that the thread itself could write to.
pub(super) fn write(thread: Pid, address: u64, bytes: &[u8]) -> io::Result<()> {
    let to = [RemoteIoVec { base: place(address)?, len: bytes.len() }];
    if bytes.is_empty() {
        return Ok(());
    }
    match process_vm_writev(thread, &[IoSlice::new(bytes)], &to)? {
        written if written == bytes.len() => Ok(()),
        _ => Err(io::Error::from(io::ErrorKind::WriteZero)),
    }
}

/// A number as the kernel has it.
pub(super) fn word(thread: Pid, address: u64) -> io::Result<u64> {
    let mut bytes = [0; 8];
    read(thread, address, &mut bytes)?;
    Ok(u64::from_ne_bytes(bytes))
}

/// A time as calls are given it, in nanoseconds; none where there is no address.
pub(super) fn time_ns(thread: Pid, address: u64, unit_ns: u64) -> io::Result<Option<u64>> {
    if address == 0 {
        return Ok(None);
    }
    let (seconds, rest) = (word(thread, address)?, word(thread, address + 8)?);
    Ok(Some(seconds.saturating_mul(1_000_000_000).saturating_add(rest.saturating_mul(unit_ns))))
}

/// A path, up to its zero.
pub(super) fn path(thread: Pid, address: u64) -> io::Result<PathBuf> {
    let (mut text, mut at) = (Vec::new(), address);
    while text.len() < usize::try_from(libc::PATH_MAX).unwrap_or(usize::MAX) {
        // No step crosses into a page that may not be there.
        let length = STEP_BYTES.min(PAGE_BYTES - at % PAGE_BYTES);
        let begin = text.len();
        text.resize(begin + place(length)?, 0);
        read(thread, at, &mut text[begin..])?;
        if let Some(end) = text[begin..].iter().position(|&byte| byte == 0) {
            text.truncate(begin + end);
            return Ok(PathBuf::from(OsString::from_vec(text)));
        }
        at += length;
    }
    Err(io::Error::from_raw_os_error(libc::ENAMETOOLONG))
}

fn place(address: u64) -> io::Result<usize> {
    usize::try_from(address).map_err(|_| io::Error::from_raw_os_error(libc::EFAULT))
}
