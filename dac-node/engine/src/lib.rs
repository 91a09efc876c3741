//! The protocol of one member, without I/O: `Engine::on(event, now, effects)`.
//!
//! Promise: the engine reads no clock, draws no randomness but from its seed, opens no file and no socket; the same
//! events in the same order give the same effects. It asks for a signature only after it was told that the bytes are
//! synced ([`Event::Persisted`]), and for persisting only after all commitments were recomputed from the bytes.
//!
//! Terms: an *exchange* is one batch on its way to all members, named by its [`OpenId`]; it is *settled* here when this
//! member signed or refused. Files: `message.rs` (what members say to each other),
//! `submit.rs` (the coordinator), `open.rs` (admission), `exchange.rs` (pieces),
//! `verify.rs` (decode to signature), `certify.rs` (votes, refusals, certificates), `plan.rs` (who sends what to whom), `term.rs`
//! (when exchanges may begin), `batches.rs` (what is in hand, and of what something may be due).
//!
//! Bounds: exchanges in flight and their bytes, opens per submission, pieces parked during admission (by the senders'
//! credits), candidates per seat, settled batches remembered, certificates
//! that come before their statement. All are in [`EngineConfig`] or constants here.

mod batches;
mod certify;
mod content;
mod effect;
mod event;
mod exchange;
pub mod message;
mod open;
mod outcome;
mod plan;
mod policy;
mod refusal;
mod seats;
mod state;
mod status;
mod submit;
mod term;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use attest::{BatchId, CheckedCertificate, Committee, RollupId, SeatIndex, SubmissionDigest};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::message::OpenId;
use batches::Batches;
use state::Batch;

pub use certify::CANDIDATES_MAX;
pub use content::{ContentKey, NewContent, StatementRecord};
pub use effect::{Effect, Note, Verdict};
pub use event::{Credit, Event, Facts, GossipId, Now};
pub use outcome::{BatchStatus, MemberOutcome, Outcome, Stage};
pub use plan::{Dispersal, Plan};
pub use policy::RollupPolicy;
pub use refusal::{Reason, Refusal};
pub use seats::SeatSet;
pub use term::Term;

/// Settled batches whose per-member outcome is remembered.
const SETTLED_MAX: usize = 1024;
/// Different `shardsRoot` of one submission that may be heard of second hand, by gossip or from who is not the
/// coordinator. On its own stream each coordinator opens one, which no liar can use up for it.
const HEARSAY_PER_SUBMISSION_MAX: usize = 4;

/// How a member takes part.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// This member's seat.
    pub seat: u16,
    /// Its committee.
    pub committee: Arc<Committee>,
    /// Names from the committee file, in seat order.
    pub names: Vec<Option<String>>,
    /// Rollups it serves.
    pub rollups: BTreeMap<RollupId, RollupPolicy>,
    /// Largest batch.
    pub batch_bytes_max: u64,
    /// Exchanges not yet settled.
    pub batches_in_flight_max: usize,
    /// Their bytes together.
    pub bytes_in_flight_max: u64,
    /// Without a new piece for so long, missing ones are pulled.
    pub piece_timeout: Duration,
    /// When pieces come slowly the pause grows with theirs, up to this.
    pub piece_timeout_max: Duration,
    /// Without `k` pieces of every stripe for so long after the last new piece, the member refuses.
    pub give_up_after: Duration,
    /// The coordinator waits for late signers for so long after the quorum.
    pub certificate_linger: Duration,
    /// The coordinator waits for answers for so long.
    pub answer_timeout: Duration,
    /// Other members make the certificate themselves when the coordinator has not for so long.
    pub takeover_after: Duration,
    /// How batches are dispersed.
    pub dispersal: Dispersal,
    /// Seed of all random choices.
    pub seed: u64,
}

/// A submission whose pieces are being rooted.
#[derive(Debug)]
struct Encoding {
    submission: attest::Submission,
    signature: attest::SubmissionSignature,
    batch: bytes::Bytes,
    layout: dac_node_coding::Layout,
    tickets: Vec<u64>,
    started: Duration,
    /// The batch was signed here and its hot copy had gone when the bytes came.
    cold: bool,
}

