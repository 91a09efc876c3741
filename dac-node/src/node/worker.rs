//! The node's task: one event at a time to the engine, from whoever has one.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use attest::SecretKey;
use dac_node_engine::message::{Control, OpenId};
use dac_node_engine::{Effects, Engine, Event, SeatSet, Term};
use dac_node_store::ShardStore;
use tokio::sync::{mpsc, oneshot};

use super::calendar::Calendar;
use super::{NodeError, Request, Shared, Usage};
use crate::net::{NetworkEvent, NetworkEvents};
use crate::service::Refusal;

/// Batches that have a turn and whose bytes are counted.
const USAGES_MAX: usize = 2048;
/// How often expired batches are looked for.
const PRUNE_PERIOD: Duration = Duration::from_secs(30);
/// Faults of a peer that are forgiven ...
const FAULTS_MAX: u32 = 8;
/// ... in this time; then its connection is closed.
const FAULTS_PERIOD: Duration = Duration::from_secs(60);
/// What is being written or signed may take so long to finish when the node stops.
const DRAIN_MAX: Duration = Duration::from_secs(5);

/// The node's task.
pub(super) struct Worker {
    pub(super) engine: Engine,
    pub(super) secret: Arc<SecretKey>,
    pub(super) shared: Arc<Shared>,
    pub(super) completions: mpsc::Sender<Completion>,
    pub(super) tickets: HashMap<u64, oneshot::Sender<Result<attest::BatchId, Refusal>>>,
    pub(super) next_ticket: u64,
    pub(super) connected: SeatSet,
    pub(super) usage: HashMap<OpenId, Arc<Usage>>,
    pub(super) usage_order: std::collections::VecDeque<OpenId>,
    pub(super) faults: HashMap<u16, (u32, Duration)>,
    pub(super) calendar: Calendar,
    /// When the last stage of a batch ended, for the stage histograms.
    pub(super) stage_times: HashMap<OpenId, f64>,
}

/// Results of heavy work.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "almost all are events; a box for each would cost an allocation"
)]
pub(super) enum Completion {
    Event(Event),
    /// The store is poisoned, or work panicked.
    Fatal(NodeError),
}

impl Worker {
    pub(super) async fn run(
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

    pub(super) async fn work(
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
                    Completion::Fatal(error) => return Err(error),
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
    pub(super) fn deadline(&self) -> tokio::time::Instant {
        let now = self.shared.clock.now().monotonic;
        let until = self.engine.next_deadline().map_or(Duration::from_secs(1), |at| at.saturating_sub(now));
        tokio::time::Instant::now() + until.min(Duration::from_secs(1))
    }

    /// One event through the engine, and everything it asks for.
    pub(super) fn feed(&mut self, event: Event) {
        let mut effects = Effects::new();
        self.engine.on(event, self.shared.clock.now(), &mut effects);
        for effect in effects {
            self.perform(effect);
        }
    }

    pub(super) fn on_request(&mut self, request: Request) {
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

    pub(super) fn on_network(&mut self, event: NetworkEvent) {
        match event {
            NetworkEvent::Message { from, message, frame_bytes, credit } => {
                if let Some(open_id) = message.open_id(self.shared.engine.committee.domain()) {
                    self.usage(open_id).received.fetch_add(frame_bytes as u64, Ordering::Relaxed);
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
    pub(super) fn sync_connected(&mut self, seats: SeatSet) {
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

    /// The turn and the byte counters of a batch; the oldest are forgotten beyond [`USAGES_MAX`].
    pub(super) fn usage(&mut self, open_id: OpenId) -> Arc<Usage> {
        if let Some(usage) = self.usage.get(&open_id) {
            return usage.clone();
        }
        if self.usage.len() >= USAGES_MAX
            && let Some(oldest) = self.usage_order.pop_front()
        {
            self.usage.remove(&oldest);
            self.stage_times.remove(&oldest);
        }
        self.usage_order.push_back(open_id);
        let usage = Usage::new(self.shared.compute.turn());
        self.usage.insert(open_id, usage.clone());
        usage
    }

    /// Counts a fault; closes the connection of a member that has too many.
    pub(super) fn penalise(&mut self, seat: u16, why: &str) {
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

    pub(super) fn prune(&mut self) {
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
pub(super) fn newest_acceptance(store: &dyn ShardStore) -> Option<u64> {
    let newest = store.recent(1).ok()?.pop()?;
    store.statement(newest).ok()?.map(|record| record.accepted_at)
}
