//! RFC 6962 Merkle trees with Keccak-256: a leaf is `keccak256(0x00 || data)`, a node `keccak256(0x01 || left || right)`.
//!
//! Levels are hashed bottom up, a lone last node moves up unhashed: the same tree as RFC 6962's split at the largest
//! power of two. Many trees of the same shape go up together, so that the lanes of an engine stay full to the top.

use std::cell::Cell;

use rayon::prelude::*;

use crate::keccak::Keccak256;
use crate::{Digest, Hasher};

/// Bytes under one leaf of a piece's tree: what one opening shows on L1.
pub const LEAF_BYTES: usize = 1024;

const LEAF_PREFIX: u8 = 0;
const NODE_PREFIX: u8 = 1;

/// Bytes of pieces that one task hashes: 256 leaves.
const TASK_BYTES: usize = 256 * LEAF_BYTES;

/// Leaves of one large tree that one task hashes.
const TASK_LEAVES: usize = 256;

/// A level of one or more trees of equal size, one behind the other, and the place for the level above.
#[derive(Default)]
struct Levels {
    level: Vec<Digest>,
    above: Vec<Digest>,
}

thread_local! {
    /// Taken out while in use: an engine that itself runs on rayon may start another task on this thread meanwhile.
    static SCRATCH: Cell<Levels> = const { Cell::new(Levels { level: Vec::new(), above: Vec::new() }) };
}

/// The root over the leaves of `data`, `leaf_bytes` each, the last may be shorter.
///
/// # Panics
/// When `data` is empty or `leaf_bytes` is zero.
pub fn merkle_root(hasher: &dyn Hasher, leaf_bytes: usize, data: &[u8]) -> Digest {
    assert!(!data.is_empty() && leaf_bytes > 0, "a tree has at least one byte and leaves have a size");
    let mut levels = Levels::of(data.len().div_ceil(leaf_bytes));
    hash_leaves(hasher, leaf_bytes, data, &mut levels.level);
    levels.climb(hasher, 1)[0]
}

/// The root over leaves of 32 bytes each: how a lower root enters the upper tree.
///
/// # Panics
/// When there is no leaf.
pub fn merkle_root_of_digests(hasher: &dyn Hasher, leaves: &[Digest]) -> Digest {
    merkle_root(hasher, 32, leaves.as_flattened())
}

/// The roots of many trees over 32-byte leaves, `leaves_per_tree` each, one tree behind the other: the stripe roots
/// of a batch from all its piece roots.
///
/// # Panics
/// When `leaves_per_tree` is zero or does not divide the number of leaves.
pub fn merkle_roots_of_digests(
    hasher: &dyn Hasher,
    leaves_per_tree: usize,
    leaves: &[Digest],
) -> Vec<Digest> {
    assert!(leaves_per_tree > 0 && leaves.len().is_multiple_of(leaves_per_tree), "trees are of equal size");
    if leaves.is_empty() {
        return Vec::new();
    }
    let mut levels = Levels::of(leaves.len());
    hash_leaves(hasher, 32, leaves.as_flattened(), &mut levels.level);
    levels.climb(hasher, leaves.len() / leaves_per_tree).to_vec()
}

/// The siblings of leaf `index` from the bottom to the top, over 32-byte leaves (RFC 6962 section 2.1.1).
///
/// # Panics
/// When `index` is not below the number of leaves.
pub fn merkle_path(hasher: &dyn Hasher, leaves: &[Digest], index: usize) -> Vec<Digest> {
    assert!(index < leaves.len(), "leaf {index} of {} does not exist", leaves.len());
    let mut levels = Levels::of(leaves.len());
    hash_leaves(hasher, 32, leaves.as_flattened(), &mut levels.level);
    let (mut position, mut path) = (index, Vec::new());
    while levels.level.len() > 1 {
        path.extend(levels.level.get(position ^ 1));
        levels.step(hasher, 1);
        position /= 2;
    }
    path
}

/// The root that `path` leads to from leaf `index` of `leaf_count` with the bytes `leaf`; the caller compares it with
/// the root it trusts.
///
/// `None` when `index` is outside the tree or the path has not exactly the length this leaf has in such a tree. Safe
/// on hostile input: hashes at most once per level of a tree of `leaf_count` leaves.
pub fn root_from_path(leaf: &[u8], index: usize, leaf_count: usize, path: &[Digest]) -> Option<Digest> {
    if index >= leaf_count || path.len() != path_length(index, leaf_count) {
        return None;
    }
    let mut node = joined(LEAF_PREFIX, leaf, &[]);
    let (mut position, mut width, mut siblings) = (index, leaf_count, path.iter());
    while width > 1 {
        let is_lone = position % 2 == 0 && position + 1 == width;
        if !is_lone {
            let sibling = siblings.next()?;
            let is_right = position % 2 == 1;
            let (left, right) = if is_right { (sibling, &node) } else { (&node, sibling) };
            node = joined(NODE_PREFIX, left, right);
        }
        position /= 2;
        width = width.div_ceil(2);
    }
    Some(node)
}

