//! What peers pull from the store: pieces of batches that are settled here.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use attest::BatchId;
use bytes::Bytes;
use dac_node_coding::{Coder, Piece, PieceRoots, verify_stripe_data};
use fpga_hash::Hasher;

use super::{Shared, Traffic};
use crate::engine::SeatSet;
use crate::message::{Message, Read, Want};
use crate::net::Class;
use crate::store::{ContentKey, ShardStore};

/// Answers a read of a stored batch.
pub(super) fn read(shared: Arc<Shared>, to: u16, read: Read) {
    tokio::task::spawn_blocking(move || {
        let pieces = stored_pieces(&shared, &read.batch_id, read.stripe, &read.held, read.count);
        let mut sent = 0;
        for piece in pieces {
            let frame = Message::ReadPiece(read.request, piece).to_frame();
            if shared.network.send(to, Class::Repair, frame).is_ok() {
                sent += 1;
            }
        }
        // A full queue loses the end too: the reader's timeout covers it.
        let _dropped =
            shared.network.send(to, Class::Repair, Message::ReadEnd(read.request, sent).to_frame());
    });
}

/// Answers a pull of an exchange that is settled here.
pub(super) fn want(shared: Arc<Shared>, to: u16, batch_id: BatchId, want: Want, traffic: Arc<Traffic>) {
    tokio::task::spawn_blocking(move || {
        let pieces = stored_pieces(&shared, &batch_id, want.stripe, &want.held, want.count);
        let mut messages: Vec<(Class, Message)> =
            pieces.into_iter().map(|piece| (Class::Bulk, Message::Piece(want.open_id, piece))).collect();
        if messages.is_empty() {
            messages.push((Class::Repair, Message::Lack(want.open_id, want.stripe)));
        }
        for (class, message) in messages {
            let frame = message.to_frame();
            let bytes = frame.len() as u64;
            if shared.network.send(to, class, frame).is_ok() {
                traffic.sent.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    });
}

/// Up to `count` pieces of one stripe that the asker lacks: the own one, then the data pieces of the hot copy.
fn stored_pieces(shared: &Shared, batch_id: &BatchId, stripe: u32, held: &SeatSet, count: u16) -> Vec<Piece> {
    match shared.holder().pieces(batch_id, stripe, held, count) {
        Ok(pieces) => pieces,
        Err(error) => {
            tracing::error!(batch = %batch_id, stripe, %error, "a stored piece cannot be served");
            Vec::new()
        }
    }
}

/// What a member serves from: its store and what it takes to check what the store returns. Nothing leaves unchecked.
#[derive(Clone, Copy, Debug)]
pub struct Holder<'a> {
    /// What is kept.
    pub store: &'a dyn ShardStore,
    /// Of the committee's thresholds.
    pub coder: &'a Coder,
    /// For paths and checks.
    pub hasher: &'a dyn Hasher,
    /// The own seat, whose shard is kept.
    pub seat: u16,
}

/// A store that does not answer, or what it returns is damaged.
pub type HolderError = Box<dyn std::error::Error + Send + Sync>;

impl Holder<'_> {
    /// Up to `count` pieces of one stripe that the asker lacks: the own one, then the data pieces of the hot copy. None of
    /// a batch or stripe that is not kept.
    ///
    /// # Errors
    /// [`HolderError`].
    pub fn pieces(
        &self,
        batch_id: &BatchId,
        stripe: u32,
        held: &SeatSet,
        count: u16,
    ) -> Result<Vec<Piece>, HolderError> {
        let Some(record) = self.store.statement(*batch_id)? else { return Ok(Vec::new()) };
        let key = record.content_key();
        let Some(roots) = self.store.piece_roots(&key)? else { return Ok(Vec::new()) };
        let layout = *roots.layout();
        if stripe >= layout.stripes() {
            return Ok(Vec::new());
        }
        let (paths, count) = (roots.paths(stripe, self.hasher), usize::from(count));
        let mut pieces = Vec::new();
        if !held.contains(self.seat)
            && count > 0
            && let Some(bytes) = self.store.read_piece(&key, stripe)?
        {
            let piece = Piece { stripe, index: self.seat, bytes, path: paths.path(self.seat) };
            // What a disk returns is checked like what a peer sends.
            let checked = piece.check(&layout, &record.statement.shards_root, self.hasher)?;
            pieces.push(checked.into_piece());
        }
        if pieces.len() < count
            && let Some(data) = self.hot_stripe(&key, &roots, stripe)?
        {
            let encoded = self.coder.encode_stripe(&layout, stripe, &data);
            let wanted = (0..layout.members()).filter(|index| *index != self.seat && !held.contains(*index));
            pieces.extend(wanted.take(count - pieces.len()).map(|index| encoded.piece(index, &paths)));
        }
        Ok(pieces)
    }

    /// One stripe of the hot copy, checked; `None` when there is none.
    ///
    /// # Errors
    /// [`HolderError`].
    pub fn hot_stripe(
        &self,
        key: &ContentKey,
        roots: &PieceRoots,
        stripe: u32,
    ) -> Result<Option<Bytes>, HolderError> {
        let layout = roots.layout();
        let range = layout.stripe_range(stripe);
        let Some(data) = self.store.read_hot(key, range.start as u64..range.end as u64)? else {
            return Ok(None);
        };
        let checked = verify_stripe_data(layout, stripe, data, roots, self.hasher)?;
        Ok(Some(checked.data().clone()))
    }
}
