//! Where every byte of a batch goes: stripes, pieces, shards, leaves, and how long Merkle paths are.
//!
//! Promise: a `Layout` exists only for a batch length and thresholds the protocol allows, and everything it computes
//! depends on nothing else, so two members with the same layout agree on every length before a byte arrives.
//!
//! A full stripe holds `k * PIECE_BYTES` bytes of the batch. The last stripe holds the rest, in pieces of
//! `ceil(rest / k)` bytes rounded up to a multiple of 64. Source: PROTOCOL section 3.

use std::ops::Range;

use fpga_hash::tree::SUBTREE_BYTES;

use crate::{Error, tree};

/// Longest batch: 64 MiB. Source: PROTOCOL section 3; nodes may be configured lower.
pub const BATCH_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bytes of a piece in a full stripe: 32 KiB, so that a stripe of a usual committee stays in a core's L2 cache.
pub const PIECE_BYTES: usize = 32 * 1024;
/// Every piece is a multiple of this many bytes: one cache line, whole SIMD registers.
pub const PIECE_BYTES_MULTIPLE: usize = 64;
/// Bytes of a Merkle leaf inside a piece; the last leaf of a piece may be shorter. L1 checks one leaf.
pub const LEAF_BYTES: usize = 1024;
/// Most members of a committee: the code is over GF(2^8), which has 256 evaluation points.
pub const MEMBERS_MAX: u16 = 256;
/// Longest path of any piece: 8 digests for 256 members and 11 for 2,048 stripes (64 MiB at `k = 1`).
pub const PATH_DIGESTS_MAX: usize = 8 + 11;

/// The shape of one batch in one committee. Small, copied freely.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Layout {
    members: u16,
    minimum_shards: u16,
    batch_bytes: usize,
    stripes: u32,
}

impl Layout {
    /// The layout of a batch of `batch_bytes` for `members` = n and `minimum_shards` = k.
    ///
    /// # Errors
    /// [`Error::BadThresholds`] unless `1 <= k <= n <= 256`; [`Error::EmptyBatch`]; [`Error::BatchTooLarge`].
    pub fn new(members: u16, minimum_shards: u16, batch_bytes: u64) -> Result<Self, Error> {
        check_thresholds(members, minimum_shards)?;
        if batch_bytes == 0 {
            return Err(Error::EmptyBatch);
        }
        if batch_bytes > BATCH_BYTES_MAX {
            return Err(Error::BatchTooLarge { found: batch_bytes, bytes_max: BATCH_BYTES_MAX });
        }
        let batch_bytes = usize::try_from(batch_bytes).expect("64 MiB fit an address space");
        let stripes = batch_bytes.div_ceil(usize::from(minimum_shards) * PIECE_BYTES);
        let stripes = u32::try_from(stripes).expect("at most 2,048 stripes in 64 MiB");
        Ok(Self { members, minimum_shards, batch_bytes, stripes })
    }

    /// Members `n`, also the number of pieces per stripe.
    pub fn members(&self) -> u16 {
        self.members
    }

    /// Minimum shards `k`, also the number of data pieces per stripe.
    pub fn minimum_shards(&self) -> u16 {
        self.minimum_shards
    }

    /// Length of the batch in bytes, 1 to [`BATCH_BYTES_MAX`].
    pub fn batch_bytes(&self) -> u64 {
        self.batch_bytes as u64
    }

    /// Number of stripes, 1 to 2,048.
    pub fn stripes(&self) -> u32 {
        self.stripes
    }

