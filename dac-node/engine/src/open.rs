//! Admission: which batches this member takes part in. Cheap checks first, the signature last, the store behind it.

use attest::{Submission, SubmissionDigest, SubmissionSignature};
use dac_node_coding::{BatchAssembler, Layout};

use super::event::{Facts, Now};
use super::plan::Plan;
use super::state::{Batch, Certification, Phase, StripeState};
use super::{Effect, Effects, Engine, EngineConfig, HEARSAY_PER_SUBMISSION_MAX, Note, SeatSet, Verdict};
use crate::message::{Message, No, Open, OpenId, Vote};
use crate::{Reason, Refusal, RollupPolicy};

impl EngineConfig {
    /// Checks what a rollup asks for against what this member grants it: rollup, times, sizes, signature, in this order.
    /// Quota and room need the store: see [`Facts`].
    ///
    /// # Errors
    /// The refusal that the submitter gets, with both sides of the comparison.
    pub fn authorise(
        &self,
        submission: &Submission,
        signature: &SubmissionSignature,
        unix_seconds: u64,
    ) -> Result<(), Refusal> {
        let digest = submission.digest(self.committee.domain());
        self.authorise_digest(submission, &digest, signature, unix_seconds)
    }

    /// [`authorise`](Self::authorise) for whoever has the submission's digest.
    pub(super) fn authorise_digest(
        &self,
        submission: &Submission,
        digest: &SubmissionDigest,
        signature: &SubmissionSignature,
        unix_seconds: u64,
    ) -> Result<(), Refusal> {
        let policy = self.check_request(submission, unix_seconds)?;
        let submitter = signature
            .recover(digest)
            .map_err(|error| Refusal::new(Reason::Unauthorised, format!("submission signature: {error}")))?;
        if !policy.submitters.contains(&submitter) {
            let detail = format!("{submitter} signed, which rollup {} does not name as submitter", policy.id);
            return Err(Refusal::new(Reason::Unauthorised, detail));
        }
        Ok(())
    }

    /// The part of [`EngineConfig::authorise`] that needs no signature.
    ///
    /// # Errors
    /// As there.
    pub fn check_request(
        &self,
        submission: &Submission,
        unix_seconds: u64,
    ) -> Result<&RollupPolicy, Refusal> {
        let rollup = submission.rollup_id;
        let Some(policy) = self.rollups.get(&rollup) else {
            return Err(Refusal::new(Reason::Unauthorised, format!("unknown rollup {rollup}")));
        };
        let bytes_max = self.batch_bytes_max.min(policy.batch_max.as_u64());
        if submission.data_bytes > bytes_max {
            let detail =
                format!("batch of {} bytes, at most {bytes_max} for this rollup", submission.data_bytes);
            return Err(Refusal::new(Reason::TooLarge, detail));
        }
        check_times(submission, policy, unix_seconds)?;
        submission.check().map_err(|error| Refusal::new(Reason::Expired, error.to_string()))?;
        Ok(policy)
    }
}

impl Engine {
    /// [`EngineConfig::authorise`], unless this member is stopping.
    pub(super) fn authorise(
        &self,
        submission: &Submission,
        digest: &SubmissionDigest,
        signature: &SubmissionSignature,
        unix_seconds: u64,
    ) -> Result<(), Refusal> {
        if self.stopping {
            return Err(Refusal::new(Reason::ShuttingDown, "this member is stopping"));
        }
        self.config.authorise_digest(submission, digest, signature, unix_seconds)
    }

