//! Pieces as peers send them, and pieces that are proven to belong to a batch.
//!
//! Promise: a [`CheckedPiece`] exists only if its bytes lead to the batch's shardsRoot (or this node encoded them), so
//! decoding cannot be fed unverified data. Checking never panics on what a peer sent, and looks at numbers and lengths
//! before it hashes a byte.

use attest::ShardsRoot;
use bytes::Bytes;
use fpga_hash::tree::{piece_roots, root_from_path};
use fpga_hash::{Digest, Hasher};

use crate::{Error, Layout};

/// A piece from the wire or a disk: nothing about it is known to be true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// Number of the stripe.
    pub stripe: u32,
    /// Index of the piece: the member whose shard it is part of.
    pub index: u16,
    /// The piece's bytes; copied by nothing here.
    pub bytes: Bytes,
    /// From the piece root through the stripe root to shardsRoot; at most [`crate::PATH_DIGESTS_MAX`] are ever valid.
    pub path: Vec<Digest>,
}

/// A piece whose path leads from its bytes to the batch's shardsRoot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedPiece {
    piece: Piece,
    root: Digest,
    stripe_root: Digest,
}

impl Piece {
    /// Checks the piece against the batch's shardsRoot. Cost: one hash over the piece. For several see [`check_many`].
    ///
    /// # Errors
    /// [`Error::StripeOutOfRange`], [`Error::PieceIndexOutOfRange`], [`Error::PieceLength`], [`Error::PathLength`],
    /// [`Error::PathMismatch`], in this order; all are the sender's fault.
    pub fn check(
        self,
        layout: &Layout,
        shards_root: &ShardsRoot,
        hasher: &dyn Hasher,
    ) -> Result<CheckedPiece, Error> {
        self.check_shape(layout)?;
        let root = piece_roots(hasher, &[&self.bytes])[0];
        self.check_path(layout, shards_root, root)
    }

    /// Whether numbers and lengths are those of the layout. Hashes nothing.
    fn check_shape(&self, layout: &Layout) -> Result<(), Error> {
        let &Self { stripe, index, .. } = self;
        if stripe >= layout.stripes() {
            return Err(Error::StripeOutOfRange { stripe, stripes: layout.stripes() });
        }
        if index >= layout.members() {
            return Err(Error::PieceIndexOutOfRange { index, members: layout.members() });
        }
        let (expected, found) = (layout.piece_bytes(stripe), self.bytes.len());
        if found != expected {
            return Err(Error::PieceLength { stripe, index, expected, found });
        }
        let (expected, found) = (layout.path_digests(stripe, index), self.path.len());
        if found != expected {
            return Err(Error::PathLength { stripe, index, expected, found });
        }
        Ok(())
    }

    /// Follows the path of a piece of checked shape from its root.
    fn check_path(
        self,
        layout: &Layout,
        shards_root: &ShardsRoot,
        root: Digest,
    ) -> Result<CheckedPiece, Error> {
        let (stripe_root, found) = follow(layout, self.stripe, self.index, root, &self.path);
        #[cfg(feature = "planted-faults")]
        let found = if crate::PlantedFault::AcceptBadPath.is_planted() { shards_root.0 } else { found };
        if found != shards_root.0 {
            let Self { stripe, index, .. } = self;
            return Err(Error::PathMismatch { stripe, index, expected: shards_root.0, found });
        }
        Ok(CheckedPiece { piece: self, root, stripe_root })
    }
}

/// Stripe root and shardsRoot that a path of the right length leads to from a piece root.
pub(crate) fn follow(
    layout: &Layout,
    stripe: u32,
    index: u16,
    root: Digest,
    path: &[Digest],
) -> (Digest, Digest) {
    let (lower, upper) = path.split_at(layout.stripe_path_digests(index));
    let stripe_root = root_from_path(&root, usize::from(index), layout.pieces(), lower)
        .expect("path was split where the tree of pieces ends");
    let shards_root = root_from_path(&stripe_root, stripe as usize, layout.stripes() as usize, upper)
        .expect("path length was checked against the layout");
    (stripe_root, shards_root)
}

/// Checks several pieces of one batch, in one hash call so that lanes stay full; answers in the order of the pieces.
///
/// # Errors
/// Each piece has its own result, as [`Piece::check`] gives it: one bad piece spoils no other.
pub fn check_many(
    pieces: Vec<Piece>,
    layout: &Layout,
    shards_root: &ShardsRoot,
    hasher: &dyn Hasher,
) -> Vec<Result<CheckedPiece, Error>> {
    let shapes: Vec<_> = pieces.iter().map(|piece| piece.check_shape(layout)).collect();
    let well_shaped = pieces.iter().zip(&shapes).filter(|(_, shape)| shape.is_ok());
    let bytes: Vec<&[u8]> = well_shaped.map(|(piece, _)| piece.bytes.as_ref()).collect();
    let mut roots = piece_roots(hasher, &bytes).into_iter();
    let check = |(piece, shape): (Piece, Result<(), Error>)| {
        shape?;
        let root = roots.next().expect("one root per piece of the right shape");
        piece.check_path(layout, shards_root, root)
    };
    pieces.into_iter().zip(shapes).map(check).collect()
}

impl CheckedPiece {
    /// A piece this node encoded itself; debug builds do not take its word for it.
    pub(crate) fn vouched(piece: Piece, root: Digest, stripe_root: Digest) -> Self {
        debug_assert_eq!(
            piece_roots(&*fpga_hash::software(), &[&piece.bytes]),
            [root],
            "piece roots are those of the encoded batch"
        );
        Self { piece, root, stripe_root }
    }

    /// Number of the stripe.
    pub fn stripe(&self) -> u32 {
        self.piece.stripe
    }

    /// Index of the piece.
    pub fn index(&self) -> u16 {
        self.piece.index
    }

    /// The piece's bytes.
    pub fn bytes(&self) -> &Bytes {
        &self.piece.bytes
    }

    /// The path from the piece root to shardsRoot, to forward the piece with.
    pub fn path(&self) -> &[Digest] {
        &self.piece.path
    }

    /// Root of the piece's 1 KiB leaves.
    pub fn root(&self) -> Digest {
        self.root
    }

    /// Root of the stripe, proven to be in shardsRoot.
    pub fn stripe_root(&self) -> Digest {
        self.stripe_root
    }

    /// The piece as it goes to a peer, who checks it again.
    pub fn into_piece(self) -> Piece {
        self.piece
    }
}
