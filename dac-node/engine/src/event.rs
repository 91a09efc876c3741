//! What happens to a member: everything the engine can be told.

use std::any::Any;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use attest::{
    Aggregation, Attestation, BatchId, CheckedCertificate, DataRoot, RollupId, Submission, SubmissionDigest,
    SubmissionSignature,
};
use bytes::Bytes;
use dac_node_coding::{CheckedPiece, DecodedBatch, DecodedStripe, PieceRoots};

use crate::message::{Control, Message, OpenId};
use crate::{Refusal, RollupPolicy};

/// The two clocks the protocol reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Now {
    /// Time since some fixed moment; never goes back. Timeouts use it.
    pub monotonic: Duration,
    /// Unix seconds. Deadlines and retention use it.
    pub unix_seconds: u64,
}

/// A place in some bounded queue, given back when dropped. The engine passes it along and never looks inside.
#[derive(Clone, Default)]
pub struct Credit(Option<Arc<dyn Any + Send + Sync>>);

impl Credit {
    /// Wraps a guard.
    pub fn new(guard: impl Any + Send + Sync) -> Credit {
        Credit(Some(Arc::new(guard)))
    }
}

impl std::fmt::Debug for Credit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Credit" } else { "NoCredit" })
    }
}

/// Names one gossip message until it is judged. Opaque to the engine.
pub type GossipId = u64;

/// What the store knows that bears on a new batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `dataRoot` of the content, when exactly these pieces are stored here already.
    pub stored: Option<DataRoot>,
    /// Bytes the rollup used today.
    pub quota_used: u64,
    /// Bytes that may still be written.
    pub free_bytes: u64,
}

/// Everything that can happen.
#[derive(Debug)]
pub enum Event {
    /// A rollup submits a batch to this member. Headers and signature were checked by [`super::EngineConfig::authorise`].
    Submit {
        /// Echoed in [`super::Effect::Answer`].
        ticket: u64,
        /// What is authorised.
        submission: Submission,
        /// By whom.
        signature: SubmissionSignature,
        /// The bytes; their Keccak-256 is `submission.data_hash`.
        batch: Bytes,
        /// From the store.
        facts: Facts,
    },
    /// Commitments over the pieces of a submitted batch are computed.
    Encoded {
        /// Which submission.
        submission: SubmissionDigest,
        /// Roots of all pieces.
        piece_roots: PieceRoots,
    },
    /// A peer sent a message on a stream. `from` is authenticated by the transport.
    Message {
        /// Seat of the sender.
        from: u16,
        /// What it said.
        message: Message,
        /// Its place in the sender's queue.
        credit: Credit,
    },
    /// A message arrived by gossip. `from` only passed it on.
    Control {
        /// Seat of the neighbour.
        from: u16,
        /// What was said.
        control: Control,
        /// To be judged with [`super::Effect::Judge`].
        gossip: GossipId,
    },
    /// A member can be reached.
    Connected(u16),
    /// A member cannot be reached any more.
    Disconnected(u16),
    /// Answer to [`super::Effect::Admit`].
    Admitted {
        /// Which exchange.
        open_id: OpenId,
        /// From the store, or why it could not say.
        facts: Result<Facts, Refusal>,
    },
    /// Answer to [`super::Effect::CheckPiece`].
    PieceChecked {
        /// Which exchange.
        open_id: OpenId,
        /// Who sent it.
        from: u16,
        /// Position in the batch.
        stripe: u32,
        /// Position in the stripe.
        index: u16,
        /// The piece, or what is wrong with it.
        result: Result<CheckedPiece, dac_node_coding::Error>,
    },
    /// Answer to [`super::Effect::Decode`].
    StripeDecoded {
        /// Which exchange.
        open_id: OpenId,
        /// Which stripe.
        stripe: u32,
        /// The stripe, or the proof that it was never encoded correctly.
        result: Result<DecodedStripe, dac_node_coding::Error>,
    },
    /// Answer to [`super::Effect::Finish`]: all commitments recomputed.
    Finished {
        /// Which exchange.
        open_id: OpenId,
        /// The whole batch, or which commitment differs.
        result: Result<DecodedBatch, dac_node_coding::Error>,
    },
    /// Answer to [`super::Effect::Root`].
    Rooted {
        /// Which exchange.
        open_id: OpenId,
        /// Poseidon root of the batch this member coordinates.
        data_root: DataRoot,
        /// This member's shard of it.
        shard: Bytes,
    },
    /// Answer to [`super::Effect::Persist`]: synced, or refused.
    Persisted {
        /// Which exchange.
        open_id: OpenId,
        /// `Ok` only after the sync.
        result: Result<(), Refusal>,
    },
    /// Answer to [`super::Effect::Sign`].
    Signed {
        /// Which exchange.
        open_id: OpenId,
        /// This member's attestation.
        attestation: Attestation,
    },
    /// Answer to [`super::Effect::Aggregate`].
    Aggregated {
        /// Which exchange.
        open_id: OpenId,
        /// The certificate and the liars.
        aggregation: Box<Aggregation>,
    },
    /// Answer to [`super::Effect::CheckCertificate`].
    CertificateChecked {
        /// The neighbour it came from.
        from: u16,
        /// Its gossip message.
        gossip: GossipId,
        /// Verified, or not.
        result: Result<Box<CheckedCertificate>, attest::Error>,
    },
    /// A certificate that was missed was fetched from another member and verified.
    CertificateFound(Box<CheckedCertificate>),
    /// Answer to [`super::Effect::StoreCertificate`].
    CertificateStored {
        /// Which batch.
        batch_id: BatchId,
        /// `Ok` only after the sync.
        result: Result<(), Refusal>,
    },
    /// The coordinator's dispersal ended, complete or not.
    Dispersed {
        /// Which exchange.
        open_id: OpenId,
    },
    /// The term of the epoch changed. Until told, an engine takes it as running: a committee without an L1 has no other.
    Term(super::Term),
    /// The rollups that are served changed. Exchanges that began go on under the old terms.
    Rollups(BTreeMap<RollupId, RollupPolicy>),
    /// Time passed: see [`super::Engine::next_deadline`].
    Tick,
    /// The node is stopping: refuse what is not signed.
    Stop,
}
