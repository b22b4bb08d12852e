//! The registers of a stopped thread, as far as they hold a system call.

use std::io;

use nix::libc;
use nix::sys::ptrace;
use nix::unistd::Pid;

/// `syscall` is two bytes long.
const INSTRUCTION_BYTES: u64 = 2;

/// What a thread is about to call, or what its call has returned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Registers(libc::user_regs_struct);

impl Registers {
    /// Those of a stopped thread.
    pub(super) fn of(thread: Pid) -> io::Result<Self> {
        Ok(Self(ptrace::getregs(thread)?))
    }

    /// Gives them to a stopped thread.
    pub(super) fn store(self, thread: Pid) -> io::Result<()> {
        Ok(ptrace::setregs(thread, self.0)?)
    }

    /// The number of the call.
    pub(super) fn number(self) -> i64 {
        self.0.orig_rax.cast_signed()
    }

    /// Its arguments.
    pub(super) fn arguments(self) -> [u64; 6] {
        [self.0.rdi, self.0.rsi, self.0.rdx, self.0.r10, self.0.r8, self.0.r9]
    }

    /// The same call with another argument.
    #[must_use]
    pub(super) fn with_argument(mut self, place: usize, value: u64) -> Self {
        let registers = &mut self.0;
        *[
            &mut registers.rdi,
            &mut registers.rsi,
            &mut registers.rdx,
            &mut registers.r10,
            &mut registers.r8,
            &mut registers.r9,
        ][place] = value;
        self
    }

    /// Before the call: another one in its place.
    #[must_use]
    pub(super) fn calling(mut self, number: i64, arguments: [u64; 6]) -> Self {
        self.0.orig_rax = number.cast_unsigned();
        for (place, argument) in arguments.into_iter().enumerate() {
            self = self.with_argument(place, argument);
        }
        self
    }

    /// After the call: what it returned, negated errors included.
    pub(super) fn result(self) -> i64 {
        self.0.rax.cast_signed()
    }

    /// After the call: the same with another result.
    #[must_use]
    pub(super) fn with_result(mut self, result: i64) -> Self {
        self.0.rax = result.cast_unsigned();
        self
    }

    /// Before the call: the same without it, as if it had returned this.
    #[must_use]
    pub(super) fn skipped(mut self, result: i64) -> Self {
        self.0.orig_rax = u64::MAX;
        self.with_result(result)
    }

    /// After the call: the thread as it was before it, which makes it again.
    #[must_use]
    pub(super) fn rewound(mut self) -> Self {
        self.0.rip -= INSTRUCTION_BYTES;
        self.0.rax = self.0.orig_rax;
        // The kernel restarts nothing of its own accord where it sees no call.
        self.0.orig_rax = u64::MAX;
        self
    }

    /// Where the thread's stack ends.
    pub(super) fn stack(self) -> u64 {
        self.0.rsp
    }
}
