//! One member at work: feeds the engine and performs what it asks for.
//!
//! Promise: effects are performed in order; nothing here decides anything about the protocol. The node's task never
//! hashes, waits for a disk or for a peer: heavy effects go to the compute pool, the store's threads or a task of their
//! own, and come back as events. A store that stops being able to sync stops the node.
//!
//! Files: `worker.rs` (the node's task), `perform.rs` (effects), `disperse.rs` (the coordinator's upload), `read.rs`
//! (serving bytes), `serve.rs` (what peers pull), `heal.rs` (keeping what was promised), `stored.rs` (what the store
//! alone can tell), `board.rs` (who waits for what), `calendar.rs` (whether the date is believed), `backend.rs` (the
//! API's seam).

mod backend;
mod board;
mod calendar;
mod disperse;
mod heal;
mod perform;
mod read;
mod serve;
mod stored;
mod worker;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use attest::{CommitteeFile, RollupId, SecretKey, Submission, SubmissionSignature};
use bytes::Bytes;
use dac_node_coding::Coder;
use fpga_hash::Hasher;
use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use crate::clock::Clock;
use crate::compute::{ComputePool, Turn};
use crate::config::HealConfig;
use crate::hash_engine::HashEngine;
use crate::metrics::Meter;
use crate::net::{Network, NetworkEvents};
use crate::service::{Reason, Refusal, RollupPolicy};
use dac_node_engine::{Engine, EngineConfig, Facts, SeatSet, Term};
use dac_node_store::{Holder, ShardStore};

use board::Board;
use calendar::Calendar;
use heal::Heal;
use read::Reader;
use worker::{Completion, Worker, newest_acceptance};

/// Results of heavy work that may wait for the node's task.
const COMPLETIONS_MAX: usize = 4096;
/// Requests of the API that may wait.
const REQUESTS_MAX: usize = 256;

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

/// What one batch takes of this node: its turn at the compute threads, its bytes on the streams.
#[derive(Debug)]
struct Usage {
    turn: Turn,
    sent: AtomicU64,
    received: AtomicU64,
}

impl Usage {
    fn new(turn: Turn) -> Arc<Usage> {
        Arc::new(Usage { turn, sent: AtomicU64::new(0), received: AtomicU64::new(0) })
    }
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
            usage: HashMap::new(),
            usage_order: Default::default(),
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

/// A store's error as the member's answer.
fn refusal_of(error: &dac_node_store::Error) -> Refusal {
    let reason = match error {
        dac_node_store::Error::Full { .. } => Reason::StorageFull,
        _ => Reason::StorageError,
    };
    Refusal::new(reason, error.to_string())
}