/// The piece roots of several pieces, 1,024-byte leaves, in their order.
///
/// Pieces of one length (all but a batch's last stripe) go up side by side, so that lanes are full on every level;
/// groups of 256 KiB run on the rayon pool this is called in. Allocates the result and, per thread, one scratch.
///
/// # Panics
/// When a piece is empty.
pub fn piece_roots(hasher: &dyn Hasher, pieces: &[&[u8]]) -> Vec<Digest> {
    let mut roots = vec![[0; 32]; pieces.len()];
    let mut tasks = Vec::new();
    let mut places = roots.as_mut_slice();
    for run in pieces.chunk_by(|a, b| a.len() == b.len()) {
        assert!(!run[0].is_empty(), "a piece has at least one byte");
        for task in run.chunks((TASK_BYTES / run[0].len()).max(1)) {
            let (place, rest) = places.split_at_mut(task.len());
            places = rest;
            tasks.push((task, place));
        }
    }
    tasks.into_par_iter().for_each(|(task, place)| equal_piece_roots(hasher, task, place));
    roots
}

/// The roots of pieces of one length.
fn equal_piece_roots(hasher: &dyn Hasher, pieces: &[&[u8]], roots: &mut [Digest]) {
    let leaves_per_piece = pieces[0].len().div_ceil(LEAF_BYTES);
    let mut levels = SCRATCH.take();
    levels.level.clear();
    levels.level.resize(leaves_per_piece * pieces.len(), [0; 32]);
    for (piece, leaves) in pieces.iter().zip(levels.level.chunks_exact_mut(leaves_per_piece)) {
        hasher.keccak256_prefixed(LEAF_PREFIX, LEAF_BYTES, piece, leaves);
    }
    roots.copy_from_slice(levels.climb(hasher, pieces.len()));
    SCRATCH.set(levels);
}

/// The leaf hashes of contiguous data, spread over the pool.
fn hash_leaves(hasher: &dyn Hasher, leaf_bytes: usize, data: &[u8], leaves: &mut [Digest]) {
    let tasks = data.par_chunks(leaf_bytes * TASK_LEAVES).zip(leaves.par_chunks_mut(TASK_LEAVES));
    tasks.for_each(|(items, digests)| hasher.keccak256_prefixed(LEAF_PREFIX, leaf_bytes, items, digests));
}

impl Levels {
    /// A level of `width` leaves, to be filled.
    fn of(width: usize) -> Self {
        Self { level: vec![[0; 32]; width], above: Vec::new() }
    }

    /// Up to the roots of the `trees` in the level.
    fn climb(&mut self, hasher: &dyn Hasher, trees: usize) -> &[Digest] {
        while self.level.len() > trees {
            self.step(hasher, trees);
        }
        &self.level
    }

    /// One level up: pairs hashed, a lone last node of each tree as it is.
    fn step(&mut self, hasher: &dyn Hasher, trees: usize) {
        let width = self.level.len() / trees;
        let width_above = width.div_ceil(2);
        self.above.clear();
        self.above.resize(width_above * trees, [0; 32]);
        // Without lone nodes the pairs of all trees lie one behind the other: one call.
        let (below, above) =
            if width.is_multiple_of(2) { (self.level.len(), self.above.len()) } else { (width, width_above) };
        for (nodes, parents) in self.level.chunks_exact(below).zip(self.above.chunks_exact_mut(above)) {
            let (pairs, lone) = nodes.as_chunks::<2>();
            let (paired, alone) = parents.split_at_mut(pairs.len());
            hasher.keccak256_prefixed(NODE_PREFIX, 64, pairs.as_flattened().as_flattened(), paired);
            alone.copy_from_slice(lone);
        }
        std::mem::swap(&mut self.level, &mut self.above);
    }
}

/// Siblings on the way from leaf `index` to the root of `leaf_count` leaves: one per level where it is not alone.
fn path_length(index: usize, leaf_count: usize) -> usize {
    let (mut position, mut width, mut length) = (index, leaf_count, 0);
    while width > 1 {
        length += usize::from(position % 2 == 1 || position + 1 < width);
        position /= 2;
        width = width.div_ceil(2);
    }
    length
}

fn joined(prefix: u8, left: &[u8], right: &[u8]) -> Digest {
    let mut message = Keccak256::new();
    message.update(&[prefix]);
    message.update(left);
    message.update(right);
    message.finalize()
}
