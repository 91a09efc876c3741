//! What a member keeps: the seam between the node and its disk.
//!
//! Promise: when [`ShardStore::persist`] returns `Ok`, the statement's record and every byte it speaks of are on durable
//! storage (synced, not just written) and survive a crash at any later moment. Only then may the member sign.
//!
//! Terms: *content* is the batch's bytes and its encoding, independent of who asked for it and for how long; several
//! statements may speak of one content (other times, another rollup). *Hot copy* is the full batch, kept until the latest
//! `hot_until`; *shard* is this member's pieces, kept until the latest `retain_until` plus a grace period.
//!
//! All calls block; the node calls them from threads that may block. A failed sync is fatal: the store poisons itself,
//! every later call fails with [`Error::Poisoned`], and the process must stop (a retried sync can report success for
//! pages that the kernel already dropped).

mod commit;
mod disk;
mod error;
mod files;
mod holder;
mod memory;
mod metadata;
mod poison;
mod prune;
mod record;
mod recovery;
mod segment;
mod simulated;
mod space;
#[cfg(test)]
mod tests;

use std::ops::Range;

use attest::{BatchId, DataHash, DataRoot, RollupId};
use bytes::Bytes;
use dac_node_coding::{Layout, PieceRoots};

pub use dac_node_engine::{ContentKey, NewContent, StatementRecord};
pub use disk::{DiskStore, DiskStoreConfig, OnDamage};
pub use error::Error;
pub use files::{Directory, RealDirectory, StoredFile};
pub use holder::{Holder, HolderError, statement_of, stored_certificate};
pub use memory::MemoryStore;
pub use recovery::Damage;
pub use simulated::{SimulatedDirectory, Unsynced};

/// Most bytes of one evidence: 1 MiB.
pub const EVIDENCE_BYTES_MAX: usize = 1 << 20;
/// Most evidence kept.
pub const EVIDENCE_ENTRIES_MAX: u64 = 64;
/// Places that one [`ShardStore::certificates_since`] looks at.
const CERTIFICATE_SCAN_MAX: usize = 65_536;
/// Quota counters of days this far back are dropped by [`ShardStore::prune`].
pub const QUOTA_DAYS_KEPT: u64 = 7;

/// A content that is here.
#[derive(Clone, Debug)]
pub struct ContentInfo {
    /// Shape of the encoding.
    pub layout: Layout,
    /// Poseidon root of the batch.
    pub data_root: DataRoot,
    /// Unix seconds until which the hot copy is kept: the latest of its statements.
    pub hot_until: u64,
    /// Unix seconds until which the shard is kept: the latest of its statements.
    pub retain_until: u64,
    /// False once the hot copy is gone.
    pub hot: bool,
}

/// A shard to be written again, or for the first time by a member that was away: verified bytes only. It gives no right
/// to sign: no statement's record comes with it.
#[derive(Clone, Debug)]
pub struct RestoredContent {
    /// Its name.
    pub key: ContentKey,
    /// Shape of the encoding.
    pub layout: Layout,
    /// Poseidon root of the batch, as its certificate states it.
    pub data_root: DataRoot,
    /// Roots of all pieces.
    pub piece_roots: PieceRoots,
    /// This member's piece of every stripe, in stripe order.
    pub shard: Vec<Bytes>,
    /// The batch, whole, where a hot copy is to be replaced; a hot copy that is gone does not come back.
    pub batch: Option<Bytes>,
    /// Unix seconds until which the shard is owed.
    pub retain_until: u64,
}

/// Certificates in the order in which they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CertificatePage {
    /// Those still live.
    pub ids: Vec<BatchId>,
    /// Where the next page begins.
    pub next: u64,
    /// Whether there may be more behind it.
    pub more: bool,
}

/// Room on the storage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes this store occupies.
    pub used_bytes: u64,
    /// Bytes that may still be written before the store refuses.
    pub free_bytes: u64,
}

/// What one [`ShardStore::prune`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Statements forgotten (certificates stay).
    pub statements: u64,
    /// Hot copies dropped.
    pub hot_copies: u64,
    /// Segment files unlinked.
    pub segments: u64,
}

/// A member's durable storage. Implementors: [`DiskStore`], [`MemoryStore`].
pub trait ShardStore: Send + Sync + std::fmt::Debug {
    /// Makes a statement and its content durable: data sync first, metadata commit second, then returns.
    ///
    /// With `content` `None` the content must be stored already; its retention is extended to this statement's times.
    /// The same statement again is `Ok` and writes nothing. Concurrent calls share one sync (group commit).
    ///
    /// Content that is stored already is read and checked first, and written again when it is damaged and `content` is
    /// at hand. A later `hot_until` over content whose hot copy is gone needs `content`.
    ///
    /// # Errors
    /// [`Error::Full`] leaves everything as it was. [`Error::UnknownContent`], [`Error::Corrupt`]: ask again with
    /// `content`. [`Error::Poisoned`]: stop the process.
    ///
    /// # Panics
    /// When the parts of `content` do not fit each other or the statement.
    fn persist(&self, record: &StatementRecord, content: Option<NewContent>) -> Result<(), Error>;

    /// The record of a statement this member accepted.
    fn statement(&self, id: BatchId) -> Result<Option<StatementRecord>, Error>;

    /// Statements over these bytes, newest first, at most 64.
    fn statements_of(&self, data_hash: DataHash) -> Result<Vec<BatchId>, Error>;

