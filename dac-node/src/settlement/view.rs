//! What all changes up to one block add up to. Pure: the same changes give the same view, on every member.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use attest::{
    Address, Committee, CommitteeFile, Epoch, MemberEntry, ProofOfPossession, PublicKeyBytes, RollupId,
    Signature,
};

use super::{Change, Contact, Error, MemberId, Quota};

/// Bytes of a padded key and proof.
const KEY_BYTES: usize = 256;
const PROOF_BYTES: usize = 128;

/// A registered member.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Member {
    /// Who registered it.
    pub operator: Address,
    /// Its key.
    pub public_key: PublicKeyBytes,
    /// Shows that it holds the secret.
    pub proof: ProofOfPossession,
    /// How it is reached.
    pub contact: Contact,
    /// When it named its peer id: a number that rises from one naming to the next.
    pub named: u64,
    /// It takes no later seat.
    pub retired: bool,
}

/// An announced epoch.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct EpochEntry {
    /// Its committee's hash.
    pub committee_hash: [u8; 32],
    /// `k`.
    pub minimum_shards: u16,
    /// `q`.
    pub quorum: u16,
    /// First second, L1 time.
    pub activates_at: u64,
    /// In seat order.
    pub members: Vec<MemberId>,
}

/// A rollup and who may submit for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Rollup {
    /// Who names its submitters.
    pub admin: Address,
    /// What it may ask for.
    pub quota: Quota,
    /// Addresses that may submit.
    pub submitters: BTreeSet<Address>,
}

/// The registry as of one block.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct View {
    /// Shared by the checkpoints: anybody may register, so there may be many.
    #[serde(with = "members")]
    members: Vec<(MemberId, Arc<Member>)>,
    namings: u64,
    epochs: BTreeMap<u64, EpochEntry>,
    rollups: Vec<(RollupId, Rollup)>,
}

impl View {
    /// Adds one change.
    ///
    /// # Errors
    /// [`Error::Malformed`]: no registry emits this.
    pub fn apply(&mut self, change: Change) -> Result<(), Error> {
        match change {
            Change::MemberRegistered { id, operator, key, proof, contact } => {
                let public_key = compress_key(&key)?;
                let proof = compress_proof(&proof)?;
                let named = self.next_naming();
                let member = Member { operator, public_key, proof, contact, named, retired: false };
                self.members.push((id, Arc::new(member)));
            }
            Change::ContactChanged { id, contact } => {
                let named = self.next_naming();
                let member = self.member_mut(&id)?;
                if member.contact.peer_id != contact.peer_id {
                    member.named = named;
                }
                member.contact = contact;
            }
            Change::MemberRetired(id) => self.member_mut(&id)?.retired = true,
            Change::EpochAnnounced {
                epoch,
                committee_hash,
                minimum_shards,
                quorum,
                activates_at,
                members,
            } => {
                if self.epochs.last_key_value().is_some_and(|(last, _)| *last >= epoch) {
                    return Err(Error::Malformed(format!("epoch {epoch} announced out of order")));
                }
                let entry = EpochEntry { committee_hash, minimum_shards, quorum, activates_at, members };
                self.epochs.insert(epoch, entry);
            }
            Change::EpochCancelled(epoch) => {
                let gone = self.epochs.remove(&epoch);
                gone.ok_or_else(|| Error::Malformed(format!("unknown epoch {epoch} cancelled")))?;
            }
            Change::RollupSet { id, admin, quota } => match self.rollup_mut(&id) {
                Some(rollup) if rollup.admin == admin => rollup.quota = quota,
                Some(rollup) => *rollup = Rollup { admin, quota, submitters: BTreeSet::new() },
                None => self.rollups.push((id, Rollup { admin, quota, submitters: BTreeSet::new() })),
            },
            Change::RollupRemoved(id) => self.rollups.retain(|(known, _)| *known != id),
            Change::SubmitterSet { id, submitter, allowed } => {
                let rollup = self.rollup_mut(&id);
                let rollup =
                    rollup.ok_or_else(|| Error::Malformed(format!("submitter of unknown rollup {id}")))?;
                if allowed {
                    rollup.submitters.insert(submitter);
                } else {
                    rollup.submitters.remove(&submitter);
                }
            }
        }
        Ok(())
    }

    /// Announced epochs that were not cancelled, by number.
    pub fn epochs(&self) -> &BTreeMap<u64, EpochEntry> {
        &self.epochs
    }

    /// Registered members, in the order of their registration.
    pub fn members(&self) -> &[(MemberId, Arc<Member>)] {
        &self.members
    }

    /// Rollups, in the order of their registration.
    pub fn rollups(&self) -> &[(RollupId, Rollup)] {
        &self.rollups
    }

    /// The epoch whose time has come at `l1_time`.
    pub fn epoch_at(&self, l1_time: u64) -> Option<u64> {
        self.epochs.iter().rev().find(|(_, entry)| entry.activates_at <= l1_time).map(|(epoch, _)| *epoch)
    }

    /// When the epoch after `epoch` begins, if one is announced.
    pub fn superseded_at(&self, epoch: u64) -> Option<u64> {
        self.epochs.range(epoch + 1..).next().map(|(_, entry)| entry.activates_at)
    }