    /// Quota, storage and memory, in this order.
    pub(super) fn check_room(&self, submission: &Submission, facts: &Facts) -> Result<(), Refusal> {
        let bytes = submission.data_bytes;
        if let Some(policy) = self.config.rollups.get(&submission.rollup_id) {
            let quota = policy.quota_per_day.as_u64();
            let used = facts.quota_used.saturating_add(self.in_flight_of(submission));
            if facts.stored.is_none() && used.saturating_add(bytes) > quota {
                let detail = format!("{used} of {quota} bytes used today, {bytes} more asked");
                return Err(Refusal::new(Reason::QuotaExceeded, detail));
            }
        }
        let k = u64::from(self.config.committee.thresholds().minimum_shards());
        let needed = bytes + bytes / k;
        if facts.stored.is_none() && needed > facts.free_bytes {
            let detail = format!("{needed} bytes needed, {} free above the reserve", facts.free_bytes);
            return Err(Refusal::new(Reason::StorageFull, detail));
        }
        self.check_in_flight(bytes)
    }

    /// One more exchange of so many bytes, those included whose admission waits for the store.
    fn check_in_flight(&self, bytes: u64) -> Result<(), Refusal> {
        let (count, in_flight) = self.in_flight();
        let (count_max, bytes_max) = (self.config.batches_in_flight_max, self.config.bytes_in_flight_max);
        if count >= count_max || in_flight.saturating_add(bytes) > bytes_max {
            let detail =
                format!("{count} of {count_max} batches and {in_flight} of {bytes_max} bytes in flight");
            return Err(Refusal::new(Reason::Busy, detail));
        }
        Ok(())
    }

    /// Bytes of the same rollup that are on their way to its quota.
    fn in_flight_of(&self, submission: &Submission) -> u64 {
        let in_flight = self.batches.values().filter(|batch| {
            batch.reserved_bytes > 0
                && batch.open.submission.rollup_id == submission.rollup_id
                && batch.open.submission != *submission
        });
        let encoding = self.encoding.values().filter(|e| e.submission.rollup_id == submission.rollup_id);
        in_flight.map(|b| b.open.submission.data_bytes).sum::<u64>()
            + encoding.map(|e| e.submission.data_bytes).sum::<u64>()
    }

    /// A batch is introduced, by a peer on its stream (`direct`) or by gossip.
    pub(super) fn on_open(
        &mut self,
        from: u16,
        open: Open,
        direct: bool,
        now: Now,
        effects: &mut Effects,
    ) -> Verdict {
        let committee = &self.config.committee;
        let digest = open.submission.digest(committee.domain());
        let open_id = open.id_of(&digest);
        let first_hand = direct && from == open.coordinator;
        if self.batches.contains_key(&open_id) {
            self.introduce(open_id, &[from]);
            if first_hand {
                self.on_open_again(open_id, open, now, effects);
            }
            return Verdict::Accept;
        }
        if open.coordinator >= self.members() || open.coordinator == self.config.seat {
            return Verdict::Ignore;
        }
        match self.check_open(&open, &digest, first_hand, now) {
            Ok(layout) => {
                let content =
                    crate::ContentKey { data_hash: open.submission.data_hash, shards_root: open.shards_root };
                effects.push(Effect::Admit { open_id, content, rollup: open.submission.rollup_id });
                let mut batch = self.new_batch(open_id, open, layout, now.monotonic);
                batch.introduced.insert(from);
                if first_hand {
                    batch.coordinators.insert(from);
                }
                self.insert(batch, digest);
                Verdict::Accept
            }
            Err(refusal) => {
                // Nothing is kept of a batch that nobody authorised, and it is answered once, to who sent it.
                if first_hand {
                    let no = No::new(open_id, &refusal);
                    effects.push(Effect::Send { to: vec![from], message: Message::No(no) });
                }
                effects.push(Effect::Note(Note::Refused {
                    open_id,
                    reason: refusal.reason,
                    detail: refusal.detail,
                }));
                Verdict::Ignore
            }
        }
    }

