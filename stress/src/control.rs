//! What follows programs from call to call by ptrace(2), which know nothing of it.

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
#[allow(dead_code, reason = "the search that drives it uses it")]
pub(crate) mod engine;
pub(crate) mod follower;
pub(crate) mod start_line;
#[cfg(all(target_os = "linux", target_env = "gnu", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) mod touch;