    /// The bytes of the batch that stripe `stripe` holds; never empty.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn stripe_range(&self, stripe: u32) -> Range<usize> {
        assert!(stripe < self.stripes, "stripe {stripe} of {}", self.stripes);
        let full = self.data_pieces() * PIECE_BYTES;
        let start = stripe as usize * full;
        start..self.batch_bytes.min(start + full)
    }

    /// Which subtrees of dataRoot ([`fpga_hash::tree::SUBTREE_BYTES`] each) lie in a stripe as a whole. None in a batch so
    /// small that its tree has no second level.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub(crate) fn data_subtrees(&self, stripe: u32) -> Range<usize> {
        let Range { start, end } = self.stripe_range(stripe);
        let first = start.div_ceil(SUBTREE_BYTES);
        if self.batch_bytes <= SUBTREE_BYTES {
            return first..first;
        }
        let is_last = end == self.batch_bytes;
        let behind = if is_last { end.div_ceil(SUBTREE_BYTES) } else { end / SUBTREE_BYTES };
        first..behind.max(first)
    }

    /// Bytes of each piece of a stripe: [`PIECE_BYTES`], in the last stripe at most that; a multiple of 64.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn piece_bytes(&self, stripe: u32) -> usize {
        let data_bytes = self.stripe_range(stripe).len();
        data_bytes.div_ceil(self.data_pieces()).next_multiple_of(PIECE_BYTES_MULTIPLE)
    }

    /// Bytes of one member's shard: the sum of `piece_bytes` over all stripes.
    pub fn shard_bytes(&self) -> usize {
        self.shard_range(self.stripes - 1).end
    }

    /// Where the piece of a stripe lies in a shard, whose pieces lie one behind the other in stripe order.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn shard_range(&self, stripe: u32) -> Range<usize> {
        let start = stripe as usize * PIECE_BYTES;
        start..start + self.piece_bytes(stripe)
    }

    /// Merkle leaves in each piece of a stripe, 1 to 32.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn leaves(&self, stripe: u32) -> u32 {
        u32::try_from(self.piece_bytes(stripe).div_ceil(LEAF_BYTES)).expect("at most 32 leaves in 32 KiB")
    }

    /// Digests in the path from the piece root `(stripe, index)` to shardsRoot; at most [`PATH_DIGESTS_MAX`].
    ///
    /// # Panics
    /// When the stripe or the index does not exist.
    pub fn path_digests(&self, stripe: u32, index: u16) -> usize {
        self.stripe_path_digests(index) + tree::path_digests(stripe as usize, self.stripes as usize)
    }

    /// Digests in the first part of that path, from the piece root to the stripe root.
    pub(crate) fn stripe_path_digests(&self, index: u16) -> usize {
        tree::path_digests(usize::from(index), usize::from(self.members))
    }

    /// `k`, as a count of pieces.
    pub(crate) fn data_pieces(&self) -> usize {
        usize::from(self.minimum_shards)
    }

    /// `n`, as a count of pieces.
    pub(crate) fn pieces(&self) -> usize {
        usize::from(self.members)
    }
}

/// Refuses what is not `1 <= k <= n <= 256`.
pub(crate) fn check_thresholds(members: u16, minimum_shards: u16) -> Result<(), Error> {
    if minimum_shards == 0 || minimum_shards > members || members > MEMBERS_MAX {
        return Err(Error::BadThresholds { members, minimum_shards });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refuses_what_the_protocol_forbids() {
        assert_eq!(Layout::new(7, 3, 0), Err(Error::EmptyBatch));
        let too_large = BATCH_BYTES_MAX + 1;
        assert_eq!(
            Layout::new(7, 3, too_large),
            Err(Error::BatchTooLarge { found: too_large, bytes_max: BATCH_BYTES_MAX })
        );
        for (members, minimum_shards) in [(7, 0), (7, 8), (0, 0), (257, 3), (u16::MAX, u16::MAX)] {
            assert_eq!(
                Layout::new(members, minimum_shards, 1),
                Err(Error::BadThresholds { members, minimum_shards })
            );
        }
    }

    #[test]
    fn largest_batches_stay_inside_the_stated_bounds() {
        let most_stripes = Layout::new(256, 1, BATCH_BYTES_MAX).unwrap();
        assert_eq!(most_stripes.stripes(), 2048);
        assert_eq!(most_stripes.path_digests(0, 0), PATH_DIGESTS_MAX);
        assert_eq!(most_stripes.shard_bytes() as u64, BATCH_BYTES_MAX);
        assert_eq!(Layout::new(256, 256, BATCH_BYTES_MAX).unwrap().stripes(), 8);
    }

    #[test]
    fn last_stripe_has_the_rest_in_pieces_of_whole_cache_lines() {
        let full = 3 * PIECE_BYTES as u64;
        for (batch_bytes, stripes, last_piece_bytes) in [
            (1, 1, 64),
            (192, 1, 64),
            (193, 1, 128),
            (full - 1, 1, PIECE_BYTES),
            (full, 1, PIECE_BYTES),
            (full + 1, 2, 64),
        ] {
            let layout = Layout::new(7, 3, batch_bytes).unwrap();
            assert_eq!(layout.stripes(), stripes, "{batch_bytes}");
            assert_eq!(layout.piece_bytes(stripes - 1), last_piece_bytes, "{batch_bytes}");
        }
    }
}
