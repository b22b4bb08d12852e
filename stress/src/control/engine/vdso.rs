//! The code that the kernel lends to every program, by which it reads clocks without a call.
//!
//! It is not enough to keep a program from learning where that code is: it can ask for the auxiliary vector again. So the
//! code itself is replaced, by the calls that it is there to save.

use std::io;

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

use super::memory;

/// What of the image is looked at: so many pages, as far as it has them.
const PAGES: usize = 2;
const PAGE_BYTES: usize = 4096;

const SYMBOL_BYTES: usize = 24;
const PROGRAM_HEADER_BYTES: usize = 56;
const PT_DYNAMIC: u64 = 2;
const DT_STRTAB: u64 = 5;
const DT_SYMTAB: u64 = 6;

/// The functions, each with the call that it saves.
const FUNCTIONS: [(&[u8], libc::c_long); 5] = [
    (b"__vdso_clock_gettime\0", libc::SYS_clock_gettime),
    (b"__vdso_gettimeofday\0", libc::SYS_gettimeofday),
    (b"__vdso_time\0", libc::SYS_time),
    (b"__vdso_clock_getres\0", libc::SYS_clock_getres),
    (b"__vdso_getcpu\0", libc::SYS_getcpu),
];

/// Has each function of the image at that address make its call.
pub(super) fn replace(thread: Pid, base: u64) -> io::Result<()> {
    let mut image = vec![0; PAGE_BYTES];
    memory::read(thread, base, &mut image)?;
    for page in 1..PAGES {
        let mut more = [0; PAGE_BYTES];
        if memory::read(thread, base + (page * PAGE_BYTES) as u64, &mut more).is_err() {
            break;
        }
        image.extend(more);
    }
    for (name, call) in FUNCTIONS {
        if let Some(offset) = function(&image, name) {
            // mov eax, call; syscall; ret
            let [a, b, c, d, ..] = call.to_le_bytes();
            let code = libc::c_long::from_le_bytes([0xb8, a, b, c, d, 0x0f, 0x05, 0xc3]);
            let at = usize::try_from(base + offset).map_err(io::Error::other)?;
            ptrace::write(thread, at as ptrace::AddressType, code)?;
        }
    }
    Ok(())
}

/// Where in the image a function begins.
fn function(image: &[u8], name: &[u8]) -> Option<u64> {
    let number = |at: usize, bytes: usize| {
        let mut word = [0; 8];
        word[..bytes].copy_from_slice(image.get(at..at + bytes)?);
        Some(u64::from_le_bytes(word))
    };
    let place = |at: usize| usize::try_from(number(at, 8)?).ok();
    let headers = place(32)?;
    let is_dynamic = |header: &usize| number(*header, 4) == Some(PT_DYNAMIC);
    let count = usize::try_from(number(56, 2)?).ok()?;
    let dynamic = (0..count).map(|index| headers + index * PROGRAM_HEADER_BYTES).find(is_dynamic)?;
    let dynamic = place(dynamic + 8)?;
    let entry = |kind: u64| {
        (dynamic..).step_by(16).take(64).find(|at| number(*at, 8) == Some(kind)).and_then(|at| place(at + 8))
    };
    let (symbols, texts) = (entry(DT_SYMTAB)?, entry(DT_STRTAB)?);
    // The texts stand behind the symbols.
    let is_it = |symbol: &usize| {
        let text = number(*symbol, 4).and_then(|offset| usize::try_from(offset).ok()).map(|offset| texts + offset);
        text.is_some_and(|text| image.get(text..text + name.len()) == Some(name))
    };
    let symbol = (symbols..texts).step_by(SYMBOL_BYTES).find(is_it)?;
    number(symbol + 8, 8)
}
