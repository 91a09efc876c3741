//! `tests/vectors/commitments.json`: what every implementation of PROTOCOL section 3 must compute.
//!
//! The test computes the file again and compares; `UPDATE_VECTORS=1` writes it. Every case is also computed by the
//! independent implementation, so that the file cannot pin a mistake of the crate alone.

use std::path::{Path, PathBuf};

use dac_node_coding::{LEAF_BYTES, PIECE_BYTES};
use serde::Serialize;

use crate::{Coordinator, generated_batch, hasher, naive};

/// How the generated batches are made, for readers of the file.
const GENERATOR: &str = "byte i of the batch = keccak256(seed as 8 bytes big-endian || floor(i / 32) as 8 bytes big-endian)[i mod 32]";

#[derive(Serialize)]
struct Vectors {
    about: &'static str,
    generator: &'static str,
    piece_bytes: usize,
    leaf_bytes: usize,
    cases: Vec<Case>,
}

#[derive(Serialize)]
struct Case {
    batch: Source,
    batch_bytes: usize,
    members: u16,
    minimum_shards: u16,
    data_hash: String,
    data_root: String,
    shards_root: String,
    last_piece_bytes: usize,
    stripe_roots: Vec<String>,
    opening: Opening,
}

/// A leaf of one piece, with all three parts of its path.
#[derive(Serialize)]
struct Opening {
    stripe: u32,
    index: u16,
    leaf: u32,
    leaf_hash: String,
    path_to_piece_root: Vec<String>,
    piece_root: String,
    path_to_shards_root: Vec<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "snake_case")]
enum Source {
    Seed(u64),
    File(&'static str),
}

impl Source {
    fn batch(&self, bytes: usize) -> Vec<u8> {
        match self {
            Self::Seed(seed) => generated_batch(*seed, bytes),
            Self::File(name) => std::fs::read(tests_folder().join("data").join(name)).unwrap(),
        }
    }
}

fn tests_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests")
}

fn hex0x(digest: [u8; 32]) -> String {
    format!("0x{}", hex::encode(digest))
}

fn case(source: Source, bytes: usize, members: u16, minimum_shards: u16) -> Case {
    let ours = Coordinator::new(members, minimum_shards, source.batch(bytes));
    let naive = naive::Encoding::new(usize::from(members), usize::from(minimum_shards), &ours.batch);
    assert_eq!(ours.commitments.data_hash.0, naive::keccak(&[&ours.batch]));
    assert_eq!(ours.commitments.data_root.0, naive::data_root(&ours.batch));
    assert_eq!(ours.commitments.shards_root.0, naive.shards_root());
    assert_eq!(ours.piece_roots.stripe_roots(), naive.stripe_roots);
    let last = ours.layout.stripes() - 1;
    Case {
        batch_bytes: ours.batch.len(),
        members,
        minimum_shards,
        data_hash: ours.commitments.data_hash.to_string(),
        data_root: ours.commitments.data_root.to_string(),
        shards_root: ours.commitments.shards_root.to_string(),
        last_piece_bytes: ours.layout.piece_bytes(last),
        stripe_roots: ours.piece_roots.stripe_roots().iter().copied().map(hex0x).collect(),
        opening: opening(&ours, last, members - 1),
        batch: source,
    }
}

/// The last leaf of a piece, the one most likely to be got wrong.
fn opening(ours: &Coordinator, stripe: u32, index: u16) -> Opening {
    let piece = ours.checked_pieces(stripe).swap_remove(usize::from(index));
    let leaf = ours.layout.leaves(stripe) - 1;
    let opening = piece.open_leaf(leaf, &*hasher()).unwrap();
    let (inside, above) = opening.path.split_at(opening.path.len() - piece.path().len());
    let hex = |digests: &[[u8; 32]]| digests.iter().copied().map(hex0x).collect();
    Opening {
        stripe,
        index,
        leaf,
        leaf_hash: hex0x(naive::keccak(&[&[0], &opening.bytes])),
        path_to_piece_root: hex(inside),
        piece_root: hex0x(naive::piece_root(piece.bytes())),
        path_to_shards_root: hex(above),
    }
}

fn vectors() -> Vectors {
    let stripe = 3 * PIECE_BYTES;
    let generated = [
        (1, 7, 3),
        (31, 7, 3),
        (32, 7, 3),
        (64, 7, 3),
        (65, 4, 2),
        (192, 7, 3),
        (193, 7, 3),
        (1024, 1, 1),
        (1984, 4, 4),
        (1985, 4, 1),
        (stripe - 1, 7, 3),
        (stripe, 7, 3),
        (stripe + 1, 7, 3),
        (2 * stripe + 777, 7, 3),
        (250_000, 16, 6),
        (400_000, 32, 11),
        (100_000, 256, 100),
        (100_000, 9, 1),
    ];
    let files = [
        ("scroll-block-02.json", 7, 3),
        ("scroll-block-03.json", 7, 3),
        ("scroll-block-04.json", 16, 6),
        ("scroll-block-05.json", 32, 11),
    ];
    let generated = (1..).zip(generated).map(|(seed, (bytes, n, k))| case(Source::Seed(seed), bytes, n, k));
    let cases = generated.chain(files.map(|(name, n, k)| case(Source::File(name), 0, n, k))).collect();
    Vectors {
        about: "commitments of a batch, PROTOCOL section 3; written by the tests of dac-node-coding",
        generator: GENERATOR,
        piece_bytes: PIECE_BYTES,
        leaf_bytes: LEAF_BYTES,
        cases,
    }
}

#[test]
fn commitments_are_the_pinned_ones() {
    let file = tests_folder().join("vectors/commitments.json");
    let computed = serde_json::to_string_pretty(&vectors()).unwrap() + "\n";
    if std::env::var_os("UPDATE_VECTORS").is_some() {
        std::fs::write(&file, &computed).unwrap();
    }
    let pinned = std::fs::read_to_string(&file).unwrap();
    assert!(pinned == computed, "{} is stale: run with UPDATE_VECTORS=1", file.display());
}
