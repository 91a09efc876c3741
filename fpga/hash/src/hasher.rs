//! The seam between what needs hashes and what computes them: a CPU engine here, an accelerator in crate `fpga`.

use std::fmt::Debug;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{Digest, FieldElement};

/// Hashes many independent messages per call; digests come back in the order of the messages.
///
/// Promise: every implementor returns the same bytes. Callers keep requests coarse (hundreds of messages: a level of
/// a tree, not a node), because an engine fills its lanes, or its bus, only from one call.
///
/// # Panics
/// Every method asserts the shapes in its description: a wrong shape is a bug of the caller, never bad input.
pub trait Hasher: Send + Sync + Debug {
    /// The engine's name, as in metrics and in [`crate::software_by_name`]: `software-avx512ifma`.
    fn engine(&self) -> &'static str;

    /// Keccak-256 (the original padding, as Ethereum uses it) of each message. `digests` is as long as `messages`.
    ///
    /// Any lengths are correct; runs of neighbours with the same length are fast.
    fn keccak256(&self, messages: &[&[u8]], digests: &mut [Digest]);

    /// Keccak-256 of `prefix || item` for each item of `items`, which lie one behind the other without gaps.
    ///
    /// Each item is `item_bytes` (at least 1) long, the last may be shorter but not empty; `digests` has one place per
    /// item. RFC 6962 leaves are prefix 0 and 1,024 bytes, nodes prefix 1 and 64 bytes.
    fn keccak256_prefixed(&self, prefix: u8, item_bytes: usize, items: &[u8], digests: &mut [Digest]);

    /// Poseidon with circomlib's parameters: each `width` inputs (1 to 16, so t = `width` + 1) give one digest.
    ///
    /// `inputs` holds `width` elements per digest, one message behind the other.
    fn poseidon(&self, inputs: &[FieldElement], width: usize, digests: &mut [FieldElement]);

    /// What this engine has done since the process started.
    fn work(&self) -> Work;
}

/// Running totals of one engine, for metrics. Each field only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Work {
    /// Keccak-256 digests.
    pub keccak_hashes: u64,
    /// Message bytes that went into them, prefixes included.
    pub keccak_bytes: u64,
    /// Poseidon digests.
    pub poseidon_hashes: u64,
    /// Bytes of field elements that went into them, 32 per input.
    pub poseidon_bytes: u64,
}

/// Counts [`Work`] from many threads; relaxed, so a snapshot may be a call behind.
#[derive(Debug, Default)]
pub struct WorkCounter {
    keccak_hashes: AtomicU64,
    keccak_bytes: AtomicU64,
    poseidon_hashes: AtomicU64,
    poseidon_bytes: AtomicU64,
}

impl WorkCounter {
    /// Adds Keccak digests and the message bytes behind them.
    pub fn count_keccak(&self, hashes: usize, bytes: usize) {
        self.keccak_hashes.fetch_add(hashes as u64, Ordering::Relaxed);
        self.keccak_bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    /// Adds Poseidon digests of `width` inputs each.
    pub fn count_poseidon(&self, hashes: usize, width: usize) {
        self.poseidon_hashes.fetch_add(hashes as u64, Ordering::Relaxed);
        self.poseidon_bytes.fetch_add((hashes * width * 32) as u64, Ordering::Relaxed);
    }

    /// The totals so far.
    pub fn snapshot(&self) -> Work {
        Work {
            keccak_hashes: self.keccak_hashes.load(Ordering::Relaxed),
            keccak_bytes: self.keccak_bytes.load(Ordering::Relaxed),
            poseidon_hashes: self.poseidon_hashes.load(Ordering::Relaxed),
            poseidon_bytes: self.poseidon_bytes.load(Ordering::Relaxed),
        }
    }
}

/// Asserts the shape of a [`Hasher::keccak256_prefixed`] call. Implementors call it first.
///
/// # Panics
/// When `item_bytes` is zero or `digests` is not the number of items.
pub fn check_prefixed_shape(item_bytes: usize, items: usize, digests: usize) {
    assert!(item_bytes > 0, "an item has at least one byte");
    assert_eq!(digests, items.div_ceil(item_bytes), "one digest per item");
}

/// Asserts the shape of a [`Hasher::poseidon`] call. Implementors call it first.
///
/// # Panics
/// When `width` is outside 1 to 16 or `inputs` is not `width * digests`.
pub fn check_poseidon_shape(inputs: usize, width: usize, digests: usize) {
    assert!((1..=16).contains(&width), "poseidon takes 1 to 16 inputs, not {width}");
    assert_eq!(inputs, width * digests, "{width} inputs per digest");
}
