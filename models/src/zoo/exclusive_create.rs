//! A lock file made by exclusive creation, and removed by whoever finds its maker dead.

use single_primary::call::Name;

use super::pid_file::{Owner, owner};
use super::{LOCK, Needs, Protocol};
use crate::script::{Instance, Outcome, Removal, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "exclusive-create",
    summary: "whoever creates the lock file is primary; one whose maker is dead is removed first",
    broken_by: Some("two judge it stale: one removes the file that the other has just made"),
    smallest: false,
    waits: false,
    needs: Needs { instances: 3, crashes: 1, ..Needs::RACE },
    text: Some(Text { name: "exclusive-create", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let lock = Name::Other("primary.lock".into());
    instance.enter().await?;
    let process = instance.process_id().await?;
    instance
        .repeat(async || {
            if instance.create_new(LOCK, lock.clone()).await? {
                instance.append(LOCK, process.to_string().as_bytes()).await?;
                instance.close(LOCK).await?;
                return Ok(Some(Outcome::Primary { remove: Some(Removal::File(lock.clone())) }));
            }
            match owner(&instance, &lock).await? {
                Owner::Nobody => {}
                Owner::Unknown => instance.wait_for_change().await?,
                Owner::Process(owner) if instance.is_alive(owner).await? => return Ok(Some(Outcome::Secondary)),
                Owner::Process(_) => drop(instance.remove(lock.clone()).await?),
            }
            Ok(None)
        })
        .await
}
