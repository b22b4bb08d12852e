//! A lock directory, removed by whoever finds that it was not touched for long.

use std::time::Duration;

use single_primary::call::Name;

use super::{Needs, Protocol};
use crate::script::{Instance, Outcome, Removal, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "mkdir-mtime",
    summary: "whoever makes the lock directory is primary; one that is older than 10 s is removed first",
    broken_by: Some("an idle primary; a clock jump; two judge it stale, and one removes the other's fresh directory"),
    smallest: false,
    waits: false,
    needs: Needs { clock_jump: Duration::from_secs(11), ..Needs::RACE },
    text: Some(Text { name: "mkdir-mtime", run: |instance| Box::pin(elect(instance)) }),
};

/// A directory that was made longer ago counts as left over.
const STALE: Duration = Duration::from_secs(10);

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let lock = Name::Other("primary.lock".into());
    instance.enter().await?;
    instance
        .repeat(async || {
            if instance.make_directory(lock.clone()).await? {
                return Ok(Some(Outcome::Primary { remove: Some(Removal::Directory(lock.clone())) }));
            }
            if let Some(modified) = instance.modified(lock.clone()).await? {
                if instance.now().await < modified.after(STALE) {
                    return Ok(Some(Outcome::Secondary));
                }
                instance.remove_directory(lock.clone()).await?;
            }
            Ok(None)
        })
        .await
}
