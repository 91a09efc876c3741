//! PROTOCOL section 3 a second time, as short as it can be said: nothing here is shared with the crate under test.
//!
//! Keccak is tiny-keccak's, Poseidon light-poseidon's, trees are the recursion of RFC 6962 section 2.1, and
//! Reed-Solomon is matrices over GF(2^8) with polynomial 0x11d.

use bytes::Bytes;
use dac_node_coding::Piece;
use fpga_hash_peers::{PoseidonBytesHasher, light_poseidon};
use tiny_keccak::{Hasher, Keccak};

type Digest = [u8; 32];

pub(crate) fn keccak(parts: &[&[u8]]) -> Digest {
    let mut keccak = Keccak::v256();
    parts.iter().for_each(|part| keccak.update(part));
    let mut digest = [0; 32];
    keccak.finalize(&mut digest);
    digest
}

/// MTH of RFC 6962 section 2.1.
pub(crate) fn tree_root<Leaf: AsRef<[u8]>>(leaves: &[Leaf]) -> Digest {
    if let [leaf] = leaves {
        return keccak(&[&[0], leaf.as_ref()]);
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    keccak(&[&[1], &tree_root(left), &tree_root(right)])
}

/// PATH of RFC 6962 section 2.1.1.
pub(crate) fn tree_path<Leaf: AsRef<[u8]>>(index: usize, leaves: &[Leaf]) -> Vec<Digest> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
    let (mut path, sibling) = match index.checked_sub(left.len()) {
        None => (tree_path(index, left), tree_root(right)),
        Some(index) => (tree_path(index, right), tree_root(left)),
    };
    path.push(sibling);
    path
}

pub(crate) fn piece_root(piece: &[u8]) -> Digest {
    tree_root(&piece.chunks(1024).collect::<Vec<_>>())
}

pub(crate) fn data_root(batch: &[u8]) -> Digest {
    let element = |group: &[u8]| {
        let mut bytes = [0; 32];
        bytes[1..][..group.len()].copy_from_slice(group);
        bytes
    };
    let mut wide = light_poseidon(8);
    let mut level: Vec<Digest> = batch.chunks(31).map(element).collect();
    loop {
        let parent = |children: &[Digest]| {
            let child = |i| children.get(i).map_or(&[0; 32][..], |child: &Digest| &child[..]);
            wide.hash_bytes_be(&std::array::from_fn::<_, 8, _>(child)).unwrap()
        };
        level = level.chunks(8).map(parent).collect();
        if level.len() == 1 {
            break;
        }
    }
    let mut length = [0; 32];
    length[24..].copy_from_slice(&(batch.len() as u64).to_be_bytes());
    light_poseidon(2).hash_bytes_be(&[&level[0], &length]).unwrap()
}

/// Product in GF(2^8), bit by bit.
fn multiply(a: u8, b: u8) -> u8 {
    let (mut a, mut product) = (u16::from(a), 0);
    for bit in 0..8 {
        if b >> bit & 1 == 1 {
            product ^= a;
        }
        a = if a & 0x80 == 0 { a << 1 } else { (a << 1) ^ 0x11d };
    }
    product.try_into().unwrap()
}

fn power(base: u8, exponent: usize) -> u8 {
    (0..exponent).fold(1, |product, _| multiply(product, base))
}

/// The inverse of a square matrix by Gauss-Jordan elimination.
fn inverse(mut matrix: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let size = matrix.len();
    for (i, row) in matrix.iter_mut().enumerate() {
        row.extend((0..size).map(|j| u8::from(i == j)));
    }
    for column in 0..size {
        let pivot = (column..size).find(|row| matrix[*row][column] != 0).unwrap();
        matrix.swap(column, pivot);
        let scale = power(matrix[column][column], 254);
        matrix[column].iter_mut().for_each(|value| *value = multiply(*value, scale));
        let pivot_row = matrix[column].clone();
        for (_, row) in matrix.iter_mut().enumerate().filter(|(i, _)| *i != column) {
            let factor = row[column];
            row.iter_mut().zip(&pivot_row).for_each(|(value, pivot)| *value ^= multiply(factor, *pivot));
        }
    }
    matrix.into_iter().map(|row| row[size..].to_vec()).collect()
}

