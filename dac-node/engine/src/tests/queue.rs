//! What is still to happen in a simulation, in the order of its time.

use std::time::Duration;

use attest::BatchId;
use bytes::Bytes;

use super::disk::WriteId;
use super::member::GossipKey;
use crate::Event;
use crate::message::OpenId;

/// Something that will happen to a member.
pub(super) enum What {
    Frame { from: u16, body: Bytes },
    Gossip { from: u16, key: GossipKey, bytes: Bytes },
    Event(Box<Event>),
    StatementSynced(OpenId, WriteId),
    CertificateSynced(BatchId, WriteId),
}

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
