//! Batches into pieces and back: equal to the independent implementation, for every choice of pieces.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use dac_node_coding::{CheckedPiece, Coder, Layout, PIECE_BYTES, commit, encode_and_root};
use fpga_hash::{Digest, FieldElement, Hasher, Work};
use proptest::prelude::*;

use crate::{Coordinator, generated_batch, hasher, naive};

/// Everything a committee can be told apart by: both trees' odd shapes, `k = 1`, `k = n`, one member.
const COMMITTEES: [(u16, u16); 10] =
    [(1, 1), (2, 1), (2, 2), (4, 2), (7, 3), (7, 7), (9, 1), (16, 6), (32, 11), (13, 12)];

/// Lengths at the edges of a leaf of Poseidon, a cache line, a piece and a stripe.
fn edge_lengths(minimum_shards: u16) -> Vec<usize> {
    let stripe = usize::from(minimum_shards) * PIECE_BYTES;
    vec![1, 31, 63, 64, 65, 1023, 1025, PIECE_BYTES + 1, stripe - 1, stripe, stripe + 1, 2 * stripe + 77]
}

fn assert_equals_naive(members: u16, minimum_shards: u16, batch: Vec<u8>) {
    let naive = naive::Encoding::new(usize::from(members), usize::from(minimum_shards), &batch);
    let ours = Coordinator::new(members, minimum_shards, batch);
    assert_eq!(ours.layout.stripes() as usize, naive.pieces.len());
    assert_eq!(ours.piece_roots.stripe_roots(), naive.stripe_roots);
    assert_eq!(ours.commitments.shards_root.0, naive.shards_root());
    assert_eq!(ours.commitments.data_hash.0, naive::keccak(&[&ours.batch]));
    for (stripe, (pieces, roots)) in (0..).zip(naive.pieces.iter().zip(&naive.piece_roots)) {
        let encoded =
            ours.coder.encode_stripe(&ours.layout, stripe, &ours.batch[ours.layout.stripe_range(stripe)]);
        assert!(encoded.iter().eq(pieces), "stripe {stripe}");
        assert_eq!(ours.piece_roots.stripe(stripe), *roots);
        let index = u16::try_from(stripe % u32::from(members)).unwrap();
        let path = ours.piece_roots.path(stripe, index, &*hasher());
        assert_eq!(path, naive.path(stripe as usize, usize::from(index)));
        assert_eq!(path.len(), ours.layout.path_digests(stripe, index));
    }
}

#[test]
fn equals_the_independent_implementation_at_every_edge() {
    for (members, minimum_shards) in COMMITTEES {
        for bytes in edge_lengths(minimum_shards) {
            assert_equals_naive(members, minimum_shards, generated_batch(1, bytes));
        }
    }
}

#[test]
fn data_root_equals_light_poseidon() {
    for bytes in [1, 31, 32, 248, 249, 1984, 1985, 5000] {
        let ours = Coordinator::new(7, 3, generated_batch(2, bytes));
        assert_eq!(ours.commitments.data_root.0, naive::data_root(&ours.batch), "{bytes} bytes");
    }
}

#[test]
fn every_choice_of_three_of_seven_decodes() {
    let bytes = 3 * PIECE_BYTES + 1000;
    let ours = Coordinator::new(7, 3, generated_batch(3, bytes));
    let choices: Vec<u32> = (0..1u32 << 7).filter(|choice| choice.count_ones() == 3).collect();
    assert_eq!(choices.len(), 35);
    for choice in choices {
        let chosen = |piece: &CheckedPiece| choice >> piece.index() & 1 == 1;
        let decoded = ours.decode(|_, pieces| pieces.into_iter().filter(chosen).collect()).unwrap();
        assert_eq!(decoded.batch, ours.batch, "choice {choice:07b}");
    }
}

#[test]
fn every_edge_decodes_from_the_last_pieces() {
    for (members, minimum_shards) in COMMITTEES {
        for bytes in edge_lengths(minimum_shards) {
            let ours = Coordinator::new(members, minimum_shards, generated_batch(4, bytes));
            let parity_first = usize::from(members - minimum_shards);
            let decoded = ours.decode(|_, mut pieces| pieces.split_off(parity_first)).unwrap();
            assert_eq!(decoded.batch, ours.batch, "{minimum_shards} of {members}, {bytes} bytes");
            assert_eq!(decoded.piece_roots.to_bytes(), ours.piece_roots.to_bytes());
            assert_eq!(decoded.commitments, ours.commitments);
        }
    }
}

#[test]
fn largest_committees_code_and_decode() {
    for (members, minimum_shards) in [(256, 1), (256, 100), (256, 255), (256, 256), (255, 128)] {
        let ours = Coordinator::new(members, minimum_shards, generated_batch(5, 70_000));
        let parity_first = usize::from(members - minimum_shards);
        let decoded = ours.decode(|_, mut pieces| pieces.split_off(parity_first)).unwrap();
        assert_eq!(decoded.batch, ours.batch, "{minimum_shards} of {members}");
    }
}

/// Counts apart from the shared engine behind it, on which other tests hash meanwhile.
#[derive(Debug)]
struct Counting {
    engine: Arc<dyn Hasher>,
    poseidon_hashes: AtomicU64,
}

impl Hasher for Counting {
    fn engine(&self) -> &'static str {
        self.engine.engine()
    }

    fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]) {
        self.engine.keccak256(messages, digests);
    }

    fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]) {
        self.engine.keccak256_prefixed(prefix, item_bytes, items, digests);
    }

    fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]) {
        self.poseidon_hashes.fetch_add(digests.len() as u64, Ordering::Relaxed);
        self.engine.poseidon(inputs, width, digests);
    }

    fn work(&self) -> Work {
        Work { poseidon_hashes: self.poseidon_hashes.load(Ordering::Relaxed), ..Work::default() }
    }
}

