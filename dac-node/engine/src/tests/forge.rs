//! Encodings and opens as a coordinator makes them, right or wrong, to be sent in a puppet's name.

use attest::{Committee, ShardsRoot};
use bytes::Bytes;
use dac_node_coding::{Error, Layout, Piece, PieceRoots};

use super::cluster::Cluster;
use super::member::{hasher, shards};
use super::parties::Request;
use crate::message::{Control, Message, Open, OpenId};
use crate::{Dispersal, Plan};

/// A batch as pieces that lead to one root.
pub(super) struct Encoding {
    layout: Layout,
    /// By index, then stripe.
    shards: Vec<Vec<Bytes>>,
    piece_roots: PieceRoots,
}

impl Encoding {
    /// The right one.
    pub(super) fn of(committee: &Committee, batch: &Bytes) -> Encoding {
        let thresholds = committee.thresholds();
        let layout =
            Layout::new(thresholds.members(), thresholds.minimum_shards(), batch.len() as u64).unwrap();
        Encoding::from_shards(layout, shards(&layout, batch))
    }

    /// The same with other bytes in one piece, and a root that commits to them.
    pub(super) fn with_wrong_piece(mut self, stripe: u32, index: u16, flip: u8) -> Encoding {
        let piece = &mut self.shards[usize::from(index)][stripe as usize];
        let mut bytes = piece.to_vec();
        bytes[0] ^= flip;
        *piece = bytes.into();
        Encoding::from_shards(self.layout, self.shards)
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
        Encoding { layout, shards, piece_roots: read(ShardsRoot(found)).unwrap() }
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
}

/// The name of the exchange that an open begins.
pub(super) fn open_id(committee: &Committee, open: &Open) -> OpenId {
    let digest = open.submission.digest(committee.domain());
    OpenId(fpga_hash::keccak256(&[*digest.as_bytes(), *open.shards_root.as_bytes()].concat()))
}

impl Cluster {
    /// A puppet opens a batch to everyone on streams.
    pub(super) fn open_as(&mut self, seat: u16, encoding: &Encoding, request: &Request) -> OpenId {
        let open = encoding.open(&self.committee, request, seat);
        let id = open_id(&self.committee, &open);
        for to in self.seats().filter(|to| *to != seat) {
            self.send(seat, to, Message::Open(Box::new(open.clone())));
        }
        id
    }

    /// A puppet does all that a coordinator does before votes come in.
    pub(super) fn disperse_as(&mut self, seat: u16, encoding: &Encoding, request: &Request) -> OpenId {
        let id = self.open_as(seat, encoding, request);
        let open = encoding.open(&self.committee, request, seat);
        self.publish(seat, &Control::Open(Box::new(open)));
        let thresholds = self.committee.thresholds();
        let plan = Plan::new(request.submission.data_hash, seat, &thresholds, Dispersal::Coded);
        for stripe in 0..encoding.stripes() {
            for (index, to) in plan.direct(stripe) {
                self.send(seat, to, Message::Piece(id, encoding.piece(stripe, index)));
            }
        }
        id
    }

    /// Refusals that a puppet was sent: seat and code.
    pub(super) fn refusals_to(&self, puppet: u16) -> Vec<(u16, crate::Reason)> {
        let inbox = &self.members[usize::from(puppet)].inbox;
        let mut refusals: Vec<_> = inbox
            .iter()
            .filter_map(|(from, message)| match message {
                Message::No(no) => Some((*from, no.reason)),
                _ => None,
            })
            .collect();
        refusals.sort();
        refusals
    }
}
