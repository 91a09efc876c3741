//! Keys, committees, rollups and signed submissions, all from small numbers.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::Duration;

use attest::{
    Address, Committee, DataHash, Domain, Epoch, Member, RollupId, SecretKey, Submission,
    SubmissionSignature, SubmitterKey, Thresholds,
};
use bytes::Bytes;
use bytesize::ByteSize;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::{Dispersal, EngineConfig, RollupPolicy};

/// Unix time at which every simulation begins.
pub(super) const START_UNIX_SECONDS: u64 = 1_800_000_000;
/// The epoch of every committee here.
pub(super) const EPOCH: Epoch = Epoch(3);
const DOMAIN: Domain = Domain { chain_id: 31337, registry: Address([0xab; 20]) };
const ROLLUP: RollupId = RollupId([0x11; 32]);

/// The attestation key of a seat.
pub(super) fn signing_key(seat: u16) -> SecretKey {
    let mut seed = [0x5e; 32];
    seed[..2].copy_from_slice(&seat.to_be_bytes());
    SecretKey::generate(&seed).unwrap()
}

/// `n` members with thresholds `k` and `q`; made once, proofs of possession take long to check.
pub(super) fn committee(n: u16, k: u16, q: u16) -> Arc<Committee> {
    type Made = Mutex<HashMap<(u16, u16, u16), Arc<Committee>>>;
    static MADE: LazyLock<Made> = LazyLock::new(Made::default);
    let mut made = MADE.lock().unwrap();
    let make = || {
        let member = |seat| {
            let key = signing_key(seat);
            let proof_of_possession = key.prove_possession(&DOMAIN, Address::ZERO);
            Member { operator: Address::ZERO, public_key: key.public_key(), proof_of_possession }
        };
        let thresholds = Thresholds::new(n, k, q).unwrap();
        Arc::new(Committee::new(EPOCH, DOMAIN, thresholds, (0..n).map(member).collect()).unwrap())
    };
    made.entry((n, k, q)).or_insert_with(make).clone()
}

/// What every test starts from; seat and seed are filled in per member.
pub(super) fn config(committee: &Arc<Committee>) -> EngineConfig {
    EngineConfig {
        seat: 0,
        committee: committee.clone(),
        names: committee.seats().map(|seat| Some(format!("member {seat}"))).collect(),
        rollups: [(ROLLUP, policy())].into(),
        batch_bytes_max: 8 << 20,
        batches_in_flight_max: 64,
        bytes_in_flight_max: 64 << 20,
        piece_timeout: Duration::from_millis(250),
        piece_timeout_max: Duration::from_secs(1),
        give_up_after: Duration::from_secs(5),
        certificate_linger: Duration::from_millis(50),
        answer_timeout: Duration::from_secs(8),
        takeover_after: Duration::from_secs(2),
        dispersal: Dispersal::Coded,
        seed: 0,
    }
}

/// The one rollup, with one submitter.
pub(super) fn policy() -> RollupPolicy {
    RollupPolicy {
        id: ROLLUP,
        submitters: vec![submitter(1).address()],
        quota_per_day: ByteSize::mib(64),
        batch_max: ByteSize::mib(4),
        retention_max: Duration::from_secs(30 * 86_400),
    }
}

/// A secp256k1 key; number 1 is the rollup's.
pub(super) fn submitter(number: u8) -> SubmitterKey {
    SubmitterKey::from_bytes(&[number; 32]).unwrap()
}

/// Random bytes that depend on the seed alone.
pub(super) fn batch_of(seed: u64, bytes: usize) -> Bytes {
    let mut batch = vec![0; bytes];
    ChaCha8Rng::seed_from_u64(seed).fill_bytes(&mut batch);
    batch.into()
}

/// A batch and the rollup's signature on it.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) submission: Submission,
    pub(super) signature: SubmissionSignature,
    pub(super) batch: Bytes,
}

impl Request {
    /// A submission that every member accepts.
    pub(super) fn of(batch: Bytes) -> Request {
        let submission = Submission {
            rollup_id: ROLLUP,
            data_hash: DataHash(fpga_hash::keccak256(&batch)),
            data_bytes: batch.len() as u64,
            hot_until: START_UNIX_SECONDS + 86_400,
            retain_until: START_UNIX_SECONDS + 20 * 86_400,
            deadline: START_UNIX_SECONDS + 3_600,
        };
        Request::signed_by(&submitter(1), submission, batch)
    }

    /// Random bytes, accepted by every member.
    pub(super) fn random(seed: u64, bytes: usize) -> Request {
        Request::of(batch_of(seed, bytes))
    }

    /// The same with other contents, signed anew by the rollup.
    pub(super) fn with(self, change: impl FnOnce(&mut Submission)) -> Request {
        let mut submission = self.submission;
        change(&mut submission);
        Request::signed_by(&submitter(1), submission, self.batch)
    }

    /// Signed by whoever has `key`.
    pub(super) fn signed_by(key: &SubmitterKey, submission: Submission, batch: Bytes) -> Request {
        let signature = key.sign(&submission.digest(&DOMAIN));
        Request { submission, signature, batch }
    }
}

/// Every choice of `count` seats out of `seats`, in order.
pub(super) fn choices(seats: &[u16], count: usize) -> Vec<Vec<u16>> {
    match (count, seats.split_first()) {
        (0, _) => vec![Vec::new()],
        (_, None) => Vec::new(),
        (_, Some((first, rest))) => {
            let with_first = choices(rest, count - 1).into_iter().map(|rest| [vec![*first], rest].concat());
            with_first.chain(choices(rest, count)).collect()
        }
    }
}
