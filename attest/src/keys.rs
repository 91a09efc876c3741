//! BLS12-381 keys and signatures, min_sig: public key in G2 (96 bytes), signature in G1 (48 bytes).
//!
//! Every [`PublicKey`] and [`Signature`] in memory is a point of the prime-order subgroup and not infinity: the only
//! ways to one are a checked decode and signing. A [`SecretKey`] signs statements and proofs of possession, nothing
//! else; there is no method for other bytes.
//!
//! Choices: one pairing on the calling thread instead of blst's thread pool, so that a light client starts no threads.
//! Source: draft-irtf-cfrg-bls-signature-05, RFC 9380; padded points: EIP-2537.

use blst::{BLST_ERROR, Pairing, blst_p1_affine, blst_p2_affine, min_sig};
use zeroize::Zeroizing;

use crate::eip712::keccak256;
use crate::{
    Address, Attestation, Domain, Error, PossessionDigest, ProofOfPossession, PublicKeyBytes, SeatIndex,
    SignatureBytes, Statement, possession,
};

/// Domain separation tag of attestations.
pub(crate) const SIGNATURE_SUITE: &[u8] = b"BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";
/// Domain separation tag of proofs of possession.
pub(crate) const POSSESSION_SUITE: &[u8] = b"BLS_POP_BLS12381G1_XMD:SHA-256_SSWU_RO_POP_";

/// Bytes of a coordinate as blst writes it.
const COORDINATE: usize = 48;
/// Bytes of a coordinate in EIP-2537: 16 zero bytes first.
const COORDINATE_PADDED: usize = 64;

/// A member's signing key: a number from 1 to the group order less one. Wiped from memory when dropped.
pub struct SecretKey(min_sig::SecretKey);

impl std::fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretKey(..)")
    }
}

impl SecretKey {
    /// Takes 32 big-endian bytes.
    ///
    /// # Errors
    /// [`Error::InvalidSecretKey`] for zero and for numbers not below the group order.
    pub fn from_bytes(bytes: &[u8; 32]) -> Result<Self, Error> {
        min_sig::SecretKey::from_bytes(bytes).map(Self).map_err(|_| Error::InvalidSecretKey)
    }

    /// Derives a key from at least 32 bytes of secret randomness (KeyGen of the BLS draft, section 2.3, empty info).
    ///
    /// # Errors
    /// [`Error::InvalidSecretKey`] when `ikm` is shorter.
    pub fn generate(ikm: &[u8]) -> Result<Self, Error> {
        min_sig::SecretKey::key_gen(ikm, &[]).map(Self).map_err(|_| Error::InvalidSecretKey)
    }

    /// The key as 32 big-endian bytes.
    pub fn to_bytes(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.0.to_bytes())
    }

    /// The public key. Costs one multiplication in G2.
    pub fn public_key(&self) -> PublicKey {
        PublicKey::of_point(self.0.sk_to_pk())
    }

    /// Signs a statement for one seat. The caller must have made every word of it true first.
    ///
    /// # Errors
    /// Those of [`Statement::check`]: a malformed statement is never signed.
    pub fn attest(
        &self,
        statement: &Statement,
        domain: &Domain,
        seat: SeatIndex,
    ) -> Result<Attestation, Error> {
        statement.check()?;
        let batch_id = statement.digest(domain);
        let signature = SignatureBytes(self.sign(&batch_id.0, SIGNATURE_SUITE));
        Ok(Attestation { batch_id, seat, signature })
    }

    /// Proves to the committee of `domain` that `operator` holds this key.
    pub fn prove_possession(&self, domain: &Domain, operator: Address) -> ProofOfPossession {
        let PossessionDigest(digest) = possession::digest(domain, operator, &self.public_key());
        ProofOfPossession(self.sign(&digest, POSSESSION_SUITE))
    }

    fn sign(&self, digest: &[u8; 32], suite: &[u8]) -> [u8; 48] {
        self.0.sign(digest, suite, &[]).to_bytes()
    }
}

/// A checked public key: a point of the subgroup of G2, not infinity.
#[derive(Clone, Copy, serde::Serialize, serde::Deserialize)]
#[serde(into = "PublicKeyBytes", try_from = "PublicKeyBytes")]
pub struct PublicKey {
    point: min_sig::PublicKey,
    compressed: PublicKeyBytes,
}

impl PublicKeyBytes {
    /// Checks encoding, curve, subgroup and infinity. Costs about a fifth of a pairing.
    ///
    /// # Errors
    /// [`Error::InvalidPublicKey`].
    pub fn decode(&self) -> Result<PublicKey, Error> {
        let refuse = |error| Error::InvalidPublicKey { detail: describe(error) };
        // `uncompress` alone takes no other encoding; `key_validate` would take 192 bytes too.
        let point = min_sig::PublicKey::uncompress(&self.0).map_err(refuse)?;
        point.validate().map_err(refuse)?;
        Ok(PublicKey { point, compressed: *self })
    }
}

impl PublicKey {
    fn of_point(point: min_sig::PublicKey) -> Self {
        Self { compressed: PublicKeyBytes(point.compress()), point }
    }

    /// 96 bytes compressed.
    pub fn to_bytes(&self) -> PublicKeyBytes {
        self.compressed
    }

    /// 256 bytes as EIP-2537 reads a G2 point: `x.c0, x.c1, y.c0, y.c1`, each 16 zero bytes and 48 big-endian bytes.
    pub fn to_padded(&self) -> [u8; 256] {
        let blst_order = self.point.serialize();
        let mut padded = [0; 256];
        // blst writes x.c1, x.c0, y.c1, y.c0.
        for (position, from) in [1, 0, 3, 2].into_iter().enumerate() {
            let coordinate = &blst_order[from * COORDINATE..][..COORDINATE];
            padded[position * COORDINATE_PADDED + 16..][..COORDINATE].copy_from_slice(coordinate);
        }
        padded
    }

