//! A member that follows L1: its committee, its epochs, its peers and the rollups it serves are what the registry says.
//!
//! Promise: nothing needs a restart. An epoch in which the member has a seat is joined when it is announced, begun when
//! it is active on a confirmed block, and left when it is released: until then it is served. No new batch begins under
//! an epoch that is over, on whatever chain a provider showed; one that began inside is finished. While L1 cannot be
//! read everything goes on for as long as the last view may be trusted ([`crate::settlement::Standing`]); after a restart
//! without L1 what was signed is served, and nothing begins.
//!
//! Clocks: when an epoch begins and ends is a question of L1 time alone, so a member whose calendar is minutes ahead of
//! L1's, or behind, attests under the same epochs as the others. Its calendar decides what it always does: whether a
//! submission's deadline is over and its retention is not too long. Who submits leaves room for that in both.
//!
//! Terms: a *duty* is an epoch that still counts, with this member's seat in it; the *roster* is the nodes that serve the
//! duties, one for each, over one store and one network edge.
//!
//! Choice: one [`crate::node::Node`] an epoch, none of which knows of the others. A batch belongs to the epoch it began
//! in because it never leaves that node; members of two epochs share connections, not streams.
//!
//! Left out on purpose: sending transactions; announcing a changed address (the operator's `dac committee` does).
//!
//! Files: `duty.rs` (what L1 asks of a member; pure), `roster.rs` (nodes), `backend.rs` (the API's seam), `saved.rs` (what
//! survives a restart).

mod backend;
mod duty;
mod roster;
mod saved;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use crate::api::{self, ServeLimits};
use crate::clock::Clock;
use crate::compute::ComputePool;
use crate::config::NodeConfig;
use crate::hash_engine::HashEngine;
use crate::keystore::NodeKeys;
use crate::member::{api_config, open_store};
use crate::net::Bound;
use crate::node::NodeError;
use crate::settlement::{self, Follower, FollowerConfig, Progress, Settlement, Standing};
use dac_node_engine::Dispersal;

use backend::ChainBackend;
use duty::Duty;
use roster::{Roster, Workshop};

pub use backend::Epochs;
pub use duty::{LIVE_EPOCHS_MAX, Registry};
pub use saved::Saved;

/// Without changes the view is saved this often, so that a restart has little to read.
const SAVE_PERIOD: Duration = Duration::from_secs(600);
/// Ends of nodes that may wait to be read.
const ENDED_MAX: usize = 64;
/// Duties are looked at this often while nothing changes: for what is released, and what could not be joined.
const REVIEW_PERIOD: Duration = Duration::from_secs(30);

/// What such a member is started from.
#[derive(Debug)]
pub struct ChainMemberParts<S> {
    /// Its configuration, checked.
    pub config: NodeConfig,
    /// Its keys.
    pub keys: NodeKeys,
    /// Its network, listening already.
    pub bound: Bound,
    /// Its API, listening already.
    pub api: TcpListener,
    /// Its compute threads; members of one process share them.
    pub compute: ComputePool,
    /// Its hash engine; members of one process share it.
    pub hash: HashEngine,
    /// Its clocks.
    pub clock: Arc<dyn Clock>,
    /// How it disperses.
    pub dispersal: Dispersal,
    /// The registry.
    pub registry: Registry,
    /// L1.
    pub settlement: S,
}

/// A member at work.
#[derive(Debug)]
pub struct ChainMember {
    task: JoinHandle<Result<(), NodeError>>,
    api: JoinHandle<Result<(), api::ServeError>>,
    api_address: SocketAddr,
    stop: watch::Sender<bool>,
    epochs: watch::Receiver<Arc<Epochs>>,
}

