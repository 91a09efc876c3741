//! Votes become a certificate; refusals become an answer.
//!
//! The coordinator aggregates at the quorum, after a short wait for late signers. Every other member that signed may
//! take its place when no certificate came: members take turns by their distance from the coordinator's seat, so that
//! not all aggregate at once. Anyone can forge a vote on gossip, so a seat has several candidates, and what a member
//! says on its own authenticated stream stands first.

use std::time::Duration;

use attest::{Aggregation, Attestation, BatchId, CheckedCertificate, SeatIndex};
use parity_scale_codec::Encode;

use super::event::{GossipId, Now};
use super::state::{Batch, Certification, Phase};
use super::{Effect, Effects, Engine, Note, SeatSet, Verdict};
use crate::message::{Control, No, OpenId, Vote};
use crate::{Reason, Refusal};

/// Votes kept for one seat: the member's own and two that gossip claims.
pub const CANDIDATES_MAX: usize = 3;

impl Engine {
    /// A vote, from the member itself (`direct`) or by gossip.
    pub(super) fn on_vote(
        &mut self,
        from: u16,
        vote: Vote,
        direct: bool,
        now: Now,
        effects: &mut Effects,
    ) -> Verdict {
        let seat = vote.attestation.seat.0;
        if seat >= self.members() {
            return Verdict::Reject;
        }
        if direct && from != seat {
            let why = format!("sent a vote of seat {seat} as its own");
            effects.push(Effect::Penalise { seat: from, why });
            return Verdict::Reject;
        }
        let open_id = vote.open_id;
        let Some(batch) = self.batches.get_mut(&open_id) else { return Verdict::Ignore };
        if batch.statement.as_ref().is_some_and(|(batch_id, _)| *batch_id != vote.attestation.batch_id) {
            if direct {
                blame_for_vote(batch, seat, effects);
                self.changed(open_id, effects);
                self.on_vote_counted(open_id, now, effects);
            }
            return Verdict::Ignore;
        }
        let candidates = batch.votes.entry(seat).or_default();
        let known = candidates.iter().position(|candidate| *candidate == vote.attestation);
        match (direct, known) {
            (true, Some(at)) => candidates[..=at].rotate_right(1),
            (true, None) => candidates.insert(0, vote.attestation),
            (false, Some(_)) => return Verdict::Accept,
            (false, None) if candidates.len() >= CANDIDATES_MAX => return Verdict::Ignore,
            (false, None) => candidates.push(vote.attestation),
        }
        candidates.truncate(CANDIDATES_MAX);
        if direct {
            batch.direct.insert(seat);
            batch.refusals.remove(&seat);
        }
        let after = now.monotonic.saturating_sub(batch.started);
        batch.answered.entry(seat).or_insert(after);
        self.changed(open_id, effects);
        self.on_vote_counted(open_id, now, effects);
        Verdict::Accept
    }

    /// A member says no to a batch this member coordinates.
    pub(super) fn on_no(&mut self, from: u16, no: &No, now: Now, effects: &mut Effects) {
        let open_id = no.open_id;
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.coordination.is_none() || from >= batch.layout.members() || batch.direct.contains(from) {
            return;
        }
        batch.refusals.insert(from, no.refusal());
        batch.answered.insert(from, now.monotonic.saturating_sub(batch.started));
        self.changed(open_id, effects);
        self.on_vote_counted(open_id, now, effects);
    }

    /// Counts votes: aggregate, wait for late signers, or give up.
    pub(super) fn on_vote_counted(&mut self, open_id: OpenId, now: Now, effects: &mut Effects) {
        let thresholds = self.config.committee.thresholds();
        let (n, q) = (thresholds.members(), thresholds.quorum());
        let connected = self.connected;
        let linger = self.config.certificate_linger;
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        if batch.statement.is_none() {
            return self.give_up_if_hopeless(open_id, effects);
        }
        let voters = batch.voters();
        if voters.len() < q {
            return self.give_up_if_hopeless(open_id, effects);
        }
        let coordinates = batch.coordination.is_some();
        let nobody_to_wait_for = (0..n).all(|seat| {
            voters.contains(seat) || batch.refusals.contains_key(&seat) || !connected.contains(seat)
        });
        match batch.certification {
            Certification::Open if coordinates && !nobody_to_wait_for => {
                batch.certification = Certification::Lingering(now.monotonic + linger);
                self.note_stage_of(open_id, "quorum", now, effects);
            }
            Certification::Open if coordinates => {
                self.note_stage_of(open_id, "quorum", now, effects);
                self.aggregate(open_id, effects);
            }
            Certification::Open if batch.takeover_at.is_some_and(|at| now.monotonic >= at) => {
                self.aggregate(open_id, effects);
            }
            Certification::Lingering(until) if nobody_to_wait_for || now.monotonic >= until => {
                self.aggregate(open_id, effects);
            }
            _ => {}
        }
    }

