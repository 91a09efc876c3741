//! Follows the chain: polls, waits for confirmations, notices reorgs, goes back to a checkpoint, starts again from one.
//!
//! [`Follower::poll`] is one step and never waits; whoever calls it chooses the pace ([`Progress::pause`] says what is
//! sensible), so nothing here loops. A step that fails changes nothing.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Block, Error, Settlement, View};

/// Checkpoints kept: a reorg deeper than all of them is read again from the registry's first block.
const CHECKPOINTS_MAX: usize = 32;
/// Blocks asked for at once: what providers commonly allow.
const BLOCKS_PER_REQUEST: u64 = 1000;
/// Longest pause between two steps.
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How the chain is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FollowerConfig {
    /// First block that can hold an event of the registry.
    pub first_block: u64,
    /// Blocks above a change before it counts.
    pub confirmations: u64,
    /// The registry's delay between announcement and activation.
    pub announcement_delay_seconds: u64,
    /// Pause between two steps that found nothing.
    pub poll_period: Duration,
}

/// Which epoch a member may attest under.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// This one.
    Active(u64),
    /// None: one ends or has ended, the next has not begun on a confirmed block. Lasts about as long as the
    /// confirmations take. Batches in flight finish under the epoch they began in.
    Changing {
        /// The epoch that ends.
        from: Option<u64>,
        /// The epoch that begins.
        to: u64,
    },
    /// None: no epoch has begun, or the view is too old to know.
    Unknown,
}

/// What a step found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Changes taken in.
    pub changes: usize,
    /// Blocks the chain took back, if it did.
    pub went_back: Option<u64>,
    /// Sensible pause before the next step: none while there is more to read.
    pub pause: Duration,
}

/// A view and the block it is of. What survives a restart.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Checkpoint {
    /// The last block whose changes are in the view.
    pub block: Block,
    /// What they add up to.
    pub view: View,
}

/// Follows one registry.
#[derive(Debug)]
pub struct Follower {
    config: FollowerConfig,
    checkpoints: VecDeque<Checkpoint>,
    /// The newest block seen, and when, on the monotonic clock.
    head: Option<(Block, Duration)>,
    /// Highest timestamp seen on any chain.
    latest_timestamp: u64,
    failures: u32,
}

impl Follower {
    /// Begins at the registry's first block, or where `checkpoint` left off: it is checked against the chain at the first step.
    pub fn new(config: FollowerConfig, checkpoint: Option<Checkpoint>) -> Follower {
        Follower {
            config,
            checkpoints: checkpoint.into_iter().collect(),
            head: None,
            latest_timestamp: 0,
            failures: 0,
        }
    }

    /// The newest confirmed view; `None` before the first.
    pub fn checkpoint(&self) -> Option<&Checkpoint> {
        self.checkpoints.back()
    }

    /// One step: at most one request for changes. `now` is monotonic.
    ///
    /// # Errors
    /// Those of [`Settlement`]; [`retry_after`](Self::retry_after) says when to try again.
    pub async fn poll(&mut self, settlement: &impl Settlement, now: Duration) -> Result<Progress, Error> {
        let result = self.step(settlement, now).await;
        self.failures = if result.is_ok() { 0 } else { self.failures.saturating_add(1) };
        result
    }

    /// Pause after a step that failed: doubles with each, up to a minute.
    pub fn retry_after(&self) -> Duration {
        let doubled = self.config.poll_period.saturating_mul(1 << self.failures.min(16));
        doubled.min(PAUSE_MAX.max(self.config.poll_period))
    }

    async fn step(&mut self, settlement: &impl Settlement, now: Duration) -> Result<Progress, Error> {
        let head = settlement.head().await?;
        let went_back = self.go_back(settlement).await?;
        let confirmed = head.number.saturating_sub(self.config.confirmations);
        let next = self.checkpoint().map_or(self.config.first_block, |last| last.block.number + 1);
        let (mut changes, mut more) = (0, false);
        if next <= confirmed {
            let to = confirmed.min(next + BLOCKS_PER_REQUEST - 1);
            changes = self.read(settlement, next, to).await?;
            more = to < confirmed;
        }
        self.head = Some((head, now));
        self.latest_timestamp = self.latest_timestamp.max(head.timestamp);
        let pause = if more { Duration::ZERO } else { self.config.poll_period };
        Ok(Progress { changes, went_back, pause })
    }

