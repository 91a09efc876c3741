//! Encodings and opens as a coordinator makes them, right or wrong.

use attest::{Committee, ShardsRoot};
use bytes::Bytes;
use dac_node_coding::{Error, Layout, Piece, PieceRoots};
use dac_node_engine::message::{Open, OpenId};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::checker::open_id;
use super::parties::{REQUESTS, Request, request};
use super::pure::{hasher, shards};

/// A batch as pieces that lead to one root.
#[derive(Debug)]
pub(super) struct Encoding {
    layout: Layout,
    /// By index, then stripe.
    shards: Vec<Vec<Bytes>>,
    piece_roots: PieceRoots,
}

impl Encoding {
    /// The right one.
    pub(super) fn of(committee: &Committee, batch: &Bytes) -> Encoding {
        let layout = layout(committee, batch.len());
        Encoding::from_shards(layout, shards(&layout, batch))
    }

    /// A wrong one, of one of the kinds there are: a byte changed under a root that commits to it (in data, in padding or
    /// in parity), or the encoding of other bytes of the same length.
    pub(super) fn wrong(committee: &Committee, request: &Request, rng: &mut ChaCha8Rng) -> Encoding {
        if rng.random_bool(0.25) {
            return Encoding::of(committee, &other_bytes(&request.batch, rng));
        }
        let Encoding { layout, mut shards, .. } = Encoding::of(committee, &request.batch);
        let stripe = rng.random_range(0..layout.stripes()) as usize;
        let index = usize::from(rng.random_range(0..layout.members()));
        let mut piece = shards[index][stripe].to_vec();
        let at = rng.random_range(0..piece.len());
        piece[at] ^= 1 << rng.random_range(0..8);
        shards[index][stripe] = piece.into();
        Encoding::from_shards(layout, shards)
    }

    fn from_shards(layout: Layout, shards: Vec<Vec<Bytes>>) -> Encoding {
        let mut roots = Vec::new();
        for stripe in 0..layout.stripes() as usize {
            let pieces: Vec<&[u8]> = shards.iter().map(|shard| &shard[stripe][..]).collect();
            roots.extend(fpga_hash::tree::piece_roots(hasher(), &pieces));
        }
        let table = roots.as_flattened();
        let read = |root| PieceRoots::from_bytes(&layout, table, &root, hasher());
        let Err(Error::PieceRootsMismatch { found, .. }) = read(ShardsRoot::ZERO) else {
            unreachable!("no table has the root zero")
        };
        let piece_roots = read(ShardsRoot(found)).expect("the root was computed from this table");
        Encoding { layout, shards, piece_roots }
    }

    pub(super) fn stripes(&self) -> u32 {
        self.layout.stripes()
    }

    /// One piece with its path.
    pub(super) fn piece(&self, stripe: u32, index: u16) -> Piece {
        let bytes = self.shards[usize::from(index)][stripe as usize].clone();
        Piece { stripe, index, bytes, path: self.piece_roots.path(stripe, index, hasher()) }
    }

    /// The open of a request with this encoding.
    pub(super) fn open(&self, committee: &Committee, request: &Request, coordinator: u16) -> Open {
        Open {
            epoch: committee.epoch(),
            committee_hash: committee.hash(),
            submission: request.submission,
            signature: request.signature,
            shards_root: self.piece_roots.shards_root(),
            coordinator,
        }
    }

    /// The name of the exchange that the open begins.
    pub(super) fn open_id(&self, committee: &Committee, request: &Request) -> OpenId {
        open_id(committee, request, self.piece_roots.shards_root())
    }
}

/// A piece that is not what it says: another byte, another place, another path, another length.
pub(super) fn spoil(mut piece: Piece, rng: &mut ChaCha8Rng) -> Piece {
    match rng.random_range(0..6) {
        0 => piece.index = piece.index.wrapping_add(1),
        1 => piece.stripe = piece.stripe.wrapping_add(rng.random_range(1..3)),
        2 if !piece.path.is_empty() => {
            let at = rng.random_range(0..piece.path.len());
            piece.path[at][rng.random_range(0..32)] ^= 1;
        }
        3 => drop(piece.path.pop()),
        4 => piece.bytes = piece.bytes.slice(..piece.bytes.len() / 2),
        _ => {
            let mut bytes = piece.bytes.to_vec();
            if let Some(last) = bytes.last_mut() {
                *last ^= 0x80;
            }
            piece.bytes = bytes.into();
        }
    }
    piece
}

fn layout(committee: &Committee, batch_bytes: usize) -> Layout {
    let thresholds = committee.thresholds();
    let made = Layout::new(thresholds.members(), thresholds.minimum_shards(), batch_bytes as u64);
    made.expect("batches of the simulator have a layout")
}

/// Bytes of the same length from another batch, or the same with one bit changed.
fn other_bytes(batch: &Bytes, rng: &mut ChaCha8Rng) -> Bytes {
    let other = request(rng.random_range(0..REQUESTS)).batch.clone();
    if other.len() >= batch.len() && other[..batch.len()] != batch[..] {
        return other.slice(..batch.len());
    }
    let mut bytes = batch.to_vec();
    let at = rng.random_range(0..bytes.len());
    bytes[at] ^= 1;
    bytes.into()
}
