//! What members answer, read leniently: a newer member may add fields and words. Nothing here is believed.

use std::collections::BTreeMap;
use std::fmt;

use attest::{BatchId, DataHash, RollupId};
use serde::{Deserialize, Serialize};

/// An RFC 9457 problem document.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Problem {
    /// The stable code: `quorum_not_reached`, `unauthorised`, ...
    pub code: String,
    /// HTTP status.
    pub status: u16,
    /// The kind of problem.
    pub title: String,
    /// This occurrence, with its numbers.
    pub detail: String,
    /// The id that the request has in the member's logs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
    /// The batch, once it has an id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub batch_id: Option<BatchId>,
    /// Every member with its answer, when the quorum was not reached.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<MemberOutcome>,
    /// What stands in the way, one by one.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

impl fmt::Display for Problem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({}): {}", self.code, self.status, self.detail)?;
        for member in self.members.iter().filter(|member| member.outcome != "signed") {
            write!(formatter, "; {member}")?;
        }
        Ok(())
    }
}

/// One member's answer to a batch.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct MemberOutcome {
    /// Seat in the committee.
    pub seat: u16,
    /// Name from the committee file.
    #[serde(default)]
    pub name: Option<String>,
    /// `signed`, `refused` or `waiting`.
    pub outcome: String,
    /// The stable code of its reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The numbers behind the reason.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Milliseconds from submission to this answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after_ms: Option<u64>,
}

impl fmt::Display for MemberOutcome {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let reason = self.reason.as_deref().unwrap_or("no reason given");
        write!(formatter, "member {} {}: {reason}", self.seat, self.outcome)?;
        self.detail.as_ref().map_or(Ok(()), |detail| write!(formatter, " ({detail})"))
    }
}

/// Where a batch stands, in the words of one member.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BatchStatus {
    /// Statement digest.
    pub batch_id: BatchId,
    /// Its rollup.
    pub rollup_id: RollupId,
    /// Length in bytes.
    pub data_bytes: u64,
    /// keccak256 of the batch.
    pub data_hash: DataHash,
    /// Unix seconds.
    pub hot_until: u64,
    /// Unix seconds.
    pub retain_until: u64,
    /// `receiving`, `verifying`, `persisting`, `signed`, `certified`, `refused`, `below_quorum`.
    pub stage: String,
    /// Seat of the coordinator.
    #[serde(default)]
    pub coordinator: u16,
    /// Signatures needed.
    #[serde(default)]
    pub quorum: u16,
    /// Signatures known.
    #[serde(default)]
    pub signers: u16,
    /// Per member, in seat order.
    #[serde(default)]
    pub members: Vec<MemberOutcome>,
    /// Milliseconds per stage.
    #[serde(default)]
    pub stage_ms: BTreeMap<String, f64>,
    /// Bytes the member sent for this batch.
    #[serde(default)]
    pub sent_bytes: u64,
    /// Bytes the member received for this batch.
    #[serde(default)]
    pub received_bytes: u64,
}

/// Answer of a submission that was waited for.
#[derive(Debug, Deserialize)]
pub(crate) struct Certified {
    pub(crate) certificate_scale: String,
    pub(crate) status: BatchStatus,
}

/// Answer of a submission whose wait ended first.
#[derive(Debug, Deserialize)]
pub(crate) struct Accepted {
    pub(crate) batch_id: BatchId,
}
