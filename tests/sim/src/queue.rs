//! What is still to happen in a simulation, in the order of its time.

use std::time::Duration;

use attest::BatchId;
use bytes::Bytes;
use dac_node_engine::message::OpenId;
use dac_node_engine::{Credit, Event};

use super::disk::WriteId;

/// Start of the hash of a gossip message: gossip knows messages by their content.
pub(super) type GossipKey = u64;

/// Something that will happen to a member.
#[derive(Debug)]
pub(super) enum What {
    /// A frame arrives. The queue it left is that of `from`.
    Frame { from: u16, body: Bytes },
    /// A gossip message arrives from a neighbour.
    Gossip { from: u16, key: GossipKey, bytes: Bytes },
    /// Work ended; what it held is given back then.
    Event(Box<Event>, Credit),
    /// The sync of a statement ended.
    StatementSynced(OpenId, WriteId),
    /// The sync of a certificate ended.
    CertificateSynced(BatchId, WriteId),
}

/// It happens to `seat` at `at`, if that still lives the same life.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) at: Duration,
    pub(super) number: u64,
    pub(super) seat: u16,
    pub(super) life: u32,
    pub(super) what: What,
}

impl PartialEq for Job {
    fn eq(&self, other: &Job) -> bool {
        self.number == other.number
    }
}

impl Eq for Job {}

impl PartialOrd for Job {
    fn partial_cmp(&self, other: &Job) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Job {
    fn cmp(&self, other: &Job) -> std::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}
