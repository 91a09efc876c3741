//! What waits to be sent to one peer, per class. Full means: the caller is told, and decides.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use bytes::Bytes;
use dac_node_engine::message::QUEUE_FRAMES_MAX;
use tokio::sync::mpsc;

/// Traffic classes; each has its own stream and queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Class {
    /// Opens, pieces, votes, refusals.
    Bulk,
    /// Pulls and reads.
    Repair,
}

impl Class {
    /// All classes.
    pub const ALL: [Class; 2] = [Class::Bulk, Class::Repair];

    /// For metrics.
    pub fn name(self) -> &'static str {
        match self {
            Class::Bulk => "bulk",
            Class::Repair => "repair",
        }
    }

    /// The stream protocol among the members of a committee.
    ///
    /// # Panics
    /// Never: the name begins with a slash.
    pub fn protocol(self, committee: &str) -> libp2p::StreamProtocol {
        let version = match self {
            Class::Bulk => dac_node_engine::message::BULK_PROTOCOL,
            Class::Repair => dac_node_engine::message::REPAIR_PROTOCOL,
        };
        libp2p::StreamProtocol::try_from_owned(format!("{version}/{committee}"))
            .expect("the name begins with a slash")
    }
}

/// Why a frame was not queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No connection.
    #[error("not connected")]
    NotConnected,
    /// The peer reads too slowly.
    #[error("queue full")]
    Full,
}

/// Totals of this node's edge, for metrics.
#[derive(Debug, Default)]
pub struct Counters {
    /// Frame bytes written, by class.
    pub sent_bytes: [AtomicU64; 2],
    /// Frame bytes read, by class.
    pub received_bytes: [AtomicU64; 2],
    /// Payload bytes published by gossip.
    pub gossip_sent_bytes: AtomicU64,
    /// Payload bytes of gossip messages received, each counted once.
    pub gossip_received_bytes: AtomicU64,
    /// Frames dropped because a queue was full or a peer gone.
    pub frames_dropped: AtomicU64,
    /// Gossip messages dropped because this node was behind.
    pub gossip_dropped: AtomicU64,
    /// Frames that were not messages.
    pub malformed: AtomicU64,
}

impl Counters {
    pub(super) fn sent(&self, class: Class, bytes: usize) {
        self.sent_bytes[class as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn received(&self, class: Class, bytes: usize) {
        self.received_bytes[class as usize].fetch_add(bytes as u64, Ordering::Relaxed);
    }
}

/// The queues towards one peer.
#[derive(Clone, Debug)]
pub struct PeerQueue {
    senders: [mpsc::Sender<Bytes>; 2],
    connected: Arc<AtomicBool>,
}

impl PeerQueue {
    /// New queues and their reading ends, in the order of [`Class::ALL`].
    pub(super) fn new() -> (PeerQueue, [mpsc::Receiver<Bytes>; 2]) {
        let (bulk, bulk_receiver) = mpsc::channel(QUEUE_FRAMES_MAX);
        let (repair, repair_receiver) = mpsc::channel(QUEUE_FRAMES_MAX);
        let queue = PeerQueue { senders: [bulk, repair], connected: Arc::default() };
        (queue, [bulk_receiver, repair_receiver])
    }

    /// Queues a frame if there is room now.
    ///
    /// # Errors
    /// [`SendError`].
    pub fn try_send(&self, class: Class, frame: Bytes) -> Result<(), SendError> {
        if !self.is_connected() {
            return Err(SendError::NotConnected);
        }
        self.senders[class as usize].try_send(frame).map_err(|_| SendError::Full)
    }

    /// Queues a frame, waiting for room.
    ///
    /// # Errors
    /// [`SendError::NotConnected`].
    pub async fn send(&self, class: Class, frame: Bytes) -> Result<(), SendError> {
        if !self.is_connected() {
            return Err(SendError::NotConnected);
        }
        self.senders[class as usize].send(frame).await.map_err(|_| SendError::NotConnected)
    }

    /// Frames waiting in one class.
    pub fn depth(&self, class: Class) -> usize {
        QUEUE_FRAMES_MAX - self.senders[class as usize].capacity()
    }

    /// Whether the peer is connected.
    pub fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Acquire)
    }

    pub(super) fn set_connected(&self, connected: bool) {
        self.connected.store(connected, Ordering::Release);
    }
}
