//! A lock file's lock of the fcntl(2) kind, which belongs to the process.

use single_primary::call::{Access, Name};

use super::{LOCK, Needs, Protocol};
use crate::participant::Belief;
use crate::script::{Instance, Outcome, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "fcntl",
    summary: "whoever holds the record lock of one file is primary",
    broken_by: Some("several instances in one process: all of them get the lock"),
    smallest: false,
    waits: false,
    needs: Needs { instances_per_process: 2, ..Needs::RACE },
    text: Some(Text { name: "fcntl", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    instance.enter().await?;
    instance.open(LOCK, Name::Other("primary.lock".into()), Access::Append).await?;
    instance
        .repeat(async || {
            if instance.record_lock(LOCK).await? {
                return Ok(Some(()));
            }
            instance.believe(Belief::Secondary);
            instance.wait_for_change().await?;
            Ok(None)
        })
        .await?;
    Ok(Outcome::Primary { remove: None })
}
