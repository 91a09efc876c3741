//! The committee of one epoch: ordered members, each with a key it has proven to hold.
//!
//! Holding a [`Committee`] means: thresholds fit the members, every key is valid, proven and in one seat only, and the
//! keys do not sum to infinity. Everything that verifies a signature takes one.
//!
//! Terms: seat, the position of a member, from 0; it is also its shard number and its bit in a certificate.
//! Operators may repeat: without L1 they are all zero.

use std::collections::HashMap;

use crate::eip712::{Words, keccak256};
use crate::{
    Address, CommitteeHash, Domain, Epoch, Error, ProofOfPossession, PublicKey, SeatIndex, Statement,
    Thresholds,
};

/// One seat of a committee.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Who registered the key on L1; zero without L1.
    pub operator: Address,
    /// What its attestations are checked with.
    pub public_key: PublicKey,
    /// Shows that the member holds the secret of `public_key`.
    pub proof_of_possession: ProofOfPossession,
}

/// A checked committee. Cheap to read, not to make: one pairing check per member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committee {
    epoch: Epoch,
    domain: Domain,
    thresholds: Thresholds,
    members: Vec<Member>,
    aggregate: PublicKey,
    hash: CommitteeHash,
}

impl Committee {
    /// Checks counts, duplicate keys, then every proof of possession.
    ///
    /// # Errors
    /// [`Error::MemberCountMismatch`], [`Error::DuplicatePublicKey`], [`Error::Member`] naming the seat,
    /// [`Error::KeysCancel`].
    pub fn new(
        epoch: Epoch,
        domain: Domain,
        thresholds: Thresholds,
        members: Vec<Member>,
    ) -> Result<Self, Error> {
        if members.len() != usize::from(thresholds.members()) {
            return Err(Error::MemberCountMismatch { expected: thresholds.members(), found: members.len() });
        }
        check_keys_differ(&members)?;
        for (seat, member) in seats().zip(&members) {
            member
                .proof_of_possession
                .verify(&domain, member.operator, &member.public_key)
                .map_err(|reason| Error::Member { seat, reason: Box::new(reason) })?;
        }
        let aggregate = PublicKey::sum(keys(&members), []).ok_or(Error::KeysCancel)?;
        let hash = hash(epoch, thresholds, &members);
        Ok(Self { epoch, domain, thresholds, members, aggregate, hash })
    }

    /// The epoch it serves.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// Where its signatures count.
    pub fn domain(&self) -> &Domain {
        &self.domain
    }

    /// `n`, `k` and `q`.
    pub fn thresholds(&self) -> Thresholds {
        self.thresholds
    }

    /// Members in seat order; their number is `thresholds().members()`.
    pub fn members(&self) -> &[Member] {
        &self.members
    }

    /// The seats, in order.
    pub fn seats(&self) -> impl Iterator<Item = SeatIndex> + use<> {
        (0..self.thresholds.members()).map(SeatIndex)
    }

    /// The member in `seat`.
    ///
    /// # Errors
    /// [`Error::UnknownSeat`].
    pub fn member(&self, seat: SeatIndex) -> Result<&Member, Error> {
        let members = self.thresholds.members();
        self.members.get(usize::from(seat.0)).ok_or(Error::UnknownSeat { seat, members })
    }

    /// The seat that holds `public_key`.
    pub fn seat_of(&self, public_key: &PublicKey) -> Option<SeatIndex> {
        self.seats()
            .zip(&self.members)
            .find(|(_, member)| member.public_key == *public_key)
            .map(|(seat, _)| seat)
    }

    /// `keccak256(abi.encode(uint64 epoch, uint16 n, uint16 k, uint16 q, keccak256(padded keys in seat order)))`.
    pub fn hash(&self) -> CommitteeHash {
        self.hash
    }

    /// The sum of all public keys: L1 starts from it when fewer members are missing than present.
    pub fn aggregate_key(&self) -> &PublicKey {
        &self.aggregate
    }

    /// Checks that `statement` is well-formed and speaks of this committee.
    ///
    /// # Errors
    /// Those of [`Statement::check`], [`Error::EpochMismatch`], [`Error::CommitteeHashMismatch`].
    pub fn check_statement(&self, statement: &Statement) -> Result<(), Error> {
        if statement.epoch != self.epoch {
            return Err(Error::EpochMismatch { expected: self.epoch, found: statement.epoch });
        }
        if statement.committee_hash != self.hash {
            return Err(Error::CommitteeHashMismatch {
                expected: self.hash,
                found: statement.committee_hash,
            });
        }
        statement.check()
    }

    /// The sum of the signers' keys, adding or subtracting whichever are fewer; `None` when it is infinity.
    ///
    /// `signers` are in seat order, each once.
    pub(crate) fn sum_of(&self, signers: &[SeatIndex]) -> Option<PublicKey> {
        let signed = |seat: &SeatIndex| signers.binary_search(seat).is_ok();
        let key = |seat: SeatIndex| &self.members[usize::from(seat.0)].public_key;
        if 2 * signers.len() <= self.members.len() {
            PublicKey::sum(signers.iter().copied().map(key), [])
        } else {
            PublicKey::sum([&self.aggregate], self.seats().filter(|seat| !signed(seat)).map(key))
        }
    }
}

fn seats() -> impl Iterator<Item = SeatIndex> {
    (0..=u16::MAX).map(SeatIndex)
}

fn keys(members: &[Member]) -> impl Iterator<Item = &PublicKey> {
    members.iter().map(|member| &member.public_key)
}

fn check_keys_differ(members: &[Member]) -> Result<(), Error> {
    let mut seat_of = HashMap::with_capacity(members.len());
    for (second, key) in seats().zip(keys(members)) {
        if let Some(first) = seat_of.insert(key, second) {
            return Err(Error::DuplicatePublicKey { first, second });
        }
    }
    Ok(())
}

fn hash(epoch: Epoch, thresholds: Thresholds, members: &[Member]) -> CommitteeHash {
    let padded_keys: Vec<u8> = keys(members).flat_map(PublicKey::to_padded).collect();
    let words = Words::default()
        .number(epoch.0)
        .number(thresholds.members().into())
        .number(thresholds.minimum_shards().into())
        .number(thresholds.quorum().into())
        .bytes32(&keccak256(&padded_keys));
    CommitteeHash(words.keccak256())
}

#[cfg(test)]
mod tests;
