//! What a data-availability committee signs and what anyone can check: committee, statement, keys, attestations, certificates.
//!
//! Pure: no I/O, no async, no clock, no threads, no randomness. A rollup or a light client links it alone. What
//! arrived is a plain type ([`Attestation`], [`Certificate`], [`CommitteeFile`]); verifying it returns a checked one
//! ([`CheckedAttestation`], [`CheckedCertificate`], [`Committee`]), and only checked ones are useful.
//!
//! Terms: a *batch* is the bytes behind one state update; a *member* is one seat of the *committee* of an epoch; a
//! *statement* is what gets signed; an *attestation* is one member's signature on it; a *certificate* is statement,
//! signers and the sum of their signatures. Members `n`, minimum shards `k`, quorum `q`.
//!
//! Left out on purpose: hashing and coding of batches, quotas, deadlines, the way to L1.
//!
//! ```
//! use attest::*;
//!
//! // Three members make keys and prove that they hold them.
//! let domain = Domain { chain_id: 31337, registry: Address::ZERO };
//! let keys: Vec<_> = (1..=3).map(|seed| SecretKey::generate(&[seed; 32])).collect::<Result<_, _>>()?;
//! let member = |key: &SecretKey| Member {
//!     operator: Address::ZERO,
//!     public_key: key.public_key(),
//!     proof_of_possession: key.prove_possession(&domain, Address::ZERO),
//! };
//! let members = keys.iter().map(member).collect();
//! let committee = Committee::new(Epoch(1), domain, Thresholds::new(3, 1, 2)?, members)?;
//!
//! // Two of them sign a statement about a batch.
//! let submission = Submission {
//!     rollup_id: RollupId([1; 32]),
//!     data_hash: DataHash([2; 32]),
//!     data_bytes: 1024,
//!     hot_until: 1_800_000_000,
//!     retain_until: 1_900_000_000,
//!     deadline: 1_700_000_000,
//! };
//! let statement = submission.statement(&committee, DataRoot([3; 32]), ShardsRoot([4; 32]));
//! let attestations =
//!     [keys[0].attest(&statement, &domain, SeatIndex(0))?, keys[2].attest(&statement, &domain, SeatIndex(2))?];
//!
//! // Anyone makes the certificate, and anyone with the committee checks its bytes.
//! let certificate = aggregate(&committee, &statement, attestations).certificate?.into_certificate();
//! let bytes = certificate.encode();
//! let checked = Certificate::decode_strict(&bytes)?.verify(&committee)?;
//! assert_eq!(checked.signers(), [SeatIndex(0), SeatIndex(2)]);
//! # Ok::<(), attest::Error>(())
//! ```

pub mod abi;
mod aggregate;
mod attestation;
mod bytes;
mod certificate;
mod committee;
mod committee_file;
mod eip712;
mod error;
mod keys;
mod possession;
mod signers;
mod statement;
mod submission;
#[cfg(test)]
mod testing;
mod thresholds;

pub use aggregate::{Aggregation, aggregate};
pub use attestation::{Attestation, CheckedAttestation};
pub use bytes::{
    Address, BatchId, CommitteeHash, DataHash, DataRoot, DomainSeparator, Epoch, PossessionDigest,
    ProofOfPossession, PublicKeyBytes, RollupId, SeatIndex, ShardsRoot, SignatureBytes, SubmissionDigest,
    SubmissionSignature,
};
pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate, CheckedCertificate};
pub use committee::{Committee, Member};
pub use committee_file::{CommitteeFile, MemberEntry};
pub use eip712::Domain;
pub use error::Error;
pub use keys::{PublicKey, SecretKey, Signature};
/// The SCALE traits the types here implement.
pub use parity_scale_codec::{Decode, Encode};
pub use possession::digest as possession_digest;
pub use signers::{SIGNERS_BYTES_MAX, Signers};
pub use statement::{BATCH_BYTES_MAX, Statement};
pub use submission::{Submission, SubmitterKey};
pub use thresholds::{MEMBERS_MAX, Thresholds, Warning};
