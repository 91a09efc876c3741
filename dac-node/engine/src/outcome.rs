//! How far a batch came, and what each member said of it, as the node tells it to the world.

use std::collections::BTreeMap;

use attest::{BatchId, DataHash, DataRoot, RollupId, ShardsRoot};
use serde::{Deserialize, Serialize};

use crate::Reason;

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
    pub stage_ms: BTreeMap<String, f64>,
    /// Bytes this node sent and received for this batch (payload and headers, before encryption).
    pub sent_bytes: u64,
    /// See `sent_bytes`.
    pub received_bytes: u64,
}
