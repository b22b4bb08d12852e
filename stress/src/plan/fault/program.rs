//! What is done to a registrant that knows nothing of it.

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::plan::fault::Kind;

/// A fault that needs no cooperation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// SIGKILL to the primary, or to one of them where none has said that it is.
    Kill,
    /// SIGSTOP to the primary, and SIGCONT after a while.
    Stop,
    /// One instance is held before it touches the election directory, while the others run.
    Stall,
    /// One instance starts when the others have their verdicts.
    Late,
    /// SIGKILL to the primary, and another instance starts in its place.
    Restart,
    /// Threads that do nothing but keep the processors busy.
    Load,
    /// One instance can write to no file, as on a full disk.
    Full,
    /// The election directory cannot be written to from the start.
    Permissions,
}

impl Fault {
    /// Those that were asked for. Of all faults there are, those are meant that need no cooperation.
    pub(crate) fn of(kinds: &[Kind]) -> Result<Vec<Self>, Failure> {
        let all = Kind::value_variants().iter().all(|kind| kinds.contains(kind));
        let mut faults = Vec::new();
        for &kind in kinds {
            match kind {
                Kind::Kill => faults.push(Self::Kill),
                Kind::Stop => faults.push(Self::Stop),
                Kind::Stall => faults.push(Self::Stall),
                Kind::Late => faults.push(Self::Late),
                Kind::Restart => faults.push(Self::Restart),
                Kind::Load => faults.push(Self::Load),
                Kind::Full => faults.push(Self::Full),
                Kind::Permissions => faults.push(Self::Permissions),
                Kind::KillAtCall | Kind::Heir | Kind::Fork | Kind::Corrupt | Kind::Unlink if all => {}
                Kind::KillAtCall | Kind::Heir | Kind::Fork | Kind::Corrupt | Kind::Unlink => {
                    return Err(Failure::Usage(format!(
                        "--faults {}: it needs the cooperation of the registrant; give some of kill, stop, stall, late, \
                         restart, load, full, permissions",
                        kind.name()
                    )));
                }
            }
        }
        Ok(faults)
    }

    /// Whether an instance is taken away.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Restart)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Stop => "stop",
            Self::Stall => "stall",
            Self::Late => "late",
            Self::Restart => "restart",
            Self::Load => "load",
            Self::Full => "full",
            Self::Permissions => "permissions",
        })
    }
}
