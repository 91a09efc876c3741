//! The shape of RFC 6962 Merkle trees: how long a path is, and every path of a tree from one pass.
//!
//! Promise: [`Levels`] hashes each node once however many paths are read from it. Leaves are 32 bytes (lower roots, or
//! hashes) with prefix 0x00, nodes have prefix 0x01. A level with an odd number of nodes hands its last node up as it
//! is, which gives the same tree as the recursive definition of RFC 6962 section 2.1. Roots without paths, and roots
//! from paths, come from `fpga_hash::tree`.

use fpga_hash::{Digest, Hasher};

/// Prefix of a leaf's message.
const LEAF_PREFIX: u8 = 0;
/// Prefix of an inner node's message.
const NODE_PREFIX: u8 = 1;

/// Digests in the path of leaf `index` in a tree of `leaves` leaves.
///
/// # Panics
/// When the leaf does not exist.
pub(crate) fn path_digests(mut index: usize, mut leaves: usize) -> usize {
    assert!(index < leaves, "leaf {index} of {leaves}");
    let mut digests = 0;
    while leaves > 1 {
        if index ^ 1 < leaves {
            digests += 1;
        }
        index /= 2;
        leaves = leaves.div_ceil(2);
    }
    digests
}

/// All levels of one tree, leaf hashes first, the root alone in the last.
#[derive(Debug, Clone)]
pub(crate) struct Levels(Vec<Vec<Digest>>);

impl Levels {
    /// The tree over 32-byte leaves.
    ///
    /// # Panics
    /// When there is no leaf.
    pub(crate) fn new(hasher: &dyn Hasher, leaves: &[Digest]) -> Self {
        Self::over(hasher, 32, leaves.as_flattened())
    }

    /// The tree over leaves of `leaf_bytes` each (the last may be shorter), which lie one behind the other in `data`.
    ///
    /// # Panics
    /// When `data` is empty.
    pub(crate) fn over(hasher: &dyn Hasher, leaf_bytes: usize, data: &[u8]) -> Self {
        assert!(!data.is_empty(), "a tree has at least one leaf");
        let mut hashes = vec![Digest::default(); data.len().div_ceil(leaf_bytes)];
        hasher.keccak256_prefixed(LEAF_PREFIX, leaf_bytes, data, &mut hashes);
        let mut levels = vec![hashes];
        while let Some(children) = levels.last().filter(|level| level.len() > 1) {
            levels.push(parents(hasher, children));
        }
        Self(levels)
    }

    /// The root of the tree.
    pub(crate) fn root(&self) -> Digest {
        self.0.last().expect("a tree has at least one level")[0]
    }

    /// Appends the siblings from leaf `index` up to the root.
    ///
    /// # Panics
    /// When the leaf does not exist.
    pub(crate) fn extend_path(&self, mut index: usize, path: &mut Vec<Digest>) {
        assert!(index < self.0[0].len(), "leaf {index} of {}", self.0[0].len());
        for level in &self.0 {
            path.extend(level.get(index ^ 1));
            index /= 2;
        }
    }
}

/// The next level up: pairs are hashed, an odd last node is handed up.
fn parents(hasher: &dyn Hasher, children: &[Digest]) -> Vec<Digest> {
    let (pairs, odd) = children.split_at(children.len() / 2 * 2);
    let mut nodes = vec![Digest::default(); pairs.len() / 2];
    hasher.keccak256_prefixed(NODE_PREFIX, 64, pairs.as_flattened(), &mut nodes);
    nodes.extend(odd);
    nodes
}
