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
    /// How often another provider was asked for.
    switches: u64,
    /// The provider shows no block above this one.
    stuck_at: Option<u64>,
    /// When it begins to show no block above another one.
    stick_after: Option<(u64, u64)>,
    /// Most events in one answer.
    events_max: Option<usize>,
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

    /// The blocks that the provider shows.
    fn shown(&self) -> &[(Block, Vec<Change>)] {
        let end = self.stuck_at.map_or(usize::MAX, |at| usize::try_from(at + 1).unwrap_or(usize::MAX));
        &self.blocks[..end.min(self.blocks.len())]
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
        if let Some((after, at)) = self.stick_after.take() {
            match after.checked_sub(1) {
                Some(left) => self.stick_after = Some((left, at)),
                None => self.stuck_at = Some(at),
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

    /// The provider shows no block above this one from now on; `None` for all there are.
    pub fn stick(&self, at: Option<u64>) {
        self.state.lock().stuck_at = at;
    }

    /// The same after so many more requests: in the middle of a step.
    pub fn stick_after(&self, requests: u64, at: u64) {
        self.state.lock().stick_after = Some((requests, at));
    }

    /// The provider gives at most so many events in one answer, and refuses to answer with more.
    pub fn limit_events(&self, events_max: usize) {
        self.state.lock().events_max = Some(events_max);
    }

    /// How often another provider was asked for.
    pub fn switches(&self) -> u64 {
        self.state.lock().switches
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
        state.shown().last().map(|(block, _)| *block).ok_or_else(|| Error::Unreachable("empty".into()))
    }

    async fn block(&self, number: u64) -> Result<Option<Block>, Error> {
        let mut state = self.state.lock();
        state.request()?;
        let index = usize::try_from(number).unwrap_or(usize::MAX);
        Ok(state.shown().get(index).map(|(block, _)| *block))
    }

    async fn changes(&self, from: u64, to: u64) -> Result<Vec<Change>, Error> {
        let mut state = self.state.lock();
        state.request()?;
        let inside = state.shown().iter().filter(|(block, _)| (from..=to).contains(&block.number));
        let changes: Vec<Change> = inside.flat_map(|(_, changes)| changes.clone()).collect();
        match state.events_max {
            Some(most) if changes.len() > most => Err(Error::Unreachable(format!("more than {most} events"))),
            _ => Ok(changes),
        }
    }

    fn next_provider(&self) {
        self.state.lock().switches += 1;
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

    fn next_provider(&self) {
        (**self).next_provider();
    }
}