    fn check_open(
        &self,
        open: &Open,
        digest: &SubmissionDigest,
        first_hand: bool,
        now: Now,
    ) -> Result<Layout, Refusal> {
        let committee = &self.config.committee;
        if (open.epoch, open.committee_hash) != (committee.epoch(), committee.hash()) {
            let (found, expected) = (open.epoch, committee.epoch());
            let detail = format!(
                "opened under epoch {found} of committee {}, here is epoch {expected} of {}",
                open.committee_hash,
                committee.hash()
            );
            return Err(Refusal::new(Reason::StaleEpoch, detail));
        }
        let known =
            self.by_submission.get(digest).into_iter().flatten().filter_map(|id| self.batches.get(id));
        let (opens, opens_max) = if first_hand {
            (known.filter(|batch| batch.coordinators.contains(open.coordinator)).count(), 1)
        } else {
            (known.filter(|batch| batch.coordinators.is_empty()).count(), HEARSAY_PER_SUBMISSION_MAX)
        };
        if opens >= opens_max {
            let detail = format!("{opens} other encodings of the same submission were opened");
            return Err(Refusal::new(Reason::Busy, detail));
        }
        self.term.check_open(now)?;
        self.check_in_flight(open.submission.data_bytes)?;
        let layout = self.layout(&open.submission)?;
        self.authorise(&open.submission, digest, &open.signature, now.unix_seconds)?;
        Ok(layout)
    }

    /// A coordinator opens what is known here: another did so first, it lost the answer, or it retries after a refusal.
    fn on_open_again(&mut self, open_id: OpenId, open: Open, now: Now, effects: &mut Effects) {
        let (seat, from) = (self.config.seat, open.coordinator);
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        batch.coordinators.insert(from);
        match &batch.phase {
            Phase::Signed => {
                if let Some(attestation) = batch.votes.get(&seat).and_then(|own| own.first()) {
                    let vote = Vote { open_id, attestation: *attestation };
                    effects.push(Effect::Send { to: vec![from], message: Message::Vote(vote) });
                }
            }
            Phase::Refused(_) => {
                let digest = open.submission.digest(self.config.committee.domain());
                self.forget(open_id);
                match self.check_open(&open, &digest, true, now) {
                    Ok(layout) => {
                        let rollup = open.submission.rollup_id;
                        let mut fresh = self.new_batch(open_id, open, layout, now.monotonic);
                        fresh.introduced.insert(from);
                        fresh.coordinators.insert(from);
                        let content = fresh.content_key();
                        self.insert(fresh, digest);
                        effects.push(Effect::Admit { open_id, content, rollup });
                    }
                    Err(refusal) => {
                        let no = No::new(open_id, &refusal);
                        effects.push(Effect::Send { to: vec![from], message: Message::No(no) });
                    }
                }
            }
            _ => {}
        }
    }

    /// The store answered: go on, take the short way when the bytes are here already, or refuse.
    pub(super) fn on_admitted(
        &mut self,
        open_id: OpenId,
        facts: Result<Facts, Refusal>,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get(&open_id) else { return };
        if batch.phase != Phase::Admitting {
            return;
        }
        let submission = batch.open.submission;
        if let Some(batch) = self.batches.get_mut(&open_id) {
            batch.reserved_bytes = 0; // it must not stand in its own way
        }
        let admitted = facts.and_then(|facts| self.check_room(&submission, &facts).map(|()| facts));
        let facts = match admitted {
            Ok(facts) => facts,
            Err(refusal) => return self.refuse(open_id, refusal, now, effects),
        };
        let seat = self.seat_index();
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let parked = std::mem::take(&mut batch.parked);
        batch.reserved_bytes = submission.data_bytes;
        if let Some(data_root) = facts.stored {
            return self.persist(open_id, data_root, None, now, effects);
        }
        batch.phase = Phase::Receiving;
        batch.progress(now.monotonic, &self.config);
        batch.stripes = vec![StripeState::default(); batch.layout.stripes() as usize];
        batch.assembler = Some(Box::new(BatchAssembler::new(&batch.layout, Some(seat))));
        for (from, piece, credit) in parked {
            self.on_piece(from, open_id, piece, credit, effects);
        }
    }

