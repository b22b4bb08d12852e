//! stateright's Explorer on the journal.

use std::convert::Infallible;
use std::net::TcpListener;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use models::states::{self, Space};
use models::story::Explorer;
use models::zoo::Protocol;
use stateright::Model as _;

/// Serves the states of some instances until the process ends.
pub(crate) fn serve(
    protocol: &'static Protocol,
    address: &str,
    registrants: usize,
    crashes: u8,
) -> anyhow::Result<Infallible> {
    let race = Space::race(protocol, registrants);
    // Orders that nobody can tell apart are left out of a check; who walks through the states is to find each.
    let space = Space { about: "crashes", crashes, events: 1, reduce: false, ..race };
    // stateright does not tell where it listens, nor why it cannot: so it is tried before.
    let address = TcpListener::bind(address)
        .and_then(|listener| listener.local_addr())
        .with_context(|| format!("listening on {address}; choose another --address"))?;
    eprintln!("{space}\nopen http://{address} in a browser; Ctrl-C ends it");
    let explorer = Explorer(Arc::new(states::check::model(space)));
    // It returns only where it fails.
    let served = catch_unwind(AssertUnwindSafe(|| drop(explorer.checker().serve(address))));
    Err(anyhow!(
        "listening on {address}: the server has ended ({})",
        if served.is_err() { "panicked" } else { "stopped" }
    ))
}
