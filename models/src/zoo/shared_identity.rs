//! A file per instance, but all instances of a process go by one ID, made when their module was loaded.

use super::{Needs, Protocol, file_per_instance};
use crate::script::{Instance, Outcome, Stop, Text};

pub(super) const PROTOCOL: Protocol = Protocol {
    name: "shared-identity",
    summary: "file-per-instance, with one ID for all instances of a process",
    broken_by: Some("several instances in one process: each finds that the smallest ID is its own"),
    smallest: false,
    waits: true,
    needs: Needs { instances_per_process: 2, ..Needs::RACE },
    text: Some(Text { name: "shared-identity", run: |instance| Box::pin(elect(instance)) }),
};

async fn elect(instance: Instance) -> Result<Outcome, Stop> {
    let process = instance.process_id().await?;
    file_per_instance::elect(&instance, &format!("process-{process}")).await
}
