//! The status of a file, as stat(2) and statx(2) lay it out.

use std::io;

use nix::unistd::Pid;

use super::calls::Layout;
use super::files::Known;
use super::memory;

const SECOND_NS: u64 = 1_000_000_000;

/// Where in the status are the inode, and the times of access, change and modification.
struct Fields {
    inode: u64,
    accessed: u64,
    changed: u64,
    modified: u64,
    born: Option<u64>,
}

const STAT: Fields = Fields { inode: 8, accessed: 72, modified: 88, changed: 104, born: None };
const STATX: Fields = Fields { inode: 32, accessed: 64, changed: 96, modified: 112, born: Some(80) };

/// Writes virtual times and a number that does not differ from run to run over those of the kernel.
pub(super) fn rewrite(thread: Pid, place: u64, layout: Layout, known: &Known) -> io::Result<()> {
    let fields = match layout {
        Layout::Stat => STAT,
        Layout::Statx => STATX,
    };
    // Small enough for whoever keeps it in half a word.
    let inode = known.number % (1 << 31) + 1;
    memory::write(thread, place + fields.inode, &inode.to_ne_bytes())?;
    let put = |at: u64, time_ns: u64| {
        memory::write(thread, place + at, &(time_ns / SECOND_NS).to_ne_bytes())?;
        let rest = u32::try_from(time_ns % SECOND_NS).unwrap_or_default();
        memory::write(thread, place + at + 8, &rest.to_ne_bytes())
    };
    put(fields.accessed, known.modified_ns)?;
    put(fields.changed, known.changed_ns)?;
    put(fields.modified, known.modified_ns)?;
    fields.born.map_or(Ok(()), |at| put(at, known.modified_ns.min(known.changed_ns)))
}
