//! The latest status of recent batches, and who waits for a change of it.

use std::collections::{HashMap, VecDeque};

use attest::BatchId;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::service::{BatchStatus, Stage};

/// Batches remembered; older ones are answered from the store.
const STATUSES_MAX: usize = 2048;

/// Statuses by batch.
#[derive(Debug, Default)]
pub(super) struct Board {
    entries: Mutex<Entries>,
}

#[derive(Debug, Default)]
struct Entries {
    statuses: HashMap<BatchId, watch::Sender<BatchStatus>>,
    order: VecDeque<BatchId>,
}

impl Board {
    /// Posts a status and wakes who waits for it.
    pub(super) fn post(&self, status: BatchStatus) {
        let mut entries = self.entries.lock();
        let batch_id = status.batch_id;
        if let Some(sender) = entries.statuses.get(&batch_id) {
            sender.send_replace(status);
            return;
        }
        entries.statuses.insert(batch_id, watch::channel(status).0);
        entries.order.push_back(batch_id);
        if entries.order.len() > STATUSES_MAX
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.statuses.remove(&oldest);
        }
    }

    /// The latest status.
    pub(super) fn get(&self, batch_id: &BatchId) -> Option<BatchStatus> {
        self.entries.lock().statuses.get(batch_id).map(|sender| sender.borrow().clone())
    }

    /// Waits for an end: certified, below quorum, or (on a member that does not coordinate) refused.
    pub(super) async fn wait(&self, batch_id: &BatchId, seat: u16) -> Option<BatchStatus> {
        let mut receiver = self.entries.lock().statuses.get(batch_id).map(watch::Sender::subscribe)?;
        let ended = |status: &BatchStatus| match status.stage {
            Stage::Certified | Stage::BelowQuorum => true,
            Stage::Refused => status.coordinator != seat,
            _ => false,
        };
        let status = receiver.wait_for(ended).await.ok()?.clone();
        Some(status)
    }
}
