//! The certificate: statement, signers and one aggregate signature; what a rollup shows to L1 or to anyone.
//!
//! It travels with its domain, but not with `q` or the keys: verifying needs the [`Committee`]. There is one SCALE
//! encoding of each certificate and [`Certificate::decode_strict`] takes no other. The form for L1 is in
//! [`crate::abi`].

use parity_scale_codec::{Decode, DecodeAll, Encode};

use crate::keys::SIGNATURE_SUITE;
use crate::{BatchId, Committee, Domain, Error, SeatIndex, SignatureBytes, Signers, Statement};

/// Bytes of the SCALE form for the largest committee: domain 28, statement 192, bitmap 1 + 32, signature 48.
pub const CERTIFICATE_BYTES_MAX: usize = 28 + 192 + 33 + 48;

/// A claimed certificate: its form is right, nothing else is checked. SCALE and JSON in this field order.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// EIP-155 chain id of the signing domain.
    pub chain_id: u64,
    /// Committee registry of the signing domain.
    pub registry: crate::Address,
    /// What was signed.
    pub statement: Statement,
    /// Who signed.
    pub signers: Signers,
    /// The sum of their signatures.
    pub signature: SignatureBytes,
}

/// At least `q` members of the committee signed this statement: checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedCertificate {
    certificate: Certificate,
    batch_id: BatchId,
    signers: Vec<SeatIndex>,
}

impl Certificate {
    /// Reads the SCALE form: all bytes used, shortest lengths, a bitmap of 1 to 32 bytes with a bit set.
    ///
    /// # Errors
    /// [`Error::MalformedEncoding`].
    pub fn decode_strict(mut bytes: &[u8]) -> Result<Self, Error> {
        Self::decode_all(&mut bytes).map_err(|error| Error::malformed("certificate", error))
    }

    /// Reads the JSON form; unknown fields are refused.
    ///
    /// # Errors
    /// [`Error::MalformedEncoding`].
    pub fn from_json(json: &str) -> Result<Self, Error> {
        serde_json::from_str(json).map_err(|error| Error::malformed("certificate", error))
    }

    /// Writes the JSON form: byte strings as hex, numbers as numbers (above 2^53 JavaScript rounds them).
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }

    /// The signing domain.
    pub fn domain(&self) -> Domain {
        Domain { chain_id: self.chain_id, registry: self.registry }
    }

    /// The digest that was signed.
    pub fn batch_id(&self) -> BatchId {
        self.statement.digest(&self.domain())
    }

    /// Checks everything, cheap checks first: domain, statement, bitmap, quorum, then one pairing check.
    ///
    /// # Errors
    /// [`Error::ChainIdMismatch`], [`Error::RegistryMismatch`], those of [`Committee::check_statement`] and
    /// [`Signers::seats`], [`Error::BelowQuorum`], [`Error::InvalidSignaturePoint`], [`Error::FalseCertificate`].
    pub fn verify(&self, committee: &Committee) -> Result<CheckedCertificate, Error> {
        self.check_domain(committee.domain())?;
        committee.check_statement(&self.statement)?;
        let signers = self.signers.seats(committee)?;
        check_quorum(committee, &signers)?;
        let signature = self.signature.decode()?;
        let key = committee.sum_of(&signers).ok_or(Error::FalseCertificate)?;
        let batch_id = self.batch_id();
        if !signature.signs(&batch_id.0, SIGNATURE_SUITE, &key) {
            return Err(Error::FalseCertificate);
        }
        Ok(CheckedCertificate { certificate: self.clone(), batch_id, signers })
    }

    fn check_domain(&self, expected: &Domain) -> Result<(), Error> {
        if self.chain_id != expected.chain_id {
            return Err(Error::ChainIdMismatch { expected: expected.chain_id, found: self.chain_id });
        }
        if self.registry != expected.registry {
            return Err(Error::RegistryMismatch { expected: expected.registry, found: self.registry });
        }
        Ok(())
    }
}

/// `signers` are in seat order, each once.
pub(crate) fn check_quorum(committee: &Committee, signers: &[SeatIndex]) -> Result<(), Error> {
    let quorum = committee.thresholds().quorum();
    if signers.len() >= usize::from(quorum) {
        return Ok(());
    }
    let missing = committee.seats().filter(|seat| signers.binary_search(seat).is_err()).collect();
    Err(Error::BelowQuorum { signers: signers.to_vec(), missing, quorum })
}

impl CheckedCertificate {
    /// For the aggregator, which has verified the sum of these signatures and the quorum itself.
    pub(crate) fn of_verified(certificate: Certificate, signers: Vec<SeatIndex>) -> Self {
        Self { batch_id: certificate.batch_id(), certificate, signers }
    }

    /// The certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What was signed.
    pub fn statement(&self) -> &Statement {
        &self.certificate.statement
    }

    /// The digest that was signed.
    pub fn batch_id(&self) -> BatchId {
        self.batch_id
    }

    /// Who signed, in seat order.
    pub fn signers(&self) -> &[SeatIndex] {
        &self.signers
    }

    /// The certificate, to send on.
    pub fn into_certificate(self) -> Certificate {
        self.certificate
    }
}

#[cfg(test)]
mod tests;