/// One member's side of the protocol.
#[derive(Debug)]
pub struct Engine {
    config: EngineConfig,
    connected: SeatSet,
    encoding: BTreeMap<SubmissionDigest, Encoding>,
    batches: Batches,
    by_submission: HashMap<SubmissionDigest, Vec<OpenId>>,
    by_batch_id: HashMap<BatchId, OpenId>,
    settled: VecDeque<OpenId>,
    /// Certificates of statements that are not known here yet: as many as exchanges may be in flight, the oldest goes.
    early_certificates: VecDeque<Box<CheckedCertificate>>,
    rng: ChaCha8Rng,
    term: Term,
    stopping: bool,
}

/// Effects of one event, in order.
pub type Effects = Vec<Effect>;

impl Engine {
    /// A member with nothing in flight.
    pub fn new(config: EngineConfig) -> Engine {
        let rng = ChaCha8Rng::seed_from_u64(config.seed);
        Engine {
            connected: SeatSet::from_iter([config.seat]),
            encoding: BTreeMap::new(),
            batches: Batches::default(),
            by_submission: HashMap::new(),
            by_batch_id: HashMap::new(),
            settled: VecDeque::new(),
            early_certificates: VecDeque::new(),
            rng,
            term: Term::Running { until: None },
            stopping: false,
            config,
        }
    }

    /// Tells the engine what happened; appends what it asks for.
    pub fn on(&mut self, event: Event, now: Now, effects: &mut Effects) {
        match event {
            Event::Submit { ticket, submission, signature, batch, facts } => {
                self.on_submit(ticket, submission, signature, batch, facts, now, effects);
            }
            Event::Encoded { submission, piece_roots } => {
                self.on_encoded(submission, piece_roots, now, effects)
            }
            Event::Message { from, message, credit } => self.on_message(from, message, credit, now, effects),
            Event::Control { from, control, gossip } => self.on_control(from, control, gossip, now, effects),
            Event::Connected(seat) => self.on_connected(seat, effects),
            Event::Disconnected(seat) => self.connected.remove(seat),
            Event::Admitted { open_id, facts } => self.on_admitted(open_id, facts, now, effects),
            Event::PieceChecked { open_id, from, stripe, index, result } => {
                self.on_piece_checked(open_id, from, (stripe, index), result, now, effects);
            }
            Event::StripeDecoded { open_id, stripe, result } => {
                self.on_stripe_decoded(open_id, stripe, result, now, effects);
            }
            Event::Finished { open_id, result } => self.on_finished(open_id, result, now, effects),
            Event::Rooted { open_id, data_root, shard } => {
                self.on_rooted(open_id, data_root, shard, now, effects)
            }
            Event::Persisted { open_id, result } => self.on_persisted(open_id, result, now, effects),
            Event::Signed { open_id, attestation } => self.on_signed(open_id, attestation, now, effects),
            Event::Aggregated { open_id, aggregation } => {
                self.on_aggregated(open_id, *aggregation, now, effects)
            }
            Event::CertificateChecked { from, gossip, result } => {
                self.on_certificate_checked(from, gossip, result, now, effects);
            }
            Event::CertificateFound(certificate) => self.on_certificate_found(certificate, effects),
            Event::CertificateStored { batch_id, result } => {
                self.on_certificate_stored(batch_id, result, now, effects);
            }
            Event::Dispersed { open_id } => self.on_dispersed(open_id),
            Event::Term(term) => self.on_term(term, now, effects),
            Event::Rollups(rollups) => self.config.rollups = rollups,
            Event::Tick => {}
            Event::Stop => self.on_stop(now, effects),
        }
        self.on_deadlines(now, effects);
    }

    /// When [`Event::Tick`] is due at the latest; `None` while nothing waits.
    pub fn next_deadline(&self) -> Option<Duration> {
        self.batches.awake().filter_map(|batch| self.batch_deadline(batch)).min()
    }

    /// Exchanges not settled here, and their bytes.
    pub fn in_flight(&self) -> (usize, u64) {
        let reserved = self.batches.values().map(|batch| batch.reserved_bytes).filter(|bytes| *bytes > 0);
        let (count, bytes) = reserved.fold((0, 0), |(count, sum), bytes| (count + 1, sum + bytes));
        let encoding: u64 = self.encoding.values().map(|e| e.submission.data_bytes).sum();
        (count + self.encoding.len(), bytes + encoding)
    }

