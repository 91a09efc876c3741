//! The edge towards the other members: libp2p, and nothing of the protocol.
//!
//! Promise: only members of the committee reach a handler (an allow-list by PeerId, checked when the connection is
//! authenticated); every queue is bounded and says what happens when it is full; nothing here hashes, decodes batches
//! or waits for a disk.
//!
//! Terms: a *class* of traffic has one long-lived stream per peer and direction: `bulk` (dispersal, exchange, votes) and
//! `repair` (pulls and reads), so that a reader never waits behind a batch. Gossip carries small control messages.
//!
//! Files: `swarm.rs` (connections, gossip), `streams.rs` (frames in and out), `queue.rs` (what waits for a peer).

mod queue;
mod streams;
mod swarm;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use libp2p::identity::Keypair;
use libp2p::{Multiaddr, PeerId};
use tokio::sync::{mpsc, watch};

use crate::engine::{Credit, GossipId, SeatSet, Verdict};
use crate::message::Message;

pub use queue::{Class, Counters, PeerQueue, QUEUE_FRAMES_MAX, SendError};
pub use streams::read_frame;
pub use swarm::Bound;

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

/// What a node tells its network.
#[derive(Clone)]
pub struct NetworkConfig {
    /// Own seat.
    pub seat: u16,
    /// Own identity.
    pub keypair: Keypair,
    /// Every other member.
    pub peers: Vec<Peer>,
    /// Gossip topic: one per committee.
    pub topic: String,
}

impl std::fmt::Debug for NetworkConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("NetworkConfig")
            .field("seat", &self.seat)
            .field("peers", &self.peers)
            .finish_non_exhaustive()
    }
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

/// Orders for the swarm task.
#[derive(Debug)]
enum Command {
    Gossip(Vec<u8>),
    Judge(GossipId, Verdict),
    Disconnect(PeerId),
    Close,
}

/// A running edge. Cloning shares it; dropping the last clone stops it.
#[derive(Clone, Debug)]
pub struct Network {
    queues: Arc<HashMap<u16, PeerQueue>>,
    peers: Arc<HashMap<u16, PeerId>>,
    commands: mpsc::Sender<Command>,
    connected: watch::Receiver<SeatSet>,
    counters: Arc<Counters>,
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
        if self.commands.try_send(Command::Gossip(bytes)).is_err() {
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

    /// Closes every connection and stops listening.
    pub async fn close(&self) {
        // Closed already: nothing to do.
        let _closed = self.commands.send(Command::Close).await;
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
