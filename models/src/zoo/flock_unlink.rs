//! A lock file's lock, and the file is removed on release.

use single_primary::call::{Access, Mode, Name};

use super::{LOCK, Needs, Protocol};
use crate::participant::Belief;
use crate::script::{Instance, Outcome, Removal, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "flock-unlink",
    summary: "whoever holds the lock of one file is primary, and removes the file when it leaves",
    broken_by: Some(
        "a primary leaves: a waiter locks the file that has no name any more, the next one makes a new file",
    ),
    smallest: false,
    waits: false,
    needs: Needs { instances: 3, leaves: 1, ..Needs::RACE },
    text: Some(Text { name: "flock-unlink", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let lock = Name::Other("primary.lock".into());
    instance.enter().await?;
    instance.open(LOCK, lock.clone(), Access::Append).await?;
    instance
        .repeat(async || {
            if instance.lock(LOCK, Mode::Exclusive).await? {
                return Ok(Some(()));
            }
            instance.believe(Belief::Secondary);
            instance.wait_for_change().await?;
            Ok(None)
        })
        .await?;
    Ok(Outcome::Primary { remove: Some(Removal::File(lock)) })
}