/// Vandermonde matrix times the inverse of its top square.
fn coding_matrix(members: usize, minimum_shards: usize) -> Vec<Vec<u8>> {
    let row =
        |r: usize| -> Vec<u8> { (0..minimum_shards).map(|c| power(u8::try_from(r).unwrap(), c)).collect() };
    let top = inverse((0..minimum_shards).map(row).collect());
    let times_top = |r: usize| {
        let row = row(r);
        let cell = |c: usize| (0..minimum_shards).fold(0, |sum, i| sum ^ multiply(row[i], top[i][c]));
        (0..minimum_shards).map(cell).collect()
    };
    (0..members).map(times_top).collect()
}

/// All pieces of a batch, `[stripe][index]`, correct or tampered with, and the roots of whatever they are.
pub(crate) struct Encoding {
    pub(crate) pieces: Vec<Vec<Vec<u8>>>,
    pub(crate) piece_roots: Vec<Vec<Digest>>,
    pub(crate) stripe_roots: Vec<Digest>,
}

impl Encoding {
    pub(crate) fn new(members: usize, minimum_shards: usize, batch: &[u8]) -> Self {
        let matrix = coding_matrix(members, minimum_shards);
        let encode = |data: &[u8]| {
            let fits = |bytes: &usize| bytes * minimum_shards >= data.len();
            let piece_bytes = (1..).map(|lines| lines * 64).find(fits).unwrap();
            let mut data = data.to_vec();
            data.resize(piece_bytes * minimum_shards, 0);
            let data: Vec<&[u8]> = data.chunks(piece_bytes).collect();
            matrix.iter().map(|row| combine(row, &data)).collect()
        };
        Self::of(batch.chunks(minimum_shards * 32 * 1024).map(encode).collect())
    }

    pub(crate) fn of(pieces: Vec<Vec<Vec<u8>>>) -> Self {
        let roots = |stripe: &Vec<Vec<u8>>| stripe.iter().map(|piece| piece_root(piece)).collect();
        let piece_roots: Vec<Vec<Digest>> = pieces.iter().map(roots).collect();
        let stripe_roots = piece_roots.iter().map(|roots| tree_root(roots)).collect();
        Self { pieces, piece_roots, stripe_roots }
    }

    pub(crate) fn shards_root(&self) -> Digest {
        tree_root(&self.stripe_roots)
    }

    pub(crate) fn path(&self, stripe: usize, index: usize) -> Vec<Digest> {
        let mut path = tree_path(index, &self.piece_roots[stripe]);
        path.extend(tree_path(stripe, &self.stripe_roots));
        path
    }

    pub(crate) fn piece(&self, stripe: usize, index: usize) -> Piece {
        Piece {
            stripe: stripe.try_into().unwrap(),
            index: index.try_into().unwrap(),
            bytes: Bytes::from(self.pieces[stripe][index].clone()),
            path: self.path(stripe, index),
        }
    }
}

/// One row of the matrix times the data pieces.
fn combine(row: &[u8], data: &[&[u8]]) -> Vec<u8> {
    let mut piece = vec![0; data[0].len()];
    for (factor, data) in row.iter().zip(data) {
        let products: Vec<u8> = (0..=255).map(|value| multiply(*factor, value)).collect();
        piece.iter_mut().zip(*data).for_each(|(sum, value)| *sum ^= products[usize::from(*value)]);
    }
    piece
}

#[test]
fn field_has_the_generator_and_order_of_0x11d() {
    let powers: std::collections::BTreeSet<u8> = (0..255).map(|exponent| power(2, exponent)).collect();
    assert_eq!(powers.len(), 255, "2 generates the multiplicative group");
    assert_eq!(power(2, 8), 0x1d);
}
