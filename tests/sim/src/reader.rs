//! Reads: what members serve from their disks, and what a reader makes of it.
//!
//! What leaves a disk leaves through the node's own [`Holder`], checked. What arrives is checked and decoded from `k` pieces
//! as in `dac_node::node`, whose reader waits for its peers in real time. Here the reader also knows the batch, and looks
//! whether it got those bytes.

use attest::{BatchId, ShardsRoot};
use bytes::Bytes;
use dac_node_coding::{CheckedPiece, Layout, Piece, decode_stripe};
use dac_node_engine::SeatSet;
use dac_node_engine::message::{Message, Read};
use dac_node_store::ContentKey;
use dac_node_store::Holder;
use rand::Rng;

use super::member::Member;
use super::pure::{coder, coder_of, hasher};
use super::world::World;

/// One stripe on its way to a reader.
#[derive(Debug)]
pub(super) struct Reading {
    layout: Layout,
    shards_root: ShardsRoot,
    stripe: u32,
    /// What it must turn out to be.
    expected: Bytes,
    pieces: Vec<CheckedPiece>,
}

/// Pieces of one stripe of a stored batch that the asker does not have, as the node serves them.
pub(super) fn stored_pieces(member: &Member, batch_id: BatchId, ask: (u32, SeatSet, u16)) -> Vec<Piece> {
    let (stripe, held, count) = ask;
    let pieces = with_holder(member, |holder| holder.pieces(&batch_id, stripe, &held, count));
    pieces.expect("a simulated disk keeps what was synced")
}

fn with_holder<T>(member: &Member, work: impl FnOnce(Holder<'_>) -> T) -> T {
    let thresholds = member.config.committee.thresholds();
    let coder = coder_of(thresholds.members(), thresholds.minimum_shards());
    let (store, seat) = (member.disk.store(), member.seat());
    work(Holder { store, coder: &coder, hasher: hasher(), seat })
}

/// One stripe of the hot copy, as the node reads it.
fn hot_stripe(member: &Member, key: &ContentKey, stripe: u32) -> Option<Bytes> {
    let roots = member.disk.store().piece_roots(key).expect("a simulated store answers")?;
    let data = with_holder(member, |holder| holder.hot_stripe(key, &roots, stripe));
    data.expect("a simulated disk keeps what was synced")
}

impl World {
    /// A member reads one stripe of a batch: from its hot copy, and from pieces of the others.
    pub(super) fn read(&mut self, seat: u16, batch_id: BatchId) {
        let Some(statement) = self.statement_of(batch_id) else { return };
        let key = ContentKey { data_hash: statement.data_hash, shards_root: statement.shards_root };
        let Some(truth) = self.checker.truth(&key) else { return };
        let (layout, batch) = (truth.layout, truth.batch.clone());
        let stripe = self.rng.random_range(0..layout.stripes());
        let expected = batch.slice(layout.stripe_range(stripe));
        let member = &self.members[usize::from(seat)];
        let known = member.disk.store().statement(batch_id).expect("a simulated store answers").is_some();
        if known && let Some(found) = hot_stripe(member, &key, stripe) {
            assert_eq!(found, expected, "seat {seat} read wrong bytes of {batch_id} from its hot copy");
            self.tally.reads += 1;
        }
        self.tickets += 1;
        let request = self.tickets;
        let own = stored_pieces(member, batch_id, (stripe, SeatSet::EMPTY, 1));
        let reading = Reading { layout, shards_root: key.shards_root, stripe, expected, pieces: Vec::new() };
        self.member(seat).reads.insert(request, reading);
        for piece in own.into_iter().filter(|piece| piece.index == seat) {
            self.on_read_answer(seat, Message::ReadPiece(request, piece));
        }
        let held = SeatSet::from_iter([seat]);
        for to in self.seats().filter(|to| *to != seat).collect::<Vec<_>>() {
            self.send(seat, to, Message::Read(Read { request, batch_id, stripe, held, count: 1 }));
        }
    }

    /// A piece came for a reader: with `k` of them the stripe is there.
    pub(super) fn on_read_answer(&mut self, seat: u16, message: Message) {
        let Message::ReadPiece(request, piece) = message else { return };
        let member = &mut self.members[usize::from(seat)];
        let Some(reading) = member.reads.get_mut(&request) else { return };
        if piece.stripe != reading.stripe {
            return;
        }
        let Ok(piece) = piece.check(&reading.layout, &reading.shards_root, hasher()) else { return };
        if reading.pieces.iter().any(|have| have.index() == piece.index()) {
            return;
        }
        reading.pieces.push(piece);
        if reading.pieces.len() < usize::from(reading.layout.minimum_shards()) {
            return;
        }
        let Reading { layout, stripe, expected, pieces, .. } =
            member.reads.remove(&request).expect("it was here just now");
        let decoded = decode_stripe(&coder(&layout), &layout, stripe, &pieces, hasher());
        let found = decoded.expect("checked pieces of a certified batch decode").data();
        assert_eq!(found, expected, "seat {seat} read wrong bytes of stripe {stripe} from pieces");
        self.tally.reads += 1;
    }
}