    /// The committee of an epoch, checked in full and compared with the hash that L1 announced.
    ///
    /// # Errors
    /// [`Error::Malformed`].
    pub fn committee(
        &self,
        epoch: u64,
        chain_id: u64,
        registry: Address,
    ) -> Result<(CommitteeFile, Committee), Error> {
        let entry = self.epochs.get(&epoch).ok_or_else(|| Error::Malformed(format!("no epoch {epoch}")))?;
        let seated = entry.members.iter().map(|id| self.member(id)).collect::<Result<Vec<_>, _>>()?;
        let file = CommitteeFile {
            epoch: Epoch(epoch),
            chain_id,
            registry,
            minimum_shards: entry.minimum_shards,
            quorum: entry.quorum,
            members: seated.iter().map(|member| member_entry(member, &seated)).collect(),
        };
        let committee = file.check().map_err(|error| Error::Malformed(format!("epoch {epoch}: {error}")))?;
        if committee.hash().0 != entry.committee_hash {
            let detail = format!(
                "epoch {epoch} is committee {} by its members, L1 announced another",
                committee.hash()
            );
            return Err(Error::Malformed(detail));
        }
        Ok((file, committee))
    }

    fn member(&self, id: &MemberId) -> Result<&Member, Error> {
        let found = self.members.iter().find(|(known, _)| known == id).map(|(_, member)| &**member);
        found.ok_or_else(|| unknown(id))
    }

    fn next_naming(&mut self) -> u64 {
        self.namings += 1;
        self.namings
    }

    fn member_mut(&mut self, id: &MemberId) -> Result<&mut Member, Error> {
        let found = self.members.iter_mut().find(|(known, _)| known == id);
        found.map(|(_, member)| Arc::make_mut(member)).ok_or_else(|| unknown(id))
    }

    fn rollup_mut(&mut self, id: &RollupId) -> Option<&mut Rollup> {
        self.rollups.iter_mut().find(|(known, _)| known == id).map(|(_, rollup)| rollup)
    }
}

fn unknown(id: &MemberId) -> Error {
    Error::Malformed(format!("unknown member 0x{}", hex::encode(id)))
}

/// The entry of one of a committee's members. L1 does not check peer ids: that of two members is the one's who named it
/// first, so nobody draws the connections of another member to its own seat. Who has no seat takes nothing from anybody.
fn member_entry(member: &Member, seated: &[&Member]) -> MemberEntry {
    let stated = |text: &String| (!text.is_empty()).then(|| text.clone());
    let is_taken = seated
        .iter()
        .any(|other| other.contact.peer_id == member.contact.peer_id && other.named < member.named);
    MemberEntry {
        name: stated(&member.contact.name),
        operator: member.operator,
        public_key: member.public_key,
        proof_of_possession: member.proof,
        peer_id: stated(&member.contact.peer_id).filter(|_| !is_taken),
        addresses: member.contact.addresses.clone(),
        api: stated(&member.contact.api),
    }
}

/// Compresses an EIP-2537 key: x, and whether y is the larger of the two. L1 has checked that it is a point; whether the
/// encoding is one is checked again when a committee is made of it.
fn compress_key(padded: &[u8]) -> Result<PublicKeyBytes, Error> {
    if padded.len() != KEY_BYTES {
        return Err(Error::Malformed(format!("a key of {} bytes, expected {KEY_BYTES}", padded.len())));
    }
    let coordinate = |index: usize| &padded[64 * index + 16..][..48];
    let (x0, x1, y0, y1) = (coordinate(0), coordinate(1), coordinate(2), coordinate(3));
    let mut bytes = [0; 96];
    bytes[..48].copy_from_slice(x1);
    bytes[48..].copy_from_slice(x0);
    // The sign is that of c1, and of c0 where c1 is zero.
    let sign = if y1.iter().any(|byte| *byte != 0) { y1 } else { y0 };
    bytes[0] |= 0x80 | if above_half(sign) { 0x20 } else { 0 };
    Ok(PublicKeyBytes(bytes))
}

fn compress_proof(padded: &[u8]) -> Result<ProofOfPossession, Error> {
    let padded: &[u8; PROOF_BYTES] = padded.try_into().map_err(|_| {
        Error::Malformed(format!("a proof of {} bytes, expected {PROOF_BYTES}", padded.len()))
    })?;
    let signature = Signature::from_padded(padded).map_err(|error| Error::Malformed(error.to_string()))?;
    Ok(ProofOfPossession(signature.to_bytes().0))
}

/// Whether a coordinate is above (p - 1) / 2, big-endian.
fn above_half(coordinate: &[u8]) -> bool {
    /// (p - 1) / 2 of BLS12-381.
    const HALF: [u8; 48] = [
        0x0d, 0x00, 0x88, 0xf5, 0x1c, 0xbf, 0xf3, 0x4d, 0x25, 0x8d, 0xd3, 0xdb, 0x21, 0xa5, 0xd6, 0x6b, 0xb2,
        0x3b, 0xa5, 0xc2, 0x79, 0xc2, 0x89, 0x5f, 0xb3, 0x98, 0x69, 0x50, 0x7b, 0x58, 0x7b, 0x12, 0x0f, 0x55,
        0xff, 0xff, 0x58, 0xa9, 0xff, 0xff, 0xdc, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xd5, 0x55,
    ];
    coordinate > HALF.as_slice()
}

/// Shared members, written as if they were not.
mod members {
    use std::sync::Arc;

    use serde::{Deserialize, Deserializer, Serializer};

    use super::{Member, MemberId};

    pub(super) fn serialize<S: Serializer>(
        members: &[(MemberId, Arc<Member>)],
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(members.iter().map(|(id, member)| (id, &**member)))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<(MemberId, Arc<Member>)>, D::Error> {
        let members = Vec::<(MemberId, Member)>::deserialize(deserializer)?;
        Ok(members.into_iter().map(|(id, member)| (id, Arc::new(member))).collect())
    }
}
