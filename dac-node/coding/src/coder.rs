//! Reed-Solomon coding of one stripe.
//!
//! Promises: systematic (the data pieces are the data), any `k` of `n` pieces give the rest, and one [`Coder`] serves
//! every thread. The code is the one PROTOCOL section 3 names: GF(2^8) with polynomial 0x11d, Vandermonde matrix times
//! the inverse of its top square, as in crate `reed-solomon-erasure` 6.
//!
//! Choices: stripes, not batches, so that the working set stays in cache; every stripe of pieces is one allocation;
//! `k = n` has no parity pieces, which the crate refuses to build, so here it is a coder that only splits.

use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use reed_solomon_erasure::galois_8::ReedSolomon;

use crate::layout::check_thresholds;
use crate::{CheckedPiece, Error, Layout, Piece, PieceRoots, StripePaths};

/// The code for one pair of members `n` and minimum shards `k`. Cloning shares it.
///
/// It remembers at most 254 decoding matrices (`k * k` bytes each, 16 MiB in the worst committee) behind a short lock,
/// because peers decide which pieces arrive.
#[derive(Clone)]
pub struct Coder {
    members: u16,
    minimum_shards: u16,
    /// `None` when `k = n`: there is nothing to compute.
    code: Option<Arc<ReedSolomon>>,
}

impl fmt::Debug for Coder {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Coder({} of {})", self.minimum_shards, self.members)
    }
}

impl Coder {
    /// Builds the code for `members` = n and `minimum_shards` = k. Cost: about `n * k * k` field operations, once per
    /// committee.
    ///
    /// # Errors
    /// [`Error::BadThresholds`] unless `1 <= k <= n <= 256`.
    pub fn new(members: u16, minimum_shards: u16) -> Result<Self, Error> {
        check_thresholds(members, minimum_shards)?;
        let parity_pieces = usize::from(members - minimum_shards);
        let code = (parity_pieces > 0).then(|| {
            let code = ReedSolomon::new(usize::from(minimum_shards), parity_pieces);
            Arc::new(code.expect("1 <= k < n <= 256 is what the crate asks for"))
        });
        Ok(Self { members, minimum_shards, code })
    }

    /// Members `n`.
    pub fn members(&self) -> u16 {
        self.members
    }

    /// Minimum shards `k`.
    pub fn minimum_shards(&self) -> u16 {
        self.minimum_shards
    }

    /// All `n` pieces of one stripe, from its bytes of the batch. Allocates `n` pieces.
    ///
    /// # Panics
    /// When the coder or the data does not fit the layout, or the stripe does not exist.
    pub fn encode_stripe(&self, layout: &Layout, stripe: u32, stripe_data: &[u8]) -> EncodedStripe {
        self.assert_fits(layout);
        assert_eq!(stripe_data.len(), layout.stripe_range(stripe).len(), "bytes of stripe {stripe}");
        let piece_bytes = layout.piece_bytes(stripe);
        let mut pieces = vec![0; layout.pieces() * piece_bytes];
        pieces[..stripe_data.len()].copy_from_slice(stripe_data);
        let (data, parity) = pieces.split_at_mut(layout.data_pieces() * piece_bytes);
        self.fill_parity(data, parity, piece_bytes);
        EncodedStripe { stripe, piece_bytes, pieces: pieces.into() }
    }

    /// Computes the `n - k` parity pieces of `k` data pieces; pieces lie one behind the other.
    pub(crate) fn fill_parity(&self, data: &[u8], parity: &mut [u8], piece_bytes: usize) {
        let Some(code) = &self.code else { return };
        let data: Vec<&[u8]> = data.chunks_exact(piece_bytes).collect();
        let mut parity: Vec<&mut [u8]> = parity.chunks_exact_mut(piece_bytes).collect();
        code.encode_sep(&data, &mut parity).expect("k data and n - k parity pieces of one length");
    }

    /// Computes every piece that is not `present` from the first `k` that are; all lie one behind the other.
    pub(crate) fn fill_missing(&self, pieces: &mut [u8], present: &[bool], piece_bytes: usize) {
        let data_pieces = usize::from(self.minimum_shards);
        if present[..data_pieces].iter().all(|present| *present) {
            let (data, parity) = pieces.split_at_mut(data_pieces * piece_bytes);
            return self.fill_parity(data, parity, piece_bytes);
        }
        let code = self.code.as_ref().expect("without parity pieces, k present pieces are all data pieces");
        let mut pieces: Vec<(&mut [u8], bool)> =
            pieces.chunks_exact_mut(piece_bytes).zip(present.iter().copied()).collect();
        code.reconstruct(&mut pieces).expect("n places of one length, k of them present");
    }

    /// A coder of another committee is a bug of the caller.
    pub(crate) fn assert_fits(&self, layout: &Layout) {
        assert_eq!(
            (self.members, self.minimum_shards),
            (layout.members(), layout.minimum_shards()),
            "coder and layout are of the same committee"
        );
    }
}

/// All `n` pieces of one stripe, data pieces first, in one shared allocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedStripe {
    stripe: u32,
    piece_bytes: usize,
    pieces: Bytes,
}

impl EncodedStripe {
    /// From `n` pieces that lie one behind the other.
    pub(crate) fn new(stripe: u32, piece_bytes: usize, pieces: Bytes) -> Self {
        debug_assert_eq!(pieces.len() % piece_bytes, 0, "whole pieces");
        Self { stripe, piece_bytes, pieces }
    }

    /// Number of the stripe.
    pub fn stripe(&self) -> u32 {
        self.stripe
    }

    /// Bytes of each piece.
    pub fn piece_bytes(&self) -> usize {
        self.piece_bytes
    }

    /// Number of pieces, `n`.
    pub fn members(&self) -> usize {
        self.pieces.len() / self.piece_bytes
    }

    /// Bytes of piece `index`, sharing the stripe's allocation: copy what you keep for long.
    ///
    /// # Panics
    /// When the index does not exist.
    pub fn bytes(&self, index: u16) -> Bytes {
        let start = usize::from(index) * self.piece_bytes;
        self.pieces.slice(start..start + self.piece_bytes)
    }

    /// The pieces in index order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.pieces.chunks_exact(self.piece_bytes)
    }

    /// The first `bytes` bytes of the pieces: the stripe's data, when `bytes` is its length.
    pub(crate) fn prefix(&self, bytes: usize) -> Bytes {
        self.pieces.slice(..bytes)
    }

    /// Piece `index` with its path, ready to send. `paths` are those of this stripe, see [`PieceRoots::paths`].
    ///
    /// # Panics
    /// When the index does not exist or `paths` are of another stripe.
    pub fn piece(&self, index: u16, paths: &StripePaths) -> Piece {
        assert_eq!(self.stripe, paths.stripe(), "paths of the same stripe");
        Piece { stripe: self.stripe, index, bytes: self.bytes(index), path: paths.path(index) }
    }

    /// Piece `index` as one that needs no check, because this node encoded the batch and computed `piece_roots` itself.
    ///
    /// The caller vouches that both are of the same batch; debug builds hash the piece to see that it is so.
    ///
    /// # Panics
    /// When the index does not exist or `paths` are of another stripe.
    pub fn checked_piece(&self, index: u16, piece_roots: &PieceRoots, paths: &StripePaths) -> CheckedPiece {
        let root = piece_roots.piece_root(self.stripe, index);
        CheckedPiece::vouched(self.piece(index, paths), root, piece_roots.stripe_root(self.stripe))
    }
}
