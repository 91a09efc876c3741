//! The table of all piece roots of a batch, and the Merkle paths it gives.
//!
//! Promise: a `PieceRoots` is consistent: its stripe roots and its shardsRoot are those of its piece roots. A member
//! stores the table beside its shard, so that it can prove any piece it serves and check any byte it reads.
//!
//! Size: `n * stripes * 32` bytes, a thousandth of the shards together (153 KiB for 64 MiB at `n = 7, k = 3`).

use attest::ShardsRoot;
use fpga_hash::tree::merkle_roots_of_digests;
use fpga_hash::{Digest, Hasher};

use crate::tree::Levels;
use crate::{Error, Layout};

/// Bytes of one digest in the stored form.
const DIGEST_BYTES: usize = 32;

/// Piece roots of one batch with the tree above the stripe roots.
#[derive(Debug, Clone)]
pub struct PieceRoots {
    layout: Layout,
    /// Stripe by stripe, `n` roots each.
    roots: Vec<Digest>,
    stripe_roots: Vec<Digest>,
    /// The tree over the stripe roots.
    stripes: Levels,
}

impl PieceRoots {
    /// From the roots stripe by stripe. Hashes about `2 * n * stripes` nodes.
    pub(crate) fn new(layout: &Layout, roots: Vec<Digest>, hasher: &dyn Hasher) -> Self {
        assert_eq!(roots.len(), layout.pieces() * layout.stripes() as usize, "one root per piece");
        let stripe_roots = merkle_roots_of_digests(hasher, layout.pieces(), &roots);
        let stripes = Levels::new(hasher, &stripe_roots);
        Self { layout: *layout, roots, stripe_roots, stripes }
    }

    /// The layout these roots are for.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Roots of the `n` pieces of a stripe, in index order.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn stripe(&self, stripe: u32) -> &[Digest] {
        let members = self.layout.pieces();
        &self.roots[stripe as usize * members..][..members]
    }

    /// Root of piece `(stripe, index)`.
    ///
    /// # Panics
    /// When the stripe or the index does not exist.
    pub fn piece_root(&self, stripe: u32, index: u16) -> Digest {
        self.stripe(stripe)[usize::from(index)]
    }

    /// Root of a stripe.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn stripe_root(&self, stripe: u32) -> Digest {
        self.stripe_roots[stripe as usize]
    }

    /// Roots of all stripes in order.
    pub fn stripe_roots(&self) -> &[Digest] {
        &self.stripe_roots
    }

    /// The commitment over everything.
    pub fn shards_root(&self) -> ShardsRoot {
        ShardsRoot(self.stripes.root())
    }

    /// The path from piece root `(stripe, index)` to shardsRoot. For many pieces of a stripe take [`Self::paths`].
    ///
    /// # Panics
    /// When the stripe or the index does not exist.
    pub fn path(&self, stripe: u32, index: u16, hasher: &dyn Hasher) -> Vec<Digest> {
        self.paths(stripe, hasher).path(index)
    }

    /// All paths of one stripe. Hashes `2 * n` nodes.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn paths(&self, stripe: u32, hasher: &dyn Hasher) -> StripePaths {
        let mut upper = Vec::new();
        self.stripes.extend_path(stripe as usize, &mut upper);
        StripePaths::new(stripe, self.stripe(stripe), upper, hasher)
    }

    /// The stored form: the roots stripe by stripe, 32 bytes each, nothing else (the layout gives the length).
    pub fn to_bytes(&self) -> Vec<u8> {
        self.roots.as_flattened().to_vec()
    }

    /// Reads the stored form and checks it against the batch's shardsRoot.
    ///
    /// # Errors
    /// [`Error::PieceRootsLength`] before anything is copied or hashed; [`Error::PieceRootsMismatch`].
    pub fn from_bytes(
        layout: &Layout,
        bytes: &[u8],
        shards_root: &ShardsRoot,
        hasher: &dyn Hasher,
    ) -> Result<Self, Error> {
        let expected = layout.pieces() * layout.stripes() as usize * DIGEST_BYTES;
        if bytes.len() != expected {
            return Err(Error::PieceRootsLength { expected, found: bytes.len() });
        }
        let (roots, _) = bytes.as_chunks::<DIGEST_BYTES>();
        let piece_roots = Self::new(layout, roots.to_vec(), hasher);
        let found = piece_roots.shards_root();
        if found != *shards_root {
            return Err(Error::PieceRootsMismatch { expected: shards_root.0, found: found.0 });
        }
        Ok(piece_roots)
    }
}

/// The paths of all pieces of one stripe, computed once.
#[derive(Debug, Clone)]
pub struct StripePaths {
    stripe: u32,
    /// The tree over the stripe's piece roots.
    pieces: Levels,
    /// From the stripe root to shardsRoot; the same for all pieces.
    upper: Vec<Digest>,
}

impl StripePaths {
    /// From the stripe's piece roots and the path from its root to shardsRoot.
    pub(crate) fn new(stripe: u32, roots: &[Digest], upper: Vec<Digest>, hasher: &dyn Hasher) -> Self {
        Self { stripe, pieces: Levels::new(hasher, roots), upper }
    }

    /// Number of the stripe.
    pub fn stripe(&self) -> u32 {
        self.stripe
    }

    /// From piece root `index` through the stripe root to shardsRoot: two RFC 6962 paths, one behind the other.
    ///
    /// # Panics
    /// When the index does not exist.
    pub fn path(&self, index: u16) -> Vec<Digest> {
        let mut path = Vec::new();
        self.pieces.extend_path(usize::from(index), &mut path);
        path.extend_from_slice(&self.upper);
        path
    }
}
