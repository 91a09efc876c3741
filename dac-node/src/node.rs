//! One member at work: feeds the engine and performs what it asks for.
//!
//! Promise: effects are performed in order; nothing here decides anything about the protocol. The node's task never
//! hashes, waits for a disk or for a peer: heavy effects go to the compute pool, the store's threads or a task of their
//! own, and come back as events. A store that stops being able to sync stops the node.
//!
//! Files: `perform.rs` (effects), `disperse.rs` (the coordinator's upload), `read.rs` (serving bytes), `serve.rs` (what
//! peers pull), `holder.rs` (pieces from the store), `heal.rs` (keeping what was promised), `stored.rs` (what the store
//! alone can tell), `board.rs` (who waits for what), `calendar.rs` (whether the date is believed), `backend.rs` (the API's seam).

mod backend;
mod board;
mod calendar;
mod disperse;
mod heal;
mod perform;
mod read;
mod serve;
mod stored;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use attest::{CommitteeFile, RollupId, SecretKey, Submission, SubmissionSignature};
use bytes::Bytes;
use dac_node_coding::Coder;
use fpga_hash::Hasher;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::compute::ComputePool;
use crate::config::HealConfig;
use crate::hash_engine::HashEngine;
use crate::metrics::Meter;
use crate::net::{Network, NetworkEvent, NetworkEvents};
use crate::service::{Reason, Refusal, RollupPolicy};
use dac_node_engine::message::{Control, OpenId};
use dac_node_engine::{Effects, Engine, EngineConfig, Event, Facts, SeatSet, Term};
use dac_node_store::{Holder, ShardStore};

use board::Board;
use calendar::Calendar;
use heal::Heal;
use read::Reader;

/// Results of heavy work that may wait for the node's task.
const COMPLETIONS_MAX: usize = 4096;
/// Requests of the API that may wait.
const REQUESTS_MAX: usize = 256;
/// Batches whose traffic is counted.
const TRAFFIC_MAX: usize = 2048;
/// How often expired batches are looked for.
const PRUNE_PERIOD: Duration = Duration::from_secs(30);
/// Faults of a peer that are forgiven ...
const FAULTS_MAX: u32 = 8;
/// ... in this time; then its connection is closed.
const FAULTS_PERIOD: Duration = Duration::from_secs(60);
/// What is being written or signed may take so long to finish when the node stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// What a node is made of.
#[derive(Debug)]
pub struct NodeParts {
    /// How it takes part.
    pub engine: EngineConfig,
    /// Its committee, as the file states it.
    pub committee_file: CommitteeFile,
    /// Where its epoch stands.
    pub term: Term,
    /// Its signing key. Never leaves the node's task and the signature thread.
    pub secret: Arc<SecretKey>,
    /// Its edge towards the other members.
    pub network: Network,
    /// What comes in there.
    pub events: NetworkEvents,
    /// Its storage.
    pub store: Arc<dyn ShardStore>,
    /// Its hash engine.
    pub hash: HashEngine,
    /// Its compute threads.
    pub compute: ComputePool,
    /// Its clocks.
    pub clock: Arc<dyn Clock>,
    /// How it keeps what it promised.
    pub heal: HealConfig,
    /// How far ahead of what it knows the calendar is believed when something is to be dropped.
    pub clock_step: Duration,
}

/// Why a node stopped.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// The storage cannot promise anything any more. Start the node again: what it signed is there.
    #[error("storage failed, the node stopped: {0}")]
    Storage(String),
    /// A task of the node panicked: a bug.
    #[error("the node's task failed: {0}")]
    Task(String),
}

/// A request of the API, or of whoever follows L1, to the node's task.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "almost all are submissions; a box for each would cost an allocation"
)]
enum Request {
    Submit {
        submission: Submission,
        signature: SubmissionSignature,
        batch: Bytes,
        facts: Facts,
        reply: oneshot::Sender<Result<attest::BatchId, Refusal>>,
    },
    Term(Term),
    Rollups(BTreeMap<RollupId, RollupPolicy>),
}

/// What submissions are checked against before their bytes are read; the engine checks again.
#[derive(Clone, Debug)]
struct Gate {
    engine: EngineConfig,
    term: Term,
}