    /// Newest accepted statements first, at most `limit`.
    fn recent(&self, limit: usize) -> Result<Vec<BatchId>, Error>;

    /// Number of live statements.
    fn statement_count(&self) -> Result<u64, Error>;

    /// The content, if here.
    fn content(&self, key: &ContentKey) -> Result<Option<ContentInfo>, Error>;

    /// Roots of all pieces of a content.
    fn piece_roots(&self, key: &ContentKey) -> Result<Option<PieceRoots>, Error>;

    /// Bytes `range` of the hot copy; `None` when it is not here (any more). Record checksums are verified; the caller
    /// still checks against the commitments before a byte leaves the node. Takes memory for the range.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Corrupt`].
    fn read_hot(&self, key: &ContentKey, range: Range<u64>) -> Result<Option<Bytes>, Error>;

    /// This member's piece of one stripe; `None` when the shard is not here.
    ///
    /// # Errors
    /// [`Error::OutOfRange`], [`Error::Corrupt`].
    fn read_piece(&self, key: &ContentKey, stripe: u32) -> Result<Option<Bytes>, Error>;

    /// Keeps a certificate (SCALE), durably. Replaces one with fewer signers. Certificates are never pruned.
    ///
    /// # Errors
    /// [`Error::Certificate`] when it does not decode; it is not verified here.
    fn put_certificate(&self, id: BatchId, certificate: &[u8]) -> Result<(), Error>;

    /// Writes a shard that is missing or damaged, durably, and keeps it until `retain_until` at least. What is here and
    /// checks is left alone; a damaged hot copy is replaced when the batch is at hand.
    ///
    /// # Errors
    /// [`Error::Full`] leaves everything as it was. [`Error::Poisoned`]: stop the process.
    ///
    /// # Panics
    /// When the parts do not fit each other: a bug of the caller, who verified them all.
    fn restore(&self, content: RestoredContent) -> Result<(), Error>;

    /// Contents in the order of their keys, those behind `after` (`None`: from the first), at most `limit`.
    fn contents_after(
        &self,
        after: Option<ContentKey>,
        limit: usize,
    ) -> Result<Vec<(ContentKey, ContentInfo)>, Error>;

    /// Certificates with `retain_until >= live_at` in the order in which they came, from place `from` on, at most
    /// `limit`. A certificate keeps its place when one with more signers replaces it.
    fn certificates_since(&self, from: u64, live_at: u64, limit: usize) -> Result<CertificatePage, Error>;

    /// A stored certificate (SCALE).
    fn certificate(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error>;

    /// Keeps proof of a refused encoding, at most 1 MiB each and 64 in all, oldest dropped. The first for an id stays.
    ///
    /// # Errors
    /// [`Error::EvidenceTooLarge`].
    fn put_evidence(&self, id: BatchId, evidence: &[u8]) -> Result<(), Error>;

    /// Stored evidence.
    fn evidence(&self, id: BatchId) -> Result<Option<Vec<u8>>, Error>;

    /// Bytes of statements accepted for this rollup on this day (Unix seconds divided by 86,400); the last week is kept.
    fn quota_used(&self, rollup: RollupId, day: u64) -> Result<u64, Error>;

    /// Room left.
    fn space(&self) -> Result<Space, Error>;

    /// Drops what expired at `now` (Unix seconds): hot copies after `hot_until`, statements and shards after
    /// `retain_until` plus grace. The caller vouches for the clock: a time far ahead drops everything.
    fn prune(&self, now: u64) -> Result<Pruned, Error>;
}

impl RestoredContent {
    /// # Panics
    /// When the parts do not fit each other.
    fn assert_consistent(&self) {
        assert_eq!(*self.piece_roots.layout(), self.layout, "the piece roots are of this layout");
        assert_eq!(
            self.piece_roots.shards_root(),
            self.key.shards_root,
            "the piece roots are of this content"
        );
        let pieces = (0..self.layout.stripes()).map(|stripe| self.layout.piece_bytes(stripe));
        assert!(self.shard.iter().map(Bytes::len).eq(pieces), "the shard has a piece of each stripe");
        let length = self.batch.as_ref().map_or(self.layout.batch_bytes(), |batch| batch.len() as u64);
        assert_eq!(length, self.layout.batch_bytes(), "the batch has the layout's length");
    }
}

/// Refuses a range that is not inside a batch of `bytes`.
fn check_range(range: &Range<u64>, bytes: u64) -> Result<(), Error> {
    if range.end > bytes {
        return Err(Error::OutOfRange { what: "byte", asked: range.end, limit: bytes });
    }
    if range.start > range.end {
        return Err(Error::OutOfRange { what: "byte", asked: range.start, limit: range.end });
    }
    Ok(())
}

/// Refuses a stripe that does not exist.
fn check_stripe(stripe: u32, layout: &Layout) -> Result<(), Error> {
    let limit = layout.stripes() - 1;
    if stripe > limit {
        return Err(Error::OutOfRange { what: "stripe", asked: stripe.into(), limit: limit.into() });
    }
    Ok(())
}

/// Refuses evidence that is too large.
fn check_evidence(evidence: &[u8]) -> Result<(), Error> {
    let (bytes, bytes_max) = (evidence.len(), EVIDENCE_BYTES_MAX);
    if bytes > bytes_max { Err(Error::EvidenceTooLarge { bytes, bytes_max }) } else { Ok(()) }
}
