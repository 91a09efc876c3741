//! The coordinator: a rollup's submission becomes an open and a dispersal.

use attest::{DataRoot, Submission, SubmissionDigest, SubmissionSignature};
use bytes::Bytes;
use dac_node_coding::{Layout, PieceRoots};

use super::event::{Facts, Now};
use super::state::{Batch, Coordination, Phase};
use super::{Effect, Effects, Encoding, Engine};
use crate::message::{Control, Message, Open, OpenId};
use crate::{NewContent, Reason, Refusal};

impl Engine {
    /// Takes a submission, or answers why not. The same submission again joins the first.
    #[expect(clippy::too_many_arguments, reason = "the fields of one event")]
    pub(super) fn on_submit(
        &mut self,
        ticket: u64,
        submission: Submission,
        signature: SubmissionSignature,
        batch: Bytes,
        facts: Facts,
        now: Now,
        effects: &mut Effects,
    ) {
        let digest = submission.digest(self.config.committee.domain());
        if let Some(encoding) = self.encoding.get_mut(&digest) {
            encoding.tickets.push(ticket);
            return;
        }
        let cold = facts.stored.is_none() && self.signed_uncertified(&digest);
        if self.join(&digest, cold, ticket, now, effects) {
            return;
        }
        let admitted = self
            .term
            .check_submission(now)
            .and_then(|()| self.authorise(&submission, &digest, &signature, now.unix_seconds))
            .and_then(|()| self.check_room(&submission, &facts))
            .and_then(|()| self.layout(&submission));
        match admitted {
            Ok(layout) => {
                effects.push(Effect::Encode { submission: digest, layout, batch: batch.clone() });
                let started = now.monotonic;
                let tickets = vec![ticket];
                let encoding = Encoding { submission, signature, batch, layout, tickets, started, cold };
                self.encoding.insert(digest, encoding);
            }
            Err(refusal) => effects.push(Effect::Answer { ticket, result: Err(refusal) }),
        }
    }

    /// Whether this member signed such a batch and knows of no certificate.
    fn signed_uncertified(&self, digest: &SubmissionDigest) -> bool {
        let known = self.by_submission.get(digest).into_iter().flatten();
        known.filter_map(|open_id| self.batches.get(open_id)).any(Batch::is_signed_uncertified)
    }

    /// Answers with the batch this member coordinates for the same submission; opens it again for members that have
    /// not signed when the first attempt ended below quorum. A batch that is `cold` here, its hot copy gone before the
    /// quorum was reached, is begun again from the bytes that came: one shard is all that is left of the first attempt.
    fn join(
        &mut self,
        digest: &SubmissionDigest,
        cold: bool,
        ticket: u64,
        now: Now,
        effects: &mut Effects,
    ) -> bool {
        let ids = self.by_submission.get(digest).cloned().unwrap_or_default();
        let own = ids.into_iter().find(|id| self.batches.get(id).is_some_and(|b| b.coordination.is_some()));
        let Some(open_id) = own else { return false };
        let answer_timeout = self.config.answer_timeout;
        let Some(batch) = self.batches.get_mut(&open_id) else { return false };
        if matches!(batch.phase, Phase::Refused(_)) || (cold && batch.is_signed_uncertified()) {
            // The first attempt failed here (a full disk, say), or cannot be finished from what is stored: start over.
            self.forget(open_id);
            return false;
        }
        let Some(coordination) = &mut batch.coordination else { return false };
        let gave_up = std::mem::take(&mut coordination.gave_up);
        if gave_up {
            coordination.answer_by = now.monotonic + answer_timeout;
            batch.refusals.clear();
        }
        match &batch.statement {
            Some((batch_id, _)) => {
                // Whoever is told the id waits for an end: the old one must not be posted any more.
                effects.push(Effect::Changed(*batch_id));
                effects.push(Effect::Answer { ticket, result: Ok(*batch_id) });
            }
            None => coordination.tickets.push(ticket),
        }
        if gave_up {
            let voters = batch.voters();
            let message = Message::Open(Box::new(batch.open_by(self.config.seat)));
            let to = self.peers().into_iter().filter(|seat| !voters.contains(*seat)).collect();
            effects.push(Effect::Send { to, message });
        }
        true
    }

    /// The roots of all pieces are known: open the batch, disperse, and compute the Poseidon root meanwhile.
    pub(super) fn on_encoded(
        &mut self,
        digest: SubmissionDigest,
        piece_roots: PieceRoots,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(encoding) = self.encoding.remove(&digest) else { return };
        let committee = &self.config.committee;
        let open = Open {
            epoch: committee.epoch(),
            committee_hash: committee.hash(),
            submission: encoding.submission,
            signature: encoding.signature,
            shards_root: piece_roots.shards_root(),
            coordinator: self.config.seat,
        };
        let open_id = open.id_of(&digest);
        if let Some(batch) = self.batches.get(&open_id)
            && !matches!(batch.phase, Phase::Refused(_))
            && !(encoding.cold && batch.is_signed_uncertified())
        {
            // Another coordinator opened the same submission first; this member takes part in that exchange, or has
            // signed already, and still answers its own submitter.
            self.adopt(open_id, encoding, piece_roots, now, effects);
            return;
        }
        self.forget(open_id);
        let mut batch = self.new_batch(open_id, open.clone(), encoding.layout, encoding.started);
        batch.phase = Phase::Verifying;
        batch.mark("encoded", now.monotonic);
        batch.coordination = Some(Coordination {
            batch: Some(encoding.batch.clone()),
            piece_roots: piece_roots.clone(),
            tickets: encoding.tickets,
            answer_by: now.monotonic + self.config.answer_timeout,
            gave_up: false,
            dispersed: false,
        });
        let plan = batch.plan.clone();
        self.note_stage(&mut batch, "received", now, effects);
        self.insert(batch, digest);
        let to = self.peers();
        self.introduce(open_id, &to);
        effects.push(Effect::Send { to, message: Message::Open(Box::new(open.clone())) });
        effects.push(Effect::Gossip(Control::Open(Box::new(open))));
        let bytes = encoding.batch;
        effects.push(Effect::Root { open_id, layout: encoding.layout, batch: bytes.clone() });
        effects.push(Effect::Disperse { open_id, plan, batch: bytes, piece_roots });
    }