/// What every part of the node shares.
#[derive(Debug)]
struct Shared {
    /// As the node was started; rollups may have changed since: see `gate`.
    engine: EngineConfig,
    gate: RwLock<Arc<Gate>>,
    committee_file: Arc<CommitteeFile>,
    coder: Coder,
    network: Network,
    store: Arc<dyn ShardStore>,
    /// For checks of what peers send; may be a device, so what passed is checked again before it is signed.
    hash: HashEngine,
    /// For what is signed, served or read back: always software.
    hasher: Arc<dyn Hasher>,
    compute: ComputePool,
    clock: Arc<dyn Clock>,
    board: Board,
    reader: Reader,
    heal: Heal,
    meter: Meter,
    requests: mpsc::Sender<Request>,
    in_flight: watch::Sender<(usize, u64)>,
    stopping: watch::Sender<bool>,
}

impl Shared {
    /// What this node serves from.
    fn holder(&self) -> Holder<'_> {
        let Shared { store, coder, hasher, engine, .. } = self;
        Holder { store: &**store, coder, hasher: &**hasher, seat: engine.seat }
    }
}

/// A running node as its API and its owner see it. Clones share it.
#[derive(Clone, Debug)]
pub struct NodeHandle {
    shared: Arc<Shared>,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    handle: NodeHandle,
    task: JoinHandle<Result<(), NodeError>>,
}

/// Bytes of one batch on this node's streams.
#[derive(Debug, Default)]
struct Traffic {
    sent: AtomicU64,
    received: AtomicU64,
}

impl Node {
    /// Starts a node on the current tokio runtime.
    pub fn start(parts: NodeParts) -> Node {
        let thresholds = parts.engine.committee.thresholds();
        let coder = Coder::new(thresholds.members(), thresholds.minimum_shards())
            .expect("a committee's thresholds are checked when it is loaded");
        let (requests, requests_receiver) = mpsc::channel(REQUESTS_MAX);
        let (completions, completions_receiver) = mpsc::channel(COMPLETIONS_MAX);
        let seat = parts.engine.seat;
        let known = newest_acceptance(&*parts.store);
        let calendar = Calendar::new(known, parts.clock_step, parts.clock.now());
        let shared = Arc::new(Shared {
            coder,
            network: parts.network,
            store: parts.store,
            hasher: parts.hash.software().clone(),
            hash: parts.hash,
            compute: parts.compute,
            clock: parts.clock,
            board: Board::default(),
            reader: Reader::default(),
            heal: Heal::new(parts.heal, thresholds.members()),
            meter: Meter::new(seat),
            requests,
            in_flight: watch::channel((0, 0)).0,
            stopping: watch::channel(false).0,
            committee_file: Arc::new(parts.committee_file),
            gate: RwLock::new(Arc::new(Gate { engine: parts.engine.clone(), term: parts.term.clone() })),
            engine: parts.engine.clone(),
        });
        heal::start(&shared, &completions);
        let worker = Worker {
            engine: Engine::new(parts.engine),
            secret: parts.secret,
            shared: shared.clone(),
            completions,
            tickets: HashMap::new(),
            next_ticket: 0,
            connected: SeatSet::from_iter([seat]),
            traffic: HashMap::new(),
            traffic_order: Default::default(),
            faults: HashMap::new(),
            calendar,
            stage_times: HashMap::new(),
        };
        let task =
            tokio::spawn(worker.run(parts.term, requests_receiver, completions_receiver, parts.events));
        Node { handle: NodeHandle { shared }, task }
    }

    /// What the API and others hold.
    pub fn handle(&self) -> NodeHandle {
        self.handle.clone()
    }

    /// Runs until the node stops by itself or [`NodeHandle::stop`] is called.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn wait(&mut self) -> Result<(), NodeError> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(NodeError::Task(error.to_string())),
        }
    }

    /// Stops: refuses what is not signed, lets what is being written finish, closes connections.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.handle.stop();
        self.wait().await
    }
}

impl NodeHandle {
    /// Asks the node to stop; see [`Node::stop`].
    pub fn stop(&self) {
        self.shared.stopping.send_replace(true);
    }

    /// Its seat.
    pub fn seat(&self) -> u16 {
        self.shared.engine.seat
    }

    /// Its epoch.
    pub fn epoch(&self) -> attest::Epoch {
        self.shared.engine.committee.epoch()
    }

    /// Tells the node where its epoch stands. The API knows when this returns; the engine hears of it next.
    pub async fn set_term(&self, term: Term) {
        self.shared.change_gate(|gate| gate.term = term.clone());
        // A stopped node needs no term.
        let _stopped = self.shared.requests.send(Request::Term(term)).await;
    }

