//! What the arguments of a call point at, in the memory of the thread that makes it.

use std::ffi::OsString;
use std::fs::File;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::FileExt as _;
use std::path::PathBuf;

use nix::libc;
use nix::unistd::Pid;

/// The longest address of a socket, in bytes.
const ADDRESS_BYTES_MAX: usize = size_of::<libc::sockaddr_un>();

/// The path at an address, up to its zero.
pub(super) fn path(thread: Pid, address: u64) -> Option<PathBuf> {
    const STEP: u64 = 256;
    if address == 0 {
        return None;
    }
    let memory = File::open(format!("/proc/{thread}/mem")).ok()?;
    let (mut text, mut at) = (Vec::new(), address);
    while text.len() < libc::PATH_MAX as usize {
        // No step crosses into a page that may not be there.
        let mut step = vec![0; usize::try_from(STEP - at % STEP).ok()?];
        memory.read_exact_at(&mut step, at).ok()?;
        at += step.len() as u64;
        match step.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend_from_slice(&step[..end]);
                return Some(PathBuf::from(OsString::from_vec(text)));
            }
            None => text.append(&mut step),
        }
    }
    None
}

/// The name in the address of a socket of the Unix domain; an abstract one begins with a zero.
pub(super) fn socket_address(thread: Pid, address: u64, length: u64) -> Option<Vec<u8>> {
    let length = usize::try_from(length).ok()?.min(ADDRESS_BYTES_MAX);
    let mut bytes = vec![0; length];
    File::open(format!("/proc/{thread}/mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
    let (family, name) = bytes.split_first_chunk::<2>()?;
    let is_unix = i32::from(u16::from_ne_bytes(*family)) == libc::AF_UNIX;
    (is_unix && !name.is_empty()).then(|| name.to_vec())
}

/// A number of 64 bits at an address.
pub(super) fn number(thread: Pid, address: u64) -> Option<u64> {
    let mut bytes = [0; 8];
    File::open(format!("/proc/{thread}/mem")).ok()?.read_exact_at(&mut bytes, address).ok()?;
    Some(u64::from_ne_bytes(bytes))
}
