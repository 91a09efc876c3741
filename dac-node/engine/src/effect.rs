//! What the engine asks of the world. The node performs effects in order; heavy ones answer with an event.

use attest::{Attestation, BatchId, Certificate, DataHash, RollupId, Statement, SubmissionDigest};
use bytes::Bytes;
use dac_node_coding::{BatchAssembler, CheckedPiece, Layout, Piece, PieceRoots};

use super::event::{Credit, GossipId};
use super::plan::Plan;
use crate::message::{Control, Message, OpenId};
use crate::{ContentKey, NewContent, Reason, Refusal, StatementRecord};

/// How a gossip message is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Pass it on.
    Accept,
    /// Do not pass it on; nobody is at fault.
    Ignore,
    /// Do not pass it on; whoever sent it is at fault.
    Reject,
}

/// Everything the engine can ask for.
#[derive(Debug)]
pub enum Effect {
    /// Answers [`super::Event::Submit`].
    Answer {
        /// From the event.
        ticket: u64,
        /// The batch id once it is known, or the refusal.
        result: Result<BatchId, Refusal>,
    },
    /// Sends to members; dropped silently for those not connected or whose queue is full (they pull later).
    Send {
        /// Seats.
        to: Vec<u16>,
        /// What.
        message: Message,
    },
    /// Publishes by gossip.
    Gossip(Control),
    /// Judges a gossip message. Every [`super::Event::Control`] is judged exactly once.
    Judge {
        /// Which.
        gossip: GossipId,
        /// How.
        verdict: Verdict,
    },
    /// Computes the roots of all pieces; answers [`super::Event::Encoded`].
    Encode {
        /// Echoed.
        submission: SubmissionDigest,
        /// Shape.
        layout: Layout,
        /// The bytes.
        batch: Bytes,
    },
    /// Computes `dataRoot` and the own shard; answers [`super::Event::Rooted`].
    Root {
        /// Echoed.
        open_id: OpenId,
        /// Shape.
        layout: Layout,
        /// The bytes.
        batch: Bytes,
    },
    /// Sends every piece of the plan, in stripe order, with back-pressure; answers [`super::Event::Dispersed`].
    Disperse {
        /// Echoed.
        open_id: OpenId,
        /// Who gets what.
        plan: Plan,
        /// The bytes.
        batch: Bytes,
        /// For the paths.
        piece_roots: PieceRoots,
    },
    /// Looks up what the store knows; answers [`super::Event::Admitted`].
    Admit {
        /// Echoed.
        open_id: OpenId,
        /// Is it stored?
        content: ContentKey,
        /// Whose quota.
        rollup: RollupId,
    },
    /// Checks a piece; answers [`super::Event::PieceChecked`].
    CheckPiece {
        /// Echoed.
        open_id: OpenId,
        /// Echoed.
        from: u16,
        /// Shape.
        layout: Layout,
        /// The root it must lead to.
        shards_root: attest::ShardsRoot,
        /// The piece.
        piece: Piece,
        /// Dropped when checked.
        credit: Credit,
    },
    /// Decodes a stripe and compares its encoding; answers [`super::Event::StripeDecoded`].
    Decode {
        /// Echoed.
        open_id: OpenId,
        /// Shape.
        layout: Layout,
        /// Which stripe.
        stripe: u32,
        /// `k` different pieces.
        pieces: Vec<CheckedPiece>,
    },
    /// Recomputes the commitments of the whole batch; answers [`super::Event::Finished`].
    Finish {
        /// Echoed.
        open_id: OpenId,
        /// All stripes.
        assembler: Box<BatchAssembler>,
        /// What the coordinator announced.
        data_hash: DataHash,
        /// What the coordinator announced.
        shards_root: attest::ShardsRoot,
    },
    /// Makes bytes and statement durable; answers [`super::Event::Persisted`] after the sync.
    Persist {
        /// Echoed.
        open_id: OpenId,
        /// The statement.
        record: Box<StatementRecord>,
        /// The bytes, unless stored already.
        content: Option<Box<NewContent>>,
    },
    /// Signs; answers [`super::Event::Signed`]. Only ever asked after [`super::Event::Persisted`] was `Ok`.
    Sign {
        /// Echoed.
        open_id: OpenId,
        /// What to sign.
        statement: Box<Statement>,
    },
    /// Aggregates and verifies; answers [`super::Event::Aggregated`].
    Aggregate {
        /// Echoed.
        open_id: OpenId,
        /// The statement.
        statement: Box<Statement>,
        /// Candidates: at most [`super::certify::CANDIDATES_MAX`] a seat.
        attestations: Vec<Attestation>,
    },
    /// Verifies a certificate; answers [`super::Event::CertificateChecked`].
    CheckCertificate {
        /// Echoed.
        from: u16,
        /// Echoed.
        gossip: GossipId,
        /// As it arrived.
        bytes: Vec<u8>,
    },
    /// Stores a verified certificate; answers [`super::Event::CertificateStored`].
    StoreCertificate {
        /// Which batch.
        batch_id: BatchId,
        /// What.
        certificate: Box<Certificate>,
    },
    /// Keeps the proof of a bad encoding.
    StoreEvidence {
        /// Which exchange.
        open_id: OpenId,
        /// Open, pieces and paths, as frames.
        frames: Vec<Message>,
    },
    /// Answers a member's [`crate::message::Read`] from the store.
    ServeRead {
        /// Who asks.
        to: u16,
        /// What.
        read: crate::message::Read,
        /// Held until the answer is queued: it bounds what one member has in work here.
        credit: Credit,
    },
    /// Answers a member's question about what is kept here, from the store.
    ServeAsk {
        /// Who asks.
        to: u16,
        /// The asker's number.
        request: u64,
        /// What.
        question: crate::message::Question,
        /// Held until the answer is queued.
        credit: Credit,
    },
    /// Answers a member's [`crate::message::Want`] for a batch that is settled here, from the store.
    ServeWant {
        /// Who asks.
        to: u16,
        /// Which batch.
        batch_id: BatchId,
        /// What.
        want: crate::message::Want,
        /// Held until the pieces are queued.
        credit: Credit,
    },
    /// A peer's answer to a read of this node.
    ReadAnswer {
        /// Who answered.
        from: u16,
        /// `ReadPiece`, `ReadEnd` or `Reply`.
        message: Message,
    },
    /// The peer did what no honest member does.
    Penalise {
        /// Who.
        seat: u16,
        /// What it did.
        why: String,
    },
    /// The status of a batch changed.
    Changed(BatchId),
    /// For metrics and logs.
    Note(Note),
}

/// What is worth counting.
#[derive(Clone, Debug, PartialEq)]
pub enum Note {
    /// A stage was reached: its name, the batch, milliseconds since the batch came to this node.
    Stage {
        /// `received`, `verified`, `decoded`, `rooted`, `synced`, `signed`, `certified`.
        stage: &'static str,
        /// Which exchange.
        open_id: OpenId,
        /// Known from `rooted` on.
        batch_id: Option<BatchId>,
        /// Length of the batch.
        batch_bytes: u64,
        /// Milliseconds since the batch was first heard of here.
        after_ms: f64,
    },
    /// This member refused.
    Refused {
        /// Which exchange.
        open_id: OpenId,
        /// The code.
        reason: Reason,
        /// The numbers.
        detail: String,
    },
    /// A piece came twice.
    DuplicatePiece,
    /// Pieces had to be pulled.
    Pulled {
        /// Which exchange.
        open_id: OpenId,
        /// Which stripe.
        stripe: u32,
        /// From whom.
        from: u16,
    },
}