    /// Tells the node which rollups are served, as [`NodeHandle::set_term`].
    pub async fn set_rollups(&self, rollups: BTreeMap<RollupId, RollupPolicy>) {
        self.shared.change_gate(|gate| gate.engine.rollups = rollups.clone());
        let _stopped = self.shared.requests.send(Request::Rollups(rollups)).await;
    }

    /// Members connected now, this one included; changes can be awaited.
    pub fn connected(&self) -> watch::Receiver<SeatSet> {
        self.shared.network.connected()
    }

    /// Exchanges in flight here, and their bytes; changes can be awaited.
    pub fn in_flight(&self) -> watch::Receiver<(usize, u64)> {
        self.shared.in_flight.subscribe()
    }

    /// The network's counters.
    pub fn network(&self) -> &Network {
        &self.shared.network
    }
}

impl Shared {
    fn gate(&self) -> Arc<Gate> {
        self.gate.read().clone()
    }

    fn change_gate(&self, change: impl FnOnce(&mut Gate)) {
        let mut gate = self.gate.write();
        change(Arc::make_mut(&mut gate));
    }
}

/// The node's task.
struct Worker {
    engine: Engine,
    secret: Arc<SecretKey>,
    shared: Arc<Shared>,
    completions: mpsc::Sender<Completion>,
    tickets: HashMap<u64, oneshot::Sender<Result<attest::BatchId, Refusal>>>,
    next_ticket: u64,
    connected: SeatSet,
    traffic: HashMap<OpenId, Arc<Traffic>>,
    traffic_order: std::collections::VecDeque<OpenId>,
    faults: HashMap<u16, (u32, Duration)>,
    calendar: Calendar,
    /// When the last stage of a batch ended, for the stage histograms.
    stage_times: HashMap<OpenId, f64>,
}

/// Results of heavy work.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "almost all are events; a box for each would cost an allocation"
)]
enum Completion {
    Event(Event),
    /// The store is poisoned.
    Fatal(String),
}

impl Worker {
    async fn run(
        mut self,
        term: Term,
        mut requests: mpsc::Receiver<Request>,
        mut completions: mpsc::Receiver<Completion>,
        mut events: NetworkEvents,
    ) -> Result<(), NodeError> {
        self.feed(Event::Term(term));
        let result = self.work(&mut requests, &mut completions, &mut events).await;
        self.shared.network.close().await;
        result
    }

