//! Checking bytes that come back from a disk, before they leave the node.
//!
//! Promise: a [`CheckedStripe`] holds exactly the bytes of the batch that were committed to. A shard read back is
//! checked piece by piece with [`crate::Piece::check`]; this is for the hot copy of the whole batch, without decoding.

use bytes::Bytes;
use fpga_hash::Hasher;
use fpga_hash::tree::piece_roots;

use crate::commitments::padded;
use crate::{Error, Layout, PieceRoots};

/// Bytes of one stripe of the batch, equal to their commitment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckedStripe {
    stripe: u32,
    data: Bytes,
}

impl CheckedStripe {
    /// Number of the stripe.
    pub fn stripe(&self) -> u32 {
        self.stripe
    }

    /// The stripe's bytes of the batch, without padding.
    pub fn data(&self) -> &Bytes {
        &self.data
    }
}

/// Hashes the `k` data pieces of a stripe and compares them with the batch's piece roots.
///
/// # Errors
/// [`Error::StoredDataLength`], [`Error::StoredDataMismatch`] with the first data piece that differs.
///
/// # Panics
/// When the stripe does not exist or the roots are for another layout.
pub fn verify_stripe_data(
    layout: &Layout,
    stripe: u32,
    data: Bytes,
    committed: &PieceRoots,
    hasher: &dyn Hasher,
) -> Result<CheckedStripe, Error> {
    assert_eq!(committed.layout(), layout, "piece roots of the same layout");
    let (expected, found) = (layout.stripe_range(stripe).len(), data.len());
    if found != expected {
        return Err(Error::StoredDataLength { stripe, expected, found });
    }
    let pieces = padded(layout, stripe, &data);
    let pieces: Vec<&[u8]> = pieces.chunks_exact(layout.piece_bytes(stripe)).collect();
    let found = piece_roots(hasher, &pieces);
    let differs = found.iter().zip(committed.stripe(stripe)).position(|(found, expected)| found != expected);
    match differs {
        Some(index) => {
            let index = u16::try_from(index).expect("below k, at most 256");
            Err(Error::StoredDataMismatch { stripe, index })
        }
        None => Ok(CheckedStripe { stripe, data }),
    }
}
