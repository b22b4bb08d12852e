//! Fischer's timed mutual exclusion: write the own ID where there is none, wait, and see whether it is still there.

use single_primary::call::Name;

use super::{Needs, Protocol};
use crate::script::{Instance, Outcome, Removal, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "fischer",
    summary: "whoever finds no ID writes its own and waits; whose ID is still there is primary",
    broken_by: Some("a stall between look and write that is longer than the wait"),
    smallest: false,
    waits: true,
    needs: Needs::RACE,
    text: Some(Text { name: "fischer", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let turn = Name::Other("turn".into());
    let id = instance.id().as_str().as_bytes();
    instance.enter().await?;
    if instance.read_file(turn.clone()).await?.is_some_and(|written| !written.is_empty()) {
        return Ok(Outcome::Secondary);
    }
    instance.write_file(turn.clone(), id).await?;
    let written_at = instance.now().await;
    instance.wait_until(written_at.after(instance.setup().window)).await?;
    if instance.read_file(turn.clone()).await?.is_some_and(|written| written == id) {
        Ok(Outcome::Primary { remove: Some(Removal::File(turn)) })
    } else {
        Ok(Outcome::Secondary)
    }
}
