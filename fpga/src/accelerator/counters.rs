//! Faults by kind.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Fault, FaultKind};

#[derive(Debug, Default)]
pub(super) struct FaultCounters([AtomicU64; FaultKind::ALL.len()]);

impl FaultCounters {
    /// Counts a fault; gives how many of its kind were before it.
    pub(super) fn count(&self, fault: &Fault) -> u64 {
        self.0[fault.kind() as usize].fetch_add(1, Ordering::SeqCst)
    }

    pub(super) fn snapshot(&self) -> [(FaultKind, u64); FaultKind::ALL.len()] {
        FaultKind::ALL.map(|kind| (kind, self.0[kind as usize].load(Ordering::SeqCst)))
    }
}
