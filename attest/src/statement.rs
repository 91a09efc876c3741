//! The statement: the one sentence every attestation signs (PROTOCOL sections 2 and 4).
//!
//! A member that signs says: I held all bytes of this batch; they hash to `data_hash` and pack to `data_root`;
//! `shards_root` is their correct encoding; my shard is synced to disk; I serve the full bytes until `hot_until` and
//! my shard until `retain_until`.
//!
//! Nothing here knows the time: whether `retain_until` has passed is for the caller to decide.

use std::sync::LazyLock;

use crate::eip712::{HashOfText, Words, keccak256};
use crate::{BatchId, CommitteeHash, DataHash, DataRoot, Domain, Epoch, Error, RollupId, ShardsRoot};

/// Longest batch of the protocol: 64 MiB.
pub const BATCH_BYTES_MAX: u64 = 64 << 20;

/// What a committee says about one batch. 192 bytes in SCALE, in this field order.
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
pub struct Statement {
    /// The rollup the batch belongs to.
    pub rollup_id: RollupId,
    /// The epoch whose committee signs.
    pub epoch: Epoch,
    /// [`Committee::hash`](crate::Committee::hash) of that committee.
    pub committee_hash: CommitteeHash,
    /// Length of the batch in bytes, 1 to [`BATCH_BYTES_MAX`].
    pub data_bytes: u64,
    /// keccak256 of the batch.
    pub data_hash: DataHash,
    /// Poseidon root of the batch and its length.
    pub data_root: DataRoot,
    /// Keccak root of the coded pieces.
    pub shards_root: ShardsRoot,
    /// Full copies are served until then, Unix seconds.
    pub hot_until: u64,
    /// Shards are served until then, Unix seconds, not before `hot_until`.
    pub retain_until: u64,
}

impl Statement {
    /// The EIP-712 type of a statement.
    pub const TYPE: &str = "DataAvailability(bytes32 rollupId,uint64 epoch,bytes32 committeeHash,uint64 dataBytes,\
                            bytes32 dataHash,bytes32 dataRoot,bytes32 shardsRoot,uint64 hotUntil,uint64 retainUntil)";

    /// The EIP-712 digest: what members sign, and the id of the batch.
    pub fn digest(&self, domain: &Domain) -> BatchId {
        BatchId(domain.digest(&self.struct_hash()))
    }

    /// `hashStruct` of EIP-712: the part of the digest that is the same in every domain.
    pub fn struct_hash(&self) -> [u8; 32] {
        static TYPE: HashOfText = LazyLock::new(|| keccak256(Statement::TYPE.as_bytes()));
        self.words(Words::of_type(&TYPE)).keccak256()
    }

    /// Checks what holds for every statement, whatever the committee.
    ///
    /// # Errors
    /// [`Error::DataBytesOutOfRange`], [`Error::HotAfterRetain`].
    pub fn check(&self) -> Result<(), Error> {
        check_length_and_times(self.data_bytes, self.hot_until, self.retain_until)
    }

    /// The nine fields as ABI words, in order.
    pub(crate) fn words(&self, before: Words) -> Words {
        before
            .bytes32(&self.rollup_id.0)
            .number(self.epoch.0)
            .bytes32(&self.committee_hash.0)
            .number(self.data_bytes)
            .bytes32(&self.data_hash.0)
            .bytes32(&self.data_root.0)
            .bytes32(&self.shards_root.0)
            .number(self.hot_until)
            .number(self.retain_until)
    }
}

/// Bounds that a statement and a submission share.
pub(crate) fn check_length_and_times(
    data_bytes: u64,
    hot_until: u64,
    retain_until: u64,
) -> Result<(), Error> {
    if !(1..=BATCH_BYTES_MAX).contains(&data_bytes) {
        return Err(Error::DataBytesOutOfRange { found: data_bytes, bytes_max: BATCH_BYTES_MAX });
    }
    if hot_until > retain_until {
        return Err(Error::HotAfterRetain { hot_until, retain_until });
    }
    Ok(())
}

#[cfg(test)]
mod tests;
