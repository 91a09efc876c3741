//! From `k` pieces a stripe to a signature: decode, recompute, persist, sign. Nothing here skips a step.

use attest::{Attestation, DataRoot};
use dac_node_coding::{DecodedBatch, DecodedStripe, Error as CodingError};

use super::event::Now;
use super::state::Phase;
use super::{Effect, Effects, Engine, Note};
use crate::message::{Control, Message, OpenId, Vote};
use crate::{NewContent, Reason, Refusal, StatementRecord};

impl Engine {
    /// A stripe was rebuilt and its encoding compared.
    pub(super) fn on_stripe_decoded(
        &mut self,
        open_id: OpenId,
        number: u32,
        result: Result<DecodedStripe, CodingError>,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.phase != Phase::Receiving {
            return;
        }
        let decoded = match result {
            Ok(decoded) => decoded,
            Err(error) => return self.refuse_encoding(open_id, number, &error, now, effects),
        };
        let Some(assembler) = &mut batch.assembler else { return };
        assembler.insert(&decoded);
        let complete = assembler.is_complete();
        if let Some(stripe) = batch.stripes.get_mut(number as usize) {
            stripe.decoded = true;
        }
        batch.progress(now.monotonic, &self.config);
        if !complete {
            return;
        }
        batch.phase = Phase::Verifying;
        let (data_hash, shards_root) = (batch.open.submission.data_hash, batch.open.shards_root);
        if let Some(assembler) = batch.assembler.take() {
            effects.push(Effect::Finish { open_id, assembler, data_hash, shards_root });
        }
        self.note_stage_of(open_id, "decoded", now, effects);
    }

    /// All commitments were recomputed from the bytes.
    pub(super) fn on_finished(
        &mut self,
        open_id: OpenId,
        result: Result<DecodedBatch, CodingError>,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get(&open_id) else { return };
        if batch.phase != Phase::Verifying {
            return;
        }
        let decoded = match result {
            Ok(decoded) => decoded,
            Err(error) => return self.refuse_encoding(open_id, 0, &error, now, effects),
        };
        let layout = batch.layout;
        let shard = decoded.shard.expect("the assembler was made with the own seat");
        let content = NewContent {
            key: batch.content_key(),
            layout,
            data_root: decoded.commitments.data_root,
            piece_roots: decoded.piece_roots,
            batch: decoded.batch,
            shard: (0..layout.stripes()).map(|stripe| shard.slice(layout.shard_range(stripe))).collect(),
        };
        self.persist(open_id, decoded.commitments.data_root, Some(content), now, effects);
    }

    /// The coordinator or its rollup lied: keep the proof, refuse, never sign.
    fn refuse_encoding(
        &mut self,
        open_id: OpenId,
        number: u32,
        error: &CodingError,
        now: Now,
        effects: &mut Effects,
    ) {
        let reason = match error {
            CodingError::CommitmentMismatch { .. } => Reason::CommitmentMismatch,
            _ => Reason::BadEncoding,
        };
        if let Some(batch) = self.batches.get(&open_id) {
            let mut frames = vec![Message::Open(Box::new(batch.open.clone()))];
            let held =
                batch.stripes.get(number as usize).map(|stripe| stripe.held.as_slice()).unwrap_or_default();
            frames.extend(held.iter().map(|piece| Message::Piece(open_id, piece.clone().into_piece())));
            effects.push(Effect::StoreEvidence { open_id, frames });
        }
        self.refuse(open_id, Refusal::new(reason, error.to_string()), now, effects);
    }

