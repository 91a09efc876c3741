//! What L1 says about the committee: members, epochs, rollups, and which epoch a member may attest under.
//!
//! Promises: what is told here stood on the chain under enough blocks ([`FollowerConfig::confirmations`]), and is taken back
//! when the chain takes it back. No epoch is named active unless its predecessor's time is over on every chain that the
//! provider showed, and its own time has come under the confirmed block; between the two nobody attests.
//!
//! Terms: a *change* is one event of the registry; the *view* is what all changes up to one block add up to; a
//! *checkpoint* is a view kept to go back to; *L1 time* is the timestamp of L1's blocks, carried on by the monotonic clock
//! between them ([`follower`]). The node's own calendar plays no part: it may be wrong.
//!
//! Why a view may be old: the registry announces an epoch with a delay. A view that is younger than the delay knows
//! every epoch that can be active, so a provider that is away for minutes, or hours, stops nobody. See [`Standing`].
//!
//! Files: [`view`] (what changes add up to), [`follower`] (polling, reorgs, checkpoints), [`ethereum`] (JSON-RPC, with `bounded.rs`),
//! [`simulated`] (a chain with reorgs and failures, for tests). Left out on purpose: sending transactions; see
//! [`operator`], which the command line uses and a node never does.

mod bounded;
pub mod ethereum;
pub mod follower;
pub mod operator;
pub mod simulated;
#[cfg(test)]
mod tests;
pub mod view;

use std::future::Future;

use attest::{Address, RollupId};

pub use follower::{Follower, FollowerConfig, Progress, Standing};
pub use view::View;

/// One block of L1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Block {
    /// Height.
    pub number: u64,
    /// Its hash.
    pub hash: [u8; 32],
    /// Unix seconds, as its producer says.
    pub timestamp: u64,
}

/// How L1 names a member: keccak256 of its padded key.
pub type MemberId = [u8; 32];

/// One event of the registry, in the order of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    /// An operator registered a key. L1 has checked the proof.
    MemberRegistered {
        /// The member.
        id: MemberId,
        /// Who registered it.
        operator: Address,
        /// 256 bytes, as EIP-2537 reads it.
        key: Vec<u8>,
        /// 128 bytes, as EIP-2537 reads it.
        proof: Vec<u8>,
        /// How it is reached.
        contact: Contact,
    },
    /// A member is reached elsewhere now.
    ContactChanged {
        /// The member.
        id: MemberId,
        /// How it is reached.
        contact: Contact,
    },
    /// A member takes no later seat.
    MemberRetired(MemberId),
    /// The next committee.
    EpochAnnounced {
        /// Its number.
        epoch: u64,
        /// Its hash, to compare with.
        committee_hash: [u8; 32],
        /// `k`.
        minimum_shards: u16,
        /// `q`.
        quorum: u16,
        /// First second, L1 time.
        activates_at: u64,
        /// In seat order.
        members: Vec<MemberId>,
    },
    /// An announced epoch will not begin.
    EpochCancelled(u64),
    /// A rollup is served, or under other terms.
    RollupSet {
        /// The rollup.
        id: RollupId,
        /// Who names its submitters. Another admin begins without any.
        admin: Address,
        /// Its quota.
        quota: Quota,
    },
    /// A rollup is not served any more.
    RollupRemoved(RollupId),
    /// An address may submit, or no longer.
    SubmitterSet {
        /// The rollup.
        id: RollupId,
        /// The address.
        submitter: Address,
        /// Whether it may.
        allowed: bool,
    },
}

/// How a member is reached, as it says itself: not checked.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Contact {
    /// For people.
    pub name: String,
    /// libp2p peer id.
    pub peer_id: String,
    /// Multiaddresses, best first.
    pub addresses: Vec<String>,
    /// Base URL of the HTTP interface.
    pub api: String,
}

/// What a rollup may ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Quota {
    /// Largest batch.
    pub batch_bytes_max: u64,
    /// Bytes of all batches in a day.
    pub bytes_per_day: u64,
    /// Longest retention.
    pub retention_seconds_max: u64,
}

/// Why L1 could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No provider answered, or none sensibly. Try again later.
    #[error("no L1 provider answered: {0}")]
    Unreachable(String),
    /// The chain is another one than configured.
    #[error("the provider is on chain {found}, expected {expected}")]
    WrongChain {
        /// Configured.
        expected: u64,
        /// What it said.
        found: u64,
    },
    /// The chain changed while it was read. Try again.
    #[error("the chain changed at block {number} while it was read")]
    Moved {
        /// Where.
        number: u64,
    },
    /// The provider does not have a block that was confirmed before: it is not in step. Try again, or ask another.
    #[error("the provider has blocks up to {found}, {known} was confirmed before")]
    Behind {
        /// Its newest block, or the last that it may have.
        found: u64,
        /// The newest block whose changes are known.
        known: u64,
    },
    /// An event that the registry cannot have emitted: the provider lies, or the address is another contract.
    #[error("an event of the registry makes no sense: {0}")]
    Malformed(String),
}

/// Reads L1. The implementor tries its providers in turn and bounds every answer.
pub trait Settlement: Send + Sync {
    /// The newest block.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::WrongChain`].
    fn head(&self) -> impl Future<Output = Result<Block, Error>> + Send;

    /// The block at a height; `None` above the head.
    ///
    /// # Errors
    /// As [`head`](Self::head).
    fn block(&self, number: u64) -> impl Future<Output = Result<Option<Block>, Error>> + Send;

    /// All changes from one block to another, both included, in order.
    ///
    /// # Errors
    /// As [`head`](Self::head), and [`Error::Malformed`].
    fn changes(&self, from: u64, to: u64) -> impl Future<Output = Result<Vec<Change>, Error>> + Send;

    /// What the present provider says is of no use: asks another one first from now on, if there is one.
    fn next_provider(&self);
}
