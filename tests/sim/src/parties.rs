//! Keys, committees, rollups and signed submissions, all from small numbers.
//!
//! Made once a process and shared by all seeds: keys and proofs of possession take longer to make than a seed takes to
//! run, and equal statements let [`super::pure`] remember their signatures.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::time::Duration;

use attest::{
    Address, Committee, DataHash, Domain, Epoch, Member, RollupId, SecretKey, Submission,
    SubmissionSignature, SubmitterKey, Thresholds,
};
use bytes::Bytes;
use bytesize::ByteSize;
use dac_node_engine::RollupPolicy;
use dac_node_engine::{Dispersal, EngineConfig};
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Unix time at which every simulation begins.
pub(super) const START_UNIX_SECONDS: u64 = 1_800_000_000;
/// The epoch of every committee at work.
const EPOCH: Epoch = Epoch(3);
pub(super) const DOMAIN: Domain = Domain { chain_id: 31337, registry: Address([0xab; 20]) };
const ROLLUP: RollupId = RollupId([0x11; 32]);
/// Different submissions that seeds choose from.
pub(super) const REQUESTS: usize = 96;
/// Every so-manyth submission speaks of the same bytes as the one before it, for other times.
const SAME_BYTES_EVERY: usize = 4;
/// Every so-manyth submission has several stripes.
const STRIPED_EVERY: usize = 24;
/// Hot copies of every so-manyth submission end during the run.
const SOON_COLD_EVERY: usize = 5;

/// The attestation key of a seat.
pub(super) fn signing_key(seat: u16) -> SecretKey {
    let mut seed = [0x5e; 32];
    seed[..2].copy_from_slice(&seat.to_be_bytes());
    SecretKey::generate(&seed).expect("32 bytes are enough for a key")
}

/// `n` members with thresholds `k` and `q`, in the epoch at work.
pub(super) fn committee(n: u16, k: u16, q: u16) -> Arc<Committee> {
    committee_of(n, k, q, EPOCH)
}

/// The same members an epoch earlier.
pub(super) fn old_committee(committee: &Committee) -> Arc<Committee> {
    let of = committee.thresholds();
    committee_of(of.members(), of.minimum_shards(), of.quorum(), Epoch(EPOCH.0 - 1))
}

fn committee_of(n: u16, k: u16, q: u16, epoch: Epoch) -> Arc<Committee> {
    type Made = Mutex<HashMap<(u16, u16, u16, u64), Arc<Committee>>>;
    static MADE: LazyLock<Made> = LazyLock::new(Made::default);
    let make = || {
        let member = |seat| {
            let key = signing_key(seat);
            let proof_of_possession = key.prove_possession(&DOMAIN, Address::ZERO);
            Member { operator: Address::ZERO, public_key: key.public_key(), proof_of_possession }
        };
        let thresholds = Thresholds::new(n, k, q).expect("shapes of scenarios are valid");
        let committee = Committee::new(epoch, DOMAIN, thresholds, (0..n).map(member).collect());
        Arc::new(committee.expect("different keys with valid proofs"))
    };
    // A violation of another thread's seed leaves the map as it was.
    let mut made = MADE.lock().unwrap_or_else(PoisonError::into_inner);
    made.entry((n, k, q, epoch.0)).or_insert_with(make).clone()
}

/// What every member starts from.
pub(super) fn config(committee: &Arc<Committee>, seat: u16, seed: u64) -> EngineConfig {
    EngineConfig {
        seat,
        committee: committee.clone(),
        names: Vec::new(),
        rollups: [(ROLLUP, policy())].into(),
        batch_bytes_max: 8 << 20,
        batches_in_flight_max: Limits::WIDE.batches,
        bytes_in_flight_max: Limits::WIDE.bytes,
        piece_timeout: Duration::from_millis(250),
        piece_timeout_max: Duration::from_secs(1),
        give_up_after: Duration::from_secs(5),
        certificate_linger: Duration::from_millis(50),
        answer_timeout: Duration::from_secs(8),
        takeover_after: Duration::from_secs(2),
        dispersal: Dispersal::Coded,
        seed: seed ^ u64::from(seat) << 48,
    }
}

/// What a member may have in flight.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) batches: usize,
    pub(super) bytes: u64,
}

impl Limits {
    /// More than any run asks for.
    pub(super) const WIDE: Limits = Limits { batches: 64, bytes: 64 << 20 };

    /// A configuration with these limits.
    pub(super) fn apply(self, config: EngineConfig) -> EngineConfig {
        EngineConfig { batches_in_flight_max: self.batches, bytes_in_flight_max: self.bytes, ..config }
    }
}

/// The one rollup, with one submitter.
fn policy() -> RollupPolicy {
    RollupPolicy {
        id: ROLLUP,
        submitters: vec![submitter(1).address()],
        quota_per_day: ByteSize::mib(64),
        batch_max: ByteSize::mib(4),
        retention_max: Duration::from_secs(30 * 86_400),
    }
}

/// A secp256k1 key; number 1 is the rollup's, others are strangers'.
pub(super) fn submitter(number: u8) -> SubmitterKey {
    SubmitterKey::from_bytes(&[number; 32]).expect("small numbers are valid keys")
}

/// A batch and the rollup's signature on it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) submission: Submission,
    pub(super) signature: SubmissionSignature,
    pub(super) batch: Bytes,
}

/// The submission of this number, below [`REQUESTS`].
pub(super) fn request(number: usize) -> &'static Request {
    static MADE: LazyLock<Vec<Request>> = LazyLock::new(|| (0..REQUESTS).map(make_request).collect());
    &MADE[number]
}

fn make_request(number: usize) -> Request {
    let twin = number % SAME_BYTES_EVERY == 1;
    let batch = batch_of(if twin { number - 1 } else { number });
    let hot_seconds = if number % SOON_COLD_EVERY == 4 { 4 } else { 86_400 + number as u64 };
    let submission = Submission {
        rollup_id: ROLLUP,
        data_hash: DataHash(fpga_hash::keccak256(&batch)),
        data_bytes: batch.len() as u64,
        hot_until: START_UNIX_SECONDS + hot_seconds,
        retain_until: START_UNIX_SECONDS + 20 * 86_400 + number as u64,
        deadline: START_UNIX_SECONDS + 3_600,
    };
    signed_by(&submitter(1), submission, batch)
}

/// A submission signed by whoever has `key`.
pub(super) fn signed_by(key: &SubmitterKey, submission: Submission, batch: Bytes) -> Request {
    let signature = key.sign(&submission.digest(&DOMAIN));
    Request { submission, signature, batch }
}

/// Random bytes that depend on the number alone. Lengths at the edges of Poseidon groups, Merkle leaves and stripes
/// come up, short ones mostly: what a batch costs grows with its bytes, what it can break hardly does.
fn batch_of(number: usize) -> Bytes {
    let lengths =
        [1, 31, 32, 63, 64, 65, 200, 248, 249, 777, 1_023, 1_024, 1_025, 1_500, 2_048, 3_000, 5_000];
    let bytes = match number % STRIPED_EVERY {
        6 => 32 * 1024 + 1 + 40_000 * (number / STRIPED_EVERY),
        _ => lengths[number % lengths.len()],
    };
    let mut batch = vec![0; bytes];
    ChaCha8Rng::seed_from_u64(number as u64).fill_bytes(&mut batch);
    batch.into()
}
