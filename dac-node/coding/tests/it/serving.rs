//! What a member keeps and serves: its shard, the table of piece roots, stripes of the hot copy, single leaves.

use attest::ShardsRoot;
use bytes::Bytes;
use dac_node_coding::{
    BatchAssembler, Error, LEAF_BYTES, PIECE_BYTES, Piece, PieceRoots, check_many, open_leaf,
    verify_stripe_data,
};

use crate::{Coordinator, generated_batch, hasher, naive};

fn two_stripes_and_a_bit() -> Coordinator {
    Coordinator::new(7, 3, generated_batch(20, 2 * 3 * PIECE_BYTES + 10_000))
}

#[test]
fn shard_is_the_seats_pieces_in_stripe_order() {
    let ours = two_stripes_and_a_bit();
    let decoded = ours.decode(|_, mut pieces| pieces.split_off(2)).unwrap();
    let shard = decoded.shard.unwrap();
    assert_eq!(shard.len(), ours.layout.shard_bytes());
    for stripe in 0..ours.layout.stripes() {
        let bytes = shard.slice(ours.layout.shard_range(stripe));
        let path = decoded.piece_roots.path(stripe, 6, &*hasher());
        let piece = Piece { stripe, index: 6, bytes, path };
        piece.check(&ours.layout, &ours.commitments.shards_root, &*hasher()).unwrap();
    }
}

#[test]
fn reader_without_a_seat_gets_no_shard() {
    let ours = two_stripes_and_a_bit();
    let mut assembler = BatchAssembler::new(&ours.layout, None);
    for stripe in 0..ours.layout.stripes() {
        assert_eq!(
            (assembler.contains(stripe), assembler.missing()),
            (false, ours.layout.stripes() - stripe)
        );
        let pieces = ours.checked_pieces(stripe);
        let decoded = dac_node_coding::decode_stripe(&ours.coder, &ours.layout, stripe, &pieces, &*hasher());
        assembler.insert(&decoded.unwrap());
    }
    assert!(assembler.is_complete());
    let decoded = assembler.finish(&ours.commitments, &*hasher()).unwrap();
    assert_eq!((decoded.batch, decoded.shard), (Bytes::from(ours.batch), None));
}

#[test]
fn unfinished_batch_says_how_many_stripes_are_missing() {
    let ours = two_stripes_and_a_bit();
    let mut assembler = BatchAssembler::new(&ours.layout, None);
    let pieces = ours.checked_pieces(1);
    let decoded = dac_node_coding::decode_stripe(&ours.coder, &ours.layout, 1, &pieces, &*hasher());
    assembler.insert(&decoded.unwrap());
    let error = assembler.finish(&ours.commitments, &*hasher()).unwrap_err();
    assert_eq!(error, Error::MissingStripes { missing: 2, stripes: 3 });
}

#[test]
fn piece_roots_survive_storage_and_only_for_their_batch() {
    let ours = two_stripes_and_a_bit();
    let stored = ours.piece_roots.to_bytes();
    let read = |bytes: &[u8], root: &ShardsRoot| {
        PieceRoots::from_bytes(&ours.layout, bytes, root, &*hasher()).map(|roots| roots.to_bytes())
    };
    let root = ours.commitments.shards_root;
    assert_eq!(read(&stored, &root), Ok(stored.clone()));

    let expected = stored.len();
    for bad in [&stored[1..], &[], &[&stored[..], &[0]].concat()] {
        assert_eq!(read(bad, &root), Err(Error::PieceRootsLength { expected, found: bad.len() }));
    }
    for position in [0, 31, expected / 2, expected - 1] {
        let mut damaged = stored.clone();
        damaged[position] ^= 1;
        let error = read(&damaged, &root).unwrap_err();
        assert!(matches!(error, Error::PieceRootsMismatch { expected, .. } if expected == root.0));
    }
}

