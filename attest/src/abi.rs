//! The certificate as L1 reads it.
//!
//! `abi.encode(uint64 chainId, address registry, Statement statement, uint256 signers, bytes signature)`, 576 bytes:
//!
//! | word | content |
//! |---|---|
//! | 0 | chain id |
//! | 1 | registry, right-aligned |
//! | 2 to 10 | the nine fields of the statement, in the order of its EIP-712 type |
//! | 11 | signers: bit `i` of the number is member `i` |
//! | 12 | offset of the signature: 416 |
//! | 13 | length of the signature: 128 |
//! | 14 to 17 | `x, y` of the G1 point, each 16 zero bytes and 48 big-endian bytes (EIP-2537) |
//!
//! Reading is strict: these 576 bytes and no others. The number of members is not in them, so the reader gives it;
//! it fixes the length of the bitmap. A spare bit of the last byte is left to
//! [`verify`](crate::Certificate::verify), as in the other forms.

use crate::eip712::{WORD, Words};
use crate::{
    Address, Certificate, CommitteeHash, DataHash, DataRoot, Epoch, Error, RollupId, ShardsRoot, Signature,
    Signers, Statement,
};

/// Bytes of the ABI form, whatever the committee.
pub const CERTIFICATE_ABI_BYTES: usize = 18 * WORD;
/// Where the tail begins: after 13 words.
const SIGNATURE_OFFSET: u64 = 13 * 32;
const SIGNATURE_BYTES: u64 = 128;

impl Certificate {
    /// Writes the ABI form. Costs one decompression, since L1 takes the point uncompressed.
    ///
    /// # Errors
    /// [`Error::InvalidSignaturePoint`]; never for a [`CheckedCertificate`](crate::CheckedCertificate)'s.
    pub fn to_abi(&self) -> Result<Vec<u8>, Error> {
        let signature = self.signature.decode()?;
        let head = Words::default().number(self.chain_id).address(self.registry);
        let words = self
            .statement
            .words(head)
            .bytes32(&bitmap_word(&self.signers))
            .number(SIGNATURE_OFFSET)
            .number(SIGNATURE_BYTES);
        Ok([words.0.as_slice(), &signature.to_padded()].concat())
    }

    /// Reads the ABI form of a certificate of a committee of `members`.
    ///
    /// # Errors
    /// [`Error::MalformedEncoding`], [`Error::UnknownSeat`], [`Error::InvalidSignaturePoint`].
    pub fn from_abi(bytes: &[u8], members: u16) -> Result<Self, Error> {
        let bytes: &[u8; CERTIFICATE_ABI_BYTES] = bytes.try_into().map_err(|_| {
            malformed(format_args!("{} bytes, expected {CERTIFICATE_ABI_BYTES}", bytes.len()))
        })?;
        let mut words = Reader(bytes);
        let chain_id = words.number()?;
        let registry = Address(words.right_aligned()?);
        let statement = words.statement()?;
        let signers = words.signers(members)?;
        if (words.number()?, words.number()?) != (SIGNATURE_OFFSET, SIGNATURE_BYTES) {
            return Err(malformed("the signature is not 128 bytes at offset 416"));
        }
        let signature =
            Signature::from_padded(words.0.try_into().map_err(|_| malformed("length"))?)?.to_bytes();
        Ok(Self { chain_id, registry, statement, signers, signature })
    }
}

fn malformed(detail: impl std::fmt::Display) -> Error {
    Error::malformed("ABI certificate", detail)
}

/// Little-endian bits of bytes in order are a little-endian number; a word is big-endian.
fn bitmap_word(signers: &Signers) -> [u8; WORD] {
    let mut word = [0; WORD];
    for (to, from) in word.iter_mut().rev().zip(signers.as_bytes()) {
        *to = *from;
    }
    word
}

/// Reads words from the front.
struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    fn word(&mut self) -> Result<[u8; WORD], Error> {
        let (word, rest) = self.0.split_first_chunk().ok_or_else(|| malformed("too short"))?;
        self.0 = rest;
        Ok(*word)
    }

    fn right_aligned<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        let word = self.word()?;
        let (padding, value) = word.split_last_chunk().ok_or_else(|| malformed("too short"))?;
        if padding.iter().any(|byte| *byte != 0) {
            return Err(malformed("a number or address is out of range"));
        }
        Ok(*value)
    }

    fn number(&mut self) -> Result<u64, Error> {
        self.right_aligned().map(u64::from_be_bytes)
    }

    fn statement(&mut self) -> Result<Statement, Error> {
        Ok(Statement {
            rollup_id: RollupId(self.word()?),
            epoch: Epoch(self.number()?),
            committee_hash: CommitteeHash(self.word()?),
            data_bytes: self.number()?,
            data_hash: DataHash(self.word()?),
            data_root: DataRoot(self.word()?),
            shards_root: ShardsRoot(self.word()?),
            hot_until: self.number()?,
            retain_until: self.number()?,
        })
    }

    fn signers(&mut self, members: u16) -> Result<Signers, Error> {
        let mut bytes = self.word()?;
        bytes.reverse();
        let needed = usize::from(members).div_ceil(8).min(WORD);
        if bytes[needed..].iter().any(|byte| *byte != 0) {
            return Err(malformed(format_args!("a signer beyond {members} members")));
        }
        Signers::from_bytes(&bytes[..needed])
    }
}

#[cfg(test)]
mod tests;
