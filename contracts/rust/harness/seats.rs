//! The members' side: keys, proofs, certificates.

use alloy_primitives::{Address, Bytes, keccak256};
use attest::{
    Attestation, Certificate, Committee, DataHash, DataRoot, Domain, Epoch, Member, RollupId, SeatIndex,
    SecretKey, ShardsRoot, SignatureBytes, Statement, Submission, Thresholds, aggregate,
};

use crate::ICommitteeRegistry::Contact;

/// Members in seat order, with their secrets.
#[derive(Debug)]
pub struct Seats {
    keys: Vec<SecretKey>,
    operators: Vec<Address>,
}

impl Seats {
    /// Members whose keys and operators follow from `label` and their seat.
    ///
    /// # Errors
    /// None in practice: the seeds are long enough.
    pub fn new(label: &str, members: u16) -> Result<Self, attest::Error> {
        let seed = |seat: u16| keccak256(format!("{label} {seat}"));
        let keys =
            (0..members).map(|seat| SecretKey::generate(seed(seat).as_slice())).collect::<Result<_, _>>()?;
        let operators = (0..members).map(|seat| Address::from_word(seed(seat))).collect();
        Ok(Self { keys, operators })
    }

    /// How many.
    pub fn members(&self) -> u16 {
        u16::try_from(self.keys.len()).expect("made from a u16")
    }

    /// Who registers `seat`.
    pub fn operator(&self, seat: u16) -> Address {
        self.operators[usize::from(seat)]
    }

    /// The secret of `seat`.
    pub fn key(&self, seat: u16) -> &SecretKey {
        &self.keys[usize::from(seat)]
    }

    /// Puts `seat` of `other` into `seat` here: a rotation.
    pub fn replace(&mut self, seat: u16, other: Self, from: u16) {
        let mut other = other;
        self.keys[usize::from(seat)] = other.keys.swap_remove(usize::from(from));
        self.operators[usize::from(seat)] = other.operators[usize::from(from)];
    }

    /// How L1 names each, in seat order.
    pub fn ids(&self) -> Vec<alloy_primitives::B256> {
        self.keys.iter().map(|key| key.public_key().padded_hash().into()).collect()
    }

    /// The padded keys of `seats`, one after the other.
    pub fn padded_keys(&self, seats: impl IntoIterator<Item = u16>) -> Bytes {
        seats.into_iter().flat_map(|seat| self.key(seat).public_key().to_padded()).collect()
    }

    /// The same committee as `attest` knows it.
    ///
    /// # Errors
    /// Those of [`Committee::new`].
    pub fn committee(
        &self,
        epoch: u64,
        domain: Domain,
        thresholds: Thresholds,
    ) -> Result<Committee, attest::Error> {
        let member = |(key, operator): (&SecretKey, &Address)| {
            let operator = attest::Address(operator.into_array());
            Member {
                operator,
                public_key: key.public_key(),
                proof_of_possession: key.prove_possession(&domain, operator),
            }
        };
        let members = self.keys.iter().zip(&self.operators).map(member).collect();
        Committee::new(Epoch(epoch), domain, thresholds, members)
    }

    /// A statement of `committee`, and the certificate that `signers` make of it.
    ///
    /// # Errors
    /// Those of [`aggregate`].
    pub fn certify(
        &self,
        committee: &Committee,
        rollup_id: [u8; 32],
        retain_until: u64,
        signers: impl IntoIterator<Item = u16>,
    ) -> Result<Certificate, attest::Error> {
        let submission = Submission {
            rollup_id: RollupId(rollup_id),
            data_hash: DataHash(keccak256("data hash").0),
            data_bytes: 517_840,
            hot_until: retain_until - 60,
            retain_until,
            deadline: retain_until - 120,
        };
        let (data_root, shards_root) = (keccak256("data root").0, keccak256("shards root").0);
        let statement = submission.statement(committee, DataRoot(data_root), ShardsRoot(shards_root));
        self.sign(committee, &statement, signers)
    }

    /// The certificate that `signers` make of `statement`.
    ///
    /// # Errors
    /// Those of [`aggregate`].
    pub fn sign(
        &self,
        committee: &Committee,
        statement: &Statement,
        signers: impl IntoIterator<Item = u16>,
    ) -> Result<Certificate, attest::Error> {
        let attest = |seat| self.key(seat).attest(statement, committee.domain(), SeatIndex(seat));
        let attestations = signers.into_iter().map(attest).collect::<Result<Vec<Attestation>, _>>()?;
        Ok(aggregate(committee, statement, attestations).certificate?.into_certificate())
    }
}

/// A proof of possession as L1 reads it.
///
/// # Errors
/// [`attest::Error::InvalidSignaturePoint`].
pub fn padded_proof(proof: attest::ProofOfPossession) -> Result<Bytes, attest::Error> {
    Ok(SignatureBytes(proof.0).decode()?.to_padded().to_vec().into())
}

/// A contact of the size that members have.
pub fn contact(name: &str) -> Contact {
    Contact {
        name: name.into(),
        peerId: "12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN".into(),
        addresses: vec![format!("/dns4/{name}.example/tcp/9547")],
        api: format!("https://{name}.example"),
    }
}
