//! How many members must sign, and what follows from it: PROTOCOL section 2.
//!
//! Terms: members `n`, minimum shards `k` (any `k` shards rebuild the batch), quorum `q` (signatures a certificate
//! needs). `1 <= k <= q <= n <= 256` holds for every value of [`Thresholds`].

use crate::Error;

/// Most members of a committee: Reed-Solomon over GF(2^8) has 256 positions, and L1 keeps signers in one word.
pub const MEMBERS_MAX: u16 = 256;

/// `n`, `k` and `q` of a committee, checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct Thresholds {
    members: u16,
    minimum_shards: u16,
    quorum: u16,
}

/// What serde reads before the check.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Unchecked {
    members: u16,
    minimum_shards: u16,
    quorum: u16,
}

impl TryFrom<Unchecked> for Thresholds {
    type Error = Error;

    fn try_from(unchecked: Unchecked) -> Result<Self, Error> {
        Self::new(unchecked.members, unchecked.minimum_shards, unchecked.quorum)
    }
}

/// Something allowed that an operator should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Warning {
    /// Two certificates of one epoch may share no signer, hence no honest one.
    #[error(
        "quorum {quorum} of {members} members is no majority: two certificates may have no common signer"
    )]
    QuorumNotMajority {
        /// Members `n`.
        members: u16,
        /// Quorum `q`.
        quorum: u16,
    },
}

impl Thresholds {
    /// Checks `1 <= minimum_shards <= quorum <= members <= 256`. `minimum_shards == members` means no parity pieces.
    ///
    /// # Errors
    /// [`Error::InvalidThresholds`].
    pub fn new(members: u16, minimum_shards: u16, quorum: u16) -> Result<Self, Error> {
        let in_order = 1 <= minimum_shards && minimum_shards <= quorum && quorum <= members;
        if !in_order || members > MEMBERS_MAX {
            return Err(Error::InvalidThresholds { members: members.into(), minimum_shards, quorum });
        }
        Ok(Self { members, minimum_shards, quorum })
    }

    /// The Byzantine profile: with `f = floor((n - 1) / 3)`, `q = n - f` and `k = f + 1`; for `n = 3f + 1` that is
    /// `q = 2f + 1`. Tolerates `f` members offline and, for `n = 3f + 1`, `f` lying signers.
    ///
    /// # Errors
    /// [`Error::InvalidThresholds`] unless `1 <= members <= 256`.
    pub fn default_for(members: u16) -> Result<Self, Error> {
        let faulty = members.saturating_sub(1) / 3;
        Self::new(members, faulty + 1, members - faulty)
    }

    /// The profile of an AnyTrust committee: `k = 1`, `q = n - 1`. One honest signer is enough to read the batch.
    ///
    /// # Errors
    /// [`Error::InvalidThresholds`] unless `2 <= members <= 256`.
    pub fn any_trust(members: u16) -> Result<Self, Error> {
        Self::new(members, 1, members.saturating_sub(1))
    }

    /// Members `n`.
    pub const fn members(self) -> u16 {
        self.members
    }

    /// Minimum shards `k`.
    pub const fn minimum_shards(self) -> u16 {
        self.minimum_shards
    }

    /// Quorum `q`.
    pub const fn quorum(self) -> u16 {
        self.quorum
    }

    /// Members that may be silent while certificates are still made: `n - q`.
    pub const fn offline_members_tolerated(self) -> u16 {
        self.members - self.quorum
    }

    /// Signers that may lie while a certified batch is still rebuilt from the shards of the others: `q - k`.
    pub const fn lying_signers_tolerated(self) -> u16 {
        self.quorum - self.minimum_shards
    }

    /// Honest members that make a certificate never false, for as long as shards are kept: `n - q + k`.
    pub const fn honest_members_needed(self) -> u16 {
        self.members - self.quorum + self.minimum_shards
    }

    /// Honest members that make a certificate never false while full copies are kept: `n - q + 1`.
    pub const fn honest_members_needed_while_hot(self) -> u16 {
        self.members - self.quorum + 1
    }

    /// Pieces of a stripe sent beyond `k`, so that the members that may withhold do not matter: `n - q`.
    pub const fn spare_pieces(self) -> u16 {
        self.members - self.quorum
    }

    /// Pieces of a stripe that the coordinator sends: `m = k + spare`, at most `n`.
    pub const fn pieces_sent(self) -> u16 {
        self.minimum_shards + self.spare_pieces()
    }

    /// Bytes the coordinator sends, in batches: `m / k`. Full replication would be `n - 1`.
    pub fn sender_upload_ratio(self) -> f64 {
        f64::from(self.pieces_sent()) / f64::from(self.minimum_shards)
    }

    /// What is allowed but unwise.
    pub fn warnings(self) -> Vec<Warning> {
        let Self { members, quorum, .. } = self;
        if 2 * quorum <= members { vec![Warning::QuorumNotMajority { members, quorum }] } else { vec![] }
    }
}

#[cfg(test)]
mod tests;
