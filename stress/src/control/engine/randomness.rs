//! Random bytes that follow from a seed: a stream for each agent, so that nobody's draw depends on another's.

use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::explore::execution::Agent;

/// The stream of one agent. It never repeats: a constant would have those who look for a free name look for ever.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stream {
    key: u64,
    drawn: u64,
}

impl Stream {
    pub(super) fn new(seed: u64, agent: Agent) -> Self {
        let name = (u32::from(agent.copy) << 16 | u32::from(agent.thread)).to_ne_bytes();
        Self { key: xxh3_64_with_seed(&name, seed), drawn: 0 }
    }

    /// The next bytes.
    pub(super) fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(8) {
            self.drawn += 1;
            let drawn = xxh3_64_with_seed(&self.drawn.to_ne_bytes(), self.key).to_ne_bytes();
            chunk.copy_from_slice(&drawn[..chunk.len()]);
        }
    }
}