impl ChainMember {
    /// Starts everything. The API answers when this returns; L1 may not have been read yet.
    ///
    /// # Errors
    /// What is wrong with the storage, in words.
    pub async fn start<S: Settlement + 'static>(parts: ChainMemberParts<S>) -> anyhow::Result<ChainMember> {
        let ChainMemberParts {
            config,
            keys,
            bound,
            api,
            compute,
            hash,
            clock,
            dispersal,
            registry,
            settlement,
        } = parts;
        let store = open_store(&config).await?;
        let api_address = api.local_addr().context("the API's address")?;
        let (published, epochs) = watch::channel(Arc::new(Epochs::unknown()));
        let (stop, stopping) = watch::channel(false);
        let backend =
            ChainBackend { epochs: epochs.clone(), batch_bytes_max: config.batch_bytes_max.as_u64() };
        // Metrics of a process are told apart by seat; seats change, the label of the API's own does not.
        let router = api::router(Arc::new(backend), api_config(&config, 0));
        let limits = ServeLimits { connections_max: config.api.connections_max, ..ServeLimits::default() };
        let mut closing = stopping.clone();
        let shutdown = async move {
            // The sender is dropped with the member: that is a stop, too.
            let _stopped = closing.wait_for(|stop| *stop).await;
        };
        let api = tokio::spawn(api::serve(api, router, limits, shutdown));
        let follower_config = follower_config(&config, &registry);
        let path = Saved::path(&config.data_dir);
        let (ended_sender, ended) = mpsc::channel(ENDED_MAX);
        let key = keys.bls.public_key();
        let workshop = Workshop {
            secret: Arc::new(keys.bls),
            own: keys.network.public().to_peer_id(),
            edge: bound.open(),
            store,
            hash,
            compute,
            clock: clock.clone(),
            dispersal,
            config,
        };
        let saved = Saved::load(&path).filter(|saved| saved.registry == registry);
        let following = Following {
            settlement,
            follower: Follower::new(follower_config, saved.and_then(|saved| saved.checkpoint)),
            registry,
            key,
            clock,
            path,
            saved_at: None,
            duties: BTreeMap::new(),
            reviewed: None,
            roster: Roster::new(workshop, ended_sender),
            published,
            l1_error: None,
        };
        let task = tokio::spawn(following.run(stopping, ended));
        Ok(ChainMember { task, api, api_address, stop, epochs })
    }

    /// What runs here, and where L1 stands; changes can be awaited.
    pub fn epochs(&self) -> watch::Receiver<Arc<Epochs>> {
        self.epochs.clone()
    }

    /// Where the API listens, as a URL.
    pub fn api_url(&self) -> String {
        format!("http://{}", self.api_address)
    }

    /// Runs until a node fails or the member is told to stop.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn wait(&mut self) -> Result<(), NodeError> {
        match (&mut self.task).await {
            Ok(result) => result,
            Err(error) => Err(NodeError::Task(error.to_string())),
        }
    }

    /// Stops cleanly: no new work, what is being written is finished, requests are answered.
    ///
    /// # Errors
    /// [`NodeError`].
    pub async fn stop(mut self) -> Result<(), NodeError> {
        self.stop.send_replace(true);
        let stopped = self.wait().await;
        match self.api.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the API stopped with an error"),
            Err(error) => tracing::error!(%error, "the API's task failed"),
        }
        stopped
    }
}

fn follower_config(config: &NodeConfig, registry: &Registry) -> FollowerConfig {
    FollowerConfig {
        first_block: config.l1.first_block,
        confirmations: config.l1.confirmations,
        announcement_delay_seconds: registry.announcement_delay_seconds,
        poll_period: config.l1.poll_period,
    }
}

/// The member's task: reads L1, and makes the roster what L1 says.
struct Following<S> {
    settlement: S,
    follower: Follower,
    registry: Registry,
    key: attest::PublicKey,
    clock: Arc<dyn Clock>,
    path: PathBuf,
    saved_at: Option<Duration>,
    duties: BTreeMap<u64, Duty>,
    /// When the duties were last compared with the view.
    reviewed: Option<Duration>,
    roster: Roster,
    published: watch::Sender<Arc<Epochs>>,
    l1_error: Option<String>,
}

