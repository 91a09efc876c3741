//! A chain in memory: blocks, events, reorgs, providers that fail. What the tests follow instead of L1.

use parking_lot::Mutex;

use super::{Block, Change, Error, Settlement};

#[derive(Debug, Default)]
struct State {
    /// Blocks from number 0, each with its changes.
    blocks: Vec<(Block, Vec<Change>)>,
    /// Makes hashes of one height differ between chains.
    forks: u64,
    /// Requests that fail from now on.
    failures: u64,
    requests: u64,
    /// A reorg that happens after so many more requests: in the middle of a step.
    ambush: Option<(u64, u64)>,
}

/// The chain.
#[derive(Debug, Default)]
pub struct SimulatedChain {
    state: Mutex<State>,
}

impl State {
    fn push(&mut self, timestamp: u64, changes: Vec<Change>) {
        let number = self.blocks.len() as u64;
        let mut hash = [0; 32];
        hash[..8].copy_from_slice(&number.to_be_bytes());
        hash[8..16].copy_from_slice(&self.forks.to_be_bytes());
        hash[16..24].copy_from_slice(&timestamp.to_be_bytes());
        self.blocks.push((Block { number, hash, timestamp }, changes));
    }

    fn reorg(&mut self, depth: u64) {
        let keep = self.blocks.len().saturating_sub(usize::try_from(depth).unwrap_or(usize::MAX)).max(1);
        let gone: Vec<u64> = self.blocks.drain(keep..).map(|(block, _)| block.timestamp).collect();
        self.forks += 1;
        for timestamp in gone {
            self.push(timestamp, vec![]);
        }
    }

    /// Counts a request and does what was planned for it.
    fn request(&mut self) -> Result<(), Error> {
        self.requests += 1;
        if let Some((after, depth)) = self.ambush.take() {
            match after.checked_sub(1) {
                Some(left) => self.ambush = Some((left, depth)),
                None => self.reorg(depth),
            }
        }
        if self.failures > 0 {
            self.failures -= 1;
            return Err(Error::Unreachable("simulated".into()));
        }
        Ok(())
    }
}

impl SimulatedChain {
    /// A chain with an empty first block at `timestamp`.
    pub fn new(timestamp: u64) -> SimulatedChain {
        let chain = SimulatedChain::default();
        chain.mine(timestamp, vec![]);
        chain
    }

    /// Adds a block.
    pub fn mine(&self, timestamp: u64, changes: Vec<Change>) {
        self.state.lock().push(timestamp, changes);
    }

    /// Adds empty blocks, `seconds` apart.
    pub fn mine_empty(&self, count: u64, seconds: u64) {
        let mut state = self.state.lock();
        for _ in 0..count {
            let last = state.blocks.last().map_or(0, |(block, _)| block.timestamp);
            state.push(last + seconds, vec![]);
        }
    }

    /// Replaces the last `depth` blocks by empty ones of the same times; the first block always stays.
    pub fn reorg(&self, depth: u64) {
        self.state.lock().reorg(depth);
    }

    /// A reorg in the middle of what comes: after `requests` more.
    pub fn reorg_after(&self, requests: u64, depth: u64) {
        self.state.lock().ambush = Some((requests, depth));
    }

    /// The next `count` requests fail.
    pub fn fail(&self, count: u64) {
        self.state.lock().failures = count;
    }

    /// Requests so far: nobody may spin.
    pub fn requests(&self) -> u64 {
        self.state.lock().requests
    }
}

impl Settlement for SimulatedChain {
    async fn head(&self) -> Result<Block, Error> {
        let mut state = self.state.lock();
        state.request()?;
        state.blocks.last().map(|(block, _)| *block).ok_or_else(|| Error::Unreachable("empty".into()))
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        let mut state = self.state.lock();
        state.request()?;
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        Ok(state.blocks.get(index).map(|(block, _)| *block))
    }

    async fn changes(&self, from: u64, to: u64) -> Result<Vec<Change>, Error> {
        let mut state = self.state.lock();
        state.request()?;
        let inside = state.blocks.iter().filter(|(block, _)| (from..=to).contains(&block.number));
        Ok(inside.flat_map(|(_, changes)| changes.clone()).collect())
    }
}

/// A chain that several members follow.
impl<S: Settlement> Settlement for std::sync::Arc<S> {
    async fn head(&self) -> Result<Block, Error> {
        (**self).head().await
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        (**self).block(number).await
    }

    async fn changes(&self, from: u64, to: u64) -> Result<Vec<Change>, Error> {
        (**self).changes(from, to).await
    }
}
