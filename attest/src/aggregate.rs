//! Many attestations become one certificate, and false ones are named.
//!
//! The sum of all signatures is verified once; only when that fails is each verified alone. So an honest committee
//! costs one pairing check, a liar costs everyone's, and a certificate is made whenever `q` of them are good.
//!
//! What a liar cannot do: keep the honest from certifying. What it can: two liars whose errors cancel pass as signers.
//! Their sum is a valid aggregate of both keys, so both have signed.
//! Blame needs care: an attestation names its seat itself. Punish a member for it only when the transport has
//! authenticated that member as the sender.

use std::collections::{BTreeMap, BTreeSet};

use crate::certificate::check_quorum;
use crate::keys::SIGNATURE_SUITE;
use crate::{
    Attestation, BatchId, Certificate, CheckedCertificate, Committee, Domain, Error, SeatIndex, Signature,
    Signers, Statement,
};

/// What came out of a set of attestations.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aggregation {
    /// The certificate of all good attestations, or why there is none: [`Error::BelowQuorum`] names who is missing.
    pub certificate: Result<CheckedCertificate, Error>,
    /// Seats with at least one attestation of this statement that is false, in seat order. A seat that sent a good one
    /// too is still among the signers.
    pub liars: Vec<SeatIndex>,
    /// Why attestations were left out that are nobody's lie: another batch, no such seat.
    pub ignored: Vec<Error>,
}

/// Makes the certificate of `statement` from what members sent.
///
/// Attestations may come in any order and repeat. A seat with several different ones has each tried: at most one
/// signature of a key and a statement is true, so such a seat is named as a liar in any case.
/// Costs one decompression per attestation and one pairing check; when that fails, one pairing check per attestation.
/// The caller bounds how many it passes in.
pub fn aggregate(
    committee: &Committee,
    statement: &Statement,
    attestations: impl IntoIterator<Item = Attestation>,
) -> Aggregation {
    if let Err(error) = committee.check_statement(statement) {
        return Aggregation { certificate: Err(error), liars: vec![], ignored: vec![] };
    }
    let mut candidates = Candidates::collect(committee, statement, attestations);
    let mut sum = candidates.verified_sum(committee);
    if sum.is_none() {
        candidates.keep_true(committee);
        sum = candidates.verified_sum(committee);
    }
    let certificate = certify(committee, statement, candidates.seats(), sum);
    Aggregation { certificate, liars: candidates.liars.into_iter().collect(), ignored: candidates.ignored }
}

/// Makes a certificate of the verified `sum` of the signatures of `signers`, if they are enough.
fn certify(
    committee: &Committee,
    statement: &Statement,
    signers: Vec<SeatIndex>,
    sum: Option<Signature>,
) -> Result<CheckedCertificate, Error> {
    check_quorum(committee, &signers)?;
    // Left: true signatures that sum to infinity, which takes a quorum that has colluded.
    let signature = sum.ok_or(Error::FalseCertificate)?.to_bytes();
    let Domain { chain_id, registry } = *committee.domain();
    let bitmap = Signers::from_seats(committee.thresholds().members(), signers.iter().copied())?;
    let certificate = Certificate { chain_id, registry, statement: *statement, signers: bitmap, signature };
    Ok(CheckedCertificate::of_verified(certificate, signers))
}

/// Signatures that may be true, by seat, and what was left out on the way.
struct Candidates {
    batch_id: BatchId,
    /// Never an empty list; the first is the one in the sum.
    signatures: BTreeMap<SeatIndex, Vec<Signature>>,
    liars: BTreeSet<SeatIndex>,
    ignored: Vec<Error>,
}

impl Candidates {
    fn collect(
        committee: &Committee,
        statement: &Statement,
        attestations: impl IntoIterator<Item = Attestation>,
    ) -> Self {
        let batch_id = statement.digest(committee.domain());
        let mut candidates =
            Self { batch_id, signatures: BTreeMap::new(), liars: BTreeSet::new(), ignored: vec![] };
        for attestation in attestations {
            if let Err(error) = candidates.add(committee, attestation) {
                candidates.ignored.push(error);
            }
        }
        candidates
    }

    fn add(&mut self, committee: &Committee, attestation: Attestation) -> Result<(), Error> {
        let Attestation { batch_id: found, seat, signature } = attestation;
        committee.member(seat)?;
        if found != self.batch_id {
            return Err(Error::BatchMismatch { expected: self.batch_id, found });
        }
        let Ok(signature) = signature.decode() else {
            self.liars.insert(seat);
            return Ok(());
        };
        let of_seat = self.signatures.entry(seat).or_default();
        if !of_seat.contains(&signature) {
            of_seat.push(signature);
        }
        if of_seat.len() > 1 {
            self.liars.insert(seat);
        }
        Ok(())
    }

    fn seats(&self) -> Vec<SeatIndex> {
        self.signatures.keys().copied().collect()
    }

    /// The sum of the first signature of each seat, if it is one of all their keys.
    fn verified_sum(&self, committee: &Committee) -> Option<Signature> {
        let signature = Signature::sum(self.signatures.values().filter_map(|of_seat| of_seat.first()))?;
        let key = committee.sum_of(&self.seats())?;
        signature.signs(&self.batch_id.0, SIGNATURE_SUITE, &key).then_some(signature)
    }

    /// Verifies each signature alone, drops the false ones and names their seats.
    fn keep_true(&mut self, committee: &Committee) {
        let Self { batch_id, signatures, liars, .. } = self;
        signatures.retain(|seat, of_seat| {
            let Ok(member) = committee.member(*seat) else { return false };
            let count = of_seat.len();
            of_seat.retain(|signature| signature.signs(&batch_id.0, SIGNATURE_SUITE, &member.public_key));
            if of_seat.len() < count {
                liars.insert(*seat);
            }
            !of_seat.is_empty()
        });
    }
}

#[cfg(test)]
mod tests;