/// `dataRoot` from parts that were hashed as the stripes of `early` were decoded, and Poseidon hashes left for the end.
fn data_root_with(ours: &Coordinator, early: impl Fn(u32) -> bool) -> (fpga_hash::Digest, u64) {
    let assembled = ours.assembled(|_, pieces| pieces, early).unwrap();
    let last = Counting { engine: hasher(), poseidon_hashes: AtomicU64::new(0) };
    let decoded = assembled.finish(&ours.commitments, &last).unwrap();
    (decoded.commitments.data_root.0, last.work().poseidon_hashes)
}

#[test]
fn data_root_may_be_hashed_stripe_by_stripe() {
    // With `k = 31` borders of stripes are borders of subtrees; the second length ends one byte into a subtree.
    let (subtree, stripe) = (fpga_hash::tree::SUBTREE_BYTES, 3 * PIECE_BYTES);
    let lengths = [
        1,
        subtree,
        subtree + 1,
        stripe + 1,
        2 * stripe + 77,
        2 * stripe + subtree - 1,
        31 * PIECE_BYTES * 2,
    ];
    for (members, minimum_shards) in [(7, 3), (1, 1), (40, 31)] {
        for bytes in lengths {
            let ours = Coordinator::new(members, minimum_shards, generated_batch(11, bytes));
            let expected = ours.commitments.data_root.0;
            for early in [|_| true, |stripe| stripe % 2 == 0, |stripe| stripe > 0] {
                assert_eq!(data_root_with(&ours, early).0, expected, "{members} members, {bytes} bytes");
            }
        }
    }
}

#[test]
fn little_of_data_root_is_left_when_the_last_stripe_comes() {
    let ours = Coordinator::new(7, 3, generated_batch(12, 1 << 20));
    let (late, early) = (data_root_with(&ours, |_| false).1, data_root_with(&ours, |_| true).1);
    assert!(late > 4_000 && early * 20 < late, "{early} hashes of {late}");
}

#[test]
fn decoded_stripe_proves_pieces_that_were_never_received() {
    let ours = Coordinator::new(7, 3, generated_batch(6, 3 * PIECE_BYTES * 4 + 5));
    for stripe in 0..ours.layout.stripes() {
        let all = ours.checked_pieces(stripe);
        let decoded =
            dac_node_coding::decode_stripe(&ours.coder, &ours.layout, stripe, &all[4..], &*hasher()).unwrap();
        assert_eq!(decoded.checked_pieces(&*hasher()), all);
        for piece in decoded.checked_pieces(&*hasher()) {
            let again =
                piece.clone().into_piece().check(&ours.layout, &ours.commitments.shards_root, &*hasher());
            assert_eq!(again, Ok(piece));
        }
    }
}

#[test]
fn commitments_do_not_depend_on_threads() {
    let batch = generated_batch(7, 7 * 3 * PIECE_BYTES + 12_345);
    let layout = Layout::new(7, 3, batch.len() as u64).unwrap();
    let coder = Coder::new(7, 3).unwrap();
    let with_threads = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| commit(&*hasher(), &coder, &layout, &batch))
    };
    let (alone, alone_roots) = with_threads(1);
    let (together, together_roots) = with_threads(4);
    assert_eq!(alone, together);
    assert_eq!(alone_roots.to_bytes(), together_roots.to_bytes());
    let dispersed = encode_and_root(&*hasher(), &coder, &layout, &batch);
    assert_eq!(dispersed.to_bytes(), alone_roots.to_bytes());
}

#[test]
fn one_coder_serves_many_threads() {
    let ours = Coordinator::new(7, 3, generated_batch(8, 3 * PIECE_BYTES));
    let all = ours.checked_pieces(0);
    std::thread::scope(|scope| {
        for first in 0..4 {
            let (ours, pieces) = (&ours, &all[first..first + 3]);
            scope.spawn(move || {
                for _ in 0..20 {
                    let decoded =
                        dac_node_coding::decode_stripe(&ours.coder, &ours.layout, 0, pieces, &*hasher());
                    assert_eq!(decoded.unwrap().data(), ours.batch);
                }
            });
        }
    });
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn any_committee_and_length_equals_the_independent_implementation(
        (members, minimum_shards) in (1u16..=20).prop_flat_map(|n| (Just(n), 1..=n)),
        bytes in 1usize..100_000,
        seed: u64,
    ) {
        assert_equals_naive(members, minimum_shards, generated_batch(seed, bytes));
    }

    #[test]
    fn any_k_pieces_in_any_order_with_repeats_decode(
        (members, minimum_shards, order) in (1u16..=20).prop_flat_map(|n| {
            (Just(n), 1..=n, Just((0..usize::from(n)).collect::<Vec<_>>()).prop_shuffle())
        }),
        extra in 0usize..4,
        bytes in 1usize..200_000,
    ) {
        let ours = Coordinator::new(members, minimum_shards, generated_batch(9, bytes));
        let count = (usize::from(minimum_shards) + extra).min(order.len());
        let decoded = ours.decode(|_, pieces| {
            let mut chosen: Vec<_> = order[..count].iter().map(|i| pieces[*i].clone()).collect();
            chosen.push(chosen[0].clone());
            chosen
        });
        let decoded = decoded.unwrap();
        prop_assert_eq!(&decoded.batch, &ours.batch);
        prop_assert_eq!(decoded.piece_roots.to_bytes(), ours.piece_roots.to_bytes());
    }
}
