//! `dataRoot`: 31-byte groups of a batch under Poseidon nodes of eight children, bound to the batch's length.

use std::cell::Cell;

use rayon::prelude::*;

use crate::{Digest, FieldElement, Hasher};

/// Children of one node; Poseidon with t = 9.
pub const ARITY: usize = 8;

/// Bytes of a group: the most that always fits an element.
const GROUP_BYTES: usize = 31;

/// Bytes under one node of the second level. See [`data_subtrees`].
pub const SUBTREE_BYTES: usize = GROUP_BYTES * ARITY * ARITY;

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
    let top =
        if batch.len() <= SUBTREE_BYTES { small_level(hasher, batch) } else { data_subtrees(hasher, batch) };
    root_above(hasher, top, batch.len() as u64)
}

/// `dataRoot` of a batch of more than [`SUBTREE_BYTES`] from the [`data_subtrees`] of all its bytes, in their order.
///
/// Cost: a seventh of a hash for each subtree.
///
/// # Panics
/// When a batch of `batch_bytes` has another number of subtrees, or is too small to have a second level.
pub fn data_root_of_subtrees(hasher: &dyn Hasher, subtrees: Vec<FieldElement>, batch_bytes: u64) -> Digest {
    assert!(batch_bytes > SUBTREE_BYTES as u64, "{batch_bytes} bytes have no second level");
    assert_eq!(subtrees.len() as u64, batch_bytes.div_ceil(SUBTREE_BYTES as u64), "subtrees of the batch");
    root_above(hasher, subtrees, batch_bytes)
}

/// The levels above `top`, and the length.
fn root_above(hasher: &dyn Hasher, top: Vec<FieldElement>, batch_bytes: u64) -> Digest {
    let root = upper_levels(hasher, top);
    let mut bound = [FieldElement::ZERO];
    hasher.poseidon(&[root, FieldElement::from(batch_bytes)], 2, &mut bound);
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

/// The second level of the tree over a part of a larger batch: one node for each [`SUBTREE_BYTES`], so that a batch can be
/// hashed in parts while it arrives. The part begins at a multiple of [`SUBTREE_BYTES`]; only the end of the batch may
/// be shorter than a whole subtree.
///
/// Cost: all but a sixty-third of the hashes of `dataRoot`, in tasks as there.
pub fn data_subtrees(hasher: &dyn Hasher, part: &[u8]) -> Vec<FieldElement> {
    let mut level = vec![FieldElement::ZERO; part.len().div_ceil(SUBTREE_BYTES)];
    let tasks = part.par_chunks(TASK_GROUPS * GROUP_BYTES);
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
