//! What the engine remembers of one batch.

use std::collections::BTreeMap;
use std::time::Duration;

use attest::{Attestation, BatchId, Statement};
use bytes::Bytes;
use dac_node_coding::{BatchAssembler, CheckedPiece, Layout, Piece, PieceRoots};

use super::EngineConfig;
use super::event::Credit;
use super::plan::Plan;
use super::seats::SeatSet;
use crate::message::{Open, OpenId};
use crate::{ContentKey, Refusal};

/// How far a batch is on this member. The order is the order of PROTOCOL section 5.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// The store is asked; pieces wait.
    Admitting,
    /// Pieces arrive; stripes are decoded as they fill.
    Receiving,
    /// The commitments of the whole batch are being recomputed.
    Verifying,
    /// Written and synced.
    Persisting,
    /// Durable; the signature waits for the epoch to begin.
    Held,
    /// Durable; the signature is being made.
    Signing,
    /// Attested.
    Signed,
    /// This member said no.
    Refused(Refusal),
}

impl Phase {
    /// Whether the member has answered.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Phase::Signed | Phase::Refused(_))
    }
}

/// One stripe of an exchange.
#[derive(Clone, Debug, Default)]
pub(super) struct StripeState {
    /// Pieces here or being checked.
    pub(super) known: SeatSet,
    /// Pieces here: at most `k`, and the own one. Kept until the batch is settled, so that peers may pull them.
    pub(super) held: Vec<CheckedPiece>,
    /// The stripe is being decoded or is decoded.
    pub(super) decoding: bool,
    /// Decoded and compared with its commitment.
    pub(super) decoded: bool,
    /// The own piece went out to the members that expect it.
    pub(super) pushed: bool,
    /// Peers that asked for the own piece before it was here.
    pub(super) wanters: SeatSet,
    /// Peers asked for pieces in this round, or known to have none.
    pub(super) asked: SeatSet,
    /// Every peer was asked for a piece once.
    pub(super) asked_all: bool,
}

/// The coordinator's own work on a batch.
#[derive(Debug)]
pub(super) struct Coordination {
    /// The bytes, until persisted and dispersed.
    pub(super) batch: Option<Bytes>,
    /// Roots of all pieces.
    pub(super) piece_roots: PieceRoots,
    /// Who waits for the batch id.
    pub(super) tickets: Vec<u64>,
    /// No more answers are waited for after this.
    pub(super) answer_by: Duration,
    /// Gave up below quorum; a retry starts the clock again.
    pub(super) gave_up: bool,
    /// Dispersal ended.
    pub(super) dispersed: bool,
}

/// Where the certificate of a batch stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Certification {
    /// Below quorum.
    #[default]
    Open,
    /// At quorum; late signers are welcome until then.
    Lingering(Duration),
    /// Being aggregated.
    Aggregating,
    /// Being stored, with these signers.
    Storing(SeatSet),
    /// Stored.
    Done(SeatSet),
}

/// Everything about one batch in flight, or recently settled (then without bytes).
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) open_id: OpenId,
    pub(super) open: Open,
    pub(super) layout: Layout,
    pub(super) plan: Plan,
    pub(super) phase: Phase,
    pub(super) coordination: Option<Coordination>,
    pub(super) parked: Vec<(u16, Piece, Credit)>,
    pub(super) stripes: Vec<StripeState>,
    pub(super) assembler: Option<Box<BatchAssembler>>,
    pub(super) statement: Option<(BatchId, Box<Statement>)>,
    pub(super) certification: Certification,
    /// The certificate (SCALE) this member made, until it is stored and published.
    pub(super) publish: Option<Vec<u8>>,
    /// The votes that are being aggregated.
    pub(super) tried: Vec<Attestation>,
    /// Candidates by seat: what the member said itself first, gossip behind it.
    pub(super) votes: BTreeMap<u16, Vec<Attestation>>,
    /// Seats whose first vote came from the member itself.
    pub(super) direct: SeatSet,
    pub(super) refusals: BTreeMap<u16, Refusal>,
    /// When each member answered, since `started`.
    pub(super) answered: BTreeMap<u16, Duration>,
    /// Peers that have the open.
    pub(super) introduced: SeatSet,
    /// Members that opened this batch on their own stream: all of them get this member's answer.
    pub(super) coordinators: SeatSet,
    pub(super) started: Duration,
    /// When the last piece or stripe came in.
    pub(super) last_progress: Duration,
    /// The longest pause between two of them: how patient to be with the next.
    pub(super) longest_pause: Duration,
    /// When to pull what is missing.
    pub(super) pull_at: Duration,
    /// When this member may make the certificate in the coordinator's place.
    pub(super) takeover_at: Option<Duration>,
    pub(super) marks: Vec<(&'static str, Duration)>,
    /// Its epoch has not begun, as far as this member has heard: no signature.
    pub(super) early: bool,
    /// Counted against `bytes_in_flight_max` while not settled.
    pub(super) reserved_bytes: u64,
}

impl Batch {
    /// The content this batch speaks of.
    pub(super) fn content_key(&self) -> ContentKey {
        ContentKey { data_hash: self.open.submission.data_hash, shards_root: self.open.shards_root }
    }

    /// The open as `coordinator` says it.
    pub(super) fn open_by(&self, coordinator: u16) -> Open {
        Open { coordinator, ..self.open.clone() }
    }

    /// Whether this member coordinates the batch and still wants an answer of `seat`.
    pub(super) fn asks(&self, seat: u16) -> bool {
        self.coordination.is_some()
            && self.certification == Certification::Open
            && !self.votes.contains_key(&seat)
            && !matches!(self.phase, Phase::Refused(_))
    }

    /// Whether this member attested and no certificate is known or being made.
    pub(super) fn is_signed_uncertified(&self) -> bool {
        self.phase == Phase::Signed && self.certification == Certification::Open
    }

    /// Who waits for the answer of `seat`.
    pub(super) fn answers_to(&self, seat: u16) -> Vec<u16> {
        let mut to = self.coordinators;
        to.insert(self.open.coordinator);
        to.remove(seat);
        to.iter().collect()
    }

    /// Seats that said yes, as far as known (not yet verified).
    pub(super) fn voters(&self) -> SeatSet {
        self.votes.keys().copied().collect()
    }

    /// Notes when a stage ended.
    pub(super) fn mark(&mut self, stage: &'static str, now: Duration) {
        self.marks.push((stage, now.saturating_sub(self.started)));
    }

    /// Drops everything that occupies memory in proportion to the batch.
    pub(super) fn release(&mut self) {
        self.parked = Vec::new();
        self.stripes = Vec::new();
        self.assembler = None;
        self.reserved_bytes = 0;
    }

    /// Stripes that lack pieces.
    pub(super) fn open_stripes(&self) -> Vec<u32> {
        (0u32..).zip(&self.stripes).filter(|(_, stripe)| !stripe.decoding).map(|(number, _)| number).collect()
    }

    /// How long to wait for the next piece before pulling: twice the longest pause so far, within the configured bounds.
    pub(super) fn patience(&self, config: &EngineConfig) -> Duration {
        (self.longest_pause * 2).min(config.piece_timeout_max).max(config.piece_timeout)
    }

    /// Something useful came in: pulling can wait.
    pub(super) fn progress(&mut self, now: Duration, config: &EngineConfig) {
        self.longest_pause = self.longest_pause.max(now.saturating_sub(self.last_progress));
        self.last_progress = now;
        self.pull_at = now + self.patience(config);
    }
}
