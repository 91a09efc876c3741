//! What the crate promises, against an independent implementation, hostile input and pinned vectors.

#![expect(clippy::unwrap_used, reason = "a helper of tests that fails is a failed test")]

mod hostile;
mod naive;
mod round_trip;
mod serving;
mod vectors;

use std::sync::Arc;

use dac_node_coding::{
    BatchAssembler, CheckedPiece, Coder, Commitments, DecodedBatch, Layout, PieceRoots, commit,
};
use fpga_hash::Hasher;

/// The software hasher.
pub(crate) fn hasher() -> Arc<dyn Hasher> {
    fpga_hash::software()
}

/// A batch anyone can make again: bytes `32 j..` are keccak256 of seed and `j`, both 8 bytes big-endian.
pub(crate) fn generated_batch(seed: u64, bytes: usize) -> Vec<u8> {
    let block = |j: u64| naive::keccak(&[&seed.to_be_bytes(), &j.to_be_bytes()]);
    (0..).flat_map(block).take(bytes).collect()
}

/// One batch with everything a coordinator has.
pub(crate) struct Coordinator {
    pub(crate) layout: Layout,
    pub(crate) coder: Coder,
    pub(crate) batch: Vec<u8>,
    pub(crate) commitments: Commitments,
    pub(crate) piece_roots: PieceRoots,
}

impl Coordinator {
    pub(crate) fn new(members: u16, minimum_shards: u16, batch: Vec<u8>) -> Self {
        let layout = Layout::new(members, minimum_shards, batch.len() as u64).unwrap();
        let coder = Coder::new(members, minimum_shards).unwrap();
        let (commitments, piece_roots) = commit(&*hasher(), &coder, &layout, &batch);
        Self { layout, coder, batch, commitments, piece_roots }
    }

    /// All pieces of one stripe, as a member holds them after checking what it received.
    pub(crate) fn checked_pieces(&self, stripe: u32) -> Vec<CheckedPiece> {
        let hasher = hasher();
        let encoded =
            self.coder.encode_stripe(&self.layout, stripe, &self.batch[self.layout.stripe_range(stripe)]);
        let paths = self.piece_roots.paths(stripe, &*hasher);
        let check = |index| {
            let piece = encoded.piece(index, &paths);
            piece.check(&self.layout, &self.commitments.shards_root, &*hasher).unwrap()
        };
        (0..self.layout.members()).map(check).collect()
    }

    /// A member's way: decode every stripe from the pieces `choose` picks, and assemble.
    pub(crate) fn decode(
        &self,
        choose: impl Fn(u32, Vec<CheckedPiece>) -> Vec<CheckedPiece>,
    ) -> Result<DecodedBatch, dac_node_coding::Error> {
        self.assembled(choose, |_| false)?.finish(&self.commitments, &*hasher())
    }

    /// The same before the commitments are computed; the stripes that `early` names bring their part of dataRoot.
    pub(crate) fn assembled(
        &self,
        choose: impl Fn(u32, Vec<CheckedPiece>) -> Vec<CheckedPiece>,
        early: impl Fn(u32) -> bool,
    ) -> Result<BatchAssembler, dac_node_coding::Error> {
        let mut assembler =
            BatchAssembler::new(&self.layout, Some(attest::SeatIndex(self.layout.members() - 1)));
        for stripe in (0..self.layout.stripes()).rev() {
            let pieces = choose(stripe, self.checked_pieces(stripe));
            let decoded =
                dac_node_coding::decode_stripe(&self.coder, &self.layout, stripe, &pieces, &*hasher())?;
            let decoded = if early(stripe) { decoded.with_data_subtrees(&*hasher()) } else { decoded };
            assert!(assembler.insert(&decoded));
            assert!(!assembler.insert(&decoded), "a second one is ignored");
        }
        Ok(assembler)
    }
}
