//! Why a member did not sign: a code that programs read, and a sentence for people.

use parity_scale_codec::{Decode, Encode};
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
    Encode,
    Decode,
    utoipa::ToSchema,
)]
#[serde(rename_all = "snake_case")]
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
