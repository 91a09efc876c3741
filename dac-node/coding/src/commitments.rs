//! The three commitments of a batch, and how a coordinator computes them.
//!
//! Promise: [`commit`] depends on the batch and the layout only, not on the hasher, the number of threads or the
//! machine. It reads the batch where it lies and holds parity of one stripe per thread, never the whole encoding.

use std::borrow::Cow;
use std::fmt;

use attest::{DataHash, DataRoot, ShardsRoot};
use fpga_hash::tree::{data_root, piece_roots};
use fpga_hash::{Digest, Hasher, keccak256};
use rayon::prelude::*;

use crate::{Coder, Error, Layout, PieceRoots};

/// What a statement says about the bytes of a batch. Source: PROTOCOL section 3.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Commitments {
    /// keccak256 of the batch.
    pub data_hash: DataHash,
    /// Poseidon root of the batch, bound to its length.
    pub data_root: DataRoot,
    /// Root over all pieces of the batch's encoding.
    pub shards_root: ShardsRoot,
}

/// One of the three.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commitment {
    /// [`Commitments::data_hash`].
    DataHash,
    /// [`Commitments::data_root`].
    DataRoot,
    /// [`Commitments::shards_root`].
    ShardsRoot,
}

impl fmt::Display for Commitment {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::DataHash => "data hash",
            Self::DataRoot => "data root",
            Self::ShardsRoot => "shards root",
        })
    }
}

impl Commitments {
    /// Compares what was computed from the bytes (`self`) with what was announced.
    ///
    /// # Errors
    /// [`Error::CommitmentMismatch`] with the first that differs, in the order shardsRoot, dataHash, dataRoot.
    pub fn check(&self, expected: &Self) -> Result<(), Error> {
        let pairs = [
            (Commitment::ShardsRoot, expected.shards_root.0, self.shards_root.0),
            (Commitment::DataHash, expected.data_hash.0, self.data_hash.0),
            (Commitment::DataRoot, expected.data_root.0, self.data_root.0),
        ];
        match pairs.into_iter().find(|(_, expected, found)| expected != found) {
            Some((which, expected, found)) => Err(Error::CommitmentMismatch { which, expected, found }),
            None => Ok(()),
        }
    }
}

/// Computes all commitments of a batch and the roots of all its pieces.
///
/// Cost: one pass of each hash over the batch, encoding, and `n / k` batches of leaf hashing. Runs on the rayon pool
/// it is called in (the global one outside any pool).
///
/// # Panics
/// When the coder or the batch does not fit the layout.
pub fn commit(
    hasher: &dyn Hasher,
    coder: &Coder,
    layout: &Layout,
    batch: &[u8],
) -> (Commitments, PieceRoots) {
    let digests = || rayon::join(|| keccak256(batch), || data_root(hasher, batch));
    let (piece_roots, (data_hash, data_root)) =
        rayon::join(|| encode_and_root(hasher, coder, layout, batch), digests);
    let (data_hash, data_root) = (DataHash(data_hash), DataRoot(data_root));
    let shards_root = piece_roots.shards_root();
    (Commitments { data_hash, data_root, shards_root }, piece_roots)
}

/// The roots of all pieces, encoding stripe by stripe: the part of [`commit`] that dispersal waits for. A coordinator
/// computes dataRoot, the slow one, while the pieces are on their way. Same cost and pool as there.
///
/// # Panics
/// When the coder or the batch does not fit the layout.
pub fn encode_and_root(hasher: &dyn Hasher, coder: &Coder, layout: &Layout, batch: &[u8]) -> PieceRoots {
    coder.assert_fits(layout);
    assert_eq!(batch.len() as u64, layout.batch_bytes(), "bytes of the batch");
    let roots: Vec<Vec<Digest>> = (0..layout.stripes())
        .into_par_iter()
        .map_init(Vec::new, |parity, stripe| {
            let data = &batch[layout.stripe_range(stripe)];
            stripe_piece_roots(hasher, coder, layout, stripe, data, parity)
        })
        .collect();
    PieceRoots::new(layout, roots.concat(), hasher)
}

/// The `n` piece roots of one stripe; `parity` is scratch space that the next stripe uses again.
fn stripe_piece_roots(
    hasher: &dyn Hasher,
    coder: &Coder,
    layout: &Layout,
    stripe: u32,
    stripe_data: &[u8],
    parity: &mut Vec<u8>,
) -> Vec<Digest> {
    let piece_bytes = layout.piece_bytes(stripe);
    let data = padded(layout, stripe, stripe_data);
    parity.resize((layout.pieces() - layout.data_pieces()) * piece_bytes, 0);
    coder.fill_parity(&data, parity, piece_bytes);
    let pieces: Vec<&[u8]> = data.chunks_exact(piece_bytes).chain(parity.chunks_exact(piece_bytes)).collect();
    piece_roots(hasher, &pieces)
}

/// The `k` data pieces of a stripe, one behind the other. Copies only a last stripe that needs padding.
pub(crate) fn padded<'a>(layout: &Layout, stripe: u32, stripe_data: &'a [u8]) -> Cow<'a, [u8]> {
    let padded_bytes = layout.data_pieces() * layout.piece_bytes(stripe);
    if stripe_data.len() == padded_bytes {
        return Cow::Borrowed(stripe_data);
    }
    let mut data = stripe_data.to_vec();
    data.resize(padded_bytes, 0);
    Cow::Owned(data)
}
