//! What is done to a program that knows nothing of it.

use clap::ValueEnum as _;
use serde::{Deserialize, Serialize};

use crate::failure::Failure;
use crate::plan::fault::Kind;

/// A fault that needs no cooperation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Fault {
    /// SIGKILL to the primary with all that it has started, or to one of them where none has said that it is.
    Kill,
    /// SIGKILL to one process of the primary, while what it has started lives on.
    Heir,
    /// SIGKILL to the first copy, before or after it touches what they elect over.
    KillAtCall,
    /// SIGSTOP to the primary, and SIGCONT after a while.
    Stop,
    /// One instance is held before it touches the election directory, while the others run.
    Stall,
    /// The primary is killed, and whoever finds that out is held before it acts on it, while the others take over.
    Takeover,
    /// One instance starts when the others have their verdicts.
    Late,
    /// SIGKILL to the primary, and another instance starts in its place.
    Restart,
    /// The primary ends in good order, while others stay and another instance starts.
    Handover,
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
            match (Self::from_kind(kind), all) {
                (Some(fault), _) => faults.push(fault),
                (None, true) => {}
                (None, false) => {
                    let known: Vec<_> = Kind::value_variants()
                        .iter()
                        .filter(|kind| Self::from_kind(**kind).is_some())
                        .map(|kind| kind.name())
                        .collect();
                    return Err(Failure::Usage(format!(
                        "--faults {}: it needs the cooperation of the registrant; give some of {}, or all",
                        kind.name(),
                        known.join(", ")
                    )));
                }
            }
        }
        Ok(faults)
    }

    fn from_kind(kind: Kind) -> Option<Self> {
        Some(match kind {
            Kind::Kill => Self::Kill,
            Kind::Heir => Self::Heir,
            Kind::KillAtCall => Self::KillAtCall,
            Kind::Stop => Self::Stop,
            Kind::Stall => Self::Stall,
            Kind::Takeover => Self::Takeover,
            Kind::Late => Self::Late,
            Kind::Restart => Self::Restart,
            Kind::Handover => Self::Handover,
            Kind::Load => Self::Load,
            Kind::Full => Self::Full,
            Kind::Permissions => Self::Permissions,
            Kind::Fork | Kind::Rotate | Kind::Corrupt | Kind::Unlink => return None,
        })
    }

    /// Whether a process is killed.
    pub(crate) fn kills(self) -> bool {
        matches!(self, Self::Kill | Self::Heir | Self::KillAtCall | Self::Restart | Self::Takeover)
    }

    /// Whether it strikes the primary, or one that was to become it: who may have taken along what it was told.
    pub(crate) fn takes_away(self) -> bool {
        self.kills() || self == Self::Handover
    }

    /// Whether a copy is followed for it.
    pub(crate) fn follows(self) -> bool {
        matches!(self, Self::KillAtCall | Self::Stall | Self::Takeover)
    }

    /// Whether it lets programs fail.
    pub(crate) fn lets_fail(self) -> bool {
        matches!(self, Self::Full | Self::Permissions)
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Kill => "kill",
            Self::Heir => "heir",
            Self::KillAtCall => "kill-at-call",
            Self::Stop => "stop",
            Self::Stall => "stall",
            Self::Takeover => "takeover",
            Self::Late => "late",
            Self::Restart => "restart",
            Self::Handover => "handover",
            Self::Load => "load",
            Self::Full => "full",
            Self::Permissions => "permissions",
        })
    }
}
