//! The trees against naive ones that share no code with them.

use fpga_hash::tree::{
    data_root, merkle_path, merkle_root, merkle_root_of_digests, merkle_roots_of_digests, piece_roots,
    root_from_path,
};
use fpga_hash::{Digest, FieldElement, software};
use proptest::prelude::*;

use crate::peers::{light_poseidon, tiny_keccak256};

/// `dataRoot` word for word from PROTOCOL section 3.
fn naive_data_root(batch: &[u8]) -> Digest {
    let mut level: Vec<FieldElement> = Vec::new();
    for group in batch.chunks(31) {
        let mut bytes = [0; 32];
        bytes[1..1 + group.len()].copy_from_slice(group);
        level.push(FieldElement::from_be_bytes(&bytes).expect("31 bytes fit"));
    }
    loop {
        while !level.len().is_multiple_of(8) {
            level.push(FieldElement::ZERO);
        }
        level = level.chunks(8).map(light_poseidon).collect();
        if level.len() == 1 {
            return light_poseidon(&[level[0], FieldElement::from(batch.len() as u64)]).to_be_bytes();
        }
    }
}

/// RFC 6962 section 2.1, recursively as the RFC writes it, with Keccak-256.
fn naive_merkle_root(leaves: &[&[u8]]) -> Digest {
    if let [leaf] = leaves {
        return tiny_keccak256(&[&[0], *leaf].concat());
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = (naive_merkle_root(&leaves[..split]), naive_merkle_root(&leaves[split..]));
    tiny_keccak256(&[&[1], left.as_slice(), right.as_slice()].concat())
}

/// Bytes without a short period.
fn pattern(length: usize) -> Vec<u8> {
    (0..length as u64).map(|at| (at.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56) as u8).collect()
}

fn digests(count: usize) -> Vec<Digest> {
    (0..count as u64).map(|at| tiny_keccak256(&at.to_le_bytes())).collect()
}

#[test]
fn data_root_is_the_protocols_at_every_boundary() {
    let hasher = software();
    // One group, one node, one second-level node, one task, and a byte around each.
    let edges = [1, 31, 248, 1984, 15_872, 126_976, 2 * 126_976];
    for length in edges.into_iter().flat_map(|edge| [edge - 1, edge, edge + 1]).filter(|&length| length > 0) {
        let batch = pattern(length);
        assert_eq!(data_root(&*hasher, &batch), naive_data_root(&batch), "{length} bytes");
    }
}

#[test]
fn data_root_binds_the_padding() {
    let hasher = software();
    assert_ne!(data_root(&*hasher, &[7]), data_root(&*hasher, &[7, 0]));
}

#[test]
fn data_root_does_not_depend_on_the_pool() {
    let batch = pattern(500_000);
    let root = |threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("a small pool");
        pool.install(|| data_root(&*software(), &batch))
    };
    assert_eq!(root(1), root(3));
}

#[test]
#[should_panic(expected = "an empty batch has no root")]
fn data_root_of_nothing_is_refused() {
    data_root(&*software(), &[]);
}

#[test]
fn merkle_trees_have_the_shape_of_rfc_6962() {
    let hasher = software();
    for count in 1..=70 {
        let leaves = digests(count);
        let slices: Vec<&[u8]> = leaves.iter().map(|leaf| leaf.as_slice()).collect();
        assert_eq!(merkle_root_of_digests(&*hasher, &leaves), naive_merkle_root(&slices), "{count} leaves");
    }
}

#[test]
fn merkle_root_takes_a_shorter_last_leaf() {
    let hasher = software();
    for length in [1, 1023, 1024, 1025, 5000, 32 * 1024, 600_000] {
        let data = pattern(length);
        let leaves: Vec<&[u8]> = data.chunks(1024).collect();
        assert_eq!(merkle_root(&*hasher, 1024, &data), naive_merkle_root(&leaves), "{length} bytes");
    }
}

#[test]
fn piece_roots_of_mixed_lengths_keep_their_order() {
    let hasher = software();
    let data = pattern(700_000);
    let lengths =
        [32_768; 9].into_iter().chain([64, 64, 1024, 1088, 5 * 1024, 7 * 1024 + 64, 7 * 1024 + 64, 32_768]);
    let mut rest = data.as_slice();
    let pieces: Vec<&[u8]> = lengths.map(|length| rest.split_off(..length).expect("enough bytes")).collect();
    let expected: Vec<Digest> =
        pieces.iter().map(|piece| naive_merkle_root(&piece.chunks(1024).collect::<Vec<_>>())).collect();
    assert_eq!(piece_roots(&*hasher, &pieces), expected);
    assert!(piece_roots(&*hasher, &[]).is_empty());
}

#[test]
fn many_trees_of_digests_equal_single_trees() {
    let hasher = software();
    let leaves = digests(7 * 13);
    let expected: Vec<Digest> = leaves.chunks(7).map(|tree| merkle_root_of_digests(&*hasher, tree)).collect();
    assert_eq!(merkle_roots_of_digests(&*hasher, 7, &leaves), expected);
}

#[test]
fn every_path_leads_to_the_root_and_only_from_its_place() {
    let hasher = software();
    for count in 1..=33 {
        let leaves = digests(count);
        let root = merkle_root_of_digests(&*hasher, &leaves);
        for (index, leaf) in leaves.iter().enumerate() {
            let path = merkle_path(&*hasher, &leaves, index);
            assert_eq!(root_from_path(leaf, index, count, &path), Some(root), "leaf {index} of {count}");
            let elsewhere = (index + 1) % count;
            if elsewhere != index {
                assert_ne!(
                    root_from_path(leaf, elsewhere, count, &path),
                    Some(root),
                    "leaf {index} of {count}"
                );
            }
        }
    }
}

proptest! {
    #[test]
    fn hostile_paths_give_no_root_or_another(
        index in any::<usize>(), leaf_count in any::<usize>(), length in 0_usize..80, leaf in any::<[u8; 32]>(),
    ) {
        let path = vec![[7; 32]; length];
        if let Some(root) = root_from_path(&leaf, index, leaf_count, &path) {
            prop_assert!(index < leaf_count && length <= 64);
            prop_assert_ne!(root, [7; 32]);
        }
    }

    #[test]
    fn paths_of_another_length_are_refused(count in 2_usize..200, index in 0_usize..200, extra in 1_usize..3) {
        let hasher = software();
        let (leaves, index) = (digests(count), index % count);
        let mut path = merkle_path(&*hasher, &leaves, index);
        prop_assert!(root_from_path(&leaves[index], index, count, &path[1..]).is_none());
        path.resize(path.len() + extra, [0; 32]);
        prop_assert!(root_from_path(&leaves[index], index, count, &path).is_none());
    }
}
