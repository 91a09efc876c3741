//! A whole batch from its decoded stripes, in any order.
//!
//! Promise: a [`DecodedBatch`] has the commitments beside it, all three computed from its bytes, and they equal what was
//! announced. That is what a member's signature says. Memory is one batch, one shard and the table of piece roots,
//! taken when the first decoded stripe arrives, not before.

use attest::{DataHash, DataRoot, SeatIndex, ShardsRoot};
use bytes::Bytes;
use fpga_hash::tree::{SUBTREE_BYTES, data_root, data_root_of_subtrees, data_subtrees};
use fpga_hash::{Digest, FieldElement, Hasher, keccak256};

use crate::{Commitments, DecodedStripe, Error, Layout, PieceRoots};

/// Collects the stripes of one batch.
#[derive(Debug)]
pub struct BatchAssembler {
    layout: Layout,
    seat: Option<SeatIndex>,
    inserted: Vec<bool>,
    missing: u32,
    batch: Vec<u8>,
    /// Empty when no seat was named.
    shard: Vec<u8>,
    /// Stripe by stripe, `n` each.
    piece_roots: Vec<Digest>,
    /// Of dataRoot's tree, as far as stripes brought them; empty until the first one does.
    data_subtrees: Vec<Option<FieldElement>>,
}

/// A batch that is exactly what was announced.
#[derive(Debug, Clone)]
pub struct DecodedBatch {
    /// All bytes of the batch.
    pub batch: Bytes,
    /// The named seat's pieces in stripe order ([`Layout::shard_range`]); `None` when no seat was named.
    pub shard: Option<Bytes>,
    /// Roots of all pieces, consistent with the announced shardsRoot.
    pub piece_roots: PieceRoots,
    /// As computed from the bytes; equal to what was announced.
    pub commitments: Commitments,
}

impl BatchAssembler {
    /// Starts empty. With a seat it also collects that member's shard; a reader without a seat passes `None`.
    ///
    /// # Panics
    /// When the seat is not in the layout.
    pub fn new(layout: &Layout, seat: Option<SeatIndex>) -> Self {
        if let Some(seat) = seat {
            assert!(seat.0 < layout.members(), "seat {} of {}", seat.0, layout.members());
        }
        Self {
            layout: *layout,
            seat,
            inserted: vec![false; layout.stripes() as usize],
            missing: layout.stripes(),
            batch: Vec::new(),
            shard: Vec::new(),
            piece_roots: Vec::new(),
            data_subtrees: Vec::new(),
        }
    }

    /// Copies a stripe to its place. False when it was there already: the second is ignored.
    ///
    /// # Panics
    /// When the stripe was decoded with another layout.
    pub fn insert(&mut self, decoded: &DecodedStripe) -> bool {
        assert_eq!(*decoded.layout(), self.layout, "stripe of the same layout");
        let stripe = decoded.stripe();
        if std::mem::replace(&mut self.inserted[stripe as usize], true) {
            return false;
        }
        self.reserve();
        self.batch[self.layout.stripe_range(stripe)].copy_from_slice(&decoded.data());
        if let Some(seat) = self.seat {
            self.shard[self.layout.shard_range(stripe)].copy_from_slice(&decoded.pieces().bytes(seat.0));
        }
        let members = self.layout.pieces();
        self.piece_roots[stripe as usize * members..][..members].copy_from_slice(decoded.piece_roots());
        self.keep_subtrees(decoded);
        self.missing -= 1;
        true
    }

    fn keep_subtrees(&mut self, decoded: &DecodedStripe) {
        let subtrees = decoded.data_subtrees();
        if subtrees.is_empty() {
            return;
        }
        self.data_subtrees.resize(self.batch.len().div_ceil(SUBTREE_BYTES), None);
        let places = &mut self.data_subtrees[self.layout.data_subtrees(decoded.stripe())];
        places.iter_mut().zip(subtrees).for_each(|(place, subtree)| *place = Some(*subtree));
    }

    /// Takes the memory, once. Only `k` proven pieces of a stripe bring us here, so an empty announcement costs nothing.
    fn reserve(&mut self) {
        if !self.batch.is_empty() {
            return;
        }
        self.batch = vec![0; self.layout.stripe_range(self.layout.stripes() - 1).end];
        self.piece_roots = vec![Digest::default(); self.layout.pieces() * self.layout.stripes() as usize];
        if self.seat.is_some() {
            self.shard = vec![0; self.layout.shard_bytes()];
        }
    }

    /// Whether a stripe is there.
    ///
    /// # Panics
    /// When the stripe does not exist.
    pub fn contains(&self, stripe: u32) -> bool {
        self.inserted[stripe as usize]
    }

    /// How many stripes are missing.
    pub fn missing(&self) -> u32 {
        self.missing
    }

    /// Whether all stripes are there.
    pub fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// Computes all commitments from the bytes and compares them with the announced ones.
    ///
    /// Cost: one pass of each hash over the batch, less what [`DecodedStripe::with_data_subtrees`] did; runs on the rayon
    /// pool it is called in.
    ///
    /// # Errors
    /// [`Error::MissingStripes`]; [`Error::CommitmentMismatch`]: whoever announced the batch lied, not the peers.
    pub fn finish(self, expected: &Commitments, hasher: &dyn Hasher) -> Result<DecodedBatch, Error> {
        let decoded = self.compute(hasher)?;
        decoded.commitments.check(expected)?;
        Ok(decoded)
    }