impl<S: Settlement> Following<S> {
    async fn run(
        mut self,
        mut stopping: watch::Receiver<bool>,
        mut ended: mpsc::Receiver<(u64, Result<(), NodeError>)>,
    ) -> Result<(), NodeError> {
        let mut result = Ok(());
        let mut pause = Duration::ZERO;
        loop {
            // Waiting and reading can be broken off at any point: reading changes nothing before its end.
            let read = async {
                tokio::time::sleep(pause).await;
                self.follower.poll(&self.settlement, self.clock.now().monotonic).await
            };
            let polled = tokio::select! {
                biased;
                _ = stopping.wait_for(|stop| *stop) => break,
                Some((epoch, end)) = ended.recv() => match end {
                    // A node that was told to.
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::error!(epoch, %error, "a node failed, the member stops");
                        result = Err(error);
                        break;
                    }
                },
                polled = read => polled,
            };
            pause = self.act(polled).await;
        }
        self.save(true);
        let edge = self.roster.stop();
        while let Some((_, end)) = ended.recv().await {
            result = result.and(end);
        }
        edge.close().await;
        result
    }

    /// Does what follows from one look at L1. Gives the pause before the next.
    async fn act(&mut self, polled: Result<Progress, settlement::Error>) -> Duration {
        let pause = match &polled {
            Ok(progress) => progress.pause,
            Err(_) => self.follower.retry_after(),
        };
        let changed = match polled {
            Ok(progress) => {
                if let Some(blocks) = progress.went_back {
                    tracing::warn!(blocks, "L1 took confirmed blocks back");
                }
                self.l1_error = None;
                progress.changes > 0 || progress.went_back.is_some()
            }
            Err(error) => {
                tracing::warn!(%error, ?pause, "L1 cannot be read");
                self.l1_error = Some(error.to_string());
                false
            }
        };
        let now = self.clock.now().monotonic;
        // A history that is being caught up with says nothing yet about today.
        if !pause.is_zero() {
            let due = self.reviewed.is_none_or(|last| now.saturating_sub(last) >= REVIEW_PERIOD);
            if changed || due || self.lacks_epochs(now) {
                self.review(now).await;
            }
            self.publish(now).await;
        }
        self.save(changed);
        let until = self.follower.until(now).filter(|until| *until > now).map(|until| until - now);
        until.map_or(pause, |until| pause.min(until))
    }

    /// L1 time for what is to be served: after a restart, while no provider answers, that of the last block known. It is
    /// early, so nothing is let go too soon; what may begin is another question ([`Follower::standing`]).
    fn serving_time(&self, now: Duration) -> Option<u64> {
        let last = self.follower.checkpoint()?;
        Some(self.follower.l1_time(now).unwrap_or(last.block.timestamp))
    }

    /// Whether the view has an epoch that the duties do not: it was read in several steps.
    fn lacks_epochs(&self, now: Duration) -> bool {
        let (Some(last), Some(time)) = (self.follower.checkpoint(), self.serving_time(now)) else {
            return false;
        };
        let live = duty::live_epochs(&last.view, time, self.registry.retention_seconds_max);
        !live.served.iter().eq(self.duties.keys())
    }

    /// Compares the duties with the view, and the roster with the duties.
    async fn review(&mut self, now: Duration) {
        let (Some(last), Some(time)) = (self.follower.checkpoint(), self.serving_time(now)) else {
            return;
        };
        let begun = last.view.epoch_at(time);
        let (view, registry, key) = (last.view.clone(), self.registry, self.key);
        let rollups = duty::rollups(&view);
        let live = duty::live_epochs(&view, time, registry.retention_seconds_max);
        if !live.left_out.is_empty() {
            let (served, left_out) = (LIVE_EPOCHS_MAX, &live.left_out);
            tracing::error!(
                ?left_out,
                "more epochs count than the {served} a member serves: the oldest are not served"
            );
        }
        // Every proof of possession is verified again: a millisecond a seat.
        let duties =
            tokio::task::spawn_blocking(move || duty::duties(&view, &registry, &live.served, &key)).await;
        match duties {
            Ok(duties) => self.duties = duties,
            Err(error) => return tracing::error!(%error, "the committees of L1 could not be checked"),
        }
        self.reviewed = Some(now);
        self.roster.follow(&self.duties, &rollups, begun).await;
    }

    /// Tells nodes and API where L1 stands.
    async fn publish(&self, now: Duration) {
        let (standing, until) = (self.follower.standing(now), self.follower.until(now));
        self.roster.set_terms(|epoch| duty::term(standing, epoch, until)).await;
        let begun = match standing {
            Standing::Active(epoch) => Some(epoch),
            Standing::Changing { from, .. } => from,
            Standing::Unknown => None,
        };
        let committee =
            begun.and_then(|epoch| self.duties.get(&epoch)).map(|duty| Arc::new(duty.file.clone()));
        let before = self.published.borrow().clone();
        if before.standing != standing {
            tracing::info!(?standing, "L1");
        }
        let committee = committee.or_else(|| before.committee.clone());
        let l1_error = self.l1_error.clone();
        self.published.send_replace(Arc::new(Epochs {
            nodes: self.roster.handles(),
            standing,
            committee,
            l1_error,
        }));
    }

    /// Saves the view when it changed, and now and then.
    fn save(&mut self, changed: bool) {
        let now = self.clock.now().monotonic;
        if !changed && self.saved_at.is_some_and(|last| now.saturating_sub(last) < SAVE_PERIOD) {
            return;
        }
        let saved = Saved { registry: self.registry, checkpoint: self.follower.checkpoint().cloned() };
        match saved.store(&self.path) {
            Ok(()) => self.saved_at = Some(now),
            Err(error) => tracing::error!(path = %self.path.display(), %error, "the view of L1 is not saved"),
        }
    }
}
