//! The batches of an engine, and which of them may have something due.
//!
//! A member remembers a thousand settled batches ([`super::SETTLED_MAX`]) that wait for nothing. Whoever asks after every
//! event what is due looks at those alone that were touched since they last had no deadline.

use std::collections::{BTreeMap, BTreeSet};

use super::state::Batch;
use crate::message::OpenId;

/// Batches in flight and settled ones, in the order of their names.
///
/// Promise: a batch that has a deadline is awake.
#[derive(Debug, Default)]
pub(super) struct Batches {
    all: BTreeMap<OpenId, Batch>,
    awake: BTreeSet<OpenId>,
}

impl Batches {
    pub(super) fn get(&self, open_id: &OpenId) -> Option<&Batch> {
        self.all.get(open_id)
    }

    pub(super) fn contains_key(&self, open_id: &OpenId) -> bool {
        self.all.contains_key(open_id)
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &Batch> {
        self.all.values()
    }

    /// The batch, awake: what is done to it may give it a deadline.
    pub(super) fn get_mut(&mut self, open_id: &OpenId) -> Option<&mut Batch> {
        let batch = self.all.get_mut(open_id)?;
        self.awake.insert(*open_id);
        Some(batch)
    }

    /// All batches, awake.
    pub(super) fn values_mut(&mut self) -> impl Iterator<Item = &mut Batch> {
        self.awake.extend(self.all.keys());
        self.all.values_mut()
    }

    pub(super) fn insert(&mut self, batch: Batch) {
        self.awake.insert(batch.open_id);
        self.all.insert(batch.open_id, batch);
    }

    pub(super) fn remove(&mut self, open_id: &OpenId) -> Option<Batch> {
        self.awake.remove(open_id);
        self.all.remove(open_id)
    }

    /// Those that may have a deadline.
    pub(super) fn awake(&self) -> impl Iterator<Item = &Batch> {
        self.awake.iter().filter_map(|open_id| self.all.get(open_id))
    }

    /// Nothing of this batch is due before it is touched again.
    pub(super) fn rest(&mut self, open_id: &OpenId) {
        self.awake.remove(open_id);
    }
}
