//! What a node offers to the world outside the committee: the words shared by the HTTP API and the node.
//!
//! Everything here is plain data; [`crate::node::NodeHandle`] performs the calls.

use attest::{BatchId, DataHash, RollupId};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use dac_node_engine::{BatchStatus, MemberOutcome, Outcome, Reason, Refusal, RollupPolicy, Stage};

/// A rollup's request as it stands in the HTTP headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubmissionRequest {
    /// From the path.
    pub rollup_id: RollupId,
    /// `dac-hot-until`, Unix seconds.
    pub hot_until: u64,
    /// `dac-retain-until`, Unix seconds.
    pub retain_until: u64,
    /// `dac-deadline`, Unix seconds.
    pub deadline: u64,
    /// `dac-signature`.
    pub signature: [u8; 65],
}

/// Which bytes a reader asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BatchRef {
    /// By statement digest.
    Id(BatchId),
    /// By hash of the bytes.
    DataHash(DataHash),
}

/// A batch that can be read here or from peers.
#[derive(Clone, Debug)]
pub struct ReadableBatch {
    /// The statement behind it (any, when named by data hash).
    pub batch_id: BatchId,
    /// Keccak-256 of the batch.
    pub data_hash: DataHash,
    /// Length of the batch.
    pub data_bytes: u64,
    /// True when this node holds the hot copy; otherwise it is rebuilt from any `k` shards.
    pub hot: bool,
}

/// One piece with everything needed to check it against `shardsRoot`.
#[derive(Clone, Debug)]
pub struct PieceAnswer {
    /// Stripe number.
    pub stripe: u32,
    /// Piece index: the seat that keeps it.
    pub index: u16,
    /// The piece.
    pub bytes: Bytes,
    /// Merkle path from the piece root to `shardsRoot`.
    pub path: Vec<[u8; 32]>,
}

/// Why a read failed.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// Nothing of this name was accepted here.
    #[error("unknown batch")]
    Unknown,
    /// This node keeps shard {own} only and has no hot copy any more.
    #[error("shard {asked} is not kept here (this member keeps shard {own})")]
    NotHere {
        /// Asked for.
        asked: u16,
        /// Kept here.
        own: u16,
    },
    /// Stripe or seat outside the batch's shape.
    #[error("{what} {asked} is out of range (below {limit})")]
    OutOfRange {
        /// `stripe` or `shard`.
        what: &'static str,
        /// Asked for.
        asked: u64,
        /// First invalid value.
        limit: u64,
    },
    /// Fewer than `k` pieces of a stripe could be had from the committee now.
    #[error("stripe {stripe}: {found} of {needed} pieces could be had")]
    Irretrievable {
        /// Stripe number.
        stripe: u32,
        /// Pieces that verified.
        found: u16,
        /// Minimum shards `k`.
        needed: u16,
    },
    /// What is stored does not match its commitments, and peers could not help.
    #[error("storage: {0}")]
    Storage(String),
}

/// Why a node is not ready: `GET /readyz`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Readiness {
    /// True when a submission could be certified now.
    pub ready: bool,
    /// What stands in the way, in words; empty when ready.
    pub reasons: Vec<String>,
    /// Members connected, this one included.
    pub connected: u16,
    /// Quorum needed.
    pub quorum: u16,
    /// What would help and does not stand in the way: settings of the member's kernel.
    #[serde(default)]
    pub advice: Vec<String>,
}