    /// Every commitment is known to be right: the statement is complete, make it durable.
    pub(super) fn persist(
        &mut self,
        open_id: OpenId,
        data_root: DataRoot,
        content: Option<NewContent>,
        now: Now,
        effects: &mut Effects,
    ) {
        let committee = self.config.committee.clone();
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let statement = batch.open.submission.statement(&committee, data_root, batch.open.shards_root);
        let batch_id = statement.digest(committee.domain());
        batch.phase = Phase::Persisting;
        batch.statement = Some((batch_id, Box::new(statement)));
        super::certify::drop_foreign_votes(batch, batch_id, effects);
        let record = Box::new(StatementRecord {
            batch_id,
            statement,
            deadline: batch.open.submission.deadline,
            submission_signature: batch.open.signature,
            coordinator: batch.open.coordinator,
            accepted_at: now.unix_seconds,
        });
        self.by_batch_id.insert(batch_id, open_id);
        effects.push(Effect::Persist { open_id, record, content: content.map(Box::new) });
        #[cfg(feature = "planted-faults")]
        if dac_node_coding::PlantedFault::SignBeforeSync.is_planted()
            && let Some(batch) = self.batches.get_mut(&open_id)
        {
            batch.phase = Phase::Signing;
            effects.push(Effect::Sign { open_id, statement: Box::new(statement) });
        }
        self.take_early_certificate(open_id, effects);
        self.note_stage_of(open_id, "rooted", now, effects);
        // The status is posted before anyone is told to wait for it.
        effects.push(Effect::Changed(batch_id));
        self.answer_tickets(open_id, &Ok(batch_id), effects);
    }

    /// The sync ended.
    pub(super) fn on_persisted(
        &mut self,
        open_id: OpenId,
        result: Result<(), Refusal>,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.phase != Phase::Persisting {
            return;
        }
        match result {
            Ok(()) => {
                self.sign(open_id, now, effects);
                self.note_stage_of(open_id, "synced", now, effects);
            }
            Err(refusal) => self.refuse(open_id, refusal, now, effects),
        }
    }

    /// The attestation is made: tell the coordinator and everyone.
    pub(super) fn on_signed(
        &mut self,
        open_id: OpenId,
        attestation: Attestation,
        now: Now,
        effects: &mut Effects,
    ) {
        let seat = self.config.seat;
        let takeover = now.monotonic + self.takeover_delay(open_id);
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.phase != Phase::Signing {
            return;
        }
        assert_eq!(attestation.seat.0, seat, "the signer signs for its own seat");
        batch.phase = Phase::Signed;
        batch.release();
        batch.takeover_at = batch.coordination.is_none().then_some(takeover);
        batch.votes.insert(seat, vec![attestation]);
        batch.direct.insert(seat);
        batch.answered.insert(seat, now.monotonic.saturating_sub(batch.started));
        let to = batch.answers_to(seat);
        let vote = Vote { open_id, attestation };
        if !to.is_empty() {
            effects.push(Effect::Send { to, message: Message::Vote(vote.clone()) });
        }
        effects.push(Effect::Gossip(Control::Vote(vote)));
        self.note_stage_of(open_id, "signed", now, effects);
        self.changed(open_id, effects);
        self.settle(open_id);
        self.on_vote_counted(open_id, now, effects);
    }

    /// Records that a stage ended, for status and metrics.
    pub(super) fn note_stage_of(
        &mut self,
        open_id: OpenId,
        stage: &'static str,
        now: Now,
        effects: &mut Effects,
    ) {
        if let Some(mut batch) = self.batches.remove(&open_id) {
            self.note_stage(&mut batch, stage, now, effects);
            self.batches.insert(batch);
        }
    }

    /// See [`Engine::note_stage_of`].
    pub(super) fn note_stage(
        &self,
        batch: &mut super::state::Batch,
        stage: &'static str,
        now: Now,
        effects: &mut Effects,
    ) {
        batch.mark(stage, now.monotonic);
        effects.push(Effect::Note(Note::Stage {
            stage,
            open_id: batch.open_id,
            batch_id: batch.statement.as_ref().map(|(id, _)| *id),
            batch_bytes: batch.open.submission.data_bytes,
            after_ms: now.monotonic.saturating_sub(batch.started).as_secs_f64() * 1e3,
        }));
    }

    /// Tells the node that somebody may be waiting for this.
    pub(super) fn changed(&self, open_id: OpenId, effects: &mut Effects) {
        if let Some((batch_id, _)) = self.batches.get(&open_id).and_then(|batch| batch.statement.as_ref()) {
            effects.push(Effect::Changed(*batch_id));
        }
    }
}
