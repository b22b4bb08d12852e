//! A file with the primary's process ID; kill(2) with signal 0 tells whether it lives.

use single_primary::call::Name;

use super::{LOCK, Needs, Protocol};
use crate::script::{Instance, Outcome, Removal, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "pid-file",
    summary: "whoever creates the file with its process ID is primary, as is whoever finds its own process ID in it",
    broken_by: Some("several instances in one process; a process ID that is used again"),
    smallest: false,
    waits: false,
    needs: Needs { instances_per_process: 2, ..Needs::RACE },
    text: Some(Text { name: "pid-file", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let file = Name::Other("primary.pid".into());
    instance.enter().await?;
    let process = instance.process_id().await?;
    instance
        .repeat(async || match owner(&instance, &file).await? {
            Owner::Nobody => {
                if !instance.create_new(LOCK, file.clone()).await? {
                    return Ok(None);
                }
                instance.append(LOCK, process.to_string().as_bytes()).await?;
                instance.close(LOCK).await?;
                Ok(Some(Outcome::Primary { remove: Some(Removal::File(file.clone())) }))
            }
            // Its own process ID in the file can only be left over from an earlier life.
            Owner::Process(owner) if owner == process => {
                Ok(Some(Outcome::Primary { remove: Some(Removal::File(file.clone())) }))
            }
            Owner::Process(owner) if instance.is_alive(owner).await? => Ok(Some(Outcome::Secondary)),
            Owner::Process(_) => {
                instance.remove(file.clone()).await?;
                Ok(None)
            }
            Owner::Unknown => {
                instance.wait_for_change().await?;
                Ok(None)
            }
        })
        .await
}

/// Who is in the file.
pub(super) enum Owner {
    /// There is no file.
    Nobody,
    /// Whoever created it has not written to it yet.
    Unknown,
    /// This process.
    Process(u32),
}

pub(super) async fn owner(instance: &Instance, file: &Name) -> Result<Owner, Stop> {
    Ok(match instance.read_file(file.clone()).await? {
        None => Owner::Nobody,
        Some(bytes) => match std::str::from_utf8(&bytes).ok().and_then(|text| text.parse().ok()) {
            Some(process) => Owner::Process(process),
            None => Owner::Unknown,
        },
    })
}
