//! One lock file that is never removed; whoever holds its lock is primary. Correct.

use std::collections::BTreeSet;

use serde::Deserialize;
use single_primary::call::{Access, Handle, Mode, Name};

use super::{LOCK, Needs, Protocol};
use crate::participant::Belief;
use crate::script::{Instance, Outcome, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "flock",
    summary: "whoever holds the lock of one file, which is never removed, is primary; the others keep trying",
    broken_by: None,
    smallest: false,
    waits: false,
    needs: Needs::RACE,
    text: Some(Text { name: "flock", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    instance.enter().await?;
    instance.open(LOCK, Name::Other("primary.lock".into()), Access::Append).await?;
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
    instance.believe(Belief::Primary { term: 0 });
    take_over(&instance).await?;
    Ok(Outcome::Left)
}

/// Logs what has arrived and what arrives, without what earlier primaries have logged.
async fn take_over(instance: &Instance) -> Result<(), Stop> {
    instance.open(Handle::LOG, Name::Log(0), Access::Append).await?;
    let log = instance.read(Handle::LOG).await?;
    let whole = log.iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1);
    if whole < log.len() {
        instance.truncate(Handle::LOG, whole as u64).await?;
    }
    let logged: BTreeSet<String> = log[..whole].split(|&byte| byte == b'\n').filter_map(event_of).collect();
    instance
        .repeat(async || {
            let Some(event) = instance.next_event().await else { return Ok(Some(())) };
            if !logged.contains(&*event.id) {
                instance.log(&event).await?;
            }
            Ok(None)
        })
        .await
}

fn event_of(line: &[u8]) -> Option<String> {
    #[derive(Deserialize)]
    struct Entry {
        event: String,
    }
    serde_json::from_slice::<Entry>(line).ok().map(|entry| entry.event)
}
