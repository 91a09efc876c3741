//! Openings of one 1 KiB leaf: what L1 and custody audits check instead of a whole piece.
//!
//! Promise: a [`CheckedLeaf`] is the `leaf`-th part of piece `(stripe, index)` of the batch behind a shardsRoot. The
//! path has three parts, one behind the other: leaf to piece root, piece root to stripe root, stripe root to
//! shardsRoot. At most 5 + 19 digests.

use attest::ShardsRoot;
use bytes::Bytes;
use fpga_hash::tree::root_from_path;
use fpga_hash::{Digest, Hasher};

use crate::piece::follow;
use crate::tree::{self, Levels};
use crate::{CheckedPiece, Error, LEAF_BYTES, Layout};

/// A leaf and its path as an auditor receives them: nothing is known to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeafOpening {
    /// Number of the stripe.
    pub stripe: u32,
    /// Index of the piece: the member asked.
    pub index: u16,
    /// Number of the leaf in the piece.
    pub leaf: u32,
    /// [`LEAF_BYTES`] bytes; the last leaf of a piece may be shorter.
    pub bytes: Bytes,
    /// From the leaf to shardsRoot.
    pub path: Vec<Digest>,
}

/// A leaf that is proven to be part of the batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedLeaf(LeafOpening);

impl CheckedLeaf {
    /// The opening that was checked.
    pub fn opening(&self) -> &LeafOpening {
        &self.0
    }
}

/// The path of one leaf inside a piece: from the leaf to the piece root. Hashes the whole piece.
///
/// # Errors
/// [`Error::LeafOutOfRange`].
pub fn open_leaf(piece: &[u8], leaf: u32, hasher: &dyn Hasher) -> Result<Vec<Digest>, Error> {
    let leaves = u32::try_from(piece.len().div_ceil(LEAF_BYTES)).unwrap_or(u32::MAX);
    if leaf >= leaves {
        return Err(Error::LeafOutOfRange { leaf, leaves });
    }
    let mut path = Vec::new();
    Levels::over(hasher, LEAF_BYTES, piece).extend_path(leaf as usize, &mut path);
    Ok(path)
}

impl CheckedPiece {
    /// Opens one leaf of the piece. Hashes the whole piece.
    ///
    /// # Errors
    /// [`Error::LeafOutOfRange`].
    pub fn open_leaf(&self, leaf: u32, hasher: &dyn Hasher) -> Result<LeafOpening, Error> {
        let mut path = open_leaf(self.bytes(), leaf, hasher)?;
        path.extend_from_slice(self.path());
        let start = leaf as usize * LEAF_BYTES;
        let end = self.bytes().len().min(start + LEAF_BYTES);
        let bytes = self.bytes().slice(start..end);
        Ok(LeafOpening { stripe: self.stripe(), index: self.index(), leaf, bytes, path })
    }
}

impl LeafOpening {
    /// Checks the opening against the batch's shardsRoot, as L1 does. Hashes the leaf and its path.
    ///
    /// # Errors
    /// [`Error::StripeOutOfRange`], [`Error::PieceIndexOutOfRange`], [`Error::LeafOutOfRange`], [`Error::LeafLength`],
    /// [`Error::PathLength`], [`Error::PathMismatch`], in this order; all are the sender's fault.
    pub fn check(self, layout: &Layout, shards_root: &ShardsRoot) -> Result<CheckedLeaf, Error> {
        let piece_path_digests = self.check_shape(layout)?;
        let Self { stripe, index, leaf, .. } = self;
        let (inside, above) = self.path.split_at(piece_path_digests);
        let leaves = layout.leaves(stripe) as usize;
        let root = root_from_path(&self.bytes, leaf as usize, leaves, inside)
            .expect("path was split where the tree of leaves ends");
        let (_, found) = follow(layout, stripe, index, root, above);
        if found != shards_root.0 {
            return Err(Error::PathMismatch { stripe, index, expected: shards_root.0, found });
        }
        Ok(CheckedLeaf(self))
    }

    /// Checks numbers and lengths; how many digests of the path lie inside the piece.
    fn check_shape(&self, layout: &Layout) -> Result<usize, Error> {
        let &Self { stripe, index, leaf, .. } = self;
        if stripe >= layout.stripes() {
            return Err(Error::StripeOutOfRange { stripe, stripes: layout.stripes() });
        }
        if index >= layout.members() {
            return Err(Error::PieceIndexOutOfRange { index, members: layout.members() });
        }
        let leaves = layout.leaves(stripe);
        if leaf >= leaves {
            return Err(Error::LeafOutOfRange { leaf, leaves });
        }
        let before = leaf as usize * LEAF_BYTES;
        let (expected, found) = (LEAF_BYTES.min(layout.piece_bytes(stripe) - before), self.bytes.len());
        if found != expected {
            return Err(Error::LeafLength { leaf, expected, found });
        }
        let inside = tree::path_digests(leaf as usize, leaves as usize);
        let (expected, found) = (inside + layout.path_digests(stripe, index), self.path.len());
        if found != expected {
            return Err(Error::PathLength { stripe, index, expected, found });
        }
        Ok(inside)
    }
}