#[test]
fn stored_stripes_are_served_only_when_they_are_what_was_committed() {
    let ours = two_stripes_and_a_bit();
    for stripe in 0..ours.layout.stripes() {
        let good = Bytes::copy_from_slice(&ours.batch[ours.layout.stripe_range(stripe)]);
        let verify =
            |data: Bytes| verify_stripe_data(&ours.layout, stripe, data, &ours.piece_roots, &*hasher());
        assert_eq!(verify(good.clone()).unwrap().data(), &good);

        for position in [0, good.len() / 2, good.len() - 1] {
            let mut damaged = good.to_vec();
            damaged[position] ^= 0x80;
            let index = u16::try_from(position / ours.layout.piece_bytes(stripe)).unwrap();
            assert_eq!(verify(damaged.into()), Err(Error::StoredDataMismatch { stripe, index }));
        }
        let short = good.slice(1..);
        let (expected, found) = (good.len(), short.len());
        assert_eq!(verify(short), Err(Error::StoredDataLength { stripe, expected, found }));
    }
}

#[test]
fn many_pieces_are_judged_one_by_one() {
    let ours = two_stripes_and_a_bit();
    let mut pieces: Vec<Piece> = (0..ours.layout.stripes())
        .flat_map(|stripe| ours.checked_pieces(stripe))
        .map(|piece| piece.into_piece())
        .collect();
    let good = pieces.clone();
    pieces[3].bytes = Bytes::from(vec![0; PIECE_BYTES]);
    pieces[8].path.pop();
    pieces[15].index = 7;
    pieces[20].stripe = 3;
    let judged = check_many(pieces.clone(), &ours.layout, &ours.commitments.shards_root, &*hasher());
    assert_eq!(judged.len(), good.len());
    for (position, (judged, good)) in judged.into_iter().zip(good).enumerate() {
        match (position, judged) {
            (3, result) => assert!(matches!(result, Err(Error::PathMismatch { stripe: 0, index: 3, .. }))),
            (8, result) => assert!(matches!(result, Err(Error::PathLength { stripe: 1, index: 1, .. }))),
            (15, result) => assert_eq!(result, Err(Error::PieceIndexOutOfRange { index: 7, members: 7 })),
            (20, result) => assert_eq!(result, Err(Error::StripeOutOfRange { stripe: 3, stripes: 3 })),
            (_, result) => assert_eq!(result.unwrap().into_piece(), good),
        }
    }
    assert!(check_many(Vec::new(), &ours.layout, &ours.commitments.shards_root, &*hasher()).is_empty());
}

#[test]
fn every_leaf_opens_to_shards_root_and_no_other_leaf_does() {
    let ours = two_stripes_and_a_bit();
    let root = &ours.commitments.shards_root;
    for (stripe, index) in [(0, 0u16), (1, 6), (2, 3)] {
        let piece = ours.checked_pieces(stripe).swap_remove(usize::from(index));
        let leaves = ours.layout.leaves(stripe);
        for (leaf, bytes) in (0..).zip(piece.bytes().chunks(LEAF_BYTES)) {
            let opening = piece.open_leaf(leaf, &*hasher()).unwrap();
            assert_eq!(opening.bytes, bytes);
            let chunks: Vec<_> = piece.bytes().chunks(LEAF_BYTES).collect();
            let inside = naive::tree_path(leaf as usize, &chunks);
            assert_eq!(open_leaf(piece.bytes(), leaf, &*hasher()), Ok(inside));
            let checked = opening.clone().check(&ours.layout, root).unwrap();
            assert_eq!(checked.opening(), &opening);

            let mut moved = opening.clone();
            moved.leaf = (leaf + 1) % leaves;
            assert!(leaves == 1 || moved.check(&ours.layout, root).is_err());
            let mut changed = opening.bytes.to_vec();
            changed[0] ^= 1;
            let changed = dac_node_coding::LeafOpening { bytes: changed.into(), ..opening };
            assert!(matches!(changed.check(&ours.layout, root), Err(Error::PathMismatch { .. })));
        }
        let error = Error::LeafOutOfRange { leaf: leaves, leaves };
        assert_eq!(piece.open_leaf(leaves, &*hasher()), Err(error));
    }
    assert_eq!(open_leaf(&[], 0, &*hasher()), Err(Error::LeafOutOfRange { leaf: 0, leaves: 0 }));
}
