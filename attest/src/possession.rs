//! Proof of possession: a member shows that it holds the secret of the key it registers.
//!
//! Without it a member could register a key made from the others' keys and sign for all of them (rogue key). The proof
//! is bound to chain, registry and operator, so it cannot be copied into another committee's registration.
//!
//! `digest = keccak256(abi.encode(uint64 chainId, address registry, address operator, bytes32 keccak256(padded key)))`,
//! signed under its own suite name so that a proof is never an attestation.

use crate::eip712::Words;
use crate::keys::POSSESSION_SUITE;
use crate::{Address, Domain, Error, PossessionDigest, ProofOfPossession, PublicKey, SignatureBytes};

/// What a proof of possession signs.
pub fn digest(domain: &Domain, operator: Address, public_key: &PublicKey) -> PossessionDigest {
    let words = Words::default()
        .number(domain.chain_id)
        .address(domain.registry)
        .address(operator)
        .bytes32(&public_key.padded_hash());
    PossessionDigest(words.keccak256())
}

impl ProofOfPossession {
    /// Checks that whoever made this proof holds the secret of `public_key`. One pairing check.
    ///
    /// # Errors
    /// [`Error::InvalidSignaturePoint`], [`Error::InvalidPossession`].
    pub fn verify(&self, domain: &Domain, operator: Address, public_key: &PublicKey) -> Result<(), Error> {
        let signature = SignatureBytes(self.0).decode()?;
        let PossessionDigest(digest) = digest(domain, operator, public_key);
        if signature.signs(&digest, POSSESSION_SUITE, public_key) {
            Ok(())
        } else {
            Err(Error::InvalidPossession)
        }
    }
}