    /// Members that can be reached, this one included.
    pub fn connected(&self) -> SeatSet {
        self.connected
    }

    /// Whoever was away may have missed an open, or its vote was lost: it is asked again.
    fn on_connected(&mut self, seat: u16, effects: &mut Effects) {
        if seat >= self.members() || !self.connected.insert(seat) {
            return;
        }
        for batch in self.batches.values_mut().filter(|batch| batch.asks(seat)) {
            batch.introduced.insert(seat);
            let open = Box::new(batch.open_by(self.config.seat));
            effects.push(Effect::Send { to: vec![seat], message: crate::message::Message::Open(open) });
        }
    }

    fn on_message(
        &mut self,
        from: u16,
        message: crate::message::Message,
        credit: Credit,
        now: Now,
        effects: &mut Effects,
    ) {
        use crate::message::Message;
        match message {
            Message::Open(open) => {
                self.on_open(from, *open, true, now, effects);
            }
            Message::Piece(open_id, piece) => self.on_piece(from, open_id, piece, credit, effects),
            Message::Vote(vote) => {
                self.on_vote(from, vote, true, now, effects);
            }
            Message::No(no) => self.on_no(from, &no, now, effects),
            Message::Want(want) => self.on_want(from, &want, credit, effects),
            Message::Lack(open_id, stripe) => self.on_lack(from, open_id, stripe, now, effects),
            Message::Read(read) => effects.push(Effect::ServeRead { to: from, read, credit }),
            Message::Ask(request, question) => {
                effects.push(Effect::ServeAsk { to: from, request, question, credit });
            }
            Message::ReadPiece(..) | Message::ReadEnd(..) | Message::Reply(..) => {
                effects.push(Effect::ReadAnswer { from, message })
            }
        }
    }

    fn on_control(
        &mut self,
        from: u16,
        control: crate::message::Control,
        gossip: GossipId,
        now: Now,
        effects: &mut Effects,
    ) {
        use crate::message::Control;
        let verdict = match control {
            Control::Open(open) => self.on_open(from, *open, false, now, effects),
            Control::Vote(vote) => self.on_vote(from, vote, false, now, effects),
            Control::Certificate(bytes) => {
                effects.push(Effect::CheckCertificate { from, gossip, bytes });
                return;
            }
        };
        effects.push(Effect::Judge { gossip, verdict });
    }

    /// The batch, if it is known here under its statement digest.
    fn batch_by_id(&self, batch_id: &BatchId) -> Option<&Batch> {
        self.by_batch_id.get(batch_id).and_then(|open_id| self.batches.get(open_id))
    }

    fn members(&self) -> u16 {
        self.config.committee.thresholds().members()
    }

    fn seat_index(&self) -> SeatIndex {
        SeatIndex(self.config.seat)
    }

    /// Every other seat that can be reached.
    fn peers(&self) -> Vec<u16> {
        self.connected.iter().filter(|seat| *seat != self.config.seat).collect()
    }

    /// Moves a batch to the settled ones and forgets the oldest of them.
    fn settle(&mut self, open_id: OpenId) {
        if !self.settled.contains(&open_id) {
            self.settled.push_back(open_id);
        }
        while self.settled.len() > SETTLED_MAX {
            let Some(oldest) = self.settled.pop_front() else { break };
            self.forget(oldest);
        }
    }

    fn forget(&mut self, open_id: OpenId) {
        let Some(batch) = self.batches.remove(&open_id) else { return };
        // A batch that is opened again under the same name is not one of the oldest.
        self.settled.retain(|id| *id != open_id);
        if let Some((batch_id, _)) = &batch.statement {
            self.by_batch_id.remove(batch_id);
        }
        let digest = batch.open.submission.digest(self.config.committee.domain());
        if let Some(opens) = self.by_submission.get_mut(&digest) {
            opens.retain(|id| *id != open_id);
            if opens.is_empty() {
                self.by_submission.remove(&digest);
            }
        }
    }
}