    async fn work(
        &mut self,
        requests: &mut mpsc::Receiver<Request>,
        completions: &mut mpsc::Receiver<Completion>,
        events: &mut NetworkEvents,
    ) -> Result<(), NodeError> {
        let mut connected = self.shared.network.connected();
        let mut stopping = self.shared.stopping.subscribe();
        let mut prune = tokio::time::interval(PRUNE_PERIOD);
        let mut stop_by = None;
        self.sync_connected(*connected.borrow_and_update());
        loop {
            let deadline = self.deadline();
            tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop), if stop_by.is_none() => {
                    stop_by = Some(tokio::time::Instant::now() + DRAIN_MAX);
                    self.feed(Event::Stop);
                }
                Some(completion) = completions.recv() => match completion {
                    Completion::Event(event) => self.feed(event),
                    Completion::Fatal(error) => return Err(NodeError::Storage(error)),
                },
                Ok(()) = connected.changed() => self.sync_connected(*connected.borrow_and_update()),
                Some(request) = requests.recv() => self.on_request(request),
                Some(event) = events.recv() => self.on_network(event),
                () = tokio::time::sleep_until(deadline) => self.feed(Event::Tick),
                _ = prune.tick() => self.prune(),
            }
            let in_flight = self.engine.in_flight();
            self.shared.in_flight.send_if_modified(|now| std::mem::replace(now, in_flight) != in_flight);
            if let Some(stop_by) = stop_by
                && (in_flight.0 == 0 || tokio::time::Instant::now() >= stop_by)
            {
                return Ok(());
            }
        }
    }

    /// When the engine wants to hear of time.
    fn deadline(&self) -> tokio::time::Instant {
        let now = self.shared.clock.now().monotonic;
        let until = self.engine.next_deadline().map_or(Duration::from_secs(1), |at| at.saturating_sub(now));
        tokio::time::Instant::now() + until.min(Duration::from_secs(1))
    }

    /// One event through the engine, and everything it asks for.
    fn feed(&mut self, event: Event) {
        let mut effects = Effects::new();
        self.engine.on(event, self.shared.clock.now(), &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    fn on_request(&mut self, request: Request) {
        match request {
            Request::Submit { submission, signature, batch, facts, reply } => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.tickets.insert(ticket, reply);
                self.feed(Event::Submit { ticket, submission, signature, batch, facts });
            }
            Request::Term(term) => self.feed(Event::Term(term)),
            Request::Rollups(rollups) => self.feed(Event::Rollups(rollups)),
        }
    }

    fn on_network(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Message { from, message, frame_bytes, credit } => {
                if let Some(open_id) = message.open_id(self.shared.engine.committee.domain()) {
                    self.traffic(open_id).received.fetch_add(frame_bytes as u64, Ordering::Relaxed);
                }
                self.feed(Event::Message { from, message, credit });
            }
            NetworkEvent::Gossip { from, bytes, gossip } => match Control::from_bytes(&bytes) {
                Ok(control) => self.feed(Event::Control { from, control, gossip }),
                Err(error) => {
                    self.shared.network.judge(gossip, dac_node_engine::Verdict::Reject);
                    self.penalise(from, &format!("gossip: {error}"));
                }
            },
        }
    }

    /// Tells the engine who came and went.
    fn sync_connected(&mut self, seats: SeatSet) {
        let before = std::mem::replace(&mut self.connected, seats);
        for seat in before.iter().filter(|seat| !seats.contains(*seat)) {
            tracing::info!(member = seat, "member disconnected");
            self.feed(Event::Disconnected(seat));
        }
        for seat in seats.iter().filter(|seat| !before.contains(*seat)) {
            tracing::info!(member = seat, "member connected");
            self.feed(Event::Connected(seat));
        }
        self.shared.meter.members_connected(seats.len());
    }

    /// The byte counters of a batch; the oldest are forgotten beyond [`TRAFFIC_MAX`].
    fn traffic(&mut self, open_id: OpenId) -> Arc<Traffic> {
        if let Some(traffic) = self.traffic.get(&open_id) {
            return traffic.clone();
        }
        if self.traffic.len() >= TRAFFIC_MAX
            && let Some(oldest) = self.traffic_order.pop_front()
        {
            self.traffic.remove(&oldest);
            self.stage_times.remove(&oldest);
        }
        self.traffic_order.push_back(open_id);
        self.traffic.entry(open_id).or_default().clone()
    }

    /// Counts a fault; closes the connection of a member that has too many.
    fn penalise(&mut self, seat: u16, why: &str) {
        let now = self.shared.clock.now().monotonic;
        let (count, since) = self.faults.entry(seat).or_insert((0, now));
        if now.saturating_sub(*since) > FAULTS_PERIOD {
            (*count, *since) = (0, now);
        }
        *count += 1;
        tracing::warn!(member = seat, faults = *count, why, "member at fault");
        if *count > FAULTS_MAX {
            self.faults.remove(&seat);
            self.shared.network.disconnect(seat);
        }
    }

    fn prune(&mut self) {
        let believed = self.calendar.believe(self.shared.clock.now());
        if believed.doubted_seconds > 0 {
            let (doubted_seconds, step) = (believed.doubted_seconds, self.calendar.step());
            tracing::warn!(
                doubted_seconds,
                ?step,
                "the clock is ahead of what this node knows of the time, or the node was down for long: \
                 nothing is dropped by it for a day; set the clock if it is wrong"
            );
        }
        let store = self.shared.store.clone();
        tokio::task::spawn_blocking(move || match store.prune(believed.unix_seconds) {
            Ok(pruned) if pruned != Default::default() => tracing::info!(?pruned, "pruned"),
            Ok(_) => {}
            Err(error) => tracing::error!(%error, "pruning failed"),
        });
    }
}

/// The newest time that the store remembers; `None` when it is empty, or does not answer: then nothing is pruned either.
fn newest_acceptance(store: &dyn ShardStore) -> Option<u64> {
    let newest = store.recent(1).ok()?.pop()?;
    store.statement(newest).ok()?.map(|record| record.accepted_at)
}

/// A store's error as the member's answer.
fn refusal_of(error: &dac_node_store::Error) -> Refusal {
    let reason = match error {
        dac_node_store::Error::Full { .. } => Reason::StorageFull,
        _ => Reason::StorageError,
    };
    Refusal::new(reason, error.to_string())
}
