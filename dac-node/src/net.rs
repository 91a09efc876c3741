//! The edge towards the other members: libp2p, and nothing of the protocol.
//!
//! Promise: only members of the committee reach a handler (an allow-list by PeerId, checked when the connection is
//! authenticated); every queue is bounded and says what happens when it is full; nothing here hashes, decodes batches
//! or waits for a disk.
//!
//! Terms: a *class* of traffic has one long-lived stream per peer and direction: `bulk` (dispersal, exchange, votes) and
//! `repair` (pulls and reads), so that a reader never waits behind a batch. Gossip carries small control messages.
//!
//! A node may take part in several committees at once, one for each epoch that still counts: all of them share one
//! [`Edge`] and its connections. Streams and gossip topics carry the committee's name, so epochs do not mix and every
//! [`Network`] speaks of the seats of its own committee only.
//!
//! Files: `swarm.rs` (connections, gossip), `committee.rs` (one committee's part of them), `streams.rs` (frames in and
//! out), `queue.rs` (what waits for a peer).

mod behaviour;
mod committee;
mod queue;
mod streams;
mod swarm;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use libp2p::gossipsub::TopicHash;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, oneshot, watch};

use dac_node_engine::message::Message;
use dac_node_engine::{Credit, GossipId, SeatSet, Verdict};

pub use queue::{Class, Counters, PeerQueue, SendError};
pub use streams::read_frame;
pub use swarm::{Bound, Edge};

/// Another member, as the committee file names it.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its seat.
    pub seat: u16,
    /// Its libp2p identity.
    pub peer_id: PeerId,
    /// Where it listens.
    pub addresses: Vec<Multiaddr>,
}

/// One committee as its member's network knows it.
#[derive(Clone, Debug)]
pub struct NetworkConfig {
    /// Own seat.
    pub seat: u16,
    /// Every other member.
    pub peers: Vec<Peer>,
    /// Name of the committee, its hash: part of the names of its streams and of its gossip topic.
    pub committee: String,
}

/// What comes in.
#[derive(Debug)]
pub enum NetworkEvent {
    /// A frame from a stream.
    Message {
        /// Authenticated sender.
        from: u16,
        /// Decoded.
        message: Message,
        /// Size on the stream, length prefix included.
        frame_bytes: usize,
        /// Held until the message is dealt with; a peer has a fixed number of them per class.
        credit: Credit,
    },
    /// A gossip message; every one must be judged.
    Gossip {
        /// Neighbour that passed it on.
        from: u16,
        /// The bytes.
        bytes: Bytes,
        /// For [`Network::judge`].
        gossip: GossipId,
    },
}

/// What came in for one committee. Gossip has a queue of its own: frames of streams wait for their turn, gossip cannot, and
/// a node that is behind with pieces must still hear of certificates.
#[derive(Debug)]
pub struct NetworkEvents {
    messages: mpsc::Receiver<NetworkEvent>,
    gossip: mpsc::Receiver<NetworkEvent>,
}

impl NetworkEvents {
    /// The next one; neither kind keeps the other waiting. `None` when the edge is closed and everything was taken.
    pub async fn recv(&mut self) -> Option<NetworkEvent> {
        tokio::select! {
            Some(event) = self.messages.recv() => Some(event),
            Some(event) = self.gossip.recv() => Some(event),
            else => None,
        }
    }
}

/// Orders for the swarm task.
#[derive(Debug)]
enum Command {
    Join(Box<committee::Joined>, oneshot::Sender<anyhow::Result<()>>),
    Leave(TopicHash),
    Readdress(PeerId, Vec<Multiaddr>),
    Gossip(TopicHash, Vec<u8>),
    Judge(GossipId, Verdict),
    Disconnect(PeerId),
    Close,
}

/// A committee's part of a running edge. Cloning shares it.
#[derive(Clone, Debug)]
pub struct Network {
    queues: Arc<HashMap<u16, PeerQueue>>,
    peers: Arc<HashMap<u16, PeerId>>,
    commands: mpsc::Sender<Command>,
    connected: watch::Receiver<SeatSet>,
    counters: Arc<Counters>,
    topic: TopicHash,
    /// The edge has no other committee: it closes with this one.
    is_alone: bool,
}

impl Network {
    /// Queues a frame for a member; nothing waits.
    ///
    /// # Errors
    /// [`SendError`]: not connected, or the queue is full. The frame is dropped: the peer will pull.
    pub fn send(&self, to: u16, class: Class, frame: Bytes) -> Result<(), SendError> {
        let queue = self.queues.get(&to).ok_or(SendError::NotConnected)?;
        queue.try_send(class, frame)
    }

    /// The queue of a member, to wait for room in it.
    pub fn queue(&self, to: u16) -> Option<PeerQueue> {
        self.queues.get(&to).cloned()
    }

    /// Publishes a control message; dropped (and counted) when the swarm task is behind.
    pub fn gossip(&self, bytes: Vec<u8>) {
        if self.commands.try_send(Command::Gossip(self.topic.clone(), bytes)).is_err() {
            self.counters.gossip_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Judges a gossip message.
    pub fn judge(&self, gossip: GossipId, verdict: Verdict) {
        // A lost verdict is a message not passed on: gossip has other ways.
        if self.commands.try_send(Command::Judge(gossip, verdict)).is_err() {
            self.counters.gossip_dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Closes the connection to a member; it is dialed again after a pause.
    pub fn disconnect(&self, seat: u16) {
        if let Some(peer_id) = self.peers.get(&seat)
            && self.commands.try_send(Command::Disconnect(*peer_id)).is_err()
        {
            tracing::warn!(seat, "could not disconnect: the network task is behind");
        }
    }

    /// Leaves the committee: its streams end, and connections to members of no other committee of this node.
    pub async fn close(&self) {
        let command = if self.is_alone { Command::Close } else { Command::Leave(self.topic.clone()) };
        // Closed already: nothing to do.
        let _closed = self.commands.send(command).await;
    }

    /// Members connected now, this one included; changes can be awaited.
    pub fn connected(&self) -> watch::Receiver<SeatSet> {
        self.connected.clone()
    }

    /// Bytes and frames since the start.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
