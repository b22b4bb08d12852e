//! Everyone makes a file of their own and waits; the smallest file name is primary.

use single_primary::call::{Access, Name};

use super::{LOCK, Needs, Protocol};
use crate::script::{Instance, Outcome, Removal, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "file-per-instance",
    summary: "everyone makes a file named after themselves and waits; the smallest name is primary",
    broken_by: Some("a stall beyond the window; a late, smaller ID"),
    smallest: true,
    waits: true,
    needs: Needs::RACE,
    text: Some(Text {
        name: "file-per-instance",
        run: |instance| {
            let id = instance.id().to_string();
            Box::pin(async move { elect(&instance, &id).await })
        },
    }),
};

const SUFFIX: &str = ".lock";

/// Elects under the given ID.
pub(super) async fn elect(instance: &Instance, id: &str) -> Result<Outcome, Stop> {
    let own = Name::Other(format!("{id}{SUFFIX}").into());
    instance.enter().await?;
    instance.open(LOCK, own.clone(), Access::Append).await?;
    instance.close(LOCK).await?;
    let now = instance.now().await;

    instance.wait_until(now.after(instance.setup().window)).await?;

    let files = instance.list_files().await?;
    instance.discard_events();
    // Sorted, so that the first is the smallest.
    if files.iter().find_map(|file| file.strip_suffix(SUFFIX)).is_none_or(|smallest| smallest == id) {
        Ok(Outcome::Primary { remove: Some(Removal::File(own)) })
    } else {
        Ok(Outcome::Secondary)
    }
}