    /// Drops checkpoints whose blocks are not on the chain any more.
    async fn go_back(&mut self, settlement: &impl Settlement) -> Result<Option<u64>, Error> {
        let Some(newest) = self.checkpoint().map(|last| last.block.number) else { return Ok(None) };
        let mut keep = self.checkpoints.len();
        while let Some(last) = keep.checked_sub(1).and_then(|index| self.checkpoints.get(index)) {
            if settlement.block(last.block.number).await? == Some(last.block) {
                break;
            }
            keep -= 1;
        }
        if keep == self.checkpoints.len() {
            return Ok(None);
        }
        self.checkpoints.truncate(keep);
        let first = self.config.first_block.saturating_sub(1);
        Ok(Some(newest - self.checkpoint().map_or(first.min(newest), |last| last.block.number)))
    }

    /// Takes in the changes of some blocks, all of one chain: the last block is the same before and after.
    async fn read(&mut self, settlement: &impl Settlement, from: u64, to: u64) -> Result<usize, Error> {
        let moved = Error::Moved { number: to };
        let Some(block) = settlement.block(to).await? else { return Err(moved) };
        let changes = settlement.changes(from, to).await?;
        if settlement.block(to).await? != Some(block) {
            return Err(moved);
        }
        let mut view = self.checkpoint().map(|last| last.view.clone()).unwrap_or_default();
        let count = changes.len();
        for change in changes {
            view.apply(change)?;
        }
        if self.checkpoints.len() == CHECKPOINTS_MAX {
            self.thin_out();
        }
        self.checkpoints.push_back(Checkpoint { block, view });
        Ok(count)
    }

    /// Drops every second of the older half: near ones stay dense, far ones reach back long.
    fn thin_out(&mut self) {
        let half = self.checkpoints.len() / 2;
        let mut index = 0;
        self.checkpoints.retain(|_| {
            index += 1;
            index > half || index % 2 == 0
        });
    }

    /// L1 time by the newest block and the monotonic clock; `None` before the first step.
    pub fn l1_time(&self, now: Duration) -> Option<u64> {
        let (head, seen) = self.head.as_ref()?;
        let carried = head.timestamp.saturating_add(now.saturating_sub(*seen).as_secs());
        Some(carried.max(self.latest_timestamp))
    }

    /// The monotonic moment at which the epoch that is active stops being so unless more is heard of L1: the next one
    /// begins, or the view has become too old. `None` before the first step.
    pub fn until(&self, now: Duration) -> Option<Duration> {
        let ((head, seen), last) = (self.head.as_ref()?, self.checkpoint()?);
        let time = self.l1_time(now)?;
        let too_old = last.block.timestamp.saturating_add(self.config.announcement_delay_seconds);
        let begins = last.view.epochs().values().map(|entry| entry.activates_at);
        let next = begins.filter(|at| *at > time).min().unwrap_or(u64::MAX).min(too_old);
        Some(seen.saturating_add(Duration::from_secs(next.saturating_sub(head.timestamp))))
    }

    /// Which epoch may be attested under.
    pub fn standing(&self, now: Duration) -> Standing {
        let (Some(time), Some(last)) = (self.l1_time(now), self.checkpoint()) else {
            return Standing::Unknown;
        };
        // An epoch announced after this view begins no earlier than this.
        if time >= last.block.timestamp.saturating_add(self.config.announcement_delay_seconds) {
            return Standing::Unknown;
        }
        let (confirmed, newest) = (last.view.epoch_at(last.block.timestamp), last.view.epoch_at(time));
        match newest {
            None => Standing::Unknown,
            Some(epoch) if confirmed == newest => Standing::Active(epoch),
            Some(to) => Standing::Changing { from: confirmed, to },
        }
    }
}
