//! One file with a JSON list of instances: read it, add oneself, write it back, wait, and the smallest ID is primary.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use single_primary::call::Name;

use super::{Needs, Protocol};
use crate::script::{Instance, Outcome, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "json-list",
    summary: "all add themselves to a list in one file and wait; the smallest ID in it that is fresh is primary, for ever; \
              what is no list counts as an empty one, and then whoever reads it is primary",
    broken_by: Some(
        "a lost update: the last to write back drops the others, or two write behind one another and leave no list; a \
         stall beyond the window; an idle primary",
    ),
    smallest: true,
    waits: true,
    needs: Needs::RACE,
    text: Some(Text { name: "json-list", run: |instance| Box::pin(elect(instance)) }),
};

/// Whoever registered longer ago counts as dead.
const STALE: Duration = Duration::from_secs(30);

#[derive(Serialize, Deserialize)]
struct Registered {
    id: String,
    /// Microseconds.
    timestamp: u64,
}

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let list = Name::Other("instances.json".into());
    instance.enter().await?;

    let mut registered = parse(instance.read_file(list.clone()).await?);
    let read_at = instance.now().await;
    registered.push(Registered { id: instance.id().to_string(), timestamp: read_at.as_micros() });
    let text = serde_json::to_vec(&registered).expect("strings and numbers are JSON");
    instance.write_file(list.clone(), &text).await?;

    let written_at = instance.now().await;
    instance.wait_until(written_at.after(instance.setup().window)).await?;

    let registered = parse(instance.read_file(list).await?);
    let now = instance.now().await.as_micros();
    let stale_micros = u64::try_from(STALE.as_micros()).unwrap_or(u64::MAX);
    let smallest =
        registered.iter().filter(|one| now.saturating_sub(one.timestamp) < stale_micros).map(|one| &one.id).min();
    // What arrives before the verdict is answered "not primary", by everyone.
    instance.discard_events();
    // An empty list, one that is missing or not JSON: then nobody else is primary, or so it seems.
    if smallest.is_none_or(|smallest| smallest == instance.id().as_str()) {
        Ok(Outcome::Primary { remove: None })
    } else {
        Ok(Outcome::Secondary)
    }
}

fn parse(bytes: Option<Vec<u8>>) -> Vec<Registered> {
    bytes.and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
}
