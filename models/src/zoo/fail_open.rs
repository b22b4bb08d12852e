//! A lock file's lock, asked for once, and every error means "I am primary".

use single_primary::call::{Access, Mode, Name};

use super::{LOCK, Needs, Protocol};
use crate::script::{Instance, Outcome, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "fail-open",
    summary: "whoever holds the lock of one file is primary, and so is whoever meets an error",
    broken_by: Some("one I/O error"),
    smallest: false,
    waits: false,
    needs: Needs { io_errors: 1, ..Needs::RACE },
    text: Some(Text { name: "fail-open", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    match acquire(&instance).await {
        Ok(false) => Ok(Outcome::Secondary),
        Ok(true) | Err(Stop::Failed(_)) => Ok(Outcome::Primary { remove: None }),
        Err(Stop::Leave) => Err(Stop::Leave),
    }
}

async fn acquire(instance: &Instance) -> Result<bool, Stop> {
    instance.enter().await?;
    instance.open(LOCK, Name::Other("primary.lock".into()), Access::Append).await?;
    instance.lock(LOCK, Mode::Exclusive).await
}
