//! One member's signature on a statement, before and after it is checked.

use parity_scale_codec::{Decode, DecodeAll, Encode};

use crate::keys::SIGNATURE_SUITE;
use crate::{BatchId, Committee, Error, SeatIndex, Signature, SignatureBytes};

/// A claimed signature: nothing is checked. 82 bytes in SCALE, in this field order.
///
/// The seat is a claim too: anyone can write any seat. Only a sender that the transport has authenticated as that
/// member answers for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Encode, Decode, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attestation {
    /// The digest signed.
    pub batch_id: BatchId,
    /// Who says so.
    pub seat: SeatIndex,
    /// The signature.
    pub signature: SignatureBytes,
}

/// The member in this seat signed this digest: checked against its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CheckedAttestation {
    batch_id: BatchId,
    seat: SeatIndex,
    signature: Signature,
}

impl Attestation {
    /// Reads SCALE; all bytes must be used.
    ///
    /// # Errors
    /// [`Error::MalformedEncoding`].
    pub fn decode_strict(mut bytes: &[u8]) -> Result<Self, Error> {
        Self::decode_all(&mut bytes).map_err(|error| Error::malformed("attestation", error))
    }

    /// Checks seat, point and signature. One pairing check.
    ///
    /// That `batch_id` is the digest of a statement worth anything is for the caller to know.
    ///
    /// # Errors
    /// [`Error::UnknownSeat`], [`Error::InvalidSignaturePoint`], [`Error::FalseAttestation`].
    pub fn verify(&self, committee: &Committee) -> Result<CheckedAttestation, Error> {
        let Self { batch_id, seat, signature } = *self;
        let key = &committee.member(seat)?.public_key;
        let signature = signature.decode()?;
        if !signature.signs(&batch_id.0, SIGNATURE_SUITE, key) {
            return Err(Error::FalseAttestation { seat });
        }
        Ok(CheckedAttestation { batch_id, seat, signature })
    }
}

impl CheckedAttestation {
    /// The digest signed.
    pub fn batch_id(&self) -> BatchId {
        self.batch_id
    }

    /// Who signed.
    pub fn seat(&self) -> SeatIndex {
        self.seat
    }

    /// The signature.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }
}

impl From<CheckedAttestation> for Attestation {
    fn from(checked: CheckedAttestation) -> Self {
        let CheckedAttestation { batch_id, seat, signature } = checked;
        Self { batch_id, seat, signature: signature.to_bytes() }
    }
}

#[cfg(test)]
mod tests;
