//! The nodes of one member: one for each epoch in which it has a seat and that still counts.
//!
//! Promise: a node is started when its epoch is announced, so that its members are connected when it begins, and stopped
//! when the epoch is released; what it signed is in the store, which all nodes share.
//!
//! Choice: other addresses count at once, another peer id from the next epoch that has not begun. It needs a new node, and
//! a member that names one peer id after the other would stop what all the others have in flight.

use std::collections::BTreeMap;
use std::sync::Arc;

use attest::{CommitteeFile, CommitteeHash, RollupId};
use libp2p::{Multiaddr, PeerId};
use tokio::sync::mpsc;

use super::duty::Duty;
use crate::clock::Clock;
use crate::compute::ComputePool;
use crate::config::NodeConfig;
use crate::hash_engine::HashEngine;
use crate::member::engine_config;
use crate::net::{Edge, NetworkConfig, Peer};
use crate::node::{Node, NodeError, NodeHandle, NodeParts};
use crate::service::RollupPolicy;
use dac_node_engine::{Dispersal, Term};
use dac_node_store::ShardStore;

/// What every node of the member is made with.
#[derive(Debug)]
pub(super) struct Workshop {
    pub(super) config: NodeConfig,
    pub(super) secret: Arc<attest::SecretKey>,
    pub(super) own: PeerId,
    pub(super) edge: Edge,
    pub(super) store: Arc<dyn ShardStore>,
    pub(super) hash: HashEngine,
    pub(super) compute: ComputePool,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) dispersal: Dispersal,
}

/// One epoch's node.
#[derive(Debug)]
struct Running {
    handle: NodeHandle,
    committee_hash: CommitteeHash,
    /// Seat by seat; `None` for the own one, and for who cannot be reached.
    peers: Vec<Option<PeerId>>,
}

/// All of them.
#[derive(Debug)]
pub(super) struct Roster {
    workshop: Workshop,
    running: BTreeMap<u64, Running>,
    /// Ends of nodes: they are never expected, except after a stop.
    ended: mpsc::Sender<(u64, Result<(), NodeError>)>,
}

impl Roster {
    /// Nothing runs. `ended` hears of every node that ends; it must be read.
    pub(super) fn new(workshop: Workshop, ended: mpsc::Sender<(u64, Result<(), NodeError>)>) -> Roster {
        Roster { workshop, running: BTreeMap::new(), ended }
    }

    /// The nodes that run, by epoch.
    pub(super) fn handles(&self) -> BTreeMap<u64, NodeHandle> {
        self.running.iter().map(|(epoch, running)| (*epoch, running.handle.clone())).collect()
    }

    /// Stops what is not owed any more, or has become something else; starts what is missing. `begun` is the newest epoch
    /// whose time has come.
    pub(super) async fn follow(
        &mut self,
        duties: &BTreeMap<u64, Duty>,
        rollups: &BTreeMap<RollupId, RollupPolicy>,
        begun: Option<u64>,
    ) {
        let same = |epoch: &u64, running: &mut Running| {
            duties.get(epoch).is_some_and(|duty| {
                let peers_count = begun.is_none_or(|begun| *epoch > begun);
                duty.seat == Some(running.handle.seat())
                    && duty.committee.hash() == running.committee_hash
                    && (!peers_count || peer_ids(&self.workshop.own, &duty.file) == running.peers)
            })
        };
        for (epoch, gone) in self.running.extract_if(.., |epoch, running| !same(epoch, running)) {
            tracing::info!(epoch, "epoch left");
            gone.handle.stop();
        }
        for (epoch, duty) in duties {
            let Some(seat) = duty.seat else { continue };
            match self.running.get(epoch) {
                Some(running) => {
                    for peer in peers(&self.workshop.own, seat, &duty.file) {
                        self.workshop.edge.readdress(peer.peer_id, peer.addresses).await;
                    }
                    running.handle.set_rollups(rollups.clone()).await;
                }
                None => match self.start(*epoch, seat, duty, rollups.clone()).await {
                    Ok(running) => {
                        tracing::info!(epoch, seat, "epoch joined");
                        self.running.insert(*epoch, running);
                    }
                    // The next round tries again: an earlier node of the same committee may still be ending.
                    Err(error) => tracing::error!(epoch, error = format!("{error:#}"), "epoch not joined"),
                },
            }
        }
    }