    /// keccak256 of [`to_padded`](Self::to_padded): how L1 names a key.
    pub fn padded_hash(&self) -> [u8; 32] {
        keccak256(&self.to_padded())
    }

    /// The sum of `keys` less the sum of `without`, or `None` when that is infinity (or `keys` is empty).
    pub(crate) fn sum<'a>(
        keys: impl IntoIterator<Item = &'a PublicKey>,
        without: impl IntoIterator<Item = &'a PublicKey>,
    ) -> Option<PublicKey> {
        let mut keys = keys.into_iter();
        let mut sum = min_sig::AggregatePublicKey::from_public_key(&keys.next()?.point);
        for key in keys {
            sum.add_public_key(&key.point, false).expect("no check is asked for");
        }
        for key in without {
            sum.sub_aggregate(&min_sig::AggregatePublicKey::from_public_key(&key.point));
        }
        let point = sum.to_public_key();
        point.validate().is_ok().then(|| Self::of_point(point))
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.compressed == other.compressed
    }
}

impl Eq for PublicKey {}

impl std::hash::Hash for PublicKey {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.compressed.hash(state);
    }
}

impl std::fmt::Display for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.compressed.fmt(f)
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({self})")
    }
}

impl From<PublicKey> for PublicKeyBytes {
    fn from(key: PublicKey) -> Self {
        key.compressed
    }
}

impl TryFrom<PublicKeyBytes> for PublicKey {
    type Error = Error;

    fn try_from(bytes: PublicKeyBytes) -> Result<Self, Error> {
        bytes.decode()
    }
}

/// A checked point of the subgroup of G1, not infinity. Whether it signs anything is another question.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Signature(min_sig::Signature);

impl SignatureBytes {
    /// Checks encoding, curve, subgroup and infinity.
    ///
    /// # Errors
    /// [`Error::InvalidSignaturePoint`].
    pub fn decode(&self) -> Result<Signature, Error> {
        let refuse = |error| Error::InvalidSignaturePoint { detail: describe(error) };
        let point = min_sig::Signature::uncompress(&self.0).map_err(refuse)?;
        point.validate(true).map_err(refuse)?;
        Ok(Signature(point))
    }
}

impl Signature {
    /// 48 bytes compressed.
    pub fn to_bytes(&self) -> SignatureBytes {
        SignatureBytes(self.0.compress())
    }

    /// 128 bytes as EIP-2537 reads a G1 point: `x, y`, each 16 zero bytes and 48 big-endian bytes.
    pub fn to_padded(&self) -> [u8; 128] {
        let coordinates = self.0.serialize();
        let mut padded = [0; 128];
        padded[16..64].copy_from_slice(&coordinates[..COORDINATE]);
        padded[80..].copy_from_slice(&coordinates[COORDINATE..]);
        padded
    }

    /// Reads [`to_padded`](Self::to_padded) back, with every check of [`SignatureBytes::decode`].
    ///
    /// # Errors
    /// [`Error::InvalidSignaturePoint`].
    pub fn from_padded(padded: &[u8; 128]) -> Result<Self, Error> {
        let refuse = |error| Error::InvalidSignaturePoint { detail: describe(error) };
        let mut coordinates = [0; 2 * COORDINATE];
        coordinates[..COORDINATE].copy_from_slice(&padded[16..64]);
        coordinates[COORDINATE..].copy_from_slice(&padded[80..]);
        let point = min_sig::Signature::deserialize(&coordinates).map_err(refuse)?;
        point.validate(true).map_err(refuse)?;
        let signature = Self(point);
        // Zero padding, no flag bits, each coordinate below the modulus: the one encoding and no other.
        if signature.to_padded() != *padded {
            return Err(refuse(BLST_ERROR::BLST_BAD_ENCODING));
        }
        Ok(signature)
    }

    /// Whether this signs `digest` for `key` under `suite`. One product of two pairings; points were checked before.
    pub(crate) fn signs(&self, digest: &[u8], suite: &[u8], key: &PublicKey) -> bool {
        let (key, signature): (&blst_p2_affine, &blst_p1_affine) = ((&key.point).into(), (&self.0).into());
        let mut pairing = Pairing::new(true, suite);
        let added = pairing.aggregate(key, false, signature, false, digest, &[]);
        pairing.commit();
        added == BLST_ERROR::BLST_SUCCESS && pairing.finalverify(None)
    }

    /// The sum of `signatures`, or `None` when that is infinity (or there are none).
    pub(crate) fn sum<'a>(signatures: impl IntoIterator<Item = &'a Signature>) -> Option<Signature> {
        let mut signatures = signatures.into_iter();
        let mut sum = min_sig::AggregateSignature::from_signature(&signatures.next()?.0);
        for signature in signatures {
            sum.add_signature(&signature.0, false).expect("no check is asked for");
        }
        let point = sum.to_signature();
        point.validate(true).is_ok().then_some(Self(point))
    }
}

impl std::fmt::Debug for Signature {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signature({})", self.to_bytes())
    }
}

/// blst's codes in words.
fn describe(error: BLST_ERROR) -> &'static str {
    match error {
        BLST_ERROR::BLST_POINT_NOT_ON_CURVE => "not on the curve",
        BLST_ERROR::BLST_POINT_NOT_IN_GROUP => "not in the subgroup",
        BLST_ERROR::BLST_PK_IS_INFINITY => "infinity",
        _ => "not an encoding",
    }
}

#[cfg(test)]
mod tests;
