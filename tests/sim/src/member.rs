//! One member of a simulated committee: its engine, its disk, its clock, and the order it must keep.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use dac_node_engine::message::{Control, Message, OpenId};
use dac_node_engine::{Credit, Effect, Engine, EngineConfig, Event, GossipId, Now};

use super::disk::{Disk, Medium};
use super::liar::Liar;
use super::parties::START_UNIX_SECONDS;
use super::queue::GossipKey;
use super::reader::Reading;

/// Messages of one peer and class that a node has in hand at once, as `dac_node::net` counts them.
const CREDITS_PER_PEER: usize = 64;

/// One seat.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) config: EngineConfig,
    /// `None` while down, and for a liar without one.
    pub(super) engine: Option<Engine>,
    /// When the engine wants its next tick.
    pub(super) deadline: Option<Duration>,
    /// Present on those that break the protocol.
    pub(super) liar: Option<Liar>,
    /// Grows with every crash: what was asked for in an earlier life is never answered.
    pub(super) life: u32,
    pub(super) disk: Disk,
    /// Longest time of a sync.
    pub(super) sync_delay_max: Duration,
    pub(super) clock_skew_seconds: i64,
    pub(super) gossip_seen: BTreeSet<GossipKey>,
    pub(super) gossip_pending: BTreeMap<GossipId, (u16, GossipKey, Bytes)>,
    pub(super) gossip_next: GossipId,
    /// Frames that wait until their sender's credits come back, by sender and class.
    pub(super) backlog: BTreeMap<(u16, bool), VecDeque<Message>>,
    credits: BTreeMap<(u16, bool), Arc<AtomicUsize>>,
    /// Reads this member makes from the others.
    pub(super) reads: BTreeMap<u64, Reading>,
    /// Exchanges whose bytes this life has verified.
    verified: BTreeSet<OpenId>,
    /// Exchanges of which this life was told that they are synced.
    durable: BTreeSet<OpenId>,
}

impl Member {
    pub(super) fn new(config: EngineConfig, medium: Medium) -> Member {
        Member {
            engine: Some(Engine::new(config.clone())),
            config,
            deadline: None,
            liar: None,
            life: 0,
            disk: Disk::empty(medium),
            sync_delay_max: Duration::from_millis(4),
            clock_skew_seconds: 0,
            gossip_seen: BTreeSet::new(),
            gossip_pending: BTreeMap::new(),
            gossip_next: 0,
            backlog: BTreeMap::new(),
            credits: BTreeMap::new(),
            reads: BTreeMap::new(),
            verified: BTreeSet::new(),
            durable: BTreeSet::new(),
        }
    }

    pub(super) fn seat(&self) -> u16 {
        self.config.seat
    }

    /// Whether messages reach it.
    pub(super) fn is_up(&self) -> bool {
        self.engine.is_some() || self.liar.is_some()
    }

    pub(super) fn is_honest(&self) -> bool {
        self.liar.is_none()
    }

    /// Honest and at work.
    pub(super) fn serves(&self) -> bool {
        self.is_honest() && self.engine.is_some()
    }

    /// Forgets everything that is in memory; the disk is the caller's.
    pub(super) fn forget(&mut self) {
        self.engine = None;
        self.deadline = None;
        self.life += 1;
        self.gossip_seen.clear();
        self.gossip_pending.clear();
        self.backlog.clear();
        self.credits.clear();
        self.reads.clear();
        self.verified.clear();
        self.durable.clear();
    }

    /// Starts again over its disk.
    pub(super) fn restart(&mut self) {
        assert!(!self.is_up(), "only what is down starts");
        self.disk.restart();
        self.config.seed = self.config.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.engine = Some(Engine::new(self.config.clone()));
    }

    /// The two clocks at a simulated moment.
    pub(super) fn now(&self, at: Duration) -> Now {
        let start = START_UNIX_SECONDS.saturating_add_signed(self.clock_skew_seconds);
        Now { monotonic: at, unix_seconds: start + at.as_secs() }
    }

    /// A place among the messages of `from` that are in hand; `None` when all are taken.
    fn credit(&mut self, from: u16, repair: bool) -> Option<Credit> {
        let taken = self.credits.entry((from, repair)).or_default();
        if taken.load(Ordering::Relaxed) >= CREDITS_PER_PEER {
            return None;
        }
        taken.fetch_add(1, Ordering::Relaxed);
        Some(Credit::new(Place(taken.clone())))
    }

    /// The next message that waits and whose sender has a credit left.
    pub(super) fn next_in_backlog(&mut self) -> Option<(u16, Message, Credit)> {
        let classes: Vec<(u16, bool)> = self.backlog.keys().copied().collect();
        for class in classes {
            if let Some(credit) = self.credit(class.0, class.1) {
                let queue = self.backlog.get_mut(&class).expect("a class with a queue");
                let message = queue.pop_front().expect("empty queues are removed");
                if queue.is_empty() {
                    self.backlog.remove(&class);
                }
                return Some((class.0, message, credit));
            }
        }
        None
    }

    /// Remembers what the engine was told and may now ask for.
    pub(super) fn note_event(&mut self, event: &Event) {
        match event {
            Event::Finished { open_id, result: Ok(_) } | Event::Rooted { open_id, .. } => {
                self.verified.insert(*open_id);
            }
            Event::Persisted { open_id, result: Ok(()) } => {
                self.durable.insert(*open_id);
            }
            _ => {}
        }
    }

    /// The order of PROTOCOL section 5, step 5, which no member may leave: verify, persist, sync, sign.
    pub(super) fn assert_order(&self, effect: &Effect) {
        match effect {
            Effect::Persist { open_id, content: Some(content), .. } => {
                assert!(self.verified.contains(open_id), "seat {} persists unverified bytes", self.seat());
                let found = fpga_hash::keccak256(&content.batch);
                assert_eq!(found, content.key.data_hash.0, "seat {} persists other bytes", self.seat());
            }
            Effect::Persist { record, content: None, .. } => {
                let info = self.disk.store().content(&record.content_key());
                let known = info.ok().flatten().map(|info| info.data_root);
                let told = Some(record.statement.data_root);
                assert_eq!(known, told, "seat {} persists a statement without its bytes", self.seat());
            }
            Effect::Sign { open_id, .. } => {
                assert!(self.durable.contains(open_id), "seat {} signs before the sync", self.seat());
            }
            _ => {}
        }
    }

    /// A gossip message that is new here, ready to be told.
    pub(super) fn hear(&mut self, from: u16, key: GossipKey, bytes: Bytes) -> Option<Event> {
        if !self.gossip_seen.insert(key) {
            return None;
        }
        // Garbage is dropped at the edge, where it is known who sent it.
        let control = Control::from_bytes(&bytes).ok()?;
        self.gossip_next += 1;
        let gossip = self.gossip_next;
        self.gossip_pending.insert(gossip, (from, key, bytes));
        Some(Event::Control { from, control, gossip })
    }
}

/// One taken credit; gives it back when dropped.
struct Place(Arc<AtomicUsize>);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
