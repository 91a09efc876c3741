//! Keccak-256 of one message at a time, whole or as it arrives; the parallel engines are in [`crate::engine`].
//!
//! `keccak-asm` (the CRYPTOGAMS assembly that OpenSSL carries) is the fastest single-message permutation we measured.

use keccak_asm::Digest as _;

use crate::Digest;

/// Bytes that Keccak-256 absorbs per permutation (FIPS 202: 1600 bits less twice 256).
pub(crate) const RATE_BYTES: usize = 136;

/// Keccak-256 of one message, on one lane; no allocation.
pub fn keccak256(message: &[u8]) -> Digest {
    keccak_asm::Keccak256::digest(message).into()
}

/// Keccak-256 of a message that arrives in parts: `dataHash` of a body while it is being received.
#[derive(Debug, Clone, Default)]
pub struct Keccak256(State);

#[derive(Clone, Default)]
struct State(keccak_asm::Keccak256);

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("..")
    }
}

impl Keccak256 {
    /// The state before the first byte.
    pub fn new() -> Self {
        Self::default()
    }

    /// Absorbs the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.0.update(bytes);
    }

    /// The digest of everything absorbed.
    pub fn finalize(self) -> Digest {
        self.0.0.finalize().into()
    }
}
