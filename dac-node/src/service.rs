//! What a node offers to the world outside the committee: the words shared by the HTTP API and the node.
//!
//! Everything here is plain data; [`crate::node::NodeHandle`] performs the calls.

use attest::{Address, BatchId, DataHash, DataRoot, RollupId, ShardsRoot};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// Why a member did not sign, or a request was refused: the stable `code` of PROTOCOL section 5 and of problem documents.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    parity_scale_codec::Encode,
    parity_scale_codec::Decode,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Reason {
    /// Wrong signature, unknown rollup, or a submitter the rollup does not name.
    #[codec(index = 0)]
    Unauthorised,
    /// The rollup's bytes for today are spent.
    #[codec(index = 1)]
    QuotaExceeded,
    /// Larger than this member or this rollup allows.
    #[codec(index = 2)]
    TooLarge,
    /// Fewer than `k` pieces of some stripe arrived in time.
    #[codec(index = 3)]
    PiecesMissing,
    /// The pieces are not the encoding of any batch.
    #[codec(index = 4)]
    BadEncoding,
    /// The bytes do not have the commitments that the statement names.
    #[codec(index = 5)]
    CommitmentMismatch,
    /// No room above the reserve.
    #[codec(index = 6)]
    StorageFull,
    /// The storage failed.
    #[codec(index = 7)]
    StorageError,
    /// The statement is of another epoch or committee.
    #[codec(index = 8)]
    StaleEpoch,
    /// The deadline passed, or the retention asked for is over or too long.
    #[codec(index = 9)]
    Expired,
    /// The member is stopping.
    #[codec(index = 10)]
    ShuttingDown,
    /// Too many batches in flight; try again.
    #[codec(index = 11)]
    Busy,
    /// Seen by the coordinator: no connection to the member.
    #[codec(index = 12)]
    Unreachable,
    /// Seen by the coordinator: connected, no answer in time.
    #[codec(index = 13)]
    NoAnswer,
    /// Seen by the coordinator: the member's attestation does not verify.
    #[codec(index = 14)]
    BadAttestation,
}

impl Reason {
    /// The stable code, as in JSON.
    pub fn code(self) -> &'static str {
        match self {
            Reason::Unauthorised => "unauthorised",
            Reason::QuotaExceeded => "quota_exceeded",
            Reason::TooLarge => "too_large",
            Reason::PiecesMissing => "pieces_missing",
            Reason::BadEncoding => "bad_encoding",
            Reason::CommitmentMismatch => "commitment_mismatch",
            Reason::StorageFull => "storage_full",
            Reason::StorageError => "storage_error",
            Reason::StaleEpoch => "stale_epoch",
            Reason::Expired => "expired",
            Reason::ShuttingDown => "shutting_down",
            Reason::Busy => "busy",
            Reason::Unreachable => "unreachable",
            Reason::NoAnswer => "no_answer",
            Reason::BadAttestation => "bad_attestation",
        }
    }
}

/// A refusal: the code, and the numbers behind it in a sentence.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{}: {detail}", reason.code())]
pub struct Refusal {
    /// The stable code.
    pub reason: Reason,
    /// For people: both sides of the comparison that failed.
    pub detail: String,
}

impl Refusal {
    /// A refusal with its numbers.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Refusal { reason, detail: detail.into() }
    }
}

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

/// Where a batch stands on this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Stage {
    /// Bytes are here, commitments are being computed (coordinator), or pieces are arriving (member).
    Receiving,
    /// All pieces needed are here; decoding, re-encoding, rooting.
    Verifying,
    /// Being written and synced.
    Persisting,
    /// This member signed; no certificate yet.
    Signed,
    /// A certificate is stored.
    Certified,
    /// This member refused to sign.
    Refused,
    /// The coordinator gave up below quorum.
    BelowQuorum,
}

/// One member's answer, as far as this node knows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct MemberOutcome {
    /// Seat in the committee.
    pub seat: u16,
    /// Name from the committee file, if any.
    pub name: Option<String>,
    /// `signed`, `refused` or `waiting`.
    pub outcome: Outcome,
    /// Present when refused, or when waiting has a known cause.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub reason: Option<Reason>,
    /// The numbers behind the reason.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub detail: Option<String>,
    /// Milliseconds from submission to this answer, on the coordinator.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub after_ms: Option<u64>,
}

/// A member's answer in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// Its attestation verified (or stands in a verified certificate).
    Signed,
    /// It said no, or could not.
    Refused,
    /// Nothing yet.
    Waiting,
}

/// Answer of `GET /v1/batches/{id}/status` and, inside the certificate answer, of a submission.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct BatchStatus {
    /// Statement digest.
    #[schema(value_type = String)]
    pub batch_id: BatchId,
    /// Its rollup.
    #[schema(value_type = String)]
    pub rollup_id: RollupId,
    /// Length of the batch.
    pub data_bytes: u64,
    /// Keccak-256 of the batch.
    #[schema(value_type = String)]
    pub data_hash: DataHash,
    /// Poseidon root.
    #[schema(value_type = String)]
    pub data_root: DataRoot,
    /// Root over the pieces.
    #[schema(value_type = String)]
    pub shards_root: ShardsRoot,
    /// Unix seconds.
    pub hot_until: u64,
    /// Unix seconds.
    pub retain_until: u64,
    /// Where it stands here.
    pub stage: Stage,
    /// Seat of the coordinator.
    pub coordinator: u16,
    /// Quorum of the committee.
    pub quorum: u16,
    /// Attestations known here (or signers of the certificate).
    pub signers: u16,
    /// Per member, in seat order.
    pub members: Vec<MemberOutcome>,
    /// Milliseconds per stage on this node, in order.
    pub stage_ms: std::collections::BTreeMap<String, f64>,
    /// Bytes this node sent and received for this batch (payload and headers, before encryption).
    pub sent_bytes: u64,
    /// See `sent_bytes`.
    pub received_bytes: u64,
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
}

/// One rollup this member serves, from config.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RollupPolicy {
    /// Its identity in statements.
    pub id: RollupId,
    /// Addresses that may authorise a submission.
    pub submitters: Vec<Address>,
    /// Bytes a day.
    #[serde(default = "quota_default")]
    pub quota_per_day: bytesize::ByteSize,
    /// Largest batch.
    #[serde(default = "batch_max_default")]
    pub batch_max: bytesize::ByteSize,
    /// Longest retention, from now.
    #[serde(default = "retention_max_default", with = "humantime_serde")]
    pub retention_max: std::time::Duration,
}

fn quota_default() -> bytesize::ByteSize {
    bytesize::ByteSize::gib(16)
}

fn batch_max_default() -> bytesize::ByteSize {
    bytesize::ByteSize::mib(64)
}

fn retention_max_default() -> std::time::Duration {
    std::time::Duration::from_secs(60 * 86_400)
}
