//! The node as the API sees it. The node implements this once; the tests of this folder implement it in memory.

use std::ops::Range;
use std::sync::Arc;

use attest::{BatchId, Certificate, CommitteeFile, DataHash, Thresholds};
use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::BoxStream;

use crate::custody::CustodyReport;
use crate::service::{
    BatchRef, BatchStatus, PieceAnswer, ReadError, ReadableBatch, Readiness, Refusal, SubmissionRequest,
};

/// One member's shard on its way out: exactly `shard_bytes` bytes, already verified.
pub struct ShardStream {
    /// The statement it belongs to (any, when named by data hash).
    pub batch_id: BatchId,
    /// The seat whose shard this is.
    pub index: u16,
    /// Length of the whole shard.
    pub shard_bytes: u64,
    /// The bytes in order.
    pub bytes: BoxStream<'static, Result<Bytes, ReadError>>,
}

impl std::fmt::Debug for ShardStream {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ShardStream")
            .field("batch_id", &self.batch_id)
            .field("index", &self.index)
            .field("shard_bytes", &self.shard_bytes)
            .finish_non_exhaustive()
    }
}

/// What the API asks of a node.
///
/// Order of calls for a submission: `precheck`, then `authorise` (before the body when the client names the hash,
/// after it otherwise), then `submit`, then `wait`. Only `submit` changes anything.
///
/// The futures are polled on the runtime's workers: work that blocks belongs elsewhere. A dropped future means that
/// the client went away; the API itself runs `submit` to its end in a task of its own.
pub trait Backend: Send + Sync + 'static {
    /// The cheap checks, without touching the body: rollup known, deadline and retention, length within what this
    /// member and the rollup allow (when the length is declared).
    ///
    /// # Errors
    /// The refusal to send.
    fn precheck(&self, request: &SubmissionRequest, content_length: Option<u64>) -> Result<(), Refusal>;

    /// Checks the signature over (rollup, hash, length, times, deadline), that the signer is a submitter of the
    /// rollup, and that `data_bytes` fit into today's quota. Charges nothing.
    fn authorise(
        &self,
        request: &SubmissionRequest,
        data_hash: DataHash,
        data_bytes: u64,
    ) -> BoxFuture<'_, Result<(), Refusal>>;

    /// The batch that this very submission (same rollup, bytes and times) became earlier, if this node knows it: its
    /// body then needs no second upload. Called after a successful `authorise`.
    fn submitted(
        &self,
        _request: &SubmissionRequest,
        _data_hash: DataHash,
        _data_bytes: u64,
    ) -> BoxFuture<'_, Option<BatchId>> {
        Box::pin(std::future::ready(None))
    }

    /// Takes over an authorised batch and returns its id as soon as the commitments are known. Idempotent: the same
    /// submission again is the same batch and is charged once. `batch` hashes to `data_hash` and is not empty.
    fn submit(
        &self,
        request: SubmissionRequest,
        data_hash: DataHash,
        batch: Bytes,
    ) -> BoxFuture<'_, Result<BatchId, Refusal>>;

    /// Resolves when the batch is certified, refused or below quorum, with a bound of the node's own.
    fn wait(&self, batch_id: BatchId) -> BoxFuture<'_, BatchStatus>;

    /// Where a batch stands; `None` when nothing of this name was accepted here.
    fn status(&self, name: BatchRef) -> BoxFuture<'_, Option<BatchStatus>>;

    /// The certificate, if there is one. By data hash: the one kept longest.
    fn certificate(&self, name: BatchRef) -> BoxFuture<'_, Option<Certificate>>;

    /// Looks a batch up for reading; cheap, reads no bytes of it.
    fn find(&self, name: BatchRef) -> BoxFuture<'_, Result<ReadableBatch, ReadError>>;

    /// The bytes of `range` (within the batch, not empty), in order and verified against the commitments. The stream
    /// does nothing until it is polled and holds a bounded number of bytes.
    fn read(&self, batch: &ReadableBatch, range: Range<u64>) -> BoxStream<'static, Result<Bytes, ReadError>>;

    /// Shard `index` of a batch.
    fn shard(&self, name: BatchRef, index: u16) -> BoxFuture<'_, Result<ShardStream, ReadError>>;

    /// Piece `(stripe, index)` of a batch with its Merkle path.
    fn piece(&self, name: BatchRef, stripe: u32, index: u16)
    -> BoxFuture<'_, Result<PieceAnswer, ReadError>>;

    /// The committee as its file states it.
    ///
    /// # Errors
    /// [`crate::service::Reason::StaleEpoch`] while L1 names none.
    fn committee(&self) -> Result<Arc<CommitteeFile>, Refusal>;

    /// The threshold algebra of that committee.
    ///
    /// # Errors
    /// As [`committee`](Self::committee).
    fn thresholds(&self) -> Result<Thresholds, Refusal>;

    /// This member's seat in that committee, when it is not the same for good.
    fn seat(&self) -> Option<u16> {
        None
    }

    /// Whether a submission could be certified now, and what stands in the way.
    fn readiness(&self) -> Readiness;

    /// What this member keeps, what it lacks, and what it knows of the others.
    fn custody(&self) -> CustodyReport;

    /// Largest batch that this member takes from anyone, in bytes.
    fn batch_bytes_max(&self) -> u64;

    /// Called before `/metrics` is rendered, to bring gauges up to date (queues, space, hash engine).
    fn refresh_metrics(&self) {}
}
