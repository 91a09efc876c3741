//! Pieces from the store, checked on their way out: the own one, and any other while the hot copy is here.

use attest::{BatchId, Certificate, Statement};
use bytes::Bytes;
use dac_node_coding::{Coder, Piece, PieceRoots, verify_stripe_data};
use fpga_hash::Hasher;

use dac_node_engine::SeatSet;

use crate::{ContentKey, Error, ShardStore};

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
        let Some(statement) = statement_of(self.store, *batch_id)? else { return Ok(Vec::new()) };
        let key = ContentKey { data_hash: statement.data_hash, shards_root: statement.shards_root };
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
            let checked = piece.check(&layout, &statement.shards_root, self.hasher)?;
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

/// A stored certificate, decoded.
///
/// # Errors
/// What the store answers; [`Error::Metadata`] when what is stored is no certificate.
pub fn stored_certificate(store: &dyn ShardStore, id: BatchId) -> Result<Option<Certificate>, Error> {
    let Some(bytes) = store.certificate(id)? else { return Ok(None) };
    Certificate::decode_strict(&bytes)
        .map(Some)
        .map_err(|error| Error::Metadata(format!("certificate: {error}")))
}

/// The statement behind a batch id: the one this member accepted, or that of a certificate it stores.
///
/// # Errors
/// As [`stored_certificate`].
pub fn statement_of(store: &dyn ShardStore, batch_id: BatchId) -> Result<Option<Statement>, Error> {
    if let Some(record) = store.statement(batch_id)? {
        return Ok(Some(record.statement));
    }
    Ok(stored_certificate(store, batch_id)?.map(|certificate| certificate.statement))
}
