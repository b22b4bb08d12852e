//! Look whether the lock file is there; if not, write the own ID into it.

use single_primary::call::Name;

use super::{Needs, Protocol};
use crate::script::{Instance, Outcome, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "check-then-write",
    summary: "whoever finds no lock file writes one and is primary",
    broken_by: Some("two instances: both look before either writes"),
    smallest: false,
    waits: false,
    needs: Needs::RACE,
    text: Some(Text { name: "check-then-write", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let lock = Name::Other("primary.lock".into());
    instance.enter().await?;
    if instance.read_file(lock.clone()).await?.is_some() {
        return Ok(Outcome::Secondary);
    }
    instance.write_file(lock, instance.id().as_str().as_bytes()).await?;
    Ok(Outcome::Primary { remove: None })
}
