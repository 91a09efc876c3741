//! The committee as a JSON file: all that a verifier needs, and where the members are reached.
//!
//! A verifier holds only this file. [`CommitteeFile::check`] trusts nothing in it: keys, proofs and thresholds are
//! checked, so a wrong file is refused, but *which* committee is the right one is the holder's business: compare
//! [`Committee::hash`] with what L1 or an operator says. Unknown fields are refused, so that a misspelt one is seen.
//! Peer ids, addresses and URLs are text here; the node reads them.

use crate::{
    Address, Committee, Domain, Epoch, Error, Member, ProofOfPossession, PublicKeyBytes, SeatIndex,
    Thresholds,
};

/// A committee as written by `dac committee new`. Members are in seat order.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitteeFile {
    /// The epoch it serves.
    pub epoch: Epoch,
    /// EIP-155 chain id of the signing domain.
    pub chain_id: u64,
    /// Committee registry; zero without L1.
    pub registry: Address,
    /// Minimum shards `k`.
    pub minimum_shards: u16,
    /// Quorum `q`.
    pub quorum: u16,
    /// Members `n`, in seat order.
    pub members: Vec<MemberEntry>,
}

/// One member of a [`CommitteeFile`].
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MemberEntry {
    /// For people; no meaning to the protocol.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Who registered the key on L1; zero without L1.
    pub operator: Address,
    /// BLS public key, 96 bytes compressed.
    pub public_key: PublicKeyBytes,
    /// Proof that the member holds the secret of `public_key`.
    pub proof_of_possession: ProofOfPossession,
    /// libp2p peer id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer_id: Option<String>,
    /// Multiaddresses, best first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub addresses: Vec<String>,
    /// Base URL of the HTTP interface.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api: Option<String>,
}

impl CommitteeFile {
    /// Reads JSON; checks its form only.
    ///
    /// # Errors
    /// [`Error::MalformedEncoding`] with line and column.
    pub fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|error| Error::malformed("committee file", error))
    }

    /// Writes JSON with line breaks, ending in one.
    pub fn to_json(&self) -> String {
        let json = serde_json::to_string_pretty(self).expect("strings, numbers and lists are always JSON");
        json + "\n"
    }

    /// Where the signatures of this committee count.
    pub fn domain(&self) -> Domain {
        Domain { chain_id: self.chain_id, registry: self.registry }
    }

    /// Checks thresholds, then every key, then every proof of possession. One pairing check per member.
    ///
    /// # Errors
    /// [`Error::InvalidThresholds`] and those of [`Committee::new`]; a bad key is an [`Error::Member`] with its seat.
    pub fn check(&self) -> Result<Committee, Error> {
        let Self { minimum_shards, quorum, .. } = *self;
        let members = self.members.len();
        let invalid = Error::InvalidThresholds { members, minimum_shards, quorum };
        let members = u16::try_from(members).map_err(|_| invalid)?;
        let thresholds = Thresholds::new(members, minimum_shards, quorum)?;
        let members = (0..)
            .zip(&self.members)
            .map(|(seat, entry)| entry.decode(SeatIndex(seat)))
            .collect::<Result<_, _>>()?;
        Committee::new(self.epoch, self.domain(), thresholds, members)
    }
}

impl MemberEntry {
    fn decode(&self, seat: SeatIndex) -> Result<Member, Error> {
        let public_key =
            self.public_key.decode().map_err(|reason| Error::Member { seat, reason: Box::new(reason) })?;
        Ok(Member { operator: self.operator, public_key, proof_of_possession: self.proof_of_possession })
    }
}

#[cfg(test)]
mod tests;
