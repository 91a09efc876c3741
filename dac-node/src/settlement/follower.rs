//! Follows the chain: polls, waits for confirmations, notices reorgs, goes back to a checkpoint, starts again from one.
//!
//! [`Follower::poll`] is one step and never waits; whoever calls it chooses the pace ([`Progress::pause`] says what is
//! sensible), so nothing here loops. A step that fails takes nothing in; what the chain took back is gone at once.
//!
//! L1 time never stands still and never goes back: a provider that shows the same block for ever, that lags behind, or that
//! catches up slowly stops no clock. So an epoch ends on time for a member that hears nothing true any more. A newer block
//! sets the time forward, and back only as far as the monotonic clock may have run fast (`DRIFT_PARTS`).
//!
//! A provider whose answers fail, or whose newest block gets old, is left for the next one
//! ([`Settlement::next_provider`]). One that does not have a block which was confirmed is behind; only another block in its place is a
//! reorg.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Block, Error, Settlement, View};

/// Checkpoints kept: a reorg deeper than all of them is read again from the registry's first block.
const CHECKPOINTS_MAX: usize = 32;
/// Blocks asked for at once: what providers commonly allow.
const BLOCKS_PER_REQUEST: u64 = 1000;
/// Longest pause between two steps.
const PAUSE_MAX: Duration = Duration::from_secs(60);
/// A newest block that is this old may be the provider's fault: ten slots of Ethereum.
const SILENCE_MAX: Duration = Duration::from_secs(120);
/// The monotonic clock runs fast by at most one part in so many; what the kernel slews is half of that.
const DRIFT_PARTS: u32 = 1000;

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
    clock: Option<L1Clock>,
    /// When a provider was last chosen, or showed something new; monotonic.
    patient_since: Duration,
    /// Blocks to ask for at once: fewer after a failure, since a provider may not give so many events.
    span: u64,
    failures: u32,
}

/// What time it was on L1, and when that was on the monotonic clock.
#[derive(Clone, Copy, Debug)]
struct L1Clock {
    /// Highest timestamp seen on any chain.
    newest: u64,
    /// Since 1970.
    time: Duration,
    at: Duration,
}

impl L1Clock {
    fn new(timestamp: u64, now: Duration) -> L1Clock {
        L1Clock { newest: timestamp, time: Duration::from_secs(timestamp), at: now }
    }

    fn time(&self, now: Duration) -> Duration {
        self.time.saturating_add(now.saturating_sub(self.at))
    }

    /// As a newer block sets it.
    fn set(&self, timestamp: u64, now: Duration) -> L1Clock {
        let fast = now.saturating_sub(self.at) / DRIFT_PARTS;
        let least = self.time(now).saturating_sub(fast);
        L1Clock { time: least.max(Duration::from_secs(timestamp)), ..L1Clock::new(timestamp, now) }
    }
}

impl Follower {
    /// Begins at the registry's first block, or where `checkpoint` left off: it is checked against the chain at the first step.
    pub fn new(config: FollowerConfig, checkpoint: Option<Checkpoint>) -> Follower {
        Follower {
            config,
            checkpoints: checkpoint.into_iter().collect(),
            clock: None,
            patient_since: Duration::ZERO,
            span: BLOCKS_PER_REQUEST,
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
        if result.is_err() || now.saturating_sub(self.patient_since) >= SILENCE_MAX {
            settlement.next_provider();
            self.patient_since = now;
        }
        result
    }

    /// Pause after a step that failed: doubles with each, up to a minute or 32 periods, whichever is shorter.
    pub fn retry_after(&self) -> Duration {
        let doubled = self.config.poll_period.saturating_mul(1 << self.failures.min(5));
        doubled.min(PAUSE_MAX.max(self.config.poll_period))
    }

    async fn step(&mut self, settlement: &impl Settlement, now: Duration) -> Result<Progress, Error> {
        let head = settlement.head().await?;
        self.look_at(&head, now)?;
        let went_back = self.go_back(settlement).await?;
        let confirmed = head.number.saturating_sub(self.config.confirmations);
        let next = self.checkpoint().map_or(self.config.first_block, |last| last.block.number + 1);
        let (mut changes, mut more) = (0, false);
        if next <= confirmed {
            let to = confirmed.min(next + self.span - 1);
            changes = self.read(settlement, next, to).await?;
            more = to < confirmed;
        }
        let pause = if more { Duration::ZERO } else { self.config.poll_period };
        Ok(Progress { changes, went_back, pause })
    }

    /// Takes the time from the newest block, unless a newer one was seen before.
    fn look_at(&mut self, head: &Block, now: Duration) -> Result<(), Error> {
        let newer = match &self.clock {
            None => Some(L1Clock::new(head.timestamp, now)),
            Some(clock) if head.timestamp > clock.newest => Some(clock.set(head.timestamp, now)),
            Some(_) => None,
        };
        if newer.is_some() {
            (self.clock, self.patient_since) = (newer, now);
        }
        match self.checkpoint().map(|last| last.block.number) {
            Some(known) if known > head.number => Err(Error::Behind { found: head.number, known }),
            _ => Ok(()),
        }
    }

    /// Drops checkpoints whose blocks are not on the chain any more.
    async fn go_back(&mut self, settlement: &impl Settlement) -> Result<Option<u64>, Error> {
        let Some(newest) = self.checkpoint().map(|last| last.block.number) else { return Ok(None) };
        let mut keep = self.checkpoints.len();
        while let Some(last) = keep.checked_sub(1).and_then(|index| self.checkpoints.get(index)) {
            let number = last.block.number;
            let Some(found) = settlement.block(number).await? else {
                return Err(Error::Behind { found: number.saturating_sub(1), known: newest });
            };
            if found == last.block {
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
        let changes = settlement.changes(from, to).await;
        self.span = match &changes {
            Ok(_) => self.span.saturating_mul(2).min(BLOCKS_PER_REQUEST),
            Err(_) => (self.span / 2).max(1),
        };
        let changes = changes?;
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
        self.clock.map(|clock| clock.time(now).as_secs())
    }

    /// The monotonic moment at which the epoch that is active stops being so unless more is heard of L1: the next one
    /// begins, or the view has become too old. `None` before the first step.
    pub fn until(&self, now: Duration) -> Option<Duration> {
        let (clock, last) = (self.clock?, self.checkpoint()?);
        let time = clock.time(now).as_secs();
        let too_old = last.block.timestamp.saturating_add(self.config.announcement_delay_seconds);
        let begins = last.view.epochs().values().map(|entry| entry.activates_at);
        let next = begins.filter(|at| *at > time).min().unwrap_or(u64::MAX).min(too_old);
        Some(clock.at.saturating_add(Duration::from_secs(next).saturating_sub(clock.time)))
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
