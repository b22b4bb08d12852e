//! The sockets by which copies can reach one another, and their addresses.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use nix::libc;
use nix::unistd::Pid;

use super::files::{absolute, number};
use super::memory;

/// No address is longer.
const ADDRESS_BYTES_MAX: u64 = 128;

/// The sockets that others can reach, by their numbers.
#[derive(Debug, Default)]
pub(super) struct Sockets(HashMap<u64, Option<u64>>);

/// An address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Address {
    pub(super) number: u64,
    /// For people.
    pub(super) name: String,
    /// Where it is one of the file system.
    pub(super) path: Option<PathBuf>,
}

impl Sockets {
    /// One was made; it has no address.
    pub(super) fn made(&mut self, socket: u64) {
        self.0.insert(socket, None);
    }

    /// One has this address, or that of its peer.
    pub(super) fn has(&mut self, socket: u64, address: u64) {
        self.0.insert(socket, Some(address));
    }

    /// The address of one that others can reach.
    pub(super) fn address(&self, socket: u64) -> Option<u64> {
        self.0.get(&socket).copied().flatten()
    }
}

/// Whether sockets of this family reach other processes of this machine by an address.
pub(super) fn is_reachable(family: u64) -> bool {
    [libc::AF_UNIX, libc::AF_INET, libc::AF_INET6].iter().any(|known| u64::from(known.unsigned_abs()) == family)
}

/// The address that a call is given. All of the internet are taken for one: a port that the kernel chooses has no name before.
pub(super) fn address(thread: Pid, place: u64, length: u64, from: &std::path::Path) -> io::Result<Option<Address>> {
    let length = usize::try_from(length.min(ADDRESS_BYTES_MAX)).unwrap_or_default();
    let mut bytes = vec![0; length];
    memory::read(thread, place, &mut bytes)?;
    let Some((family, rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let port = || rest.first_chunk::<2>().map(|port| u16::from_be_bytes(*port)).unwrap_or_default();
    Ok(match i32::from(u16::from_ne_bytes(*family)) {
        libc::AF_UNIX => match rest.split_first() {
            None => None,
            Some((0, name)) => {
                let text = format!("@{}", String::from_utf8_lossy(name));
                Some(Address { number: number(rest), name: text, path: None })
            }
            Some(_) => {
                let end = rest.iter().position(|&byte| byte == 0).unwrap_or(rest.len());
                let path = absolute(from, OsStr::from_bytes(&rest[..end]).as_ref());
                let number = number(path.as_os_str().as_bytes());
                Some(Address { number, name: path.display().to_string(), path: Some(path) })
            }
        },
        libc::AF_INET | libc::AF_INET6 => {
            Some(Address { number: number(b"internet"), name: format!("port {}", port()), path: None })
        }
        _ => None,
    })
}
