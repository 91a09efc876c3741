//! Everything that can be wrong with what a peer, a file or a person handed in. Both sides of a mismatch are kept.

use crate::{Address, BatchId, CommitteeHash, Epoch, SeatIndex};

/// Longest [`Error::MalformedEncoding`] detail.
const DETAIL_CHARACTERS_MAX: usize = 200;

/// Why something was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Text is not `0x` and the right number of hex digits.
    #[error("{what} is 0x and {} hex digits, found {characters_found} characters", bytes_expected * 2)]
    MalformedHex {
        /// The type that was read.
        what: &'static str,
        /// Length of that type in bytes.
        bytes_expected: usize,
        /// Length of the text, prefix included.
        characters_found: usize,
    },
    /// Bytes or JSON are not the one encoding of the type.
    #[error("malformed {what}: {detail}")]
    MalformedEncoding {
        /// The type that was read.
        what: &'static str,
        /// What the decoder said.
        detail: String,
    },
    /// A public key is no point of the right subgroup, or is infinity.
    #[error("public key is not a valid G2 point: {detail}")]
    InvalidPublicKey {
        /// Which check failed.
        detail: &'static str,
    },
    /// A signature is no point of the right subgroup, or is infinity.
    #[error("signature is not a valid G1 point: {detail}")]
    InvalidSignaturePoint {
        /// Which check failed.
        detail: &'static str,
    },
    /// A BLS secret key is zero or not below the group order, or its key material is shorter than 32 bytes.
    #[error("secret key out of range")]
    InvalidSecretKey,
    /// The thresholds of a committee contradict each other or the bounds of the protocol.
    #[error(
        "thresholds need 1 <= minimum shards <= quorum <= members <= 256, \
         found minimum shards {minimum_shards}, quorum {quorum}, members {members}"
    )]
    InvalidThresholds {
        /// Members `n`.
        members: usize,
        /// Minimum shards `k`.
        minimum_shards: u16,
        /// Quorum `q`.
        quorum: u16,
    },
    /// The thresholds speak of another number of members than there are.
    #[error("thresholds are for {expected} members, the committee has {found}")]
    MemberCountMismatch {
        /// Members in the thresholds.
        expected: u16,
        /// Members listed.
        found: usize,
    },
    /// One public key sits in two seats.
    #[error("seats {first} and {second} have the same public key")]
    DuplicatePublicKey {
        /// The lower seat.
        first: SeatIndex,
        /// The higher seat.
        second: SeatIndex,
    },
    /// All public keys of a committee sum to infinity: the members have colluded.
    #[error("the public keys sum to infinity")]
    KeysCancel,
    /// One member of a committee file or committee is refused.
    #[error("seat {seat}: {reason}")]
    Member {
        /// The member's seat.
        seat: SeatIndex,
        /// What is wrong with it.
        reason: Box<Error>,
    },
    /// A proof of possession does not verify.
    #[error("proof of possession is not valid for this key, operator and domain")]
    InvalidPossession,
    /// A statement or submission speaks of no bytes or more than the protocol carries.
    #[error("batch of {found} bytes, expected 1 to {bytes_max}")]
    DataBytesOutOfRange {
        /// Length stated.
        found: u64,
        /// Longest batch of the protocol.
        bytes_max: u64,
    },
    /// The hot copy would outlive the shards.
    #[error("hot until {hot_until} is after retain until {retain_until}")]
    HotAfterRetain {
        /// Unix seconds.
        hot_until: u64,
        /// Unix seconds.
        retain_until: u64,
    },
    /// The chain id of the domain differs.
    #[error("chain id {found}, expected {expected}")]
    ChainIdMismatch {
        /// Of the committee.
        expected: u64,
        /// Of the certificate.
        found: u64,
    },
    /// The registry of the domain differs.
    #[error("registry {found}, expected {expected}")]
    RegistryMismatch {
        /// Of the committee.
        expected: Address,
        /// Of the certificate.
        found: Address,
    },
    /// A statement is for the committee of another epoch.
    #[error("epoch {found}, expected {expected}")]
    EpochMismatch {
        /// Of the committee.
        expected: Epoch,
        /// Of the statement.
        found: Epoch,
    },
    /// A statement names another committee.
    #[error("committee hash {found}, expected {expected}")]
    CommitteeHashMismatch {
        /// Of the committee.
        expected: CommitteeHash,
        /// Of the statement.
        found: CommitteeHash,
    },
    /// An attestation is for another statement.
    #[error("attestation is for batch {found}, expected {expected}")]
    BatchMismatch {
        /// Of the statement in hand.
        expected: BatchId,
        /// Of the attestation.
        found: BatchId,
    },
    /// No member has this seat.
    #[error("seat {seat} in a committee of {members} members")]
    UnknownSeat {
        /// The seat named.
        seat: SeatIndex,
        /// Members `n`.
        members: u16,
    },
    /// The bitmap of signers has another length than the committee needs.
    #[error("bitmap of {bytes_found} bytes, expected {bytes_expected}")]
    BitmapLength {
        /// `ceil(n / 8)`.
        bytes_expected: usize,
        /// Length found.
        bytes_found: usize,
    },
    /// Fewer members signed than the committee needs.
    #[error("{} signatures, quorum is {quorum}; missing seats: {}", signers.len(), Seats(missing))]
    BelowQuorum {
        /// Who signed, in seat order.
        signers: Vec<SeatIndex>,
        /// Who did not, in seat order.
        missing: Vec<SeatIndex>,
        /// Quorum `q`.
        quorum: u16,
    },
    /// A member's signature is a valid point but does not sign this statement.
    #[error("seat {seat} did not sign this statement")]
    FalseAttestation {
        /// The seat it claims.
        seat: SeatIndex,
    },
    /// The aggregate signature does not belong to these signers and this statement.
    #[error("aggregate signature does not verify")]
    FalseCertificate,
    /// A secp256k1 key is zero or not below the group order.
    #[error("submitter key out of range")]
    InvalidSubmitterKey,
    /// A submission signature recovers no address.
    #[error("submission signature: {detail}")]
    InvalidSubmissionSignature {
        /// Which check failed.
        detail: &'static str,
    },
}

