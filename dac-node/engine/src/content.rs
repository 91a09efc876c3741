//! What a member keeps of a batch it verified: handed to the store with [`Effect::Persist`](crate::Effect::Persist),
//! whole, before anything is signed.

use attest::{BatchId, DataHash, DataRoot, ShardsRoot, Statement, SubmissionSignature};
use bytes::Bytes;
use dac_node_coding::{Layout, PieceRoots};
use parity_scale_codec::{Decode, Encode};

/// Names one content: equal keys mean equal bytes and equal encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode)]
pub struct ContentKey {
    /// Keccak-256 of the batch.
    pub data_hash: DataHash,
    /// Root over all pieces; it fixes `(n, k)` for honest encodings.
    pub shards_root: ShardsRoot,
}

/// A content to be written: verified bytes only.
#[derive(Clone, Debug)]
pub struct NewContent {
    /// Its name.
    pub key: ContentKey,
    /// Shape of the encoding.
    pub layout: Layout,
    /// Poseidon root of the batch, already recomputed.
    pub data_root: DataRoot,
    /// Roots of all pieces, for serving paths.
    pub piece_roots: PieceRoots,
    /// The batch, whole.
    pub batch: Bytes,
    /// This member's piece of every stripe, in stripe order.
    pub shard: Vec<Bytes>,
}

/// What the member remembers of one statement it accepted. Written before the signature is made, never removed before
/// `retain_until` plus the grace period.
#[derive(Clone, Debug, PartialEq, Eq, Encode, Decode)]
pub struct StatementRecord {
    /// Digest of the statement.
    pub batch_id: BatchId,
    /// What was signed.
    pub statement: Statement,
    /// Unix seconds: the submission's deadline.
    pub deadline: u64,
    /// The rollup's authorisation.
    pub submission_signature: SubmissionSignature,
    /// Seat of the coordinator that opened the batch.
    pub coordinator: u16,
    /// Unix seconds at which this member accepted it.
    pub accepted_at: u64,
}

impl StatementRecord {
    /// The content that the statement speaks of.
    pub fn content_key(&self) -> ContentKey {
        ContentKey { data_hash: self.statement.data_hash, shards_root: self.statement.shards_root }
    }
}

impl NewContent {
    /// That the parts fit each other and the statement.
    ///
    /// # Panics
    /// When the parts do not fit each other or the statement: a bug of the caller, who verified them all.
    pub fn assert_consistent(&self, record: &StatementRecord) {
        assert_eq!(self.key, record.content_key(), "the content is the statement's");
        assert_eq!(self.data_root, record.statement.data_root, "the content has the statement's data root");
        assert_eq!(self.batch.len() as u64, self.layout.batch_bytes(), "the batch has the layout's length");
        assert_eq!(*self.piece_roots.layout(), self.layout, "the piece roots are of this layout");
        assert_eq!(
            self.piece_roots.shards_root(),
            self.key.shards_root,
            "the piece roots are of this content"
        );
        let pieces = (0..self.layout.stripes()).map(|stripe| self.layout.piece_bytes(stripe));
        assert!(self.shard.iter().map(Bytes::len).eq(pieces), "the shard has a piece of each stripe");
    }
}