    /// Settles a batch with a no, and says so to the coordinator.
    pub(super) fn refuse(&mut self, open_id: OpenId, refusal: Refusal, now: Now, effects: &mut Effects) {
        let seat = self.config.seat;
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.phase.is_settled() {
            return;
        }
        batch.phase = Phase::Refused(refusal.clone());
        batch.refusals.insert(seat, refusal.clone());
        batch.answered.insert(seat, now.monotonic.saturating_sub(batch.started));
        batch.release();
        batch.mark("refused", now.monotonic);
        let to = batch.answers_to(seat);
        if !to.is_empty() {
            let no = No::new(open_id, &refusal);
            effects.push(Effect::Send { to, message: Message::No(no) });
        }
        if let Some((batch_id, _)) = &batch.statement {
            effects.push(Effect::Changed(*batch_id));
        }
        let (reason, detail) = (refusal.reason, refusal.detail.clone());
        effects.push(Effect::Note(Note::Refused { open_id, reason, detail }));
        self.answer_tickets(open_id, &Err(refusal), effects);
        self.settle(open_id);
        self.give_up_if_hopeless(open_id, effects);
    }

    pub(super) fn new_batch(
        &self,
        open_id: OpenId,
        open: Open,
        layout: Layout,
        started: std::time::Duration,
    ) -> Batch {
        let thresholds = self.config.committee.thresholds();
        let plan = Plan::new(open.submission.data_hash, open.coordinator, &thresholds, self.config.dispersal);
        Batch {
            open_id,
            layout,
            plan,
            phase: Phase::Admitting,
            coordination: None,
            parked: Vec::new(),
            stripes: Vec::new(),
            assembler: None,
            statement: None,
            certification: Certification::Open,
            publish: None,
            tried: Vec::new(),
            votes: Default::default(),
            direct: SeatSet::EMPTY,
            refusals: Default::default(),
            answered: Default::default(),
            introduced: SeatSet::EMPTY,
            coordinators: SeatSet::EMPTY,
            started,
            last_progress: started,
            longest_pause: std::time::Duration::ZERO,
            pull_at: started + self.config.piece_timeout,
            takeover_at: None,
            marks: Vec::new(),
            early: self.term == super::Term::Beginning,
            reserved_bytes: open.submission.data_bytes,
            open,
        }
    }

    pub(super) fn insert(&mut self, batch: Batch, digest: SubmissionDigest) {
        let ids = self.by_submission.entry(digest).or_default();
        if !ids.contains(&batch.open_id) {
            ids.push(batch.open_id);
        }
        self.batches.insert(batch);
    }

    /// Remembers that peers know of the batch.
    pub(super) fn introduce(&mut self, open_id: OpenId, peers: &[u16]) {
        if let Some(batch) = self.batches.get_mut(&open_id) {
            for peer in peers {
                batch.introduced.insert(*peer);
            }
        }
    }
}

fn check_times(submission: &Submission, policy: &RollupPolicy, unix_seconds: u64) -> Result<(), Refusal> {
    let (deadline, retain_until) = (submission.deadline, submission.retain_until);
    if deadline < unix_seconds {
        let detail = format!("deadline {deadline} is over, it is {unix_seconds}");
        return Err(Refusal::new(Reason::Expired, detail));
    }
    if retain_until <= unix_seconds {
        let detail = format!("retention ends at {retain_until}, it is {unix_seconds}");
        return Err(Refusal::new(Reason::Expired, detail));
    }
    if submission.hot_until > retain_until {
        let detail =
            format!("hot until {}, after the end of retention at {retain_until}", submission.hot_until);
        return Err(Refusal::new(Reason::Expired, detail));
    }
    let longest = unix_seconds.saturating_add(policy.retention_max.as_secs());
    if retain_until > longest {
        let detail = format!("retention until {retain_until}, at most until {longest} for this rollup");
        return Err(Refusal::new(Reason::QuotaExceeded, detail));
    }
    Ok(())
}
