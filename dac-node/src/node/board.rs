//! The latest status of recent batches, and who waits for a change of it.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use attest::BatchId;
use parking_lot::Mutex;
use tokio::sync::watch;

use super::Usage;
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
    statuses: HashMap<BatchId, Entry>,
    order: VecDeque<BatchId>,
}

#[derive(Debug)]
struct Entry {
    status: watch::Sender<BatchStatus>,
    usage: Arc<Usage>,
}

impl Entry {
    /// The status with the bytes as they are now: a piece may still come after the certificate.
    fn with_usage(&self, mut status: BatchStatus) -> BatchStatus {
        status.sent_bytes = self.usage.sent.load(Ordering::Relaxed);
        status.received_bytes = self.usage.received.load(Ordering::Relaxed);
        status
    }
}

impl Board {
    /// Posts a status and wakes who waits for it.
    pub(super) fn post(&self, status: BatchStatus, usage: Arc<Usage>) {
        let mut entries = self.entries.lock();
        let batch_id = status.batch_id;
        if let Some(entry) = entries.statuses.get(&batch_id) {
            entry.status.send_replace(status);
            return;
        }
        entries.statuses.insert(batch_id, Entry { status: watch::channel(status).0, usage });
        entries.order.push_back(batch_id);
        if entries.order.len() > STATUSES_MAX
            && let Some(oldest) = entries.order.pop_front()
        {
            entries.statuses.remove(&oldest);
        }
    }

    /// The latest status.
    pub(super) fn get(&self, batch_id: &BatchId) -> Option<BatchStatus> {
        self.entries
            .lock()
            .statuses
            .get(batch_id)
            .map(|entry| entry.with_usage(entry.status.borrow().clone()))
    }

    /// Waits for an end: certified, below quorum, or (on a member that does not coordinate) refused.
    pub(super) async fn wait(&self, batch_id: &BatchId, seat: u16) -> Option<BatchStatus> {
        let mut receiver =
            self.entries.lock().statuses.get(batch_id).map(|entry| entry.status.subscribe())?;
        let ended = |status: &BatchStatus| match status.stage {
            Stage::Certified | Stage::BelowQuorum => true,
            Stage::Refused => status.coordinator != seat,
            _ => false,
        };
        let status = receiver.wait_for(ended).await.ok()?.clone();
        // Forgotten meanwhile: the status as it was posted.
        Some(
            self.entries
                .lock()
                .statuses
                .get(batch_id)
                .map_or(status.clone(), |entry| entry.with_usage(status)),
        )
    }
}
