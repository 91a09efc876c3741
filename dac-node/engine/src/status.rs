//! What the engine tells about a batch: stage, and each member's answer with its reason.

use attest::BatchId;

use super::state::{Batch, Certification, Phase};
use super::{Engine, SeatSet};
use crate::message::OpenId;
use crate::{BatchStatus, MemberOutcome, Outcome, Reason, Stage};

impl Engine {
    /// The status of a batch that is in flight or was settled lately. Byte counts are the node's to add.
    pub fn status(&self, batch_id: &BatchId) -> Option<BatchStatus> {
        let batch = self.batch_by_id(batch_id)?;
        let (_, statement) = batch.statement.as_ref()?;
        let certified = match batch.certification {
            Certification::Done(signers) => Some(signers),
            _ => None,
        };
        let members =
            (0..self.members()).map(|seat| self.member_outcome(batch, seat, certified.as_ref())).collect();
        Some(BatchStatus {
            batch_id: *batch_id,
            rollup_id: statement.rollup_id,
            data_bytes: statement.data_bytes,
            data_hash: statement.data_hash,
            data_root: statement.data_root,
            shards_root: statement.shards_root,
            hot_until: statement.hot_until,
            retain_until: statement.retain_until,
            stage: stage(batch),
            coordinator: batch.open.coordinator,
            quorum: self.config.committee.thresholds().quorum(),
            signers: certified.map_or_else(|| batch.voters().len(), |signers| signers.len()),
            members,
            stage_ms: batch
                .marks
                .iter()
                .map(|(name, at)| ((*name).to_owned(), at.as_secs_f64() * 1e3))
                .collect(),
            sent_bytes: 0,
            received_bytes: 0,
        })
    }

    /// The exchange behind a batch id, while it is remembered.
    pub fn open_id_of(&self, batch_id: &BatchId) -> Option<OpenId> {
        self.by_batch_id.get(batch_id).copied()
    }

    fn member_outcome(&self, batch: &Batch, seat: u16, certified: Option<&SeatSet>) -> MemberOutcome {
        let signed =
            certified.is_some_and(|signers| signers.contains(seat)) || batch.votes.contains_key(&seat);
        let refusal = batch.refusals.get(&seat).filter(|_| !signed);
        let gave_up = batch.coordination.as_ref().is_some_and(|c| c.gave_up);
        let no_answer = |detail: &str| (Outcome::Waiting, Some(Reason::NoAnswer), Some(detail.to_owned()));
        let (outcome, reason, detail) = match refusal {
            _ if signed => (Outcome::Signed, None, None),
            Some(refusal) => (Outcome::Refused, Some(refusal.reason), Some(refusal.detail.clone())),
            None if !self.connected.contains(seat) => {
                (Outcome::Waiting, Some(Reason::Unreachable), Some("no connection to this member".to_owned()))
            }
            // It may be as well as the others, and later than the quorum.
            None if certified.is_some() => {
                no_answer("connected, had not answered when the certificate was made")
            }
            None if gave_up => no_answer("connected, did not answer"),
            None => (Outcome::Waiting, None, None),
        };
        MemberOutcome {
            seat,
            name: self.config.names.get(usize::from(seat)).cloned().flatten(),
            outcome,
            reason,
            detail,
            after_ms: batch.answered.get(&seat).map(|at| u64::try_from(at.as_millis()).unwrap_or(u64::MAX)),
        }
    }
}

fn stage(batch: &Batch) -> Stage {
    if matches!(batch.certification, Certification::Done(_)) {
        return Stage::Certified;
    }
    if batch.coordination.as_ref().is_some_and(|c| c.gave_up) {
        return Stage::BelowQuorum;
    }
    match batch.phase {
        Phase::Admitting | Phase::Receiving => Stage::Receiving,
        Phase::Verifying => Stage::Verifying,
        Phase::Persisting | Phase::Held | Phase::Signing => Stage::Persisting,
        Phase::Signed => Stage::Signed,
        Phase::Refused(_) => Stage::Refused,
    }
}