    /// Like [`Self::finish`] for a member of an exchange: an open announces dataHash and shardsRoot (PROTOCOL section 5,
    /// step 2), and dataRoot is what this member computes, and signs, itself.
    ///
    /// # Errors
    /// As [`Self::finish`].
    pub fn finish_announced(
        self,
        data_hash: DataHash,
        shards_root: ShardsRoot,
        hasher: &dyn Hasher,
    ) -> Result<DecodedBatch, Error> {
        let decoded = self.compute(hasher)?;
        let data_root = decoded.commitments.data_root;
        #[cfg(feature = "planted-faults")]
        let shards_root = match crate::PlantedFault::SkipReencodeCheck.is_planted() {
            true => decoded.commitments.shards_root,
            false => shards_root,
        };
        decoded.commitments.check(&Commitments { data_hash, data_root, shards_root })?;
        Ok(decoded)
    }

    /// All commitments from the bytes, compared with nothing yet.
    fn compute(self, hasher: &dyn Hasher) -> Result<DecodedBatch, Error> {
        if !self.is_complete() {
            return Err(Error::MissingStripes { missing: self.missing, stripes: self.layout.stripes() });
        }
        let (data_hash, data_root) = rayon::join(|| keccak256(&self.batch), || self.data_root(hasher));
        let (data_hash, data_root) = (DataHash(data_hash), DataRoot(data_root));
        let piece_roots = PieceRoots::new(&self.layout, self.piece_roots, hasher);
        let shards_root = piece_roots.shards_root();
        let commitments = Commitments { data_hash, data_root, shards_root };
        let shard = self.seat.map(|_| self.shard.into());
        Ok(DecodedBatch { batch: self.batch.into(), shard, piece_roots, commitments })
    }

    /// From the subtrees that came with the stripes; those across the border of two stripes are hashed here.
    fn data_root(&self, hasher: &dyn Hasher) -> Digest {
        let places = self.data_subtrees.iter().enumerate();
        let missing: Vec<usize> =
            places.filter(|(_, place)| place.is_none()).map(|(place, _)| place).collect();
        if missing.len() == self.data_subtrees.len() {
            return data_root(hasher, &self.batch);
        }
        let bytes = |place: usize| self.batch[place * SUBTREE_BYTES..].chunks(SUBTREE_BYTES).next();
        let gathered: Vec<u8> = missing.iter().filter_map(|place| bytes(*place)).flatten().copied().collect();
        let mut hashed = data_subtrees(hasher, &gathered).into_iter();
        let known = self.data_subtrees.iter().map(|known| known.or_else(|| hashed.next()));
        let subtrees = known.map(|subtree| subtree.expect("one for each that was missing")).collect();
        data_root_of_subtrees(hasher, subtrees, self.batch.len() as u64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Coder, Commitment, commit, decode_stripe};

    fn assembled(batch: &[u8]) -> (BatchAssembler, Commitments) {
        let hasher = fpga_hash::software();
        let layout = Layout::new(4, 2, batch.len() as u64).unwrap();
        let coder = Coder::new(4, 2).unwrap();
        let (commitments, piece_roots) = commit(&*hasher, &coder, &layout, batch);
        let mut assembler = BatchAssembler::new(&layout, Some(SeatIndex(3)));
        for stripe in 0..layout.stripes() {
            let encoded = coder.encode_stripe(&layout, stripe, &batch[layout.stripe_range(stripe)]);
            let paths = piece_roots.paths(stripe, &*hasher);
            let pieces: Vec<_> =
                (1..3).map(|index| encoded.checked_piece(index, &piece_roots, &paths)).collect();
            assembler.insert(&decode_stripe(&coder, &layout, stripe, &pieces, &*hasher).unwrap());
        }
        (assembler, commitments)
    }

    #[test]
    fn computes_the_data_root_that_nobody_announced() {
        let (assembler, Commitments { data_hash, data_root, shards_root }) = assembled(&[5; 70_000]);
        let decoded = assembler.finish_announced(data_hash, shards_root, &*fpga_hash::software()).unwrap();
        assert_eq!((decoded.commitments.data_root, &decoded.batch[..]), (data_root, &[5; 70_000][..]));
        assert!(decoded.shard.is_some());
    }

    #[test]
    fn refuses_what_is_not_as_announced() {
        let hasher = fpga_hash::software();
        let (assembler, announced) = assembled(&[5; 70_000]);
        let error =
            assembler.finish_announced(DataHash([1; 32]), announced.shards_root, &*hasher).unwrap_err();
        assert!(matches!(error, Error::CommitmentMismatch { which: Commitment::DataHash, .. }));
        let (assembler, announced) = assembled(&[5; 70_000]);
        let error =
            assembler.finish_announced(announced.data_hash, ShardsRoot([1; 32]), &*hasher).unwrap_err();
        assert!(matches!(error, Error::CommitmentMismatch { which: Commitment::ShardsRoot, .. }));
        let missing = BatchAssembler::new(&Layout::new(4, 2, 1).unwrap(), None);
        let error =
            missing.finish_announced(announced.data_hash, announced.shards_root, &*hasher).unwrap_err();
        assert_eq!(error, Error::MissingStripes { missing: 1, stripes: 1 });
    }
}
