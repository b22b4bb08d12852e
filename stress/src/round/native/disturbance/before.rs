//! What is done to a round before its start.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use single_primary::call::Time;
use single_primary::{InstanceId, Kind as RecordKind, Record};

use super::Done;
use crate::plan::Plan;
use crate::plan::fault::{Damage, Fault, Kind, Target};
use crate::process;

/// A journal of another program, and one of a later version of this library.
pub(super) const FOREIGN: &[u8] = b"[{\"id\":\"plugin-1\",\"timestamp\":1}]\n";
pub(super) const NEWER: &[u8] = b"spj3 register 1 a 1\n";

impl Done {
    /// Does what is to be done before the start.
    pub(crate) fn prepare(plan: &Plan, directory: &Path) -> std::io::Result<Self> {
        let mut done = Self { deaths_ns: vec![None; plan.processes()], ..Self::default() };
        for fault in &plan.faults {
            match fault {
                Fault::Corrupt { damage: damage @ (Damage::Foreign | Damage::Newer), .. } => {
                    make(directory, 0o700)?;
                    let journal = if *damage == Damage::Foreign { FOREIGN } else { NEWER };
                    create(&directory.join("journal"), 0o600)?.write_all(journal)?;
                    done.note(Kind::Corrupt, None);
                }
                Fault::Permissions { target } => {
                    make(directory, if *target == Target::Directory { 0o777 } else { 0o700 })?;
                    if *target != Target::Directory {
                        create(&directory.join("journal"), 0o666)?;
                    }
                    done.note(Kind::Permissions, None);
                }
                Fault::Leftover => {
                    make(directory, 0o700)?;
                    let id = InstanceId::new("dead").expect("a valid ID");
                    let record = Record { kind: RecordKind::Register, term: 1, id, at: Time::default() };
                    create(&directory.join("journal"), 0o600)?.write_all(record.encode().as_slice())?;
                    create(&directory.join("dead.seat"), 0o600)?;
                }
                Fault::Load { processes } => {
                    for _ in 0..*processes {
                        done.load.push(process::fork(|| {
                            loop {
                                std::hint::spin_loop();
                            }
                        })?);
                    }
                    done.note(Kind::Load, None);
                }
                _ => {}
            }
        }
        Ok(done)
    }
}

/// Makes a directory with just this mode, whatever the mask.
fn make(directory: &Path, mode: u32) -> std::io::Result<()> {
    if !directory.exists() {
        DirBuilder::new().mode(mode).create(directory)?;
    }
    fs::set_permissions(directory, Permissions::from_mode(mode))
}

fn create(path: &Path, mode: u32) -> std::io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(path)?;
    file.set_permissions(Permissions::from_mode(mode))?;
    Ok(file)
}
