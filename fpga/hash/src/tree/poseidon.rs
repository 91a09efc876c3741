//! `dataRoot`: 31-byte groups of a batch under Poseidon nodes of eight children, bound to the batch's length.

use std::cell::Cell;

use rayon::prelude::*;

use crate::{Digest, FieldElement, Hasher};

/// Children of one node; Poseidon with t = 9.
pub const ARITY: usize = 8;

/// Bytes of a group: the most that always fits an element.
const GROUP_BYTES: usize = 31;

/// Groups that one task takes through two levels: 512 and then 64 nodes fill every engine's lanes.
const TASK_GROUPS: usize = 4096;

/// Nodes per task on the levels above.
const TASK_NODES: usize = 512;

thread_local! {
    /// Taken out while in use: an engine that itself runs on rayon may start another task on this thread meanwhile.
    static SCRATCH: Cell<(Vec<FieldElement>, Vec<FieldElement>)> = const { Cell::new((Vec::new(), Vec::new())) };
}

/// `dataRoot` of a whole batch (PROTOCOL section 3), as 32 big-endian bytes.
///
/// Tasks of 124 KiB run on the rayon pool this is called in; besides the threads' scratch (less than 0.2 MiB each)
/// it allocates a sixty-fourth of the batch.
///
/// # Panics
/// When `batch` is empty: an empty batch is an error that its submitter has heard of before anything is hashed.
pub fn data_root(hasher: &dyn Hasher, batch: &[u8]) -> Digest {
    assert!(!batch.is_empty(), "an empty batch has no root");
    let top = if batch.len() <= GROUP_BYTES * ARITY * ARITY {
        small_level(hasher, batch)
    } else {
        lower_levels(hasher, batch)
    };
    let root = upper_levels(hasher, top);
    let length = FieldElement::from(batch.len() as u64);
    let mut bound = [FieldElement::ZERO];
    hasher.poseidon(&[root, length], 2, &mut bound);
    bound[0].to_be_bytes()
}

/// The first level of a batch of at most 64 groups: at most eight nodes, so the second level may not exist.
fn small_level(hasher: &dyn Hasher, batch: &[u8]) -> Vec<FieldElement> {
    let mut groups = Vec::new();
    push_groups(batch, &mut groups);
    let mut nodes = vec![FieldElement::ZERO; groups.len() / ARITY];
    hasher.poseidon(&groups, ARITY, &mut nodes);
    nodes
}

/// The second level of a larger batch: one node per 64 groups.
fn lower_levels(hasher: &dyn Hasher, batch: &[u8]) -> Vec<FieldElement> {
    let groups = batch.len().div_ceil(GROUP_BYTES);
    let mut level = vec![FieldElement::ZERO; groups.div_ceil(ARITY * ARITY)];
    let tasks = batch.par_chunks(TASK_GROUPS * GROUP_BYTES);
    tasks.zip(level.par_chunks_mut(TASK_GROUPS / ARITY / ARITY)).for_each(|(bytes, nodes)| {
        let (mut groups, mut first) = SCRATCH.take();
        push_groups(bytes, &mut groups);
        first.clear();
        first.resize((groups.len() / ARITY).next_multiple_of(ARITY), FieldElement::ZERO);
        hasher.poseidon(&groups, ARITY, &mut first[..groups.len() / ARITY]);
        hasher.poseidon(&first, ARITY, nodes);
        SCRATCH.set((groups, first));
    });
    level
}

/// Hashes level after level until one element is left.
fn upper_levels(hasher: &dyn Hasher, mut level: Vec<FieldElement>) -> FieldElement {
    while level.len() > 1 {
        level.resize(level.len().next_multiple_of(ARITY), FieldElement::ZERO);
        let mut next = vec![FieldElement::ZERO; level.len() / ARITY];
        let tasks = level.par_chunks(TASK_NODES * ARITY).zip(next.par_chunks_mut(TASK_NODES));
        tasks.for_each(|(children, nodes)| hasher.poseidon(children, ARITY, nodes));
        level = next;
    }
    level[0]
}

/// Replaces `groups` by the 31-byte groups of `bytes`, the last padded with zeros, filled up with zero elements to a
/// multiple of eight.
fn push_groups(bytes: &[u8], groups: &mut Vec<FieldElement>) {
    groups.clear();
    let (whole, rest) = bytes.as_chunks::<GROUP_BYTES>();
    groups.extend(whole.iter().map(FieldElement::from_bytes31));
    if !rest.is_empty() {
        let mut last = [0; GROUP_BYTES];
        last[..rest.len()].copy_from_slice(rest);
        groups.push(FieldElement::from_bytes31(&last));
    }
    groups.resize(groups.len().next_multiple_of(ARITY), FieldElement::ZERO);
}