    /// Becomes a second coordinator of a known exchange: it has the bytes, so it needs no more pieces, and it asks those
    /// for an answer that have not voted yet.
    fn adopt(
        &mut self,
        open_id: OpenId,
        encoding: Encoding,
        piece_roots: PieceRoots,
        now: Now,
        effects: &mut Effects,
    ) {
        let answer_by = now.monotonic + self.config.answer_timeout;
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let needs_root = matches!(batch.phase, Phase::Admitting | Phase::Receiving);
        batch.coordination = Some(Coordination {
            batch: needs_root.then(|| encoding.batch.clone()),
            piece_roots,
            tickets: encoding.tickets,
            answer_by,
            gave_up: false,
            dispersed: true,
        });
        if needs_root {
            batch.phase = Phase::Verifying;
            batch.stripes = Vec::new();
            batch.assembler = None;
            batch.parked = Vec::new();
            effects.push(Effect::Root { open_id, layout: encoding.layout, batch: encoding.batch });
        } else if let Some((batch_id, _)) = &batch.statement {
            let batch_id = *batch_id;
            for ticket in batch.coordination.iter_mut().flat_map(|c| std::mem::take(&mut c.tickets)) {
                effects.push(Effect::Answer { ticket, result: Ok(batch_id) });
            }
        }
        let open = Box::new(batch.open_by(self.config.seat));
        let to: Vec<u16> =
            self.connected.iter().filter(|seat| *seat != self.config.seat && batch.asks(*seat)).collect();
        self.introduce(open_id, &to);
        effects.push(Effect::Send { to, message: Message::Open(open) });
        self.on_vote_counted(open_id, now, effects);
    }

    /// The coordinator's own commitments are complete: persist like any member.
    pub(super) fn on_rooted(
        &mut self,
        open_id: OpenId,
        data_root: DataRoot,
        shard: Bytes,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.phase != Phase::Verifying {
            return;
        }
        let key = batch.content_key();
        let layout = batch.layout;
        let Some(coordination) = &mut batch.coordination else { return };
        let Some(bytes) = coordination.batch.take() else { return };
        let pieces = (0..layout.stripes()).map(|stripe| shard.slice(layout.shard_range(stripe))).collect();
        let content = NewContent {
            key,
            layout,
            data_root,
            piece_roots: coordination.piece_roots.clone(),
            batch: bytes,
            shard: pieces,
        };
        self.persist(open_id, data_root, Some(content), now, effects);
    }

    /// The last piece left this node.
    pub(super) fn on_dispersed(&mut self, open_id: OpenId) {
        if let Some(coordination) = self.batches.get_mut(&open_id).and_then(|b| b.coordination.as_mut()) {
            coordination.dispersed = true;
        }
    }

    /// Tells everyone who waits for this batch's id.
    pub(super) fn answer_tickets(
        &mut self,
        open_id: OpenId,
        result: &Result<attest::BatchId, Refusal>,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        for ticket in batch.coordination.iter_mut().flat_map(|c| std::mem::take(&mut c.tickets)) {
            effects.push(Effect::Answer { ticket, result: result.clone() });
        }
    }

    /// The shape of a submission's encoding in this committee.
    pub(super) fn layout(&self, submission: &Submission) -> Result<Layout, Refusal> {
        let thresholds = self.config.committee.thresholds();
        Layout::new(thresholds.members(), thresholds.minimum_shards(), submission.data_bytes)
            .map_err(|error| Refusal::new(Reason::TooLarge, error.to_string()))
    }

    /// Stops: what is not signed never will be.
    pub(super) fn on_stop(&mut self, now: Now, effects: &mut Effects) {
        self.stopping = true;
        let refusal = Refusal::new(Reason::ShuttingDown, "this member is stopping");
        for (_, encoding) in std::mem::take(&mut self.encoding) {
            for ticket in encoding.tickets {
                effects.push(Effect::Answer { ticket, result: Err(refusal.clone()) });
            }
        }
        // What is being written or signed may still finish: its bytes are verified.
        let unfinished: Vec<OpenId> = self
            .batches
            .values()
            .filter(|batch| matches!(batch.phase, Phase::Admitting | Phase::Receiving | Phase::Verifying))
            .map(|batch| batch.open_id)
            .collect();
        for open_id in unfinished {
            self.refuse(open_id, refusal.clone(), now, effects);
        }
    }
}