impl Error {
    /// A decoder's refusal of a `what`: one line of bounded length, since the detail may quote what a peer sent.
    pub(crate) fn malformed(what: &'static str, detail: impl std::fmt::Display) -> Self {
        let detail = detail.to_string().split_whitespace().collect::<Vec<_>>().join(" ");
        Self::MalformedEncoding { what, detail: detail.chars().take(DETAIL_CHARACTERS_MAX).collect() }
    }

    /// Whether the one who sent the refused object is at fault.
    ///
    /// `true`: no honest peer produces this, whatever it knows. `false`: an honest peer of another epoch or another
    /// domain, a slow one, or our own configuration leads here too. Who *sent* an object need not be who made it:
    /// penalise the sender for forwarding what it could have checked.
    pub fn is_peer_fault(&self) -> bool {
        match self {
            Self::MalformedEncoding { .. }
            | Self::InvalidSignaturePoint { .. }
            | Self::DataBytesOutOfRange { .. }
            | Self::HotAfterRetain { .. }
            | Self::UnknownSeat { .. }
            | Self::BitmapLength { .. }
            | Self::FalseAttestation { .. }
            | Self::FalseCertificate
            | Self::InvalidSubmissionSignature { .. } => true,
            Self::MalformedHex { .. }
            | Self::InvalidPublicKey { .. }
            | Self::InvalidSecretKey
            | Self::InvalidThresholds { .. }
            | Self::MemberCountMismatch { .. }
            | Self::DuplicatePublicKey { .. }
            | Self::KeysCancel
            | Self::Member { .. }
            | Self::InvalidPossession
            | Self::ChainIdMismatch { .. }
            | Self::RegistryMismatch { .. }
            | Self::EpochMismatch { .. }
            | Self::CommitteeHashMismatch { .. }
            | Self::BatchMismatch { .. }
            | Self::BelowQuorum { .. }
            | Self::InvalidSubmitterKey => false,
        }
    }
}

/// Seats as `0, 3, 5`.
struct Seats<'a>(&'a [SeatIndex]);

impl std::fmt::Display for Seats<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (position, seat) in self.0.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            write!(f, "{comma}{seat}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn detail_is_one_short_line() {
        let detail = format!("unknown\n\tfield {}", "x".repeat(1 << 20));
        let text = Error::malformed("certificate", detail).to_string();
        assert!(text.starts_with("malformed certificate: unknown field xxx"));
        assert_eq!(text.len(), "malformed certificate: ".len() + DETAIL_CHARACTERS_MAX);
    }

    #[test]
    fn only_what_no_honest_peer_sends_is_its_fault() {
        let seat = SeatIndex(1);
        let faults = [
            Error::malformed("certificate", "x"),
            Error::FalseAttestation { seat },
            Error::FalseCertificate,
            Error::UnknownSeat { seat, members: 1 },
        ];
        assert!(faults.iter().all(Error::is_peer_fault));
        let innocent = [
            Error::EpochMismatch { expected: Epoch(1), found: Epoch(2) },
            Error::BatchMismatch { expected: BatchId::ZERO, found: BatchId::ZERO },
            Error::BelowQuorum { signers: vec![], missing: vec![seat], quorum: 1 },
            Error::InvalidPossession,
            Error::InvalidSecretKey,
        ];
        assert!(!innocent.iter().any(Error::is_peer_fault));
    }
}
