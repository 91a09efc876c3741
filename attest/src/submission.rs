//! The submission: a rollup's authorisation to store one batch, signed with secp256k1 (PROTOCOL section 4).
//!
//! Members check it before they buffer a byte: it names length, hash and times, so nothing else need be believed.
//! Choices: a signature recovers an address, as on L1, and only with low `s` (EIP-2), so that nobody can make a second
//! signature from a first. `v` is written as 27 or 28; 0 and 1 are read too.
//! Left out on purpose: quota and the deadline; they need a clock and a configuration.

use std::sync::LazyLock;

use secp256k1::ecdsa::{RecoverableSignature, RecoveryId};
use secp256k1::{All, Message, PublicKey, Secp256k1, SecretKey};
use zeroize::Zeroizing;

use crate::eip712::{HashOfText, Words, keccak256};
use crate::statement::check_length_and_times;
use crate::{
    Address, Committee, DataHash, DataRoot, Domain, Error, RollupId, ShardsRoot, Statement, SubmissionDigest,
    SubmissionSignature,
};

/// What a rollup asks the committee to keep. 96 bytes in SCALE, in this field order.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    Hash,
    parity_scale_codec::Encode,
    parity_scale_codec::Decode,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The rollup that asks.
    pub rollup_id: RollupId,
    /// keccak256 of the batch.
    pub data_hash: DataHash,
    /// Length of the batch in bytes.
    pub data_bytes: u64,
    /// Full copies are wanted until then, Unix seconds.
    pub hot_until: u64,
    /// Shards are wanted until then, Unix seconds, not before `hot_until`.
    pub retain_until: u64,
    /// Members refuse to start after this, Unix seconds.
    pub deadline: u64,
}

impl Submission {
    /// The EIP-712 type of a submission.
    pub const TYPE: &str = "Submission(bytes32 rollupId,bytes32 dataHash,uint64 dataBytes,uint64 hotUntil,\
                            uint64 retainUntil,uint64 deadline)";

    /// The EIP-712 digest the rollup signs.
    pub fn digest(&self, domain: &Domain) -> SubmissionDigest {
        SubmissionDigest(domain.digest(&self.struct_hash()))
    }

    /// `hashStruct` of EIP-712: the part of the digest that is the same in every domain.
    pub fn struct_hash(&self) -> [u8; 32] {
        static TYPE: HashOfText = LazyLock::new(|| keccak256(Submission::TYPE.as_bytes()));
        Words::of_type(&TYPE)
            .bytes32(&self.rollup_id.0)
            .bytes32(&self.data_hash.0)
            .number(self.data_bytes)
            .number(self.hot_until)
            .number(self.retain_until)
            .number(self.deadline)
            .keccak256()
    }

    /// Checks what holds for every submission, whatever the clock and the quota.
    ///
    /// # Errors
    /// [`Error::DataBytesOutOfRange`], [`Error::HotAfterRetain`].
    pub fn check(&self) -> Result<(), Error> {
        check_length_and_times(self.data_bytes, self.hot_until, self.retain_until)
    }

    /// The statement that `committee` makes about this submission once the two roots are known.
    pub fn statement(
        &self,
        committee: &Committee,
        data_root: DataRoot,
        shards_root: ShardsRoot,
    ) -> Statement {
        Statement {
            rollup_id: self.rollup_id,
            epoch: committee.epoch(),
            committee_hash: committee.hash(),
            data_bytes: self.data_bytes,
            data_hash: self.data_hash,
            data_root,
            shards_root,
            hot_until: self.hot_until,
            retain_until: self.retain_until,
        }
    }
}

impl SubmissionSignature {
    /// The address whose key signed `digest`. The caller decides whether that address may submit.
    ///
    /// # Errors
    /// [`Error::InvalidSubmissionSignature`]: `r` or `s` out of range, high `s`, `v` not 27, 28, 0 or 1, or no key.
    pub fn recover(&self, digest: &SubmissionDigest) -> Result<Address, Error> {
        let refuse = |detail| Error::InvalidSubmissionSignature { detail };
        let [r_and_s @ .., v] = self.0;
        let recovery = match v {
            0 | 27 => RecoveryId::Zero,
            1 | 28 => RecoveryId::One,
            _ => return Err(refuse("v is not 27, 28, 0 or 1")),
        };
        let parsed = RecoverableSignature::from_compact(&r_and_s, recovery);
        let has_zero = r_and_s.chunks(32).any(|number| number == [0; 32]);
        let signature = parsed.ok().filter(|_| !has_zero).ok_or(refuse("r or s is out of range"))?;
        let mut low = signature.to_standard();
        low.normalize_s();
        if low != signature.to_standard() {
            return Err(refuse("s is in the upper half"));
        }
        CURVE
            .recover_ecdsa(Message::from_digest(digest.0), &signature)
            .map(|key| address_of(&key))
            .map_err(|_| refuse("no key signs this"))
    }
}

/// The library's context, made once. Not blinded by random numbers: this crate has none, and signs with constant time.
static CURVE: LazyLock<Secp256k1<All>> = LazyLock::new(Secp256k1::new);

/// The secp256k1 key of a rollup's submitter. Wiped from memory when dropped.
pub struct SubmitterKey(SecretKey);

impl Drop for SubmitterKey {
    fn drop(&mut self) {
        self.0.non_secure_erase();
    }
}

impl std::fmt::Debug for SubmitterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SubmitterKey({})", self.address())
    }
}

impl SubmitterKey {
    /// Takes 32 big-endian bytes.
    ///
    /// # Errors
    /// [`Error::InvalidSubmitterKey`] for zero and for numbers not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        SecretKey::from_byte_array(*bytes).map(Self).map_err(|_| Error::InvalidSubmitterKey)
    }

    /// The key as 32 big-endian bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.secret_bytes())
    }

    /// The address that [`SubmissionSignature::recover`] gives for this key.
    pub fn address(&self) -> Address {
        address_of(&self.0.public_key(&CURVE))
    }

    /// Signs; the same key and digest give the same signature (RFC 6979).
    pub fn sign(&self, digest: &SubmissionDigest) -> SubmissionSignature {
        let signature = CURVE.sign_ecdsa_recoverable(Message::from_digest(digest.0), &self.0);
        let (recovery, r_and_s) = signature.serialize_compact();
        let mut bytes = [0; 65];
        bytes[..64].copy_from_slice(&r_and_s);
        bytes[64] = match recovery {
            RecoveryId::Zero => 27,
            RecoveryId::One => 28,
            // A reduced x has no `v`; it would need r below 2^129, which nobody can aim at.
            RecoveryId::Two | RecoveryId::Three => unreachable!("r is smaller than chance allows"),
        };
        SubmissionSignature(bytes)
    }
}

/// Last 20 bytes of keccak256 of the uncompressed point without its prefix byte.
fn address_of(key: &PublicKey) -> Address {
    let hash = keccak256(&key.serialize_uncompressed()[1..]);
    let mut address = Address::ZERO;
    address.0.copy_from_slice(&hash[12..]);
    address
}

#[cfg(test)]
mod tests;