    fn aggregate(&mut self, open_id: OpenId, effects: &mut Effects) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let Some((_, statement)) = &batch.statement else { return };
        let attestations: Vec<Attestation> = batch.votes.values().flatten().copied().collect();
        batch.tried = attestations.clone();
        effects.push(Effect::Aggregate { open_id, statement: statement.clone(), attestations });
        batch.certification = Certification::Aggregating;
    }

    /// With so many refusals the quorum cannot be reached: answer as soon as this member's own answer is known, not at
    /// the timeout.
    pub(super) fn give_up_if_hopeless(&mut self, open_id: OpenId, effects: &mut Effects) {
        let thresholds = self.config.committee.thresholds();
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let refused = u16::try_from(batch.refusals.len()).unwrap_or(u16::MAX);
        let settled = batch.phase.is_settled();
        let Some(coordination) = &mut batch.coordination else { return };
        if settled
            && !coordination.gave_up
            && thresholds.members().saturating_sub(refused) < thresholds.quorum()
        {
            coordination.gave_up = true;
            self.changed(open_id, effects);
        }
    }

    /// The aggregate was verified, or liars were found.
    pub(super) fn on_aggregated(
        &mut self,
        open_id: OpenId,
        aggregation: Aggregation,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let signers: SeatSet = match &aggregation.certificate {
            Ok(checked) => checked.signers().iter().map(|seat| seat.0).collect(),
            Err(attest::Error::BelowQuorum { signers, .. }) => signers.iter().map(|seat| seat.0).collect(),
            Err(_) => SeatSet::EMPTY,
        };
        drop_liars(batch, &aggregation.liars, &signers, effects);
        match aggregation.certificate {
            Ok(checked) => {
                let batch_id = checked.batch_id();
                let certificate = Box::new(checked.into_certificate());
                batch.certification = Certification::Storing(signers);
                batch.publish = Some(certificate.encode());
                effects.push(Effect::StoreCertificate { batch_id, certificate });
            }
            Err(_) => {
                // Whoever is left among the voters did not lie; wait for others.
                batch.certification = Certification::Open;
                batch.takeover_at = batch.takeover_at.map(|_| now.monotonic + self.config.takeover_after);
                if !aggregation.liars.is_empty() {
                    self.on_vote_counted(open_id, now, effects);
                }
            }
        }
        self.changed(open_id, effects);
    }

    /// A certificate that came by gossip was verified, or not.
    pub(super) fn on_certificate_checked(
        &mut self,
        from: u16,
        gossip: GossipId,
        result: Result<Box<CheckedCertificate>, attest::Error>,
        _now: Now,
        effects: &mut Effects,
    ) {
        let checked = match result {
            Ok(checked) => checked,
            Err(error) => {
                let verdict = if error.is_peer_fault() { Verdict::Reject } else { Verdict::Ignore };
                effects.push(Effect::Judge { gossip, verdict });
                if error.is_peer_fault() {
                    effects.push(Effect::Penalise { seat: from, why: format!("certificate: {error}") });
                }
                return;
            }
        };
        effects.push(Effect::Judge { gossip, verdict: Verdict::Accept });
        let batch_id = checked.batch_id();
        if !self.by_batch_id.contains_key(&batch_id) {
            let certificate = Box::new(checked.certificate().clone());
            effects.push(Effect::StoreCertificate { batch_id, certificate });
        }
        self.on_certificate_found(checked, effects);
    }

    /// Another member made this certificate: the batch needs none of this member, once its statement is known here.
    pub(super) fn on_certificate_found(&mut self, checked: Box<CheckedCertificate>, effects: &mut Effects) {
        let open_id = self.by_batch_id.get(&checked.batch_id());
        match open_id.and_then(|open_id| self.batches.get_mut(open_id)) {
            Some(batch) => store_certificate(batch, *checked, effects),
            None => self.remember_early_certificate(checked),
        }
    }

    /// A member that is slower than a quorum has the certificate before it knows the statement itself.
    fn remember_early_certificate(&mut self, checked: Box<CheckedCertificate>) {
        self.early_certificates.retain(|known| known.batch_id() != checked.batch_id());
        self.early_certificates.push_back(checked);
        while self.early_certificates.len() > self.config.batches_in_flight_max {
            self.early_certificates.pop_front();
        }
    }

    /// The statement is known now: a certificate that came before it is this batch's.
    pub(super) fn take_early_certificate(&mut self, open_id: OpenId, effects: &mut Effects) {
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let Some((batch_id, _)) = &batch.statement else { return };
        let known = self.early_certificates.iter().position(|checked| checked.batch_id() == *batch_id);
        if let Some(checked) = known.and_then(|at| self.early_certificates.remove(at)) {
            store_certificate(batch, *checked, effects);
        }
    }

    /// The certificate is durable: publish it if this member made it.
    pub(super) fn on_certificate_stored(
        &mut self,
        batch_id: BatchId,
        result: Result<(), Refusal>,
        now: Now,
        effects: &mut Effects,
    ) {
        let Some(open_id) = self.by_batch_id.get(&batch_id).copied() else { return };
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let Certification::Storing(signers) = batch.certification else { return };
        match result {
            Ok(()) => {
                batch.certification = Certification::Done(signers);
                batch.takeover_at = None;
                if let Some(coordination) = &mut batch.coordination {
                    coordination.gave_up = false;
                }
                if let Some(bytes) = batch.publish.take() {
                    effects.push(Effect::Gossip(Control::Certificate(bytes)));
                }
                self.note_stage_of(open_id, "certified", now, effects);
            }
            Err(refusal) => {
                effects.push(Effect::Note(Note::Refused {
                    open_id,
                    reason: refusal.reason,
                    detail: format!("certificate not stored: {}", refusal.detail),
                }));
                batch.certification = Certification::Open;
                batch.takeover_at = None;
            }
        }
        effects.push(Effect::Changed(batch_id));
    }

    /// How long this member leaves the certificate to the coordinator and to the seats between them.
    pub(super) fn takeover_delay(&self, open_id: OpenId) -> Duration {
        let n = self.members();
        let coordinator = self.batches.get(&open_id).map_or(0, |batch| batch.open.coordinator);
        let turn = (self.config.seat + n - coordinator % n) % n;
        self.config.takeover_after * u32::from(turn.max(1))
    }

    /// When something of this batch is due.
    pub(super) fn batch_deadline(&self, batch: &Batch) -> Option<Duration> {
        let piece = (batch.phase == Phase::Receiving)
            .then(|| batch.pull_at.min(batch.last_progress + self.config.give_up_after));
        let held = (batch.phase == Phase::Held).then(|| batch.last_progress + self.config.answer_timeout);
        let certificate = match batch.certification {
            Certification::Lingering(until) => Some(until),
            // With too few votes to take over with, the next vote that comes in decides.
            Certification::Open if batch.voters().len() >= self.config.committee.thresholds().quorum() => {
                batch.takeover_at
            }
            _ => None,
        };
        let waits = batch.certification == Certification::Open;
        let answer = batch.coordination.as_ref().filter(|c| waits && !c.gave_up).map(|c| c.answer_by);
        [piece, held, certificate, answer].into_iter().flatten().min()
    }

    /// Acts on everything that is due.
    pub(super) fn on_deadlines(&mut self, now: Now, effects: &mut Effects) {
        let (mut due, mut at_rest) = (Vec::new(), Vec::new());
        for batch in self.batches.awake() {
            match self.batch_deadline(batch) {
                Some(at) if now.monotonic >= at => due.push(batch.open_id),
                Some(_) => {}
                None => at_rest.push(batch.open_id),
            }
        }
        at_rest.iter().for_each(|open_id| self.batches.rest(open_id));
        for open_id in due {
            self.on_batch_due(open_id, now, effects);
        }
    }

    fn on_batch_due(&mut self, open_id: OpenId, now: Now, effects: &mut Effects) {
        let (give_up_after, held_max) = (self.config.give_up_after, self.config.answer_timeout);
        let Some(batch) = self.batches.get_mut(&open_id) else { return };
        let pieces_due = batch.phase == Phase::Receiving
            && now.monotonic >= batch.pull_at.min(batch.last_progress + give_up_after);
        let held_too_long = batch.phase == Phase::Held && now.monotonic >= batch.last_progress + held_max;
        if let Some(coordination) = &mut batch.coordination
            && batch.certification == Certification::Open
            && now.monotonic >= coordination.answer_by
        {
            coordination.gave_up = true;
            self.changed(open_id, effects);
        }
        self.on_vote_counted(open_id, now, effects);
        if held_too_long {
            self.on_held_too_long(open_id, now, effects);
        }
        if pieces_due {
            self.on_piece_deadline(open_id, now, effects);
        }
    }
}

