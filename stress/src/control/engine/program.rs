//! What the kernel tells a program on its stack: its words, its environment, and the auxiliary vector.

use std::io;

use nix::libc;
use nix::unistd::Pid;

use super::{memory, vdso};

const WORD_BYTES: u64 = 8;

/// Nobody is told more.
const WORDS_MAX: u64 = 1 << 20;

/// Takes from a program that is about to run its first instruction the vDSO, by which it would read clocks without a call,
/// and gives it these random bytes.
pub(super) fn fix(thread: Pid, stack: u64, random: [u8; 16]) -> io::Result<()> {
    let count = memory::word(thread, stack)?;
    let mut at = stack + WORD_BYTES * (count.min(WORDS_MAX) + 2);
    let mut passed = 0;
    while memory::word(thread, at)? != 0 {
        at += WORD_BYTES;
        passed += 1;
        if passed > WORDS_MAX {
            return Err(io::Error::from(io::ErrorKind::InvalidData));
        }
    }
    at += WORD_BYTES;
    loop {
        let mut entry = [0; 16];
        memory::read(thread, at, &mut entry)?;
        let [kind, value] = [0, 8].map(|from| {
            let mut word = [0; 8];
            word.copy_from_slice(&entry[from..from + 8]);
            u64::from_ne_bytes(word)
        });
        match kind {
            libc::AT_NULL => return Ok(()),
            libc::AT_SYSINFO_EHDR => {
                vdso::replace(thread, value)?;
                memory::write(thread, at, &libc::AT_IGNORE.to_ne_bytes())?;
            }
            libc::AT_RANDOM => memory::write(thread, value, &random)?,
            _ => {}
        }
        at += 2 * WORD_BYTES;
    }
}