    async fn start(
        &self,
        epoch: u64,
        seat: u16,
        duty: &Duty,
        rollups: BTreeMap<RollupId, RollupPolicy>,
    ) -> anyhow::Result<Running> {
        let workshop = &self.workshop;
        if duty.file.members[usize::from(seat)].peer_id.as_deref() != Some(&workshop.own.to_string()) {
            tracing::error!(epoch, seat, own = %workshop.own, "L1 names another peer id for this member's seat");
        }
        let network_config = NetworkConfig {
            seat,
            peers: peers(&workshop.own, seat, &duty.file),
            committee: duty.committee.hash().to_string(),
        };
        let (network, events) = workshop.edge.join(network_config).await?;
        let committee = Arc::new(duty.committee.clone());
        let engine =
            engine_config(&workshop.config, &duty.file, committee, seat, (workshop.dispersal, rollups));
        let mut node = Node::start(NodeParts {
            engine,
            committee_file: duty.file.clone(),
            term: Term::Closed(format!("epoch {epoch} has not begun")),
            secret: workshop.secret.clone(),
            network,
            events,
            store: workshop.store.clone(),
            hash: workshop.hash.clone(),
            compute: workshop.compute.clone(),
            clock: workshop.clock.clone(),
            heal: workshop.config.heal.clone(),
            clock_step: workshop.config.store.clock_step,
        });
        let (handle, ended) = (node.handle(), self.ended.clone());
        tokio::spawn(async move {
            let result = node.wait().await;
            // The member has stopped: nobody asks any more.
            let _stopped = ended.send((epoch, result)).await;
        });
        let peers = peer_ids(&workshop.own, &duty.file);
        Ok(Running { handle, committee_hash: duty.committee.hash(), peers })
    }

    /// Tells every node where its epoch stands.
    pub(super) async fn set_terms(&self, term: impl Fn(u64) -> Term) {
        for (epoch, running) in &self.running {
            running.handle.set_term(term(*epoch)).await;
        }
    }

    /// Asks every node to stop; `ended` hears of each, and then that there are no more. The edge is left to be closed.
    pub(super) fn stop(self) -> Edge {
        self.running.values().for_each(|running| running.handle.stop());
        self.workshop.edge
    }
}

/// The file's peer ids in seat order, as far as they are any.
fn peer_ids(own: &PeerId, file: &CommitteeFile) -> Vec<Option<PeerId>> {
    let parsed = file.members.iter().map(|member| member.peer_id.as_ref()?.parse::<PeerId>().ok());
    parsed.map(|peer_id| peer_id.filter(|peer_id| peer_id != own)).collect()
}

/// The other members that can be reached. What L1 says of addresses nobody has checked: what is none is left out.
fn peers(own: &PeerId, seat: u16, file: &CommitteeFile) -> Vec<Peer> {
    let others = (0u16..).zip(peer_ids(own, file)).filter(|(other, _)| *other != seat);
    others
        .filter_map(|(seat, peer_id)| {
            let addresses = &file.members[usize::from(seat)].addresses;
            let addresses: Vec<Multiaddr> =
                addresses.iter().filter_map(|address| address.parse().ok()).collect();
            if peer_id.is_none() || addresses.is_empty() {
                tracing::warn!(seat, "L1 names no peer id, or no address, of this member");
            }
            Some(Peer { seat, peer_id: peer_id?, addresses })
        })
        .collect()
}