/// Stores a certificate that another member made, unless one of as many signers is known.
fn store_certificate(batch: &mut Batch, checked: CheckedCertificate, effects: &mut Effects) {
    let signers: SeatSet = checked.signers().iter().map(|seat| seat.0).collect();
    if let Certification::Done(known) | Certification::Storing(known) = batch.certification
        && known.len() >= signers.len()
    {
        return;
    }
    batch.certification = Certification::Storing(signers);
    batch.publish = None;
    batch.takeover_at = None;
    let batch_id = checked.batch_id();
    let certificate = Box::new(checked.into_certificate());
    effects.push(Effect::StoreCertificate { batch_id, certificate });
}

/// Takes the votes out that were tried and are false: all of a liar's, unless the seat also had a good one. Only what a
/// member said itself is held against it: anyone can forge a vote by gossip.
fn drop_liars(batch: &mut Batch, liars: &[SeatIndex], signers: &SeatSet, effects: &mut Effects) {
    let tried = std::mem::take(&mut batch.tried);
    for liar in liars.iter().map(|seat| seat.0).filter(|seat| !signers.contains(*seat)) {
        let Some(candidates) = batch.votes.get_mut(&liar) else { continue };
        let lied_itself =
            batch.direct.contains(liar) && candidates.first().is_some_and(|vote| tried.contains(vote));
        // A vote that came in meanwhile has not been tried.
        candidates.retain(|vote| !tried.contains(vote));
        if candidates.is_empty() {
            batch.votes.remove(&liar);
        }
        if lied_itself {
            blame_for_vote(batch, liar, effects);
        }
    }
}

/// Drops votes that came before the statement was known here and speak of another.
pub(super) fn drop_foreign_votes(batch: &mut Batch, batch_id: BatchId, effects: &mut Effects) {
    let is_foreign = |vote: &Attestation| vote.batch_id != batch_id;
    let said_itself = |seat: u16, votes: &[Attestation]| {
        batch.direct.contains(seat) && votes.first().is_some_and(is_foreign)
    };
    let liars: Vec<u16> = batch
        .votes
        .iter()
        .filter(|(seat, votes)| said_itself(**seat, votes))
        .map(|(seat, _)| *seat)
        .collect();
    for liar in liars {
        blame_for_vote(batch, liar, effects);
    }
    batch.votes.retain(|_, candidates| {
        candidates.retain(|vote| !is_foreign(vote));
        !candidates.is_empty()
    });
}

/// The member itself sent an attestation that is none.
fn blame_for_vote(batch: &mut Batch, seat: u16, effects: &mut Effects) {
    batch.direct.remove(seat);
    let detail = "the attestation does not verify under the member's key";
    batch.refusals.insert(seat, Refusal::new(Reason::BadAttestation, detail));
    effects.push(Effect::Penalise { seat, why: "its attestation does not verify".to_owned() });
}
